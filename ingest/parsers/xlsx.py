"""Excel workbooks: every sheet a heading, and every row a line that can be read without its header row."""

import datetime
import io
import re
import warnings
import zipfile
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from ingest.content_kinds import zip_names
from ingest.dating import office_date
from ingest.errors import NoTextError
from ingest.records import Record, sheet_lines
from ingest.text_building import TextBuilder, choose_title, one_line
from ingest.zip_limits import check_zip
from rag.schema import ParsedDocument

if TYPE_CHECKING:
    from openpyxl.worksheet._read_only import ReadOnlyWorksheet

FORMAT = "xlsx"
SUFFIXES = frozenset({".xlsx", ".xlsm", ".xltx", ".xltm"})

_MAX_ROWS = 1_048_576  # Excel's own limit
_DIGITS = 15  # as many as Excel shows; the last ones of a binary fraction are noise
_SHEET = re.compile(r"xl/worksheets/[^/]+\.xml")
_NO_RESULT = re.compile(rb"(?:</f>|<f(?:\s[^>]*)?/>)\s*(?:<v\s*/>|<v></v>)?\s*</c>")
_NOT_DIGITS = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]|_.|\*.')  # literals, colours and padding of a number format
_PLAIN = re.compile(r"^[^0#?]*[#,]*(0+)(?:\.(0+))?(%?)[^0#?.,/Ee%]*$")  # no fraction, exponent or scale


def accepts(data: bytes, name: str) -> bool:
    """Accepts a zip archive with the main part of an Excel workbook, whatever its name."""
    return "xl/workbook.xml" in zip_names(data)


def parse(data: bytes, name: str) -> ParsedDocument:
    """Returns all visible sheets with the results of their formulas as they were stored.

    Hidden sheets, comments, charts, pictures and text boxes are left out.
    """
    import openpyxl

    check_zip(data)
    builder = TextBuilder()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of openpyxl, on parts that it does not keep
        workbook = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
        visible = [sheet for sheet in workbook.worksheets if sheet.sheet_state == "visible"]
        for sheet in visible:
            builder.add_sheet(sheet.title, sheet_lines(_rows(sheet)))
    if not builder.text:
        raise NoTextError("The workbook holds no values.")
    title = choose_title(workbook.properties.title)
    problems = _problems(len(workbook.worksheets) - len(visible), _count_without_result(data))
    return ParsedDocument(
        title, builder.text, headings=builder.headings, warnings=tuple(problems), date=office_date(data)
    )


def table(data: bytes) -> list[tuple[int, Record]]:
    """Returns the rows of the first visible sheet, as a person reads them, each with its number from 1."""
    import openpyxl

    check_zip(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        workbook = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
        visible = [sheet for sheet in workbook.worksheets if sheet.sheet_state == "visible"]
        return list(enumerate(_rows(visible[0]), start=1)) if visible else []


def _rows(sheet: "ReadOnlyWorksheet") -> Iterator[Record]:
    sheet.reset_dimensions()  # what a sheet says of its own size is often wrong, and would pad every row
    for row in islice(sheet.iter_rows(), _MAX_ROWS):
        yield [_spelled(cell.value, cell) for cell in row]


def _spelled(value: object, cell: Any) -> str:
    """Spells a value as a person reads it, dates as ISO 8601 does."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float):
        return _spelled_number(value, cell.number_format)
    if isinstance(value, datetime.datetime):
        return _spelled_time(value)
    return one_line(str(value))


def _spelled_number(value: int | float, number_format: str) -> str:
    """Spells a number with the digits that its format shows, and without separators of thousands.

    >>> _spelled_number(1234.5, "General"), _spelled_number(0.25, "0%"), _spelled_number(1234.567, '#,##0.00 "EUR"')
    ('1234.5', '25%', '1234.57')
    >>> _spelled_number(1067, "00000")
    '01067'
    """
    shown = _PLAIN.search(_NOT_DIGITS.sub("", number_format.split(";")[0]))
    if not shown:
        return f"{value:.{_DIGITS}g}" if isinstance(value, float) else str(value)
    whole, decimals, percent = shown.groups("")
    width = len(whole) + len(decimals) + bool(decimals) + (value < 0)
    return f"{value * 100 if percent else value:0{width}.{len(decimals)}f}{percent}"


def _spelled_time(value: datetime.datetime) -> str:
    """Spells a date without its time where that is midnight, and a time without its seconds where they are none."""
    if value.time() == datetime.time():
        return value.date().isoformat()
    return value.isoformat(" ", "seconds" if value.second else "minutes")


def _count_without_result(data: bytes) -> int:
    """Counts formulas whose result was not stored, as by programs that write workbooks and cannot calculate."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        sheets = filter(_SHEET.fullmatch, archive.namelist())
        return sum(len(_NO_RESULT.findall(archive.read(sheet))) for sheet in sheets)


def _problems(hidden: int, without_result: int) -> Iterator[str]:
    if hidden:
        yield f"{hidden} hidden sheets were left out." if hidden > 1 else "1 hidden sheet was left out."
    if without_result:
        yield f"Formulas without a stored result: {without_result}; open and save the workbook to have them calculated."
