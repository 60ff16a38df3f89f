"""Vectors of texts that are in no index, such as a task's queries: their canaries, and what was spent on them.

The vectors themselves stand among all others (see `rag.vectors`), so that a text which is also a chunk's passage has
one vector for both. It leaves the library with the last chunk that holds the text, and is then computed anew.
"""

from collections.abc import Sequence
from sqlite3 import Connection

import numpy as np

from rag.database import Database
from rag.schema import Vectors
from rag.spending import Spending
from rag.vectors import write_vectors


class TextVectorTable:
    """What a library knows of its vectors of texts in no index."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def canary(self, fingerprint: str) -> Vectors | None:
        """Returns the vector (1, dimension) of the fixed text under a fingerprint, None where none is stored."""
        row = self._database.query("SELECT canary FROM text_embedders WHERE fingerprint = ?", (fingerprint,)).fetchone()
        return np.frombuffer(row[0], dtype="<f4").reshape(1, -1) if row else None

    def begin(self, fingerprint: str, embedder: str, canary: Vectors) -> None:
        """Stores the canary of an embedder; one that is there stays."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO text_embedders VALUES (?, ?, ?)",
                (fingerprint, embedder, canary.astype("<f4").tobytes()),
            )

    def add(
        self,
        fingerprint: str,
        purpose: str,
        keys: Sequence[bytes],
        vectors: Vectors,
        tokens: Sequence[int],
        spent: Spending,
    ) -> None:
        """Stores the vectors (rows) of texts by their keys, and what was spent on them, in one transaction."""
        with self._database.transaction() as connection:
            write_vectors(connection, fingerprint, keys, vectors, tokens)
            _write_spending(connection, fingerprint, purpose, spent)

    def spent(self, fingerprint: str, purpose: str) -> Spending:
        """Returns what was spent under a fingerprint for a purpose, over all runs."""
        row = self._database.query(
            "SELECT passages, tokens, seconds, usd FROM text_spending WHERE fingerprint = ? AND purpose = ?",
            (fingerprint, purpose),
        ).fetchone()
        return Spending(*row) if row else Spending()


def _write_spending(connection: Connection, fingerprint: str, purpose: str, spent: Spending) -> None:
    connection.execute(
        """INSERT INTO text_spending VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
               passages = passages + excluded.passages, tokens = tokens + excluded.tokens,
               seconds = seconds + excluded.seconds, usd = usd + excluded.usd""",
        (fingerprint, purpose, spent.passages, spent.tokens, spent.seconds, spent.usd),
    )
