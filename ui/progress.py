"""Progress on a terminal: a bar over the bytes of the files, then each embedder's vectors, rate and time left."""

import sys
import threading
from types import TracebackType
from typing import Never, Self

from tqdm import tqdm

from ingest.report import Outcome
from ui.meter import Meter, Pace
from ui.words import duration


class Bars:
    """Draws the progress of an ingest on standard error, where that is a terminal."""

    def __init__(self) -> None:
        self._meter = Meter()
        self._bar: tqdm[Never] | None = None
        self._drawing = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def start(self, items: int, size: int) -> None:
        """Opens the bar."""
        self._meter.start(items, size)
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
        self._meter.item(outcome, size)
        with self._drawing:
            if self._bar is not None:
                self._bar.update(size)

    def planned(self, embedder: str, vectors: int) -> None:
        """Takes more vectors into account."""
        self._meter.planned(embedder, vectors)

    def embedded(self, embedder: str, vectors: int) -> None:
        """Draws the vectors beside the bar."""
        self._meter.embedded(embedder, vectors)
        with self._drawing:
            if self._bar is not None and not self._bar.disable:
                paces = self._meter.snapshot().embedders
                self._bar.set_postfix_str(", ".join(pace_text(name, pace) for name, pace in paces.items()))


def pace_text(name: str, pace: Pace) -> str:
    """Returns an embedder's progress in a few words.

    >>> pace_text("minilm", Pace(512, 2000, 64.0, 23.25))
    'minilm 512/2000 64/s 0:23'
    """
    told = f"{name} {pace.done}/{pace.expected}"
    if pace.done < pace.expected:
        more = "+" if pace.bound == "at least" else ""
        told += f"{more} {pace.rate:.0f}/s" + (f" {duration(pace.left)}{more}" if pace.left is not None else "")
    return told
