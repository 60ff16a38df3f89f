"""The application's one evaluation at a time: run beside all else, cancelled, resumed, saved when it is done.

It runs in a thread of the process that holds the library. While a task is scored nobody writes into its corpus; while
its documents are indexed an ingest waits, and it waits for an ingest that runs (`ui.corpus_use`).
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from eval.results import conclude
from eval.rows import EvalRow
from ingest.report import Progress, Stopped
from rag.errors import LibraryLockedError, RagError, UsageError
from rag.index import ChromaStore
from ui.bakeoff import PROVENANCE, Bakeoff
from ui.evaluate_progress import CellState, EvaluationProgress
from ui.evaluate_store import EvaluationStore
from ui.evaluate_tasks import TaskShelf, Wanted
from ui.evaluating import SEED, Cell, Watch, check_embedders
from ui.evaluation_host import Host
from ui.evaluation_options import Asked
from ui.failures import explain
from ui.holding import Holding
from ui.jobs import JobRunningError, State
from ui.meter import Meter
from ui.task_selection import Selected, named_apart

FILE = "evaluation.json"
"""What is running, in the library's folder: after a crash the next application offers to go on."""
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EvaluationOrder:
    """What an evaluation was asked to do; carried out again it takes up what is scored already.

    `controls` adds rows of embedders that know nothing: whatever does not rank above them is not to be believed.
    """

    tasks: tuple[Wanted, ...]
    embedders: tuple[str, ...]
    retrievers: tuple[str, ...]
    chunkers: tuple[str, ...] = ()
    controls: bool = False
    ragas: bool = True


@dataclass(slots=True)
class EvaluationJob:
    """One run of an order. `message` says why it failed, `saved` under which id its results are kept."""

    number: int
    order: EvaluationOrder
    progress: EvaluationProgress
    state: State = State.RUNNING
    message: str = ""
    saved: str = ""
    tasks: list[str] = field(default_factory=list)


