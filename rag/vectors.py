"""Stored vectors, keyed by (fingerprint, sha256 of the passage): each is computed, and paid for, once."""

from collections.abc import Iterator, Sequence

import numpy as np

from rag.database import Database
from rag.schema import Vectors

# SQLite takes 32,766 variables in a statement; smaller slices keep the statement cache useful.
SLICE = 500


class VectorTable:
    """The vectors of a library."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def missing(self, fingerprint: str, passages: Sequence[bytes]) -> set[bytes]:
        """Returns those of the passage keys that have no vector under the fingerprint."""
        missing = set(passages)
        wanted = list(missing)
        for first in range(0, len(wanted), SLICE):
            keys = wanted[first : first + SLICE]
            marks = ",".join("?" * len(keys))
            rows = self._database.query(
                f"SELECT passage FROM vectors WHERE fingerprint = ? AND passage IN ({marks})", (fingerprint, *keys)
            )
            missing.difference_update(row[0] for row in rows)
        return missing

    def add(self, fingerprint: str, passages: Sequence[bytes], vectors: Vectors) -> None:
        """Stores one vector (a row) for each passage key, at once; a key that is there already keeps its vector."""
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO vectors VALUES (?, ?, ?)",
                ((fingerprint, key, row.astype("<f4").tobytes()) for key, row in zip(passages, vectors, strict=True)),
            )

    def of_index(self, corpus: str, chunker: str, fingerprint: str) -> tuple[list[str], Vectors]:
        """Returns the chunk ids of an index, ascending, and their vectors (n, d) in that order."""
        rows = self._database.query(
            """SELECT c.id, v.vector FROM documents d
               JOIN indexed i ON i.document_id = d.id AND i.chunker = ? AND i.fingerprint = ?
               JOIN chunks c ON c.document_id = d.id AND c.chunker = i.chunker
               JOIN vectors v ON v.fingerprint = i.fingerprint AND v.passage = c.passage
               WHERE d.corpus = ? ORDER BY c.id""",
            (chunker, fingerprint, corpus),
        )
        ids: list[str] = []
        buffer = bytearray()
        for chunk_id, vector in rows:
            ids.append(chunk_id)
            buffer += vector
        matrix = np.frombuffer(bytes(buffer), dtype="<f4")
        return ids, matrix.reshape(len(ids), -1) if ids else np.zeros((0, 0), dtype=np.float32)

    def count(self) -> Iterator[tuple[str, int, int]]:
        """Yields fingerprint, number of vectors and their bytes."""
        yield from self._database.query(
            "SELECT fingerprint, COUNT(*), SUM(LENGTH(vector)) FROM vectors GROUP BY fingerprint ORDER BY fingerprint"
        )

    def empty_trash(self) -> int:
        """Deletes the vectors of deleted chunks whose passage no other chunk holds, and returns how many there were.

        For the end of an ingest that left nothing undone: a vector is stored before its document is, and one that an
        interrupted run has paid for must wait for its document.
        """
        with self._database.transaction() as connection:
            deleted = connection.execute(
                """DELETE FROM vectors WHERE passage IN (
                       SELECT passage FROM trash
                       WHERE NOT EXISTS (SELECT 1 FROM chunks c WHERE c.passage = trash.passage)
                   )"""
            ).rowcount
            connection.execute("DELETE FROM trash")
        return deleted
