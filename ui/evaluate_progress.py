"""How far an evaluation is: its rows one by one, the indexing before them, and the time that is left."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

from eval.measures import MAIN_METRICS, measure_of
from eval.rows import EvalRow
from eval.tasks.task import Task
from ingest.report import Stopped
from ui.evaluating import Cell
from ui.meter import Meter, Pace


class CellState(Enum):
    """How a row stands; STORED is one that was scored before."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    STORED = "stored"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class CellView:
    """A row as the page shows it while the evaluation runs; `value` is that of the main metric."""

    task: str
    family: str
    embedder: str | None
    retriever: str | None
    chunker: str | None
    metric: str
    state: CellState = CellState.WAITING
    value: float | None = None
    seconds: float = 0.0
    error: str = ""


@dataclass(frozen=True, slots=True)
class ProgressView:
    """Everything at one moment; `notes` tell what to know about the tasks.

    `left` are the seconds to go, None while nobody can tell.
    """

    cells: tuple[CellView, ...]
    said: str
    notes: tuple[str, ...]
    indexing: dict[str, Pace]
    seconds: float
    left: float | None
    stopping: bool

    @property
    def done(self) -> int:
        """How many rows are there, or will not be."""
        return sum(cell.state not in (CellState.WAITING, CellState.RUNNING) for cell in self.cells)


class EvaluationProgress:
    """Hears how an evaluation goes, and may be read from any thread; `stop` ends it when it says something next.

    It is the `Watch` of an evaluation; `meter` hears how documents are indexed.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._started = clock()
        self._ended: float | None = None
        self._said = "Reading the tasks"
        self._keys: list[tuple[str, str, str | None, str | None, str | None]] = []
        self._cells: list[CellView] = []
        self._notes: list[str] = []
        self._running: tuple[int, float] | None = None  # which row, and since when
        self.meter: Meter | None = None

    # --- what the evaluation says

    def plan(self, cells: list[Cell]) -> None:
        """Hears which rows are asked for."""
        with self._lock:
            self._keys = [_key(cell) for cell in cells]
            self._cells = [CellView(*_key(cell), metric=MAIN_METRICS[cell.task.family]) for cell in cells]

    def say(self, line: str) -> None:
        """Hears a line for people: what is being done, or, while a row is scored, something to know about its task."""
        self.check()
        with self._lock:
            if self._running is None:
                self._said = line
            elif line not in self._notes:
                self._notes.append(line)

    def check(self) -> None:
        """Raises Stopped where the evaluation was told to end."""
        if self._stopped.is_set():
            raise Stopped

    def begun(self, cell: Cell) -> None:
        """Hears that a row is being scored."""
        self.check()
        with self._lock:
            at = self._keys.index(_key(cell))
            self._cells[at] = replace(self._cells[at], state=CellState.RUNNING)
            self._running = (at, self._clock())
            self._said = cell.label
            self.meter = None

    def finished(self, cell: Cell, row: EvalRow, seconds: float, stored: bool) -> None:
        """Hears that a row is there."""
        with self._lock:
            at = self._keys.index(_key(cell))
            state = CellState.STORED if stored else CellState.DONE
            self._cells[at] = replace(self._cells[at], state=state, value=_value(row, cell.task), seconds=seconds)
            self._running = None
        self.check()

    def failed(self, cell: Cell, error: str) -> None:
        """Hears that a row cannot be made."""
        with self._lock:
            at = self._keys.index(_key(cell))
            self._cells[at] = replace(self._cells[at], state=CellState.FAILED, error=error)
            self._running = None

    def finish(self) -> None:
        """Stops the clock."""
        with self._lock:
            self._ended = self._clock()
            self._running = None
            self._cells = [
                replace(cell, state=CellState.WAITING) if cell.state is CellState.RUNNING else cell
                for cell in self._cells
            ]

    # --- what others do

    def stop(self) -> None:
        """Makes the evaluation end with Stopped the next time that it says something."""
        self._stopped.set()
        if meter := self.meter:
            meter.stop()

    @property
    def stopping(self) -> bool:
        """Whether it was told to end."""
        return self._stopped.is_set()

    @property
    def is_scoring(self) -> bool:
        """Whether a row is being scored at this moment, and not what comes before."""
        with self._lock:
            return self._running is not None

    def view(self) -> ProgressView:
        """Reads everything at one moment."""
        with self._lock:
            now = self._ended if self._ended is not None else self._clock()
            indexing = self.meter.snapshot().embedders if self.meter and self._ended is None else {}
            return ProgressView(
                cells=tuple(self._cells),
                said=self._said,
                notes=tuple(self._notes),
                indexing=dict(indexing),
                seconds=now - self._started,
                left=self._left(now, [pace.left for pace in indexing.values()]),
                stopping=self._stopped.is_set(),
            )

    def _left(self, now: float, indexing: list[float | None]) -> float | None:
        """Expects each row to take as long as those before it of its task, else as those of any task."""
        took = [(cell.task, cell.seconds) for cell in self._cells if cell.state is CellState.DONE]
        waiting = [cell for cell in self._cells if cell.state in (CellState.WAITING, CellState.RUNNING)]
        if self._ended is not None or not waiting:
            return 0.0
        if not took or None in indexing:
            return None
        total = sum(each for each in indexing if each is not None)
        for cell in waiting:
            own = [seconds for task, seconds in took if task == cell.task] or [seconds for _, seconds in took]
            total += sum(own) / len(own)
        return max(0.0, total - (now - self._running[1] if self._running else 0.0))


def _key(cell: Cell) -> tuple[str, str, str | None, str | None, str | None]:
    chunker = cell.place.chunker if cell.place else None
    return cell.task.name, cell.task.family, cell.embedder, cell.retriever, chunker


def _value(row: EvalRow, task: Task) -> float | None:
    import numpy as np

    metric = MAIN_METRICS[row.family]
    values = row.per_query.get(metric, {})
    if not values:
        return None
    items = sorted(values)
    gold = np.array([task.gold.get(item, 0.0) for item in items])
    value = measure_of(metric).value(np.array([values[item] for item in items], dtype=float), gold)
    return value if value == value else None  # NaN is no value
