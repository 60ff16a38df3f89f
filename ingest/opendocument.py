"""What the OpenDocument formats share: the package, and paragraphs, lists and tables as lines (ODF 1.3, part 3)."""

import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from ingest.dating import choose_date
from ingest.errors import ParseError
from ingest.records import Record
from ingest.safe_xml import read_member_xml
from ingest.text_building import TextBuilder, one_line
from ingest.zip_limits import check_zip

if TYPE_CHECKING:
    from lxml.etree import _Element

_URN = "urn:oasis:names:tc:opendocument:xmlns"
DRAW = f"{{{_URN}:drawing:1.0}}"
OFFICE = f"{{{_URN}:office:1.0}}"
PRESENTATION = f"{{{_URN}:presentation:1.0}}"
STYLE = f"{{{_URN}:style:1.0}}"
TABLE = f"{{{_URN}:table:1.0}}"
TEXT = f"{{{_URN}:text:1.0}}"
_DC_TITLE = "{http://purl.org/dc/elements/1.1/}title"
_DC_DATE = "{http://purl.org/dc/elements/1.1/}date"
_CREATED = "{urn:oasis:names:tc:opendocument:xmlns:meta:1.0}creation-date"
_MANIFEST_ENCRYPTION = f"{{{_URN}:manifest:1.0}}encryption-data"

_MAX_COLUMNS = 16_384  # LibreOffice's own limit
_MAX_SPACES = 1_000
_MAX_PARENTS = 20
_WHITE = re.compile(r"[ \t\r\n]+")
_LIST_PARTS = frozenset({f"{TEXT}list", f"{TEXT}list-item", f"{TEXT}list-header"})
_LEFT_OUT = frozenset(
    {
        f"{TEXT}tracked-changes",  # holds what was deleted
        f"{TEXT}table-of-content",
        f"{OFFICE}annotation",
        f"{OFFICE}annotation-end",
        f"{OFFICE}forms",
        f"{TEXT}ruby-text",
        f"{TEXT}note-citation",
        f"{TEXT}hidden-text",
        f"{PRESENTATION}notes",
        "{http://www.w3.org/1998/Math/MathML}math",
        "{urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0}title",
        "{urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0}desc",
    }
)


class OpenDocument(NamedTuple):
    """The content of a package: the element of its kind below office:body, its title, its styles' parents, its date."""

    body: "_Element"
    title: str | None
    parents: Mapping[str, str]
    date: str = ""


def read_package(data: bytes, kind: str) -> OpenDocument:
    """Opens a package and returns the content of a kind, such as "text"; raises ParseError."""
    check_zip(data, allow_doctype=True)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        manifest = read_member_xml(archive, "META-INF/manifest.xml")
        is_marked = manifest is not None and next(manifest.iter(_MANIFEST_ENCRYPTION), None) is not None
        if is_marked or "encrypted-package" in archive.namelist():
            raise ParseError("The OpenDocument file is encrypted. Save it without a password.")
        content = read_member_xml(archive, "content.xml")
        meta = read_member_xml(archive, "meta.xml")
        styles = read_member_xml(archive, "styles.xml")
    body = None if content is None else content.find(f"{OFFICE}body/{OFFICE}{kind}")
    if content is None or body is None:
        raise ParseError(f"It is an OpenDocument file without its {kind}, and probably damaged.")
    title = None if meta is None else next((element.text for element in meta.iter(_DC_TITLE)), None)
    dated = "" if meta is None else choose_date(*(element.text for element in meta.iter(_DC_DATE, _CREATED)))
    return OpenDocument(body, title, {**_style_parents(styles), **_style_parents(content)}, dated)


