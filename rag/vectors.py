"""Stored vectors, keyed by (fingerprint, sha256 of the passage): each is computed, and paid for, once."""

from collections.abc import Iterator, Sequence
from sqlite3 import Connection
from typing import NamedTuple

import numpy as np

from rag.database import Database
from rag.schema import Vectors
from rag.spending import Account, Spending, write_spending

# SQLite takes 32,766 variables in a statement; smaller slices keep the statement cache useful.
SLICE = 500

EMPTY: Vectors = np.zeros((0, 0), dtype=np.float32)

LAST = 2**63 - 1
"""No document of an index has a greater number."""


class Place(NamedTuple):
    """A place in the order in which chunks were added to an index: after this chunk of the document added as `seq`."""

    seq: int
    chunk_id: str = "~"
    """Hexadecimal ids are all below the default, which stands for the last chunk of a document."""


class Rows(NamedTuple):
    """A block of an index: chunk ids, their vectors (n, d), and the place after them."""

    ids: list[str]
    vectors: Vectors
    place: Place


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
            rows = self._database.query(
                f"SELECT passage FROM vectors WHERE fingerprint = ? AND passage IN ({_marks(keys)})",
                (fingerprint, *keys),
            )
            missing.difference_update(row[0] for row in rows)
        return missing

    def add(
        self,
        fingerprint: str,
        passages: Sequence[bytes],
        vectors: Vectors,
        tokens: Sequence[int],
        spent: tuple[Account, Spending] | None = None,
    ) -> None:
        """Stores one vector (a row) and the tokens of each passage key; a key that is there keeps its vector.

        What was `spent` on them is written in the same transaction.
        """
        with self._database.transaction() as connection:
            if spent:
                write_spending(connection, *spent)
            write_vectors(connection, fingerprint, passages, vectors, tokens)

    def of_keys(self, fingerprint: str, keys: Sequence[bytes]) -> dict[bytes, np.ndarray]:
        """Returns the vectors of those of the passage keys that have one under the fingerprint."""
        found: dict[bytes, np.ndarray] = {}
        for first in range(0, len(keys), SLICE):
            part = keys[first : first + SLICE]
            rows = self._database.query(
                f"SELECT passage, vector FROM vectors WHERE fingerprint = ? AND passage IN ({_marks(part)})",
                (fingerprint, *part),
            )
            found.update((key, np.frombuffer(vector, dtype="<f4")) for key, vector in rows)
        return found

    def of_index(self, corpus: str, chunker: str, fingerprint: str) -> tuple[list[str], Vectors]:
        """Returns the chunk ids of an index, ascending, and their vectors (n, d) in that order."""
        rows = self._database.query(
            """SELECT c.id, v.vector FROM indexed i
               JOIN chunks c ON c.document_id = i.document_id AND c.chunker = i.chunker
               JOIN vectors v ON v.fingerprint = i.fingerprint AND v.passage = c.passage
               WHERE i.corpus = ? AND i.chunker = ? AND i.fingerprint = ? ORDER BY c.id""",
            (corpus, chunker, fingerprint),
        )
        ids: list[str] = []
        buffer = bytearray()
        for chunk_id, vector in rows:
            ids.append(chunk_id)
            buffer += vector
        matrix = np.frombuffer(bytes(buffer), dtype="<f4")
        return ids, matrix.reshape(len(ids), -1) if ids else EMPTY

    def of_chunks(self, fingerprint: str, chunk_ids: Sequence[str]) -> tuple[list[str], Vectors]:
        """Returns those of the chunk ids that have a vector under the fingerprint, in their order, and the vectors."""
        found: dict[str, bytes] = {}
        for first in range(0, len(chunk_ids), SLICE):
            ids = chunk_ids[first : first + SLICE]
            found.update(
                self._database.query(
                    f"""SELECT c.id, v.vector FROM chunks c
                        CROSS JOIN vectors v ON v.fingerprint = ? AND v.passage = c.passage  -- chunks come first
                        WHERE c.id IN ({",".join("?" * len(ids))})""",
                    (fingerprint, *ids),
                )
            )
        ids = [chunk_id for chunk_id in chunk_ids if chunk_id in found]
        joined = b"".join(found[chunk_id] for chunk_id in ids)
        return ids, np.frombuffer(joined, dtype="<f4").reshape(len(ids), -1) if ids else EMPTY

    def blocks(self, corpus: str, chunker: str, fingerprint: str, size: int) -> Iterator[tuple[list[str], Vectors]]:
        """Yields an index's chunk ids and vectors in blocks of at most `size`, in the order in which they came."""
        place = Place(0)
        while rows := self.after(corpus, chunker, fingerprint, place, size):
            place = rows.place
            yield rows.ids, rows.vectors

    def sample(self, corpus: str, chunker: str, fingerprint: str, size: int, total: int) -> Vectors:
        """Returns about `size` of the `total` vectors of an index (n, d): those of its least chunk ids, all hashes."""
        bound = f"{min(16**8 - 1, 16**8 * size // total):08x}" if total > size else "~"
        rows = self._database.query(
            """SELECT v.vector FROM chunks c
               JOIN indexed i ON i.document_id = c.document_id AND i.chunker = c.chunker
               JOIN vectors v ON v.fingerprint = i.fingerprint AND v.passage = c.passage
               WHERE c.id < ? AND i.corpus = ? AND i.chunker = ? AND i.fingerprint = ?""",
            (bound, corpus, chunker, fingerprint),
        ).fetchall()
        return np.frombuffer(b"".join(row[0] for row in rows), dtype="<f4").reshape(len(rows), -1) if rows else EMPTY

    def after(
        self, corpus: str, chunker: str, fingerprint: str, place: Place, size: int, last: int = LAST
    ) -> "Rows | None":
        """Returns the next `size` chunks of an index after a place, None where there are none up to the number `last`.

        Each call is a query of its own, so the caller may write in between and memory stays bounded.
        """
        found = self._database.query(
            """SELECT i.seq, c.id, v.vector FROM indexed i
               JOIN chunks c ON c.document_id = i.document_id AND c.chunker = i.chunker
               JOIN vectors v ON v.fingerprint = i.fingerprint AND v.passage = c.passage
               WHERE i.corpus = ? AND i.chunker = ? AND i.fingerprint = ? AND (i.seq, c.id) > (?, ?)
               AND i.seq BETWEEN ? AND ?  -- what the index on seq is searched by
               ORDER BY i.seq, c.id LIMIT ?""",
            (corpus, chunker, fingerprint, place.seq, place.chunk_id, place.seq, last, size),
        ).fetchall()
        if not found:
            return None
        vectors = np.frombuffer(b"".join(row[2] for row in found), dtype="<f4").reshape(len(found), -1)
        return Rows([row[1] for row in found], vectors, Place(found[-1][0], found[-1][1]))

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


def write_vectors(
    connection: Connection, fingerprint: str, keys: Sequence[bytes], vectors: Vectors, tokens: Sequence[int]
) -> None:
    """Stores one vector (a row) and the tokens of each passage key, inside a transaction; what is there is kept."""
    connection.executemany(
        "INSERT OR IGNORE INTO vectors VALUES (?, ?, ?, ?)",
        (
            (fingerprint, key, row.astype("<f4").tobytes(), count)
            for key, row, count in zip(keys, vectors, tokens, strict=True)
        ),
    )


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))
