"""A meter for an ingest: how far it is, how fast, and when it will be done, for the files and for each embedder."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from ingest.report import Outcome, Stopped

WINDOW = 45.0
"""Seconds over which a rate is taken: embedders take turns, so that a shorter one would see some of them asleep."""
SAMPLE = 0.5
"""Seconds that one sample stands for."""
TOO_EARLY = 0.02
"""The share that must be done before the time left is worth a word."""
NEWEST = 200
PROBLEMS = 500
"""Outcomes that are kept to be shown; the counts are always full."""

STATUSES = ("done", "unchanged", "unpacked", "skipped", "failed", "deleted")


@dataclass(frozen=True, slots=True)
class Pace:
    """How far something is: `done` of `expected`, `rate` a second, and the seconds left, None while nobody can tell.

    `expected` is known where `bound` is empty, else "about" so many or "at least".
    """

    done: int = 0
    expected: int = 0
    rate: float = 0.0
    left: float | None = None
    bound: str = ""

    @property
    def share(self) -> float:
        """The share that is done, from 0 to 1; an empty task is done."""
        return min(1.0, self.done / self.expected) if self.expected else 1.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What a meter shows at one moment. `size` counts bytes of files, `embedders` vectors; the newest outcome is first.

    `counts` has every status, `problems` those that were skipped or failed.
    """

    seconds: float
    items: int
    items_expected: int
    size: Pace
    embedders: Mapping[str, Pace]
    counts: Mapping[str, int]
    newest: tuple[Outcome, ...]
    problems: tuple[Outcome, ...]


@dataclass(slots=True)
class _Gauge:
    """A running sum and its recent samples (time, sum)."""

    total: int = 0
    samples: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, amount: int, now: float) -> None:
        if self.samples and now - self.samples[-1][0] < SAMPLE:
            now = self.samples.pop()[0]
        self.total += amount
        self.samples.append((now, self.total))
        while len(self.samples) > 1 and self.samples[1][0] < now - WINDOW:
            self.samples.popleft()

    def rate(self, started: float, now: float) -> float:
        """Returns the growth a second over the window; over all the time where nothing has grown lately."""
        since = max(started, now - WINDOW)
        before = max((total for at, total in self.samples if at <= since), default=0)
        grown, seconds = (self.total - before, now - since) if self.total > before else (self.total, now - started)
        return grown / seconds if seconds > 0 else 0.0


class Meter:
    """Progress that can be read at any time and from any thread; `stop` makes the ingest end where it stands."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._started = clock()
        self._ended: float | None = None
        self._items_expected = 0
        self._size_expected = 0
        self._size = _Gauge()
        self._planned: Counter[str] = Counter()
        self._embedded: dict[str, _Gauge] = {}
        self._at_last_item: dict[str, int] = {}
        self._counts: Counter[str] = Counter()
        self._newest: deque[Outcome] = deque(maxlen=NEWEST)
        self._problems: deque[Outcome] = deque(maxlen=PROBLEMS)

    # --- what the ingest says

    def start(self, items: int, size: int) -> None:
        """Hears how much there is to do; a job of several parts may say so several times."""
        self._check()
        with self._lock:
            self._items_expected += items
            self._size_expected += size

    def item(self, outcome: Outcome, size: int) -> None:
        """Hears what became of an item."""
        self._check()
        with self._lock:
            self._size.add(size, self._clock())
            self._counts[outcome.status] += 1
            self._newest.appendleft(outcome)
            if outcome.status in ("skipped", "failed"):
                self._problems.appendleft(outcome)
            self._at_last_item = {name: gauge.total for name, gauge in self._embedded.items()}

    def planned(self, embedder: str, vectors: int) -> None:
        """Hears that more vectors are missing."""
        self._check()
        with self._lock:
            self._planned[embedder] += vectors
            self._embedded.setdefault(embedder, _Gauge())

    def embedded(self, embedder: str, vectors: int) -> None:
        """Hears that some of them are there."""
        self._check()
        with self._lock:
            self._embedded.setdefault(embedder, _Gauge()).add(vectors, self._clock())

    def _check(self) -> None:
        if self._stopped.is_set():
            raise Stopped

    # --- what others do

    def stop(self) -> None:
        """Makes the ingest end with `Stopped` the next time that it says something."""
        self._stopped.set()

    @property
    def stopping(self) -> bool:
        """Whether it was told to end."""
        return self._stopped.is_set()

    def finish(self) -> None:
        """Stops the clock."""
        with self._lock:
            self._ended = self._clock()

    def snapshot(self) -> Reading:
        """Reads everything at one moment."""
        with self._lock:
            now = self._ended if self._ended is not None else self._clock()
            # Files that have gone are told beside the items, and so are archives, of which each member is an item.
            items = self._counts.total() - self._counts["deleted"] - self._counts["unpacked"]
            return Reading(
                seconds=now - self._started,
                items=items,
                items_expected=max(self._items_expected, items),
                size=self._pace(self._size, self._size_expected, now),
                embedders={name: self._embedder_pace(name, now) for name in self._embedded},
                counts={status: self._counts[status] for status in STATUSES},
                newest=tuple(self._newest),
                problems=tuple(self._problems),
            )

    def _embedder_pace(self, name: str, now: float) -> Pace:
        """Takes for expected what is planned, or as many as the bytes so far promise for all files.

        What was embedded when the last item was told stands against the bytes told: then both were at the same place.
        """
        gauge, told = self._embedded[name], self._size.total
        promised = round(self._at_last_item.get(name, 0) * self._size_expected / told) if told else 0
        pace = self._pace(gauge, max(gauge.total, self._planned[name], promised), now)
        if told >= self._size_expected:
            return pace
        return replace(pace, bound="about" if promised >= self._planned[name] else "at least")

    def _pace(self, gauge: _Gauge, expected: int, now: float) -> Pace:
        rate = gauge.rate(self._started, now)
        left = None
        if gauge.total >= expected:
            left = 0.0
        elif gauge.total >= TOO_EARLY * expected and rate > 0:
            left = (expected - gauge.total) / rate
        return Pace(gauge.total, expected, rate, left)
