"""Chroma, as a cache of the library: collections are filled from stored vectors and rebuilt wherever they are in doubt.

The only file that imports chromadb. Only the library's one writer may open Chroma: a second process that writes breaks
a store, and one that reads never sees new vectors (measured with Chroma 1.5.9; see docs/decisions/0003).
"""

import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from rag.cards import IndexCard
from rag.chroma_state import (
    collection_name,
    forget,
    forget_all,
    is_caught_up,
    last_removal,
    removed_after,
    state_of,
    write_state,
)
from rag.library import Library
from rag.schema import Vectors
from rag.vectors import Place

FOLDER = "chroma"
OPEN_MARK = "open.pid"
BATCH = 5_000
"""Vectors in one call; Chroma 1.5.9 refuses more than 5,461."""

HNSW = {"space": "cosine", "ef_search": 400, "ef_construction": 200, "max_neighbors": 32}
"""Fixed when a collection is made: a later change of ef_search does not reach a running process.

With Chroma's own 16 neighbours the graph lost up to 4 of 513 much alike notes altogether, others at each opening.
"""


class ChromaStore:
    """The Chroma folder of a library, opened by the process that holds the writer lock; threads may share it.

    A folder that was not closed is checked in a process of its own first, and thrown away where it is in doubt.
    """

    def __init__(self, library: Library) -> None:
        from rag.chroma_check import is_trustworthy

        self._library = library
        self._writing = threading.Lock()
        folder = library.home / FOLDER
        self._mark = folder / OPEN_MARK
        if self._mark.exists() and not is_trustworthy(library):
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "chroma.sqlite3").exists():
            forget_all(library)
        self._mark.write_text(str(os.getpid()), encoding="utf-8")
        self._client = open_client(folder)

    def close(self) -> None:
        """Closes Chroma and takes the mark away that would make the next process doubt it."""
        with self._writing:
            self._client.close()
            self._mark.unlink(missing_ok=True)

    def sync(self, card: IndexCard) -> None:
        """Brings an index's collection up to date with the library, or fills it anew where the two do not agree.

        Only what was added and removed since the last time is written, in batches, so memory stays bounded.
        """
        with self._writing:
            if is_caught_up(self._library, card):
                return
            self._catch_up(card)
            have, wanted = self.count(card), self._library.cards.count(card)[1]
            # Where another thread has changed the index meanwhile, the next time will tell.
            if have != wanted and is_caught_up(self._library, card):
                self._drop(card)
                self._catch_up(card)

    def _catch_up(self, card: IndexCard) -> None:
        """Removes and then adds; done twice, or over a write that was never recorded, it changes nothing."""
        name = collection_name(card)
        state = state_of(self._library, card)
        if state is None:  # whatever stands there under this name, nobody knows what it holds
            self._drop(card)
        added, removed = state or (0, last_removal(self._library, card))
        collection = self._client.get_or_create_collection(name, configuration={"hnsw": HNSW}, embedding_function=None)
        write_state(self._library, card, added, removed)
        while gone := removed_after(self._library, card, removed, BATCH):
            collection.delete(ids=[chunk_id for _, chunk_id in gone])
            removed = gone[-1][0]
            write_state(self._library, card, added, removed)
        place = Place(added)
        while rows := self._library.vectors.after(card.corpus, card.chunker, card.fingerprint, place, BATCH):
            collection.add(ids=rows.ids, embeddings=rows.vectors)
            place = rows.place
            write_state(self._library, card, place.seq - 1, removed)  # of its last document chunks may be left
        write_state(self._library, card, place.seq, removed)

    def _drop(self, card: IndexCard) -> None:
        name = collection_name(card)
        forget(self._library, card)
        if name in self._names():
            self._client.delete_collection(name)

    def _names(self) -> set[str]:
        return {collection.name for collection in self._client.list_collections()}

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
        if name not in self._names():
            return 0
        return int(self._client.get_collection(name, embedding_function=None).count())


def open_client(folder: Path) -> Any:
    """Opens a folder with chromadb, telemetry off."""
    import chromadb
    from chromadb.config import Settings

    return chromadb.PersistentClient(str(folder), Settings(anonymized_telemetry=False))


def is_synced(library: Library, card: IndexCard) -> bool:
    """Tells from library.db alone, without opening Chroma, whether an index's collection is up to date."""
    folder = library.home / FOLDER
    present = (folder / "chroma.sqlite3").exists() and not (folder / OPEN_MARK).exists()
    return present and is_caught_up(library, card)


@contextmanager
def open_chroma(library: Library) -> Iterator[ChromaStore]:
    """Opens Chroma and closes it at the end; the caller holds the writer lock."""
    store = ChromaStore(library)
    try:
        yield store
    finally:
        store.close()


def recall(exact: Sequence[Sequence[str]], found: Sequence[Sequence[str]]) -> float:
    """Returns the mean share of the exact neighbours that the approximate search found."""
    shares = [len(set(truth) & set(ids)) / len(truth) for truth, ids in zip(exact, found, strict=True) if truth]
    return float(np.mean(shares)) if shares else 1.0
