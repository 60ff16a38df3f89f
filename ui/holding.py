"""The application's hold on a library: read by everybody, and from the first job on written by it alone."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from rag.index import ChromaStore, open_chroma
from rag.library import Library
from rag.lock import writer_lock
from rag.reader import Reader
from rag.settings import Settings
from ui.corpus_use import CorpusUse


class Holding:
    """A library with its shared reader; `acquire` makes this process its writer, with Chroma open, until `close`.

    An application over an empty library holds nothing, so that `rag ingest` can fill it beside the page that says so.
    """

    def __init__(self, library: Library, settings: Settings) -> None:
        self.library = library
        self.settings = settings
        self.reader = Reader(library, settings)
        self.use = CorpusUse()
        self._chroma: ChromaStore | None = None
        self._acquiring = threading.Lock()
        self._stack = ExitStack()

    @property
    def chroma(self) -> ChromaStore | None:
        """The open store, None while this process is not the writer."""
        return self._chroma

    def acquire(self) -> ChromaStore:
        """Takes the writer lock and opens Chroma, unless both are held already.

        Raises LibraryLockedError, which names the holder, where another process writes.
        """
        with self._acquiring:
            if self._chroma is None:
                with ExitStack() as stack:
                    stack.enter_context(writer_lock(self.settings.home))
                    self._chroma = stack.enter_context(open_chroma(self.library))
                    self._stack = stack.pop_all()
                self.reader.chroma = self._chroma
            return self._chroma

    @contextmanager
    def writing(self, corpus: str, stopped: Callable[[], bool]) -> Iterator[ChromaStore]:
        """Lets one thread write into a corpus, after those before it; what was found there before is found meanwhile.

        Raises as `acquire` does, and Stopped where it is told to stop while it waits.
        """
        chroma = self.acquire()
        with self.use.writing(corpus, stopped), self.reader.holding(corpus):
            yield chroma

    def close(self) -> None:
        """Closes Chroma and lets the lock go."""
        with self._acquiring:
            self.reader.chroma = self._chroma = None
            self._stack.close()
