"""The order in which people read lines that are known by their places only, as text recognition finds them."""

from collections.abc import Sequence
from statistics import median

from ingest.pdf_lines import Line

_GUTTERS = 41  # places that are tried for a gutter, from a quarter to three quarters of the width
_MOST_ACROSS = 0.3  # of the lines that may run across a gutter, such as titles
_FEWEST_LINES = 4  # on each side of a gutter; with fewer of them, columns and tables are hard to tell apart
_FILLED = 0.6  # of a column's width, by a usual line of running text; cells of a table fill less


def in_reading_order(lines: Sequence[Line]) -> list[Line]:
    """Returns the lines from top to bottom and left to right, but column by column where running text is in columns.

    Lines that run across the columns part them into blocks. Three columns are two, of which one is two again.
    """
    gutter = _gutter(lines)
    if gutter is None:
        return _by_rows(lines)
    ordered: list[Line] = []
    block: list[Line] = []
    for line in sorted(lines, key=lambda each: -each.top):
        if _is_across(line, gutter):
            ordered += [*_columns(block, gutter), line]
            block = []
        else:
            block.append(line)
    return ordered + _columns(block, gutter)


def _columns(block: Sequence[Line], gutter: float) -> list[Line]:
    sides = [line for line in block if _left(line) < gutter], [line for line in block if _left(line) >= gutter]
    if not all(map(_is_running_text, sides)):
        return _by_rows(block)
    return in_reading_order(sides[0]) + in_reading_order(sides[1])


def _gutter(lines: Sequence[Line]) -> float | None:
    """Returns the place in the middle that the fewest lines run across; None where there are not two sides to it."""
    if len(lines) < 2 * _FEWEST_LINES:
        return None
    left, right = min(map(_left, lines)), max(map(_right, lines))
    places = [left + (right - left) * (0.25 + 0.5 * step / (_GUTTERS - 1)) for step in range(_GUTTERS)]
    across = [sum(_is_across(line, place) for line in lines) for place in places]
    fewest = min(across)
    if fewest > _MOST_ACROSS * len(lines):
        return None
    best = [place for place, count in zip(places, across, strict=True) if count == fewest]
    return best[len(best) // 2]


def _is_running_text(side: Sequence[Line]) -> bool:
    if len(side) < _FEWEST_LINES:
        return False
    width = max(map(_right, side)) - min(map(_left, side))
    return median(_right(line) - _left(line) for line in side) >= _FILLED * width


def _is_across(line: Line, place: float) -> bool:
    return _left(line) < place < _right(line)


def _left(line: Line) -> float:
    return line.cells[0].left


def _right(line: Line) -> float:
    return line.cells[-1].right


def _by_rows(lines: Sequence[Line]) -> list[Line]:
    """Returns the lines row by row; those whose middles are within half a line of each other share a row."""
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda each: -_middle(each)):
        if rows and _middle(rows[-1][0]) - _middle(line) < (line.top - line.bottom) / 2:
            rows[-1].append(line)
        else:
            rows.append([line])
    return [line for row in rows for line in sorted(row, key=_left)]


def _middle(line: Line) -> float:
    return (line.top + line.bottom) / 2
