"""Bytes to a document: which parser reads a file, and what becomes of all that a parser can do wrong."""

import re
from pathlib import PurePath
from typing import Protocol

from ingest.content_kinds import DAMAGED_ZIP, ENCRYPTED_OFFICE, ZIP_ARCHIVE, describe_content, known_kind
from ingest.errors import NoTextError, ParseError, UnsupportedFormatError
from ingest.parsers import (
    csv,
    docx,
    eml,
    epub,
    html,
    image,
    json,
    markdown,
    notebook,
    odp,
    ods,
    odt,
    pdf,
    plain_text,
    pptx,
    rst,
    rtf,
    source_code,
    xlsx,
)
from ingest.text_building import one_line
from rag.errors import RagError
from rag.schema import ParsedDocument

__all__ = ["PARSERS", "NoTextError", "ParseError", "Parser", "UnsupportedFormatError", "choose_parser", "parse_bytes"]


class Parser(Protocol):
    """What a module of `ingest.parsers` defines."""

    FORMAT: str
    SUFFIXES: frozenset[str]

    def accepts(self, data: bytes, name: str) -> bool:
        """Tells whether the data is of this parser's format: by content, by name only where content cannot tell."""

    def parse(self, data: bytes, name: str) -> ParsedDocument:
        """Parses the data; raises ParseError or NoTextError, never returns blank text."""


PARSERS: tuple[Parser, ...] = (
    pdf,
    image,
    docx,
    pptx,
    xlsx,
    odt,
    ods,
    odp,
    epub,
    rtf,
    html,
    csv,
    markdown,
    rst,
    notebook,
    source_code,
    eml,
    json,
    plain_text,
)
"""In the order in which they are asked: contents with a signature first, kinds of plain text last."""


def parse_bytes(data: bytes, name: str) -> tuple[str, ParsedDocument]:
    """Returns the format of a file and the document it holds.

    Raises NoTextError for a file without text, UnsupportedFormatError for content that no parser reads, ParseError for
    a file that cannot be read.
    """
    parser = choose_parser(data, name)
    return parser.FORMAT, run_parser(parser, data, name)


def choose_parser(data: bytes, name: str) -> Parser:
    """Returns the first parser that accepts the file; errors as for `parse_bytes`."""
    if not data:
        raise NoTextError("The file is empty (0 bytes).")
    for parser in PARSERS:
        if parser.accepts(data, name):
            return parser
    raise _not_accepted(data, name)


def is_archive(data: bytes, name: str) -> bool:
    """Tells whether the file is a zip archive of files: no document, nor what is named as one and is not."""
    return known_kind(data) == ZIP_ARCHIVE and _claimed_format(name) is None


def run_parser(parser: Parser, data: bytes, name: str) -> ParsedDocument:
    """Parses and turns whatever a third-party parser raises into a ParseError; MemoryError passes."""
    try:
        document = parser.parse(data, name)
    except (RagError, MemoryError):
        raise
    except Exception as error:  # the one place: parsers of foreign formats raise anything at all
        raise ParseError(
            f"The {format_label(parser.FORMAT)} parser cannot read it, the file is probably damaged: {_reason(error)}"
        ) from error
    if not document.text.strip():
        raise NoTextError(f"The {format_label(parser.FORMAT)} file holds no text.")
    return document


def format_label(name: str) -> str:
    """Spells a format for people.

    >>> format_label("pdf"), format_label("plain_text")
    ('PDF', 'plain text')
    """
    return name.upper() if len(name) <= 4 else name.replace("_", " ")


def _not_accepted(data: bytes, name: str) -> ParseError:
    content = describe_content(data)
    if content == ENCRYPTED_OFFICE:
        return ParseError("The Office file is encrypted. Save it without a password.")
    claimed = _claimed_format(name)
    if claimed:
        suffix = PurePath(name).suffix.lower()
        return ParseError(f"It is named {suffix} but is no {format_label(claimed)} file: it seems to be {content}.")
    if content == DAMAGED_ZIP:
        return ParseError(f"It seems to be {content}.")
    supported = ", ".join(format_label(parser.FORMAT) for parser in PARSERS)
    return UnsupportedFormatError(f"It seems to be {content}. Supported: {supported}.")


def _claimed_format(name: str) -> str | None:
    """Returns the format that a file's name claims; None where it claims none, or plain text, which means little."""
    suffix = PurePath(name).suffix.lower()
    claimed = next((parser.FORMAT for parser in PARSERS if suffix in parser.SUFFIXES), None)
    return None if claimed == plain_text.FORMAT else claimed


def _reason(error: Exception) -> str:
    """Returns an exception as one short line without control characters: it may quote a hostile file."""
    message = re.sub(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]", " ", f"{error}")
    return one_line(f"{type(error).__name__}: {message}")[:200]
