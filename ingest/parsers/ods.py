"""OpenDocument spreadsheets: every sheet a heading, and every row a line that can be read without its header row."""

from ingest.content_kinds import zip_mimetype
from ingest.errors import NoTextError
from ingest.opendocument import TABLE, read_package, table_records
from ingest.records import sheet_lines
from ingest.text_building import TextBuilder, choose_title
from rag.schema import ParsedDocument

FORMAT = "ods"
SUFFIXES = frozenset({".ods", ".ots"})

_MIMETYPES = frozenset({f"application/vnd.oasis.opendocument.spreadsheet{kind}" for kind in ("", "-template")})
_CELLS = (f"{TABLE}table-cell", f"{TABLE}covered-table-cell")  # the latter keep the columns below each other


def accepts(data: bytes, name: str) -> bool:
    """Accepts a zip archive whose member `mimetype` says that it is an OpenDocument spreadsheet."""
    return zip_mimetype(data) in _MIMETYPES


def parse(data: bytes, name: str) -> ParsedDocument:
    """Returns all sheets with their cells as they are shown; comments, charts and drawings are left out."""
    document = read_package(data, "spreadsheet")
    builder = TextBuilder()
    for sheet in document.body.iterchildren(f"{TABLE}table"):
        builder.add_sheet(sheet.get(f"{TABLE}name", ""), sheet_lines(table_records(sheet, *_CELLS)))
    if not builder.text:
        raise NoTextError("The spreadsheet holds no values.")
    return ParsedDocument(choose_title(document.title), builder.text, headings=builder.headings, date=document.date)
