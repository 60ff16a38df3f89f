"""Records of tables as lines that can be read, and found, without their header row: "header: value; header: value"."""

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

Record = list[str]
"""The cells of a row, each on one line, "" where one is empty."""

_NUMBER = re.compile(r"[-+]?[\d.,:/%\s-]*\d[\d.,:/%\s-]*")
_YEAR = re.compile(r"(?:19|20)\d\d")


def record_lines(records: list[Record]) -> Iterator[str]:
    """Yields the lines of one table: of captions above it, as they are, and of its records, none of which is empty."""
    captions = _count_captions(records)
    yield from ("".join(record) for record in records[:captions])
    records = records[captions:]
    has_header = len(records) > 1 and _is_header(records[0])
    yield from _lines(records[0] if has_header else [], records[1:] if has_header else records)


def sheet_lines(rows: Iterable[Record]) -> Iterator[str]:
    """Yields the lines of a sheet, on which tables may stand below each other, parted by empty rows.

    A table may have a row of groups above its header, and empty rows below it: what follows has the same columns as
    long as no other header comes. Rows with one cell, the first, are captions and notes, and stay as they are.
    """
    header: Record = []
    blocks = list(_blocks(rows))
    for place, block in enumerate(blocks):
        captions = _count_captions(block)
        yield from ("".join(record) for record in block[:captions])
        body = block[captions:]
        size = _header_size(body)
        if size == len(body):
            is_new = bool(size) and place + 1 < len(blocks) and not _is_header(_first_record(blocks[place + 1]))
        else:
            follows = bool(header) and not captions and _width(header) == _width(body[0])
            is_new = bool(size) and (not follows or not _is_header(body[size]))
        if is_new:
            header, body = _joined(body[:size]), body[size:]
        yield from _lines(header, body, notes_within=True)


def _lines(header: Record, records: list[Record], notes_within: bool = False) -> Iterator[str]:
    for record in records:
        if notes_within and _is_note(record, header):
            yield " | ".join(filter(None, record))
        else:
            yield "; ".join(f"{_column(header, place)}: {cell}" for place, cell in enumerate(record) if cell)


def _is_note(record: Record, header: Record) -> bool:
    """Tells whether a record is to be read as it stands: it has no header, or one cell in the first column only."""
    return not header or (_filled(record) == 1 and _places(record)[0] <= _places(header)[0])


def _column(header: Record, place: int) -> str:
    return (header[place] if place < len(header) else "") or f"column {place + 1}"


def _blocks(rows: Iterable[Record]) -> Iterator[list[Record]]:
    """Yields the runs of rows that hold anything."""
    block: list[Record] = []
    for row in rows:
        if any(row):
            block.append(row)
        elif block:
            yield block
            block = []
    if block:
        yield block


def _count_captions(records: list[Record]) -> int:
    """Counts the first records with one cell filled, where one after them has more: the table's own title."""
    return next((place for place, record in enumerate(records) if _filled(record) > 1), 0)


def _first_record(block: list[Record]) -> Record:
    return block[_count_captions(block)]


def _header_size(body: list[Record]) -> int:
    """Counts the rows of a table's header: none, one, or two if the first has groups of the columns in the second."""
    if not body or _filled(body[0]) < 2 or not _is_header(body[0]):
        return 0
    has_groups = len(body) > 1 and _is_header(body[1]) and _are_groups(*body[:2])
    return 2 if has_groups else 1


def _are_groups(groups: Record, columns: Record) -> bool:
    """Tells whether a row names groups of the columns below: it has far fewer cells, or one that heads no column."""
    has_corner = any(groups[: _places(columns)[0]])
    return 2 * _filled(groups) <= _filled(columns) or (has_corner and _filled(groups) < _filled(columns))


def _joined(rows: list[Record]) -> Record:
    """Returns a header of one row, in which a group's name stands before that of each of its columns.

    A name stands over the first column of its group, as in merged cells, or else over the last.
    """
    if len(rows) == 1:
        return rows[0]
    groups, columns = rows
    width = max(map(len, rows))
    groups, columns = groups + [""] * (width - len(groups)), columns + [""] * (width - len(columns))
    heads = _places(columns)
    labels = [place for place in heads if groups[place]]
    first = heads[0] if any(groups[: heads[0]]) else heads[1]  # after the column with the names of the rows
    order = heads if labels and labels[0] <= first else heads[::-1]
    name = ""
    for place in order:
        groups[place] = name = groups[place] or name
    return [" ".join(filter(None, pair)) for pair in zip(groups, columns, strict=True)]


def _is_header(record: Record) -> bool:
    """Tells whether a record may be a header: no number is in it, unless they are years in a row."""
    numbers = [cell for cell in record if _NUMBER.fullmatch(cell)]
    if not numbers:
        return True
    if len(numbers) < 2 or not all(_YEAR.fullmatch(cell) for cell in numbers):
        return False
    years = list(map(int, numbers))
    return {after - before for before, after in pairwise(years)} in ({1}, {-1})


def _filled(record: Record) -> int:
    return sum(map(bool, record))


def _width(record: Record) -> int:
    """Returns how many columns a record reaches over, without empty ones at its end."""
    return _places(record)[-1] + 1


def _places(record: Record) -> list[int]:
    return [place for place, cell in enumerate(record) if cell]
