"""Tables of text for a terminal: columns aligned, never wider than a hundred characters."""

import textwrap
import unicodedata
from collections.abc import Iterable, Sequence

WIDTH = 100

_GAP = "  "
_NARROWEST = 6


def table(header: Sequence[str], body: Sequence[Sequence[str]], elastic: Sequence[int], left: int) -> str:
    """Aligns columns, the first `left` ones to the left; shortens the elastic ones until the table fits the width."""
    rows = [list(header), *map(list, body)]
    widths = [max(map(columns, column)) for column in zip(*rows, strict=True)]
    excess = sum(widths) + len(_GAP) * (len(widths) - 1) - WIDTH
    for _ in range(excess):
        widest = max(elastic, key=lambda at: widths[at])
        widths[widest] = max(widths[widest] - 1, _NARROWEST)
    return "\n".join(_line(row, widths, left) for row in rows)


def groups_that_fit(headings: Sequence[str], width: int = WIDTH * 2 // 3) -> list[list[int]]:
    """Splits columns, told by their headings or widest cells, into groups of positions that each fit the width."""
    groups: list[list[int]] = [[]]
    used = 0
    for at, heading in enumerate(headings):
        needed = columns(heading) + len(_GAP)
        if groups[-1] and used + needed > width:
            groups.append([])
            used = 0
        groups[-1].append(at)
        used += needed
    return groups


def fill(text: str) -> str:
    """Wraps a paragraph."""
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def columns(text: str) -> int:
    """Counts the terminal columns of a text: two for a wide character, none for a combining one."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def shorten(text: str, width: int) -> str:
    """Cuts out of the middle, because names of embedders differ at their ends."""
    if columns(text) <= width:
        return text
    tail = _end_of(text, (width - 1) // 2)
    head = _end_of(text[::-1], width - 1 - columns(tail))[::-1]
    return f"{head}…{tail}"


def _end_of(text: str, width: int) -> str:
    """Returns the longest end of a text that is no wider than that."""
    end = ""
    for character in reversed(text):
        if columns(character + end) > width:
            break
        end = character + end
    return end


def _line(cells: Iterable[str], widths: Sequence[int], left: int) -> str:
    aligned = []
    for at, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        shown = shorten(cell, width) if at < left else cell
        padding = " " * (width - columns(shown))
        aligned.append(shown + padding if at < left else padding + shown)
    return _GAP.join(aligned).rstrip()
