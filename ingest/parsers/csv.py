"""Tables as delimited text: each record becomes one line that can be read, and found, without its header row."""

import csv
from pathlib import PurePath

from ingest.decoding import decode, looks_like_text
from ingest.errors import NoTextError
from ingest.records import record_lines
from ingest.text_building import TextBuilder, one_line
from rag.schema import ParsedDocument

FORMAT = "csv"
SUFFIXES = frozenset({".csv", ".tsv", ".tab"})

_DELIMITERS = ",;\t"
_SNIFFED_LINES = 50


def accepts(data: bytes, name: str) -> bool:
    """Accepts text that is named as a table: prose has commas too, so that content cannot tell."""
    return PurePath(name).suffix.lower() in SUFFIXES and looks_like_text(data)


def parse(data: bytes, name: str) -> ParsedDocument:
    """Returns a line "header: value; header: value" for each record, or the lines as they are if quotes are broken."""
    text, warnings = decode(data)
    if not text.strip():
        raise NoTextError("The table holds only white space.")
    csv.field_size_limit(max(len(text), 131_072))  # process-wide; never below the default of the csv module
    try:
        records = _read(text, _sniff_delimiter(text))
    except csv.Error as error:
        problem = f"Its quotes are broken ({error}), so that lines were kept as they are."
        return ParsedDocument("", text, warnings=(*warnings, problem))
    builder = TextBuilder()
    for line in record_lines(records):
        builder.add(line)
    if not builder.text.strip():
        raise NoTextError("The table holds no values.")
    return ParsedDocument("", builder.text, warnings=warnings)


def _read(text: str, delimiter: str) -> list[list[str]]:
    """Returns the records that hold anything, each cell as one line; raises csv.Error where quotes do not match."""
    rows = csv.reader(text.splitlines(keepends=True), delimiter=delimiter, strict=True)
    records = ([one_line(cell) for cell in row] for row in rows)
    return [record for record in records if any(record)]


def _sniff_delimiter(text: str) -> str:
    """Returns the delimiter that cuts most of the first lines into the same number of cells, and into the most."""
    lines = [line for line in text.split("\n", _SNIFFED_LINES)[:_SNIFFED_LINES] if line.strip()]

    def evidence(delimiter: str) -> tuple[int, int]:
        widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if len(row) > 1]
        usual = max(set(widths), key=widths.count, default=0)
        return widths.count(usual), usual

    return max(_DELIMITERS, key=evidence)
