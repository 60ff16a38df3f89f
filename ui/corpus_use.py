"""Who of the application's threads uses which corpus: one writes at a time, and none into what is being evaluated."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ingest.report import Stopped

LOOK_AGAIN = 0.2
"""Seconds after which a thread that waits for its turn asks whether it was told to stop."""


class CorpusUse:
    """Turns for threads of one process; the library's file lock keeps other processes out."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._written: str | None = None
        self._evaluated: Counter[tuple[str, int]] = Counter()  # by corpus and thread

    def is_evaluated(self, corpus: str) -> bool:
        """Tells whether an evaluation reads a corpus now."""
        with self._changed:
            return bool(self._evaluators(corpus))

    @contextmanager
    def writing(self, corpus: str, stopped: Callable[[], bool]) -> Iterator[None]:
        """Waits until nobody writes and no other thread evaluates the corpus; raises Stopped where told to stop."""
        own = {threading.get_ident()}
        with self._changed:
            self._wait(lambda: self._written is None and self._evaluators(corpus) <= own, stopped)
            self._written = corpus
        try:
            yield
        finally:
            with self._changed:
                self._written = None
                self._changed.notify_all()

    @contextmanager
    def evaluating(self, corpus: str, stopped: Callable[[], bool]) -> Iterator[None]:
        """Waits until nobody writes into the corpus, and keeps it as it is: its rows are compared with each other.

        Raises Stopped where it is told to stop.
        """
        key = (corpus, threading.get_ident())
        with self._changed:
            self._wait(lambda: self._written != corpus, stopped)
            self._evaluated[key] += 1
        try:
            yield
        finally:
            with self._changed:
                self._evaluated[key] -= 1
                self._changed.notify_all()

    def _evaluators(self, corpus: str) -> set[int]:
        """Returns the threads that evaluate a corpus."""
        return {thread for (name, thread), times in self._evaluated.items() if times and name == corpus}

    def _wait(self, free: Callable[[], bool], stopped: Callable[[], bool]) -> None:
        while not free():
            if stopped():
                raise Stopped
            self._changed.wait(LOOK_AGAIN)
