"""Text as documents hold it: clean characters, and lines whose offsets are known while they are written."""

import re
from collections.abc import Iterable

from rag.schema import Heading

MAX_TITLE_LENGTH = 300
"""Characters of a title that are kept: it is put before every passage of its document."""

_NEVER_IN_TEXT = re.compile("[\x00\ud800-\udfff]")


def clean_text(text: str) -> str:
    r"""Returns the text with "\n" as every line ending, without NULs and lone surrogates, which UTF-8 or SQLite refuse.

    >>> clean_text("a\r\nb\rc\x00d")
    'a\nb\ncd'
    """
    return _NEVER_IN_TEXT.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def one_line(text: str) -> str:
    r"""Returns the text with every run of white space as one blank, without blanks at its ends.

    >>> one_line(" a\n\t b ")
    'a b'
    """
    return " ".join(clean_text(text).split())


def choose_title(*candidates: str | None) -> str:
    """Returns the first candidate that says something, as one line, "" where none does.

    The name of the file is never one: see docs/decisions/0009.
    """
    titles = (one_line(candidate or "")[:MAX_TITLE_LENGTH] for candidate in candidates)
    return next(filter(None, titles), "")


class TextBuilder:
    """Joins lines into a document's text and keeps the offset of every heading among them."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._headings: list[Heading] = []

    def add(self, line: str, gap: int = 1) -> int:
        """Appends a line, `gap` line ends after the one before, and returns the offset at which it starts."""
        line = clean_text(line)
        if self._parts:
            self._append("\n" * gap)
        start = self._length
        self._append(line)
        return start

    def add_heading(self, line: str, level: int, gap: int = 2) -> None:
        """Appends a line that is a heading; level 1 is the top."""
        text = one_line(line)
        self._headings.append(Heading(self.add(text, gap), level, text))

    def add_all(self, other: "TextBuilder", gap: int = 2) -> None:
        """Appends all that another builder holds, with its headings."""
        start = self.add(other.text, gap)
        self._headings += [Heading(start + heading.start, heading.level, heading.text) for heading in other.headings]

    def add_sheet(self, name: str, lines: Iterable[str]) -> None:
        """Appends the lines of a spreadsheet's sheet below its name as a heading; nothing for a sheet without lines."""
        gap = 2
        for line in lines:
            if gap == 2 and name.strip():
                self.add_heading(name, 1)
            self.add(line, gap)
            gap = 1

    def _append(self, part: str) -> None:
        self._parts.append(part)
        self._length += len(part)

    @property
    def text(self) -> str:
        """All that was added so far."""
        return "".join(self._parts)

    @property
    def headings(self) -> tuple[Heading, ...]:
        """The headings that were added so far, in order."""
        return tuple(self._headings)
