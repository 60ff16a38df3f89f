"""What an evaluation needs of whoever runs it: the right to write, a corpus that keeps still, and a word to stop."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from typing import Protocol

from ingest.report import Progress
from rag.errors import LibraryLockedError
from rag.index import ChromaStore, open_chroma
from rag.library import Library
from rag.lock import writer_lock
from ui.progress import Bars


class Host(Protocol):
    """Runs evaluations: a command by itself, or the application beside all that it does."""

    def check(self) -> None:
        """Raises Stopped where the evaluation was told to end; called often."""
        ...

    def writing(self, corpus: str) -> AbstractContextManager[tuple[ChromaStore | None, Progress]]:
        """Gives the right to write into a corpus, the store that is open, if one is, and who hears of the progress."""
        ...

    def evaluating(self, corpus: str) -> AbstractContextManager[None]:
        """Keeps a corpus as it is while its rows are made."""
        ...

    def chroma(self) -> AbstractContextManager[ChromaStore | None]:
        """Opens Chroma, or gives None where somebody else has it."""
        ...


class CommandHost:
    """A command that evaluates and does nothing else: it takes the writer lock when it needs it."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def check(self) -> None:
        """Never ends an evaluation: Ctrl-C does."""

    @contextmanager
    def writing(self, corpus: str) -> Iterator[tuple[ChromaStore | None, Progress]]:
        """Takes the lock; raises LibraryLockedError where another process holds it."""
        with writer_lock(self._library.home), Bars() as bars:
            yield None, bars

    def evaluating(self, corpus: str) -> AbstractContextManager[None]:
        """Does nothing: what another process changes cannot be held up."""
        return nullcontext()

    @contextmanager
    def chroma(self) -> Iterator[ChromaStore | None]:
        """Takes the lock and opens Chroma, or gives None where another process holds the lock."""
        with ExitStack() as stack:
            store: ChromaStore | None = None
            with suppress(LibraryLockedError):
                stack.enter_context(writer_lock(self._library.home))
                store = stack.enter_context(open_chroma(self._library))
            yield store
