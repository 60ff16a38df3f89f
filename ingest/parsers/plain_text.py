"""Plain text in any encoding, as it is. Any name will do, except one that claims a format which the content is not."""

from pathlib import PurePath

from ingest.content_kinds import known_kind
from ingest.decoding import decode, looks_like_text
from ingest.errors import NoTextError
from ingest.parsers import eml, json, rtf
from rag.schema import ParsedDocument

FORMAT = "plain_text"
SUFFIXES = frozenset({".txt", ".text", ".log", ".org"})

_BINARY_SUFFIXES = frozenset(
    {
        ".pdf",
        ".docx",
        ".doc",
        ".odt",
        ".ods",
        ".odp",
        ".pptx",
        ".pptm",
        ".ppsx",
        ".ppt",
        ".xlsx",
        ".xlsm",
        ".xls",
        ".epub",
        ".zip",
        ".png",
        ".jpg",
        ".jpeg",
        ".gif",
        ".exe",
        ".dll",
        ".so",
        ".sqlite",
        ".db",
    }
)
_CLAIMS = _BINARY_SUFFIXES | rtf.SUFFIXES | eml.SUFFIXES


def accepts(data: bytes, name: str) -> bool:
    """Accepts all that is text, unless it is a known kind of other content or its name claims another format."""
    return PurePath(name).suffix.lower() not in _CLAIMS and not known_kind(data) and looks_like_text(data)


def parse(data: bytes, name: str) -> ParsedDocument:
    """Returns the text with its name as title; there is no telling what in it is a heading."""
    text, warnings = decode(data)
    if not text.strip():
        raise NoTextError("The file holds only white space.")
    problem = json.why_not_json(text)
    return ParsedDocument("", text, warnings=(*warnings, problem) if problem else warnings)
