"""Workbooks: each row is a line that can be read without its header, and every value is found."""

import datetime
import io
import time

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from file_builders import rezip
from office_builders import make_odf, make_xlsx, outline, parsed

GOOD_XLSX = make_xlsx({"Sheet": [["a", "b"], [1, 2]]})


def test_xlsx_sheets_and_records() -> None:
    rows = [
        ["Sales of 2024"],
        [],
        ["Region", "Sold", "Share", "Since"],
        ["East", 12.0, 0.1 + 0.2, datetime.date(2020, 2, 29)],
        ["West", None, -5, datetime.datetime(2021, 1, 1, 14, 30)],
        [],
        ["Note: estimated"],
        ["Name", "Ready"],
        ["Line\none", True],
    ]
    document = parsed(make_xlsx({"First": rows, "Empty": [], "2nd": [["only"]]}, title="Book"), "a.xlsx")
    assert document.text == (
        "First\n\nSales of 2024\n"
        "Region: East; Sold: 12; Share: 0.3; Since: 2020-02-29\n"
        "Region: West; Share: -5; Since: 2021-01-01 14:30\n"
        "Note: estimated\n"
        "Name: Line one; Ready: TRUE\n\n"
        "2nd\n\nonly"
    )
    assert document.title == "Book"
    assert outline(document) == [(1, "First"), (1, "2nd")]
    assert document.warnings == ()


def test_xlsx_headers_of_groups_and_years() -> None:
    left = [["", "2023", "", "2024", ""], ["Zone", "Sold", "Won", "Sold", "Won"], ["NA", 1, 2, 3, 4]]
    right = [["CHF", "", "In 2023", "", "In 2024"], ["", "Sold", "Won", "Sold", "Won"], [], ["NA", 1, 2, 3, 4]]
    years = [["Zone", 2022, 2023, 2024], ["NA", 5, 6, 7], [], ["EU", 8, 9, 10]]
    text = parsed(make_xlsx({"left": left, "right": right, "years": years}), "a.xlsx").text
    assert "Zone: NA; 2023 Sold: 1; 2023 Won: 2; 2024 Sold: 3; 2024 Won: 4\n" in text
    assert "CHF: NA; In 2023 Sold: 1; In 2023 Won: 2; In 2024 Sold: 3; In 2024 Won: 4\n" in text
    assert "Zone: NA; 2022: 5; 2023: 6; 2024: 7\nZone: EU; 2022: 8; 2023: 9; 2024: 10" in text


@pytest.mark.parametrize(
    ("value", "number_format", "shown"),
    [
        (0.256, "0%", "26%"),
        (0.2565, "0.00%", "25.65%"),
        (1234.567, '#,##0.00 "EUR"', "1234.57"),
        (-81, "#,##0\\ ;\\(#,##0\\)", "-81"),
        (1067, "00000", "01067"),
        (-5.25, "00.0", "-05.2"),
        (7.0, "General", "7"),
        (1e21, "General", "1e+21"),
        (1234567, "0.0,,", "1234567"),
        (0.5, "# ?/?", "0.5"),
        (12345.678, "0.00E+00", "12345.678"),
        (3, '[Red]0.0;[Blue]"minus "0.0', "3.0"),
        (45000.0, "yyyy-mm-dd", "2023-03-15"),
        (0.75, "h:mm", "18:00:00"),
        ("007", "@", "007"),
        ("#N/A", "General", "#N/A"),
    ],
)
def test_xlsx_cells_are_spelled_as_they_are_shown(value: object, number_format: str, shown: str) -> None:
    workbook = openpyxl.Workbook()
    workbook.active["A1"], workbook.active["B1"] = value, "end"
    workbook.active["A1"].number_format = number_format
    target = io.BytesIO()
    workbook.save(target)
    assert parsed(target.getvalue(), "a.xlsx").text == f"Sheet\n\n{shown} | end"


