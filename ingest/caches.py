"""The caches that searches use, Chroma and BM25, brought up to date while an ingest goes on and at its end."""

import threading
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from rag.bm25 import open_lexical
from rag.index import ChromaStore, is_synced, open_chroma
from rag.library import Library

FEED_CHUNKS = 2_500
"""Vectors that are committed before Chroma gets them: thousands in a call, so that it flushes its graph seldom."""


class Caches:
    """Feeds Chroma in a thread of its own while vectors are still being computed; the caller holds the writer lock.

    Without a store of the caller's, Chroma is opened when there is enough to write, or at the end, and closed again.
    """

    def __init__(self, library: Library, corpus: str | None, chroma: ChromaStore | None = None) -> None:
        self._library = library
        self._corpus = corpus
        self._chroma = chroma
        self._stack = ExitStack()
        self._waiting = 0
        self._wake = threading.Event()
        self._ending = False
        self._abandoned = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._feed, name="Chroma", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            self._abandoned = True
            self._wake.set()
            self._thread.join()

    def committed(self, vectors: int) -> None:
        """Hears that so many more vectors can be found in the library."""
        self._waiting += vectors
        if self._waiting >= FEED_CHUNKS:
            self._waiting = 0
            self._wake.set()

    def finish(self) -> None:
        """Brings everything up to date, both caches at once; raises what went wrong in the thread."""
        self._ending = True
        self._wake.set()
        for corpus, chunker in sorted({(card.corpus, card.chunker) for card in self._library.cards.all(self._corpus)}):
            open_lexical(self._library, corpus, chunker, must_store=True)
        self._thread.join()
        if self._error:
            raise self._error

    def _feed(self) -> None:
        try:
            while self._wake.wait() and not self._abandoned:
                self._wake.clear()
                ending = self._ending
                self._sync()
                if ending:
                    return
        except BaseException as error:  # told by `finish`, in the thread that can do something about it
            self._error = error

    def _sync(self) -> None:
        cards = self._library.cards.all(self._corpus)  # an emptied index as well: what was deleted must leave it
        if self._chroma is None:
            if all(is_synced(self._library, card) for card in cards):
                return
            self._chroma = self._stack.enter_context(open_chroma(self._library))
        for card in cards:
            self._chroma.sync(card)


def refresh_caches(library: Library, corpus: str | None = None, chroma: ChromaStore | None = None) -> None:
    """Brings the Chroma collections and BM25 indexes of one corpus, or of all, to the state of the library."""
    with Caches(library, corpus, chroma) as caches:
        caches.finish()
