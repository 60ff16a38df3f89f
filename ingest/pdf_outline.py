"""The outline of a PDF, which readers show beside the pages, and the lines of the text that its entries name."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingest.text_building import one_line
from rag.schema import Heading

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

_MAX_ENTRIES = 20_000
_MAX_TITLE = 300
_NUMBERING = r"(?:(?:chapter |section |§ ?)?[\dIVX]+(?:\.[\dIVX]+)*[.:)]?[ \t]+)?"


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the outline: its title, its level (1 = top) and the index of the page it points to."""

    title: str
    level: int
    page: int


def read_outline(document: "PdfDocument") -> Iterator[Entry]:
    """Yields the entries that point to a page of the document."""
    for count, bookmark in enumerate(document.get_toc()):
        if count == _MAX_ENTRIES:
            return
        target = bookmark.get_dest()
        page = target.get_index() if target else None
        if page is not None:
            yield Entry(one_line(bookmark.get_title()), bookmark.level + 1, page)


def locate(outline: Sequence[Entry], pages: Sequence[str], starts: Sequence[int]) -> tuple[Heading, ...]:
    """Finds each entry of the outline on its page, as a line of its own; an entry that is not there is no heading.

    Entries of equal title on one page are matched in their order. A heading's text is as the page spells it.
    """
    found: dict[int, Heading] = {}
    for entry in outline:
        words = entry.title.split()
        if not words or len(entry.title) > _MAX_TITLE or not 0 <= entry.page < len(pages):
            continue
        for match in _lines_of(words, pages[entry.page]):
            start = starts[entry.page] + match.start("heading")
            if start not in found:
                found[start] = Heading(start, entry.level, one_line(match.group("heading")))
                break
    return tuple(found[start] for start in sorted(found))


def _lines_of(words: Sequence[str], page: str) -> Iterator[re.Match[str]]:
    """Yields the lines that hold just these words, with or without a number; last, those without the words' own number.

    LaTeX leaves numbers out of the outline, and manuals put a date between number and title.
    """
    unnumbered = words[1:] if re.fullmatch(r"[\dIVX.]+", words[0]) else ()
    for title in filter(None, (words, unnumbered)):
        pattern = r"\s+".join(map(re.escape, title))
        yield from re.finditer(rf"^[ \t]*(?P<heading>{_NUMBERING}{pattern})[ \t]*$", page, re.I | re.M)