def test_xlsx_tells_hidden_sheets_and_formulas_without_result() -> None:
    workbook = openpyxl.load_workbook(
        io.BytesIO(make_xlsx({"Seen": [["name", "a", "b"], ["x", 1, "=B2*2"]], "Not": [["SECRET"]]}))
    )
    workbook["Not"].sheet_state = "hidden"
    target = io.BytesIO()
    workbook.save(target)
    document = parsed(target.getvalue(), "a.xlsx")
    assert document.text == "Seen\n\nname: x; a: 1"
    assert document.warnings[0] == "1 hidden sheet was left out."
    assert document.warnings[1].startswith("Formulas without a stored result: 1;")


def test_xlsx_with_a_million_empty_rows_takes_no_minutes() -> None:
    rows = "<row r='1'><c r='A1'><v>1</v></c></row><row r='1048576'><c r='XFD1048576'><v>2</v></c></row>"
    sheet = (
        "<worksheet xmlns='http://schemas.openxmlformats.org/spreadsheetml/2006/main'>"
        f"<dimension ref='A1:XFD1048576'/><sheetData>{rows}</sheetData></worksheet>"
    )
    started = time.monotonic()
    document = parsed(rezip(GOOD_XLSX, xl__worksheets__sheet1_xml=sheet.encode()), "a.xlsx")
    assert document.text == "Sheet\n\n1\n2"
    assert time.monotonic() - started < 10


cells = st.one_of(
    st.none(),
    st.integers(-(10**12), 10**12),
    st.booleans(),
    st.dates(datetime.date(1900, 3, 1)),
    st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=12),
)
tables = st.integers(2, 5).flatmap(lambda width: st.lists(st.lists(cells, min_size=width, max_size=width), max_size=8))


@settings(max_examples=60)
@given(tables)
def test_xlsx_every_value_is_found(table: list[list[object]]) -> None:
    """Puts any table below a header of letters: each record is a line with all its values, under their columns."""
    safe = [[None if isinstance(cell, str) and cell.startswith("=") else cell for cell in row] for row in table]
    header = [chr(ord("A") + place) for place in range(5)]
    document = parsed(make_xlsx({"T": [header, ["x"] * 5, *safe]}), "a.xlsx")
    spelled = [
        [" ".join(str(cell).upper().split() if isinstance(cell, bool) else str(cell).split()) for cell in row]
        for row in [[("" if cell is None else cell) for cell in row] for row in safe]
    ]
    expected = [
        "; ".join(f"{name}: {cell}" for name, cell in zip(header, row, strict=False) if cell)
        if any(row[1:])
        else row[0]
        for row in spelled
        if any(row)
    ]
    lines = document.text.split("\n")[3:]
    for line, values in zip(lines, [row for row in spelled if any(row)], strict=True):
        assert all(value in line for value in values)
    if all(any(row) for row in spelled):  # an empty row may be followed by another header
        assert lines == expected


def test_ods_sheets_and_records() -> None:
    def row(*cells: str, more: str = "") -> str:
        texts = "".join(f"<table:table-cell><text:p>{cell}</text:p></table:table-cell>" for cell in cells)
        return f"<table:table-row {more}>{texts}"

    empty = '<table:table-cell table:number-columns-repeated="16000"/>'
    same = '<table:table-cell table:number-columns-repeated="2"><text:p>7</text:p></table:table-cell>'
    rows = (
        row("Name", "Min", "Max", "Note") + empty + "</table:table-row>",
        row("Tea") + same + empty + "</table:table-row>",
        row("Salt", more='table:number-rows-repeated="2"')
        + '<table:table-cell table:number-columns-repeated="2"/>'
        + "<table:table-cell><text:p>white</text:p></table:table-cell>"
        + "</table:table-row>",
        f'<table:table-row table:number-rows-repeated="1048000">{empty}</table:table-row>',
    )
    body = f'<table:table table:name="Stock">{"".join(rows)}</table:table><table:table table:name="Empty"/>'
    document = parsed(make_odf("spreadsheet", body, title="Shop"), "a.ods")
    assert document.text == "Stock\n\nName: Tea; Min: 7; Max: 7\nName: Salt; Note: white"
    assert outline(document) == [(1, "Stock")]
    assert document.title == "Shop"
