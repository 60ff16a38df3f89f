"""Lines of a page put side by side: parts of one line are joined, and the rows of a table get bars between their cells.

The order of the text stays as it is, so that columns of running text cannot be mixed up by what is done here.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ingest.pdf_lines import WIDE_GAP, Cell, Line

_BAR = " | "
_ROW_DISTANCE = 4.0  # the most from a row to the next one; this and what follows in sizes of the type
_LINE_DISTANCE = 1.6  # the most from a line of a cell to the next one
_CORRIDOR = 0.6  # the least white space that rows of a table have in common
_LABEL_GAP = 3.0  # the most from a bullet or number of a list to its text
_TOUCHING = 0.15  # the most white space that parts no words
_OVERLAP = 0.3  # the most that a part of a line may reach into the one before
_LINES_BETWEEN = 2  # a title within a table, or a cell that goes on below its row
_ROWS_COMPARED = 10  # a row with few cells may share a corridor with the header only
_CELL_LINES = 6
_MAX_CELLS = 200  # of a row; to compare more would take long, and they are no table
_LABEL = re.compile(r"[^\w\s|]{1,2}|\(?(?:\d{1,3}|[^\W\d_]|[ivxIVX]+)[.):]|\d+(?:\.\d+)+\.?|[o§]")
_NUMBER = re.compile(r"\d{1,3}")
_LEADER = re.compile(r"(?:\s*[.·…]){4,}\s*$")  # the dots that lead to a page number in a table of contents


@dataclass(slots=True)
class _Row:
    """Cells side by side, and the lines that they were made of; `floor` is the bottom of the lowest line."""

    lines: list[Line]
    cells: list[Cell]
    floor: float

    @property
    def size(self) -> float:
        return self.lines[0].style.size

    @property
    def gaps(self) -> list[tuple[float, float]]:
        return [(cell.right, after.left) for cell, after in zip(self.cells, self.cells[1:], strict=False)]


def arrange(lines: Iterable[Line]) -> list[Line]:
    """Returns the lines with parts of one line joined and cells of a table parted by " | "; each has one cell then."""
    rows = _rows(lines)
    in_table = _table_rows(rows)
    arranged: list[Line] = []
    table: _Row | None = None
    for index, row in enumerate(rows):
        if index in in_table:
            table = row
            arranged.append(_table_line(row))
        elif table and len(table.cells) > 1 and _goes_on(table, row):
            _continue_cell(table, row)
            arranged[-1] = _table_line(table)
        else:
            table = None
            arranged += row.lines
    return arranged


# --- rows


def _rows(lines: Iterable[Line]) -> list[_Row]:
    rows: list[_Row] = []
    for line in lines:
        last = rows[-1] if rows else None
        if last and _stands_beside(last.lines[-1], line):
            if line.cells[0].left - last.cells[-1].right > WIDE_GAP * last.size:
                last.lines.append(line)
                last.cells += line.cells
            else:
                has_space = _parts_words(last.lines[-1], line)
                last.cells[-1:] = _joined_cells(last.cells[-1:], line.cells, has_space)
                last.lines[-1] = _joined(last.lines[-1], line, has_space)
            continue
        row = _Row([line], _without_label(line), line.bottom)
        if last and line.bottom > last.lines[-1].bottom and (start := _row_start(rows, row)) is not None:
            rows[start:] = [_wrapped(rows[start:], row)]
        else:
            rows.append(row)
    return rows


def _stands_beside(first: Line, second: Line) -> bool:
    """Tells whether a line goes on to the right of another at the same height."""
    if first.cells[-1].right - second.cells[0].left >= _OVERLAP * second.style.size or first.is_cut:
        return False
    return first.style.is_plain and second.style.is_plain and _same_height(first, second)


def _same_height(first: Line, second: Line) -> bool:
    height = min(first.top - first.bottom, second.top - second.bottom)
    return min(first.top, second.top) - max(first.bottom, second.bottom) > height / 2


def _parts_words(first: Line, second: Line) -> bool:
    before, after = first.cells[-1], second.cells[0]
    is_raised_number = first.style.size != second.style.size and before.text[-1].isdigit() and after.text[0].isdigit()
    return is_raised_number or after.left - before.right > _TOUCHING * first.style.size


def _joined(first: Line, second: Line, has_space: bool) -> Line:
    """Joins two parts of one line, as with a raised number between; the taller one tells the type and the height."""
    taller = first if first.top - first.bottom >= second.top - second.bottom else second
    return Line(
        _joined_cells(first.cells, second.cells, has_space),
        taller.bottom,
        taller.top,
        taller.style,
        is_uniform=first.is_uniform and second.is_uniform and first.style.is_bold == second.style.is_bold,
        is_cut=second.is_cut,
    )


def _joined_cells(first: Sequence[Cell], second: Sequence[Cell], has_space: bool) -> list[Cell]:
    before, after = first[-1], second[0]
    middle = Cell(before.text + " " * has_space + after.text, before.left, after.right)
    return [*first[:-1], middle, *second[1:]]


def _without_label(line: Line) -> list[Cell]:
    """Returns the cells, a bullet or number of a list with what follows it: they stand apart, but are no cells."""
    if len(line.cells) > 1:
        label, text, *others = line.cells
        is_label = _LABEL.fullmatch(label.text) or (not others and _NUMBER.fullmatch(label.text))
        if is_label and text.left - label.right <= _LABEL_GAP * line.style.size:
            return [Cell(f"{label.text} {text.text}", label.left, text.right), *others]
    return list(line.cells)


# --- cells of more than one line


def _row_start(rows: Sequence[_Row], row: _Row) -> int | None:
    """Returns the index of the row whose next cell is this one: PDFs often write cell by cell, each with all its lines.

    That row stands at the same height, and all that was written since goes on with its last cell.
    """
    line = row.lines[0]
    for index in range(len(rows) - 1, max(-1, len(rows) - 1 - _CELL_LINES), -1):
        other = rows[index]
        if other.cells[-1].right > line.cells[0].left - WIDE_GAP * row.size or other.size != row.size:
            return None
        goes_on = index > 0 and _goes_on(rows[index - 1], other)
        if _same_height(other.lines[0], line):
            return None if goes_on else index
        if not goes_on:
            return None
    return None


def _wrapped(rows: Sequence[_Row], added: _Row) -> _Row:
    first, *below = rows
    for row in below:
        _continue_cell(first, row)
    return _Row([*first.lines, *added.lines], [*first.cells, *added.cells], first.floor)


def _goes_on(row: _Row, below: _Row) -> bool:
    """Tells whether a line belongs to the last cell of the row above."""
    last = row.lines[-1]
    return (
        len(below.cells) == 1
        and below.lines[0].style == last.style
        and abs(below.cells[0].left - row.cells[-1].left) < row.size / 2
        and 0 < last.bottom - below.floor <= _LINE_DISTANCE * row.size
    )


def _continue_cell(row: _Row, below: _Row) -> None:
    """Adds a line to the last cell of the row."""
    last, added = row.cells[-1], below.cells[0]
    text = last.text + ("" if row.lines[-1].is_cut else " ") + added.text
    row.cells[-1] = Cell(text, min(last.left, added.left), max(last.right, added.right))
    row.lines += below.lines
    row.floor = below.floor


# --- tables


def _table_rows(rows: Sequence[_Row]) -> set[int]:
    """Returns the indexes of rows that have a corridor of white space in common with a row close above or below."""
    found: set[int] = set()
    run: list[int] = []
    for index, row in enumerate(rows):
        style = row.lines[0].style
        if not 2 <= len(row.cells) <= _MAX_CELLS or not style.is_plain or style.is_fixed:  # programs have fixed widths
            continue
        if run and not _is_close(rows[run[-1]], row, index - run[-1]):
            run = []
        for other in run[-_ROWS_COMPARED:]:
            if not {other, index} <= found and _share_corridor(rows[other], row):
                found |= {other, index}
        run.append(index)
    return found


def _is_close(upper: _Row, lower: _Row, lines: int) -> bool:
    distance = upper.floor - lower.lines[0].bottom
    return lines <= _LINES_BETWEEN + 1 and 0 < distance <= _ROW_DISTANCE * lower.size


def _share_corridor(upper: _Row, lower: _Row) -> bool:
    narrowest = _CORRIDOR * max(upper.size, lower.size)
    return any(
        min(right, other_right) - max(left, other_left) >= narrowest
        for left, right in upper.gaps
        for other_left, other_right in lower.gaps
    )


def _table_line(row: _Row) -> Line:
    first = row.lines[0]
    text = _BAR.join(_LEADER.sub("", cell.text) for cell in row.cells)
    cell = Cell(text, row.cells[0].left, row.cells[-1].right)
    return Line([cell], row.floor, first.top, first.style, is_uniform=False, is_cut=row.lines[-1].is_cut)
