"""OpenDocument texts, as LibreOffice Writer saves them: paragraphs, lists and tables in document order."""

from ingest.content_kinds import zip_mimetype
from ingest.errors import NoTextError
from ingest.opendocument import Writer, read_package
from ingest.text_building import choose_title
from rag.schema import ParsedDocument

FORMAT = "odt"
SUFFIXES = frozenset({".odt", ".ott"})

_MIMETYPES = frozenset({f"application/vnd.oasis.opendocument.text{kind}" for kind in ("", "-template", "-master")})


def accepts(data: bytes, name: str) -> bool:
    """Accepts a zip archive whose member `mimetype` says that it is an OpenDocument text."""
    return zip_mimetype(data) in _MIMETYPES


def parse(data: bytes, name: str) -> ParsedDocument:
    """Returns text and headings with all changes accepted; footnotes stand in parentheses where they are called.

    Headers, footers, comments, tables of contents and hidden sections are left out.
    """
    document = read_package(data, "text")
    writer = Writer(document.parents)
    writer.write_blocks(document.body)
    builder = writer.builder
    if not builder.text.strip():
        raise NoTextError("The document holds no text.")
    first = builder.headings[0].text if builder.headings else None
    title = choose_title(document.title, writer.title, first)
    return ParsedDocument(title, builder.text, headings=builder.headings, date=document.date)