class EvaluationJobs:
    """Starts, stops and resumes evaluations; the last one stays to be looked at."""

    def __init__(self, holding: Holding, shelf: TaskShelf, store: EvaluationStore, local: bool) -> None:
        self._holding = holding
        self._shelf = shelf
        self._store = store
        self._local = local
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.last: EvaluationJob | None = self._interrupted()

    @property
    def running(self) -> bool:
        """Whether an evaluation runs."""
        return self.last is not None and self.last.state is State.RUNNING

    def start(self, order: EvaluationOrder) -> EvaluationJob:
        """Starts an evaluation; raises JobRunningError where one runs, UsageError for what cannot be evaluated."""
        self.check(order)
        with self._lock:
            if self.last is not None and self.running:
                raise JobRunningError("An evaluation is still running. Wait for it to end, or cancel it.")
            number = self.last.number + 1 if self.last else 1
            self.last = job = EvaluationJob(number, order, EvaluationProgress())
            self._remember(order)
            self._thread = threading.Thread(target=self._run, args=(job,), name="evaluation", daemon=True)
            self._thread.start()
            return job

    def check(self, order: EvaluationOrder) -> None:
        """Raises UsageError for an order that names nothing, or what is not known."""
        if not order.tasks:
            raise UsageError("Choose a task to evaluate on.")
        if not order.embedders and set(order.retrievers) != {"lexical"}:
            raise UsageError("Choose an embedder, or lexical as the only retriever.")
        check_embedders(self._holding.settings, order.embedders)
        for wanted in order.tasks:
            self._shelf.folder(wanted.id, self._local)

    def resume(self) -> EvaluationJob:
        """Carries out the last order again; what is scored is not scored twice. Raises RagError where there is none."""
        if self.last is None:
            raise RagError("There is no evaluation to resume.")
        return self.start(self.last.order)

    def stop(self) -> None:
        """Tells the running evaluation to end; the rows that are scored stay."""
        if self.last is not None:
            self.last.progress.stop()

    def dismiss(self) -> None:
        """Forgets the last evaluation, unless it runs; its results are kept."""
        with self._lock:
            if not self.running:
                self.last = None
                self._forget()

    def close(self, timeout: float = 10) -> None:
        """Stops the running evaluation and waits for it; after the application has gone it can be resumed."""
        if self._thread is not None and self.running:
            self.stop()
            self._thread.join(timeout)

    # --- the thread

    def _run(self, job: EvaluationJob) -> None:
        try:
            self._carry_out(job)
        except Stopped:
            state = State.STOPPED
        except Exception as error:
            state = State.FAILED
            job.message = explain(error) or f"Something broke inside: {type(error).__name__}. The terminal tells more."
            if not isinstance(error, RagError):  # the one place where a bug or a broken disk must not end in silence
                log.exception("An evaluation failed.")
        else:
            state = State.DONE
        if state is State.DONE:
            self._forget()
        job.progress.finish()
        job.state = state

    def _carry_out(self, job: EvaluationJob) -> None:
        order, progress = job.order, job.progress
        with suppress(LibraryLockedError):  # another process writes: what is indexed can be evaluated all the same
            self._holding.acquire()
        host = _ApplicationHost(self._holding, progress)
        bakeoff = _Lenient(self._holding, progress, host)
        tasks = self.select(order)
        job.tasks = [selected.task.name for selected in tasks]
        cells = bakeoff.plan(tasks, asked_of(order))
        progress.plan(cells)
        evaluated = bakeoff.run(tasks, cells, controls=order.controls)
        evaluated = [(task, rows) for task, rows in evaluated if rows]
        failed = [cell for cell in progress.view().cells if cell.state is CellState.FAILED]
        if not any(cell.state in (CellState.DONE, CellState.STORED) for cell in progress.view().cells):
            raise RagError(failed[0].error if failed else "There was nothing to evaluate.")
        progress.say("Comparing the rows")
        results = conclude(evaluated, SEED, PROVENANCE)
        progress.say("Writing the results")
        job.saved = self._store.save(results, asdict(order), progress.view())

    def select(self, order: EvaluationOrder) -> list[Selected]:
        """Reads the tasks of an order; raises UsageError for what cannot be read, or is sealed."""
        return list(named_apart([self._shelf.open(wanted, self._local) for wanted in order.tasks]))

    # --- what survives a crash

    def _remember(self, order: EvaluationOrder) -> None:
        self._quietly(lambda: self._file.write_text(json.dumps(asdict(order)), encoding="utf-8"))

    def _forget(self) -> None:
        self._quietly(lambda: self._file.unlink(missing_ok=True))

    @property
    def _file(self) -> Path:
        return self._holding.settings.home / FILE

    def _quietly(self, write: Callable[[], object]) -> None:
        try:
            write()
        except OSError as error:
            log.warning("%s cannot be written: %s", self._file, error)

    def _interrupted(self) -> EvaluationJob | None:
        """Returns the evaluation of an application that did not end it."""
        try:
            order = order_of(json.loads(self._file.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return EvaluationJob(int(time.time()), order, EvaluationProgress(lambda: 0.0), State.INTERRUPTED)


class _Lenient(Bakeoff):
    """A bake-off whose rows that cannot be made are told, and left out: one embedder must not keep back the others."""

    def __init__(self, holding: Holding, progress: EvaluationProgress, host: Host) -> None:
        super().__init__(holding.library, holding.settings, progress.say, host)
        self._progress = progress

    def rows(self, cells: Sequence[Cell], watch: Watch | None = None) -> Iterator[EvalRow]:
        """Yields the rows of cells of one task that can be made; the progress hears of all of them."""
        for _, group in groupby(cells, key=lambda cell: cell.place):
            yield from self._score(list(group))

    def _score(self, cells: Sequence[Cell]) -> Iterator[EvalRow]:
        done = 0
        try:
            for row in self.evaluation.score(cells, self._progress):
                done += 1
                yield row
        except RagError as error:
            left = cells[done:]
            if self._progress.is_scoring or len(left) == 1:
                self._progress.failed(left[0], str(error))
                yield from self._score(left[1:])
            else:  # while documents were indexed, for all of them together
                for cell in left:
                    yield from self._score([cell])


class _ApplicationHost:
    """What the application lends an evaluation."""

    def __init__(self, holding: Holding, progress: EvaluationProgress) -> None:
        self._holding = holding
        self._progress = progress

    def check(self) -> None:
        self._progress.check()

    @contextmanager
    def writing(self, corpus: str) -> Iterator[tuple[ChromaStore | None, Progress]]:
        self._progress.meter = meter = Meter()
        with self._holding.writing(corpus, lambda: self._progress.stopping) as chroma:
            yield chroma, meter
        self._progress.meter = None
        self._progress.check()

    @contextmanager
    def evaluating(self, corpus: str) -> Iterator[None]:
        with self._holding.use.evaluating(corpus, lambda: self._progress.stopping):
            yield

    @contextmanager
    def chroma(self) -> Iterator[ChromaStore | None]:
        yield self._holding.chroma


def asked_of(order: EvaluationOrder) -> Asked:
    """Returns an order as `rag bakeoff` knows it; its tasks are read elsewhere."""
    return Asked((), order.embedders, order.retrievers, order.chunkers, ragas=order.ragas)


def order_of(fields: Mapping[str, Any]) -> EvaluationOrder:
    """Reads an order back from JSON; raises KeyError or TypeError for what is none."""
    tasks = tuple(Wanted(str(each["id"]), str(each["family"]), str(each["split"])) for each in fields["tasks"])
    lists = {key: tuple(map(str, fields[key])) for key in ("embedders", "retrievers", "chunkers")}
    return EvaluationOrder(tasks, **lists, controls=bool(fields["controls"]), ragas=bool(fields["ragas"]))
