"""OpenDocument presentations: a page for every slide, with its title as heading, its text, tables and notes."""

from collections.abc import Iterable, Iterator, Set
from typing import TYPE_CHECKING

from ingest.content_kinds import zip_mimetype
from ingest.errors import NoTextError
from ingest.opendocument import DRAW, PRESENTATION, Writer, read_package, text_of
from ingest.text_building import TextBuilder, choose_title
from rag.schema import ParsedDocument

if TYPE_CHECKING:
    from lxml.etree import _Element

FORMAT = "odp"
SUFFIXES = frozenset({".odp", ".otp"})

_MIMETYPES = frozenset({f"application/vnd.oasis.opendocument.presentation{kind}" for kind in ("", "-template")})
_FURNITURE = frozenset({"header", "footer", "date-time", "page-number", "page"})


def accepts(data: bytes, name: str) -> bool:
    """Accepts a zip archive whose member `mimetype` says that it is an OpenDocument presentation."""
    return zip_mimetype(data) in _MIMETYPES


def parse(data: bytes, name: str) -> ParsedDocument:
    """Returns the slides in order: title, shapes in the order of the file, then the speaker's notes.

    Footers, slide numbers, comments, charts, pictures and what only the master shows are left out.
    """
    document = read_package(data, "presentation")
    builder = TextBuilder()
    slides = document.body.iterchildren(f"{DRAW}page")
    pages = [_write_slide(builder, slide, number) for number, slide in enumerate(slides, start=1)]
    if not builder.text.strip():
        raise NoTextError(f"The presentation holds no text on its {len(pages)} slides.")
    first = builder.headings[0].text if builder.headings else None
    return ParsedDocument(
        choose_title(document.title, first), builder.text, tuple(pages), builder.headings, date=document.date
    )


def _write_slide(builder: TextBuilder, slide: "_Element", number: int) -> int:
    """Writes a slide and returns the offset at which its page starts; one without a title gets its number as one."""
    title = " ".join(text for shape in _shapes(slide, "title") if (text := text_of(shape)))
    content = _written(shape for shape in slide if not _is_one_of(shape, _FURNITURE | {"title"}))
    notes = _written(shape for page in slide.iterchildren(f"{PRESENTATION}notes") for shape in _shapes(page, "notes"))
    if not (title or content.text or notes.text):
        return builder.add("", gap=2)
    builder.add_heading(title or f"Slide {number}", 1)
    start = builder.headings[-1].start
    if content.text:
        builder.add_all(content)
    if notes.text:
        builder.add(f"Notes: {notes.text}", gap=2)
    return start


def _shapes(page: "_Element", kind: str) -> "Iterator[_Element]":
    return (shape for shape in page if _is_one_of(shape, {kind}))


def _is_one_of(shape: "_Element", kinds: Set[str]) -> bool:
    return shape.get(f"{PRESENTATION}class") in kinds


def _written(shapes: "Iterable[_Element]") -> TextBuilder:
    writer = Writer({})
    for shape in shapes:
        if shape.tag != f"{PRESENTATION}notes":
            writer.write_blocks(shape)
    return writer.builder
