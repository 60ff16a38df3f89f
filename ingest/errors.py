"""The ways in which a file ends without becoming a document; the ledger keeps each message as the file's reason."""

from rag.errors import RagError


class ParseError(RagError):
    """A file cannot be read, because it is damaged, encrypted or over a limit; the ledger's status is `failed`."""


class NoTextError(ParseError):
    """A file was read and holds no text, such as a scan without a text layer; the ledger's status is `skipped`."""


class UnsupportedFormatError(ParseError):
    """A file's content is of a kind that no parser reads; the ledger's status is `skipped`."""
