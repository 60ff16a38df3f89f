"""Tables of questions and their sources, written by people: CSV, TSV or XLSX, columns found by their names."""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from ingest.decoding import decode
from ingest.errors import UnsupportedFormatError
from rag.errors import UsageError

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "question": ("question", "query", "prompt", "userinput", "frage", "pregunta"),
    "source": (
        *("source", "sources", "document", "documents", "doc", "file", "filename", "filepath", "path", "url", "link"),
        *("corpusid", "documentid", "docid", "title", "quelle", "dokument", "datei", "fuente", "documento"),
    ),
    "span": ("span", "passage", "quote", "excerpt", "snippet", "text", "evidence", "context", "zitat", "stelle"),
    "answer": ("answer", "reference", "groundtruth", "expectedanswer", "antwort", "respuesta"),
    "page": ("page", "pageno", "pagenumber", "seite", "pagina"),
    "grade": ("grade", "score", "relevance", "rating", "relevanz"),
}
"""The names of columns, in small letters and digits alone, by what they hold; of several the first here is taken."""

MOST_BYTES = 32 * 1024 * 1024
DELIMITERS = ",;\t|"
_NAME = re.compile(r"[\W_]+")
_MOST_FIELD = 1 << 20


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table, texts without the space around them; `line` is where it begins in the file.

    `span` must stand in its document, `answer` may: people put an answer in their own words there, too.
    """

    line: int
    question: str
    source: str
    span: str
    answer: str
    page: str
    grade: str


def read_rows(name: str, data: bytes) -> list[Row]:
    """Reads a table; its format is told by the ending of `name`, its delimiter by the line with the columns' names.

    Rows without any text are left out. Raises UsageError for a file that is no table, that is too large, and where the
    columns of questions and sources are not there.
    """
    if len(data) > MOST_BYTES:
        raise UsageError(f"{name} is larger than {MOST_BYTES >> 20} MiB. Split it.")
    table = _workbook(name, data) if PurePath(name).suffix.lower() in (".xlsx", ".xlsm") else _text(name, data)
    filled = [(line, [cell.strip() for cell in cells]) for line, cells in table if any(map(str.strip, cells))]
    if not filled:
        raise UsageError(f"{name} is empty. Put a line with the names of its columns first: question, source.")
    line, header = filled[0]
    places = _places(header)
    lacking = [column for column in ("question", "source") if column not in places]
    if lacking:
        raise UsageError(
            f"{name}, line {line}: no column is named {' or '.join(lacking)}. Found: {', '.join(header)[:200]}. "
            f"Name one so, or {', '.join(COLUMNS[lacking[0]][1:4])}."
        )
    return [_row(line, cells, places) for line, cells in filled[1:]]


def _row(line: int, cells: Sequence[str], places: Mapping[str, int]) -> Row:
    held = {column: cells[at] if at < len(cells) else "" for column, at in places.items()}
    return Row(line, *(held.get(column, "") for column in COLUMNS))


def _places(header: Sequence[str]) -> dict[str, int]:
    """Maps what columns hold to where they are."""
    names = [_NAME.sub("", cell.casefold()) for cell in header]
    places = {}
    for column, known in COLUMNS.items():
        place = next((names.index(name) for name in known if name in names), None)
        if place is not None:
            places[column] = place
    return places


def _text(name: str, data: bytes) -> Iterator[tuple[int, list[str]]]:
    try:
        text = decode(data).text
    except UnsupportedFormatError as error:
        raise UsageError(f"{name} is not a table that can be read: {error} Save it as CSV in UTF-8.") from error
    first = next((line for line in text.split("\n") if line.strip()), "")
    delimiter = max(DELIMITERS, key=lambda each: (len(_places(next(csv.reader([first], delimiter=each)))), each == ","))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    before = 0
    try:
        csv.field_size_limit(_MOST_FIELD)
        for cells in reader:
            yield before + 1, cells
            before = reader.line_num
    except csv.Error as error:
        raise UsageError(f"{name}, line {reader.line_num}: {error}. Correct the file.") from error


def _workbook(name: str, data: bytes) -> list[tuple[int, list[str]]]:
    from ingest.parsers.xlsx import table

    try:
        return table(data)
    except Exception as error:  # openpyxl raises anything on a file that is not as it must be
        raise UsageError(f"{name} is not a workbook that can be read: {error}. Save it as CSV.") from error
