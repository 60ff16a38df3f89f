"""Chroma, as a cache of the library: collections are filled from stored vectors and rebuilt wherever they are in doubt.

The only file that imports chromadb. Only the library's one writer may open Chroma: a second process that writes breaks
a store, and one that reads never sees new vectors (measured with Chroma 1.5.9; see docs/decisions/0003).
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from rag.cards import IndexCard
from rag.library import Library
from rag.schema import Vectors

FOLDER = "chroma"
OPEN_MARK = "open.pid"
BATCH = 5_000
"""Vectors in one call; Chroma 1.5.9 refuses more than 5,461."""

HNSW = {"space": "cosine", "ef_search": 400, "ef_construction": 200, "max_neighbors": 32}
"""Fixed when a collection is made: a later change of ef_search does not reach a running process.

With Chroma's own 16 neighbours the graph lost up to 4 of 513 much alike notes altogether, others at each opening.
"""


class ChromaStore:
    """The Chroma folder of a library, opened by the process that holds the writer lock."""

    def __init__(self, library: Library) -> None:
        import chromadb
        from chromadb.config import Settings

        self._library = library
        folder = library.home / FOLDER
        mark = library.home / FOLDER / OPEN_MARK
        if mark.exists():  # the last process did not close it: torn graph files may open once and crash later
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "chroma.sqlite3").exists():
            with library.database.transaction() as connection:
                connection.execute("DELETE FROM chroma_state")
        mark.write_text(str(os.getpid()), encoding="utf-8")
        self._mark = mark
        self._client: Any = chromadb.PersistentClient(str(folder), Settings(anonymized_telemetry=False))

    def close(self) -> None:
        """Closes Chroma and takes the mark away that would make the next process rebuild it."""
        self._client.close()
        self._mark.unlink(missing_ok=True)

    def sync(self, card: IndexCard) -> None:
        """Brings an index's collection to the state of the library: adds and removes what differs, or fills it anew."""
        name, revision = collection_name(card), self._library.revision(card.corpus)
        state = _state(self._library, name)
        if state == (revision, True):
            return
        _, finished = state
        collection = self._collection(name, keep=finished)
        self._write_state(name, revision, clean=False)

        ids, vectors = self._library.vectors.of_index(card.corpus, card.chunker, card.fingerprint)
        stored = set(collection.get(include=[])["ids"])
        gone = sorted(stored.difference(ids))
        for first in range(0, len(gone), BATCH):
            collection.delete(ids=gone[first : first + BATCH])
        new = [position for position, chunk_id in enumerate(ids) if chunk_id not in stored]
        for first in range(0, len(new), BATCH):
            positions = new[first : first + BATCH]
            collection.add(ids=[ids[position] for position in positions], embeddings=vectors[positions])

        self._write_state(name, revision, clean=True)

    def _collection(self, name: str, keep: bool) -> Any:
        if not keep and name in {collection.name for collection in self._client.list_collections()}:
            self._client.delete_collection(name)
        return self._client.get_or_create_collection(name, configuration={"hnsw": HNSW}, embedding_function=None)

    def _write_state(self, name: str, revision: int, clean: bool) -> None:
        with self._library.database.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO chroma_state VALUES (?, ?, ?)", (name, revision, int(clean)))

    def search(self, card: IndexCard, queries: Vectors, k: int) -> list[list[tuple[str, float]]]:
        """Finds about the k nearest chunks of each query row, best first, as (chunk id, cosine)."""
        collection = self._client.get_collection(collection_name(card), embedding_function=None)
        wanted = min(k, collection.count())
        if not wanted or not len(queries):
            return [[] for _ in queries]
        found = collection.query(query_embeddings=queries, n_results=wanted, include=["distances"])
        return [
            sorted(
                ((chunk_id, 1 - distance) for chunk_id, distance in zip(ids, distances, strict=True)),
                key=lambda pair: (np.float32(pair[1]), pair[0]),
                reverse=True,
            )
            for ids, distances in zip(found["ids"], found["distances"], strict=True)
        ]

    def count(self, card: IndexCard) -> int:
        """Returns how many chunks the index's collection holds, 0 where there is none."""
        name = collection_name(card)
        if name not in {collection.name for collection in self._client.list_collections()}:
            return 0
        return int(self._client.get_collection(name, embedding_function=None).count())


def is_synced(library: Library, card: IndexCard) -> bool:
    """Tells from library.db alone, without opening Chroma, whether an index's collection is up to date."""
    unclosed = (library.home / FOLDER / OPEN_MARK).exists()
    present = (library.home / FOLDER / "chroma.sqlite3").exists()
    return present and not unclosed and _state(library, collection_name(card)) == (library.revision(card.corpus), True)


def _state(library: Library, name: str) -> tuple[int, bool]:
    """Returns the revision that a collection holds and whether it was finished; (0, False) where there is none."""
    query = "SELECT revision, clean FROM chroma_state WHERE collection = ?"
    row = library.database.query(query, (name,)).fetchone()
    return (int(row[0]), bool(row[1])) if row else (0, False)


@contextmanager
def open_chroma(library: Library) -> Iterator[ChromaStore]:
    """Opens Chroma and closes it at the end; the caller holds the writer lock."""
    store = ChromaStore(library)
    try:
        yield store
    finally:
        store.close()


def collection_name(card: IndexCard) -> str:
    """Names the collection of an index: one for each corpus, chunker and embedder fingerprint."""
    return f"{card.corpus}.{card.chunker}.{card.fingerprint}"


def recall(exact: Sequence[Sequence[str]], found: Sequence[Sequence[str]]) -> float:
    """Returns the mean share of the exact neighbours that the approximate search found."""
    shares = [len(set(truth) & set(ids)) / len(truth) for truth, ids in zip(exact, found, strict=True) if truth]
    return float(np.mean(shares)) if shares else 1.0
