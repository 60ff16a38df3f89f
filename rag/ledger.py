"""The ledger: every file that was ever given to ingest, what became of it, and why."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import Connection

from rag.database import Database


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One file: `reason` says why it has its status, or holds warnings of a file that is done.

    `status` is done, skipped, failed, unpacked (an archive: its members have lines of their own) or removed (by hand).
    """

    source: str
    path: str
    root: str
    content_hash: str
    status: str
    reason: str


class Ledger:
    """The ledger of a library."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def entries(self, corpus: str) -> list[LedgerEntry]:
        """Returns all entries of a corpus, by source."""
        rows = self._database.query(
            "SELECT source, path, root, content_hash, status, reason FROM ledger WHERE corpus = ? ORDER BY source",
            (corpus,),
        )
        return [LedgerEntry(*row) for row in rows]

    def under(self, corpus: str, roots: Iterable[Path]) -> list[LedgerEntry]:
        """Returns the entries whose file lies under one of the roots."""
        folders = [str(root) for root in roots]
        return [
            entry
            for entry in self.entries(corpus)
            if any(entry.path == folder or entry.path.startswith(folder.rstrip("/") + "/") for folder in folders)
        ]

    def record(self, corpus: str, entry: LedgerEntry) -> None:
        """Writes an entry in a transaction of its own, for a file that gives no document."""
        with self._database.transaction() as connection:
            write_entry(connection, corpus, entry)


def write_entry(connection: Connection, corpus: str, entry: LedgerEntry) -> None:
    """Writes an entry inside a transaction, so that a document and its line in the ledger stand or fall together."""
    connection.execute(
        "INSERT OR REPLACE INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            corpus,
            entry.source,
            entry.path,
            entry.root,
            entry.content_hash,
            entry.status,
            entry.reason,
            datetime.now(UTC).isoformat(timespec="seconds"),
        ),
    )
