"""Word documents: paragraphs and tables in document order, as the reader sees them with all changes accepted."""

import io
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from ingest.content_kinds import zip_names
from ingest.dating import office_date
from ingest.errors import NoTextError, ParseError
from ingest.text_building import TextBuilder, choose_title, one_line
from ingest.zip_limits import check_zip
from rag.schema import ParsedDocument

if TYPE_CHECKING:
    from lxml.etree import _Element

FORMAT = "docx"
SUFFIXES = frozenset({".docx"})

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MATH_TEXT = "{http://schemas.openxmlformats.org/officeDocument/2006/math}t"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"  # the same again, for old readers
_DELETED = frozenset({f"{_W}del", f"{_W}moveFrom"})
_WHITE = {f"{_W}tab": "\t", f"{_W}br": "\n", f"{_W}cr": "\n"}
_TITLE = 0
_BODY_TEXT = 9  # Word's outline level of body text
_MAX_BASED_ON = 20
_DEFAULT_TITLE = "Word Document"  # what python-docx says of a file without properties


def accepts(data: bytes, name: str) -> bool:
    """Accepts a zip archive with the main part of a Word document, whatever its name."""
    return "word/document.xml" in zip_names(data)


def parse(data: bytes, name: str) -> ParsedDocument:
    """Returns text and headings; headers, footers, footnotes, comments and deleted text are left out.

    The walk is over the XML itself: python-docx's own iteration leaves out content controls, text boxes and tracked
    insertions, whole pages of many a form or template.
    """
    import docx

    check_zip(data)
    try:
        document = docx.Document(io.BytesIO(data))
    except (KeyError, ValueError) as error:  # a part is missing, or the main part is a macro or template one
        raise ParseError(
            f"It is a zip archive but no Word document that can be read: {one_line(str(error))}"
        ) from error
    writer = _Writer(_heading_levels(document.styles.element))
    writer.write_blocks(document.element.body)
    builder = writer.builder
    if not builder.text.strip():
        raise NoTextError("The Word document holds no text.")
    first = builder.headings[0].text if builder.headings else None
    properties = document.core_properties.title
    title = choose_title(properties if properties != _DEFAULT_TITLE else None, writer.title, first)
    return ParsedDocument(title, builder.text, headings=builder.headings, date=office_date(data))


class _Writer:
    """Walks the blocks of a document and writes each paragraph and each table row as a line."""

    def __init__(self, levels: Mapping[str, int]) -> None:
        self.builder = TextBuilder()
        self.title: str | None = None
        self._levels = levels

    def write_blocks(self, parent: "_Element") -> None:
        """Writes paragraphs and tables below an element, looking into content controls and the like."""
        for block in parent:
            if block.tag == f"{_W}p":
                self._write_paragraph(block)
            elif block.tag == f"{_W}tbl":
                self._write_table(block)
            elif isinstance(block.tag, str) and block.tag not in _DELETED and block.tag != _FALLBACK:
                self.write_blocks(block)

    def _write_paragraph(self, paragraph: "_Element") -> None:
        boxes: list[_Element] = []
        text = "".join(_words(paragraph, boxes)).strip()
        level = self._level(paragraph)
        if text and level is not None and level != _TITLE:
            self.builder.add_heading(text, level)
        elif text:
            self.builder.add("\n".join(line.rstrip() for line in text.split("\n")), gap=2)
            if level == _TITLE and self.title is None:
                self.title = text
        for box in boxes:
            self.write_blocks(box)

    def _write_table(self, table: "_Element") -> None:
        gap = 2
        for row in table.iter(f"{_W}tr"):
            if next(row.iterancestors(f"{_W}tbl")) is not table:
                continue  # a row of a table in a cell: its text is in the cell's
            cells = [_cell_text(cell) for cell in _cells(row)]
            if any(cells):
                self.builder.add(" | ".join(cells), gap)
                gap = 1

    def _level(self, paragraph: "_Element") -> int | None:
        """Returns the heading level, 1 for the top, 0 for a title, None for body text."""
        own = paragraph.find(f"{_W}pPr/{_W}outlineLvl")
        if own is not None:
            return _outline_level(own)
        style = paragraph.find(f"{_W}pPr/{_W}pStyle")
        return None if style is None else self._levels.get(style.get(f"{_W}val", ""))


def _words(element: "_Element", boxes: "list[_Element]") -> Iterator[str]:
    """Yields the pieces of a paragraph's text and collects the text boxes anchored in it."""
    for child in element:
        if child.tag in (f"{_W}t", _MATH_TEXT):
            yield child.text or ""
        elif child.tag in _WHITE:
            yield _WHITE[child.tag]
        elif child.tag == f"{_W}noBreakHyphen":
            yield "-"
        elif child.tag == f"{_W}txbxContent":
            boxes.append(child)
        elif isinstance(child.tag, str) and child.tag not in _DELETED and child.tag not in (_FALLBACK, f"{_W}pPr"):
            yield from _words(child, boxes)


def _cells(row: "_Element") -> "Iterator[_Element]":
    return (cell for cell in row.iter(f"{_W}tc") if next(cell.iterancestors(f"{_W}tr")) is row)


def _cell_text(cell: "_Element") -> str:
    return one_line(" ".join("".join(_words(paragraph, [])) for paragraph in cell.iter(f"{_W}p")))


def _heading_levels(styles: "_Element") -> dict[str, int]:
    """Returns the heading level of each paragraph style that has one, itself or from the style it is based on."""
    by_id = {style.get(f"{_W}styleId", ""): style for style in styles.iter(f"{_W}style")}
    levels = {style_id: _inherited_level(style, by_id) for style_id, style in by_id.items()}
    return {style_id: level for style_id, level in levels.items() if level is not None}


def _inherited_level(style: "_Element", by_id: "Mapping[str, _Element]") -> int | None:
    for _ in range(_MAX_BASED_ON):  # a damaged file may chain styles in a circle
        level = _style_level(style)
        based_on = style.find(f"{_W}basedOn")
        parent = None if based_on is None else by_id.get(based_on.get(f"{_W}val", ""))
        if level is not None or parent is None:
            return level
        style = parent
    return None


def _style_level(style: "_Element") -> int | None:
    """Returns the level that a style sets: Word stores built-in names in English whatever the user's language."""
    name = style.find(f"{_W}name")
    label = "" if name is None else name.get(f"{_W}val", "").lower()
    if label == "title":
        return _TITLE
    numbered = re.fullmatch(r"heading ([1-9])", label)
    if numbered:
        return int(numbered.group(1))
    outline = style.find(f"{_W}pPr/{_W}outlineLvl")
    return None if outline is None else _outline_level(outline)


def _outline_level(outline: "_Element") -> int | None:
    level = outline.get(f"{_W}val", "")
    return int(level) + 1 if level.isdigit() and int(level) < _BODY_TEXT else None
