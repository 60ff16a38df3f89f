"""Progress on a terminal: a bar over the bytes of the files, with rate and time left, and a count for each embedder."""

import sys
from collections import Counter
from types import TracebackType
from typing import Never, Self

from tqdm import tqdm

from ingest.report import Outcome


class Bars:
    """Draws the progress of an ingest on standard error, where that is a terminal."""

    def __init__(self) -> None:
        self._bar: tqdm[Never] | None = None
        self._vectors: Counter[str] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def start(self, items: int, size: int) -> None:
        """Opens the bar."""
        self._bar = tqdm(
            total=size,
            desc=f"{items} files",
            unit="B",
            unit_scale=True,
            unit_divisor=1024,
            file=sys.stderr,
            disable=not sys.stderr.isatty(),
            dynamic_ncols=True,
        )

    def item(self, outcome: Outcome, size: int) -> None:
        """Moves the bar past an item."""
        if self._bar is not None:
            self._bar.update(size)

    def embedded(self, embedder: str, vectors: int) -> None:
        """Counts vectors beside the bar."""
        self._vectors[embedder] += vectors
        if self._bar is not None:
            self._bar.set_postfix_str(" ".join(f"{name} {count}" for name, count in self._vectors.items()))