class Writer:
    """Walks the blocks of a document and writes each paragraph and each table row as a line."""

    def __init__(self, parents: Mapping[str, str], builder: TextBuilder | None = None) -> None:
        self.builder = builder or TextBuilder()
        self.title: str | None = None
        self._parents = parents

    def write_blocks(self, parent: "_Element", gap: int = 2) -> None:
        """Writes what is below an element, looking into sections, frames, indexes and the like."""
        for block in parent:
            if block.tag in _LEFT_OUT or block.get(f"{TEXT}display") == "none":
                continue
            if block.tag == f"{TEXT}h":
                self._write_heading(block)
            elif block.tag == f"{TEXT}p":
                self._write_paragraph(block, gap)
            elif block.tag == f"{TABLE}table":
                self._write_table(block)
            elif isinstance(block.tag, str):
                self.write_blocks(block, gap if block.tag in _LIST_PARTS else 2)
            if parent.tag in _LIST_PARTS:
                gap = 1

    def _write_heading(self, heading: "_Element") -> None:
        boxes: list[_Element] = []
        text = one_line("".join(_words(heading, boxes)))
        level = heading.get(f"{TEXT}outline-level", "1")
        if text:
            self.builder.add_heading(text, max(int(level), 1) if level.isdigit() else 1)
        self._write_boxes(boxes)

    def _write_paragraph(self, paragraph: "_Element", gap: int) -> None:
        boxes: list[_Element] = []
        text = "".join(_words(paragraph, boxes)).strip()
        if text:
            self.builder.add("\n".join(line.rstrip() for line in text.split("\n")), gap)
            if self.title is None and self._is_title(paragraph.get(f"{TEXT}style-name", "")):
                self.title = text
        self._write_boxes(boxes)

    def _write_boxes(self, boxes: "list[_Element]") -> None:
        for box in boxes:
            self.write_blocks(box)

    def _write_table(self, table: "_Element") -> None:
        gap = 2
        for cells in table_records(table, f"{TABLE}table-cell"):
            if any(cells):
                self.builder.add(" | ".join(cells), gap)
                gap = 1

    def _is_title(self, style: str) -> bool:
        for _ in range(_MAX_PARENTS):  # a damaged file may chain styles in a circle
            if style == "Title":
                return True
            style = self._parents.get(style, "")
        return False


def table_records(table: "_Element", *tags: str) -> "Iterator[Record]":
    """Yields the texts of a row's cells up to the last that has one, for grouped and header rows as well.

    `tags` names what is a cell. A cell that stands for several equal ones is there as often, as far as text follows;
    a row that does is there once. A table in a cell is part of the cell's text.
    """
    for row in table.iter(f"{TABLE}table-row"):
        if next(row.iterancestors(f"{TABLE}table")) is table:
            yield _record(row.iterchildren(*tags))


def _record(cells: "Iterable[_Element]") -> Record:
    record: Record = []
    empty = 0  # the empty rest of a sheet is written as one cell that is repeated
    for cell in cells:
        count = _count(cell, f"{TABLE}number-columns-repeated", _MAX_COLUMNS - len(record))
        text = text_of(cell)
        if text:
            record += [""] * min(empty, _MAX_COLUMNS - len(record)) + [text] * count
        empty = 0 if text else empty + count
    return record


def text_of(element: "_Element") -> str:
    """Returns the text of an element, such as a cell, on one line."""
    paragraphs = (each for each in element.iter(f"{TEXT}p", f"{TEXT}h") if not _is_elsewhere(each, element))
    return one_line(" ".join("".join(_words(paragraph, [])) for paragraph in paragraphs))


def _is_elsewhere(paragraph: "_Element", whole: "_Element") -> bool:
    """Tells whether a paragraph is left out, or is of a note, which is among the words that call it."""
    for ancestor in paragraph.iterancestors():
        if ancestor is whole:
            return False
        if ancestor.tag in _LEFT_OUT or ancestor.tag == f"{TEXT}note":
            return True
    return False


def _words(element: "_Element", boxes: "list[_Element]") -> Iterator[str]:
    """Yields the pieces of a paragraph's text, notes in parentheses, and collects the text boxes anchored in it."""
    yield _WHITE.sub(" ", element.text or "")
    for child in element:
        if child.tag == f"{TEXT}s":
            yield " " * _count(child, f"{TEXT}c", _MAX_SPACES)
        elif child.tag == f"{TEXT}tab":
            yield "\t"
        elif child.tag == f"{TEXT}line-break":
            yield "\n"
        elif child.tag == f"{TEXT}note":
            yield f" ({_note(child)})"
        elif isinstance(child.tag, str) and child.tag.startswith(DRAW):
            boxes.append(child)
        elif isinstance(child.tag, str) and child.tag not in _LEFT_OUT:
            yield from _words(child, boxes)
        yield _WHITE.sub(" ", child.tail or "")


def _note(note: "_Element") -> str:
    return one_line(" ".join("".join(_words(paragraph, [])) for paragraph in note.iter(f"{TEXT}p")))


def _count(element: "_Element", attribute: str, most: int) -> int:
    """Returns how often something is repeated, by an attribute that is 1 where it is absent."""
    count = element.get(attribute, "1")
    return min(int(count), most) if count.isdigit() else 1


def _style_parents(root: "_Element | None") -> dict[str, str]:
    if root is None:
        return {}
    styles = root.iter(f"{STYLE}style")
    return {style.get(f"{STYLE}name", ""): style.get(f"{STYLE}parent-style-name", "") for style in styles}
