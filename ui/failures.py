"""What a person is told when the disk or the library fails: the same in the terminal and on the page."""

import sqlite3

from rag.errors import RagError


def explain(error: BaseException) -> str | None:
    """Says in one line what happened and what to do; None for what only a bug can raise."""
    if isinstance(error, RagError):
        return str(error)
    if isinstance(error, sqlite3.OperationalError):
        advice = "Is the disk full, or read-only? What is finished is kept; the same again goes on from there."
        return f"the library could not be read or written: {error}. {advice}"
    if isinstance(error, sqlite3.DatabaseError):
        return f"the library is damaged: {error}. See: rag doctor"
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror or error}"
    return None
