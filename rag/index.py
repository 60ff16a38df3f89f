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
    write_found,
    write_state,
)
from rag.errors import CacheError
from rag.library import Library
from rag.schema import Vectors
from rag.vectors import Place

FOLDER = "chroma"
OPEN_MARK = "open.pid"
BATCH = 5_000
"""Vectors in one call; Chroma 1.5.9 refuses more than 5,461."""

PROBES = 100
SAME = 1e-4
"""Largest cosine distance at which a vector has found itself; also the largest difference of a component between
Chroma's copy of a vector, which it normalises, and ours."""

HNSW = {"space": "cosine", "ef_search": 400, "ef_construction": 200, "max_neighbors": 32}
"""Fixed when a collection is made: a later change of ef_search does not reach a running process.

With Chroma's own 16 neighbours the graph lost up to 4 of 513 much alike notes altogether, others at each opening.
"""


class ChromaStore:
    """The Chroma folder of a library, opened by the process that holds the writer lock; threads may share it.

    A folder that was not closed is checked in a process of its own first, and thrown away where it is in doubt. Raises
    CacheError where it cannot be written; it is in doubt then, and `sync` begins anew with an empty one.
    """

    def __init__(self, library: Library) -> None:
        from rag.chroma_check import is_trustworthy

        self._library = library
        self._writing = threading.Lock()
        self._folder = library.home / FOLDER
        self._mark = self._folder / OPEN_MARK
        self._doubtful = self._mark.exists() and not is_trustworthy(library)
        self._open()

    def _open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._doubtful:
            for path in self._folder.iterdir():  # the folder itself may be a mount point
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        if not (self._folder / "chroma.sqlite3").exists():
            forget_all(self._library)
        self._mark.write_text(str(os.getpid()), encoding="utf-8")
        with self._doubting():
            self._client = open_client(self._folder)
        self._doubtful = False

    def close(self) -> None:
        """Closes Chroma and takes the mark away that would make the next process doubt it, unless it should."""
        with self._writing, self._doubting():
            self._client.close()
            if not self._doubtful:
                self._mark.unlink(missing_ok=True)

    @contextmanager
    def _doubting(self) -> Iterator[None]:
        """Takes what was being written for spoilt where Chroma fails, and says so."""
        try:
            yield
        except BaseException as error:
            if not is_of_chroma(error):
                raise
            self._doubtful = True
            raise CacheError(
                f"Chroma, in {self._folder}, could not be opened or written: {error}. Is the disk full? Nothing is "
                "lost, for it is only a cache of the library. Once there is room, run: rag rebuild"
            ) from error

    def sync(self, card: IndexCard) -> None:
        """Brings an index's collection up to date with the library, or fills it anew where the two do not agree.

        Only what was added and removed since the last time is written, in batches, so memory stays bounded.
        """
        with self._writing, self._doubting():
            if self._doubtful:
                self._client.close()
                self._open()
            if is_caught_up(self._library, card):
                return
            self._catch_up(card)
            have, wanted = self.count(card), self._library.cards.count(card)[1]
            # Where another thread has changed the index meanwhile, the next time will tell.
            if have != wanted and is_caught_up(self._library, card):
                self._drop(card)
                self._catch_up(card)
            probes = self._library.vectors.sample(card.corpus, card.chunker, card.fingerprint, PROBES, max(wanted, 1))
            if len(probes):
                write_found(self._library, card, share_found(self._collection(card), probes))

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
        """Finds about the k nearest chunks of each query row, best first, as (chunk id, cosine).

        Fewer where there are fewer: Chroma sees to it, and counting first would take longer than the search itself.
        """
        if k < 1 or not len(queries):
            return [[] for _ in queries]
        found = self._collection(card).query(query_embeddings=queries, n_results=k, include=["distances"])
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
        return int(self._collection(card).count()) if collection_name(card) in self._names() else 0

    def _collection(self, card: IndexCard) -> Any:
        return self._client.get_collection(collection_name(card), embedding_function=None)


def open_client(folder: Path) -> Any:
    """Opens a folder with chromadb, telemetry off."""
    import chromadb
    from chromadb.config import Settings

    return chromadb.PersistentClient(str(folder), Settings(anonymized_telemetry=False))


def share_found(collection: Any, vectors: Vectors) -> float:
    """Returns the share of stored vectors (n, d) whose nearest is themselves, or that of an equal passage."""
    found = collection.query(query_embeddings=vectors, n_results=1, include=["distances"])["distances"]
    return sum(bool(len(distances)) and bool(distances[0] <= SAME) for distances in found) / len(vectors)


def is_of_chroma(error: BaseException) -> bool:
    """Tells whether chromadb raised an error; a panic of its Rust core is no Exception, and has no class to import."""
    from chromadb.errors import ChromaError

    return isinstance(error, ChromaError) or type(error).__name__ == "PanicException"


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
