"""The application's one job at a time: an ingest, a backfill or a removal, run beside the questions of all pages."""

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path

from ingest.report import IngestReport, Stopped
from rag.errors import RagError
from rag.index import ChromaStore
from ui.failures import explain
from ui.holding import Holding
from ui.ingesting import backfill, ingest_paths, remove_documents
from ui.meter import Meter
from ui.uploads import clear_empty_folders

FILE = "job.json"
"""What is running, in the library's folder: after a crash the next application offers to go on."""

log = logging.getLogger(__name__)


class Kind(Enum):
    """What a job does."""

    INGEST = "ingest"
    BACKFILL = "backfill"
    REMOVE = "remove"


class State(Enum):
    """How a job stands; INTERRUPTED is one that an earlier application did not bring to its end."""

    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class JobRunningError(RagError):
    """A second job was asked for while one runs."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a job was asked to do; carried out again it goes on where it stood.

    `paths` belong to an ingest, `sources` to a removal; without embedders the corpus keeps those it has. `budget` is
    what a backfill may spend, in dollars; without it that of the settings holds.
    """

    kind: Kind
    corpus: str
    paths: tuple[str, ...] = ()
    embedders: tuple[str, ...] = ()
    chunker: str | None = None
    sources: tuple[str, ...] = ()
    budget: float | None = None


@dataclass(slots=True)
class Job:
    """One run of an order. `message` says why it failed; `report` tells of an ingest or a backfill that has ended."""

    number: int
    order: Order
    meter: Meter
    state: State = State.RUNNING
    message: str = ""
    report: IngestReport | None = None


class IngestJobs:
    """Starts, stops and resumes jobs; the last one stays to be looked at."""

    def __init__(self, holding: Holding) -> None:
        self._holding = holding
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.last: Job | None = self._interrupted()

    @property
    def running(self) -> bool:
        """Whether a job runs."""
        return self.last is not None and self.last.state is State.RUNNING

    def start(self, order: Order) -> Job:
        """Starts a job; raises JobRunningError where one runs already."""
        with self._lock:
            if self.last is not None and self.running:
                raise JobRunningError(
                    f"The {self.last.order.kind.value} of '{self.last.order.corpus}' is still running. "
                    "Wait for it to end, or cancel it."
                )
            if self._holding.use.is_evaluated(order.corpus):
                raise JobRunningError(
                    f"'{order.corpus}' is being evaluated and cannot be changed meanwhile. "
                    "Wait for the evaluation to end, or cancel it in the Evaluate tab."
                )
            self.last = job = Job(self.last.number + 1 if self.last else 1, order, Meter())
            self._remember(order)
            self._thread = threading.Thread(target=self._run, args=(job,), name="job", daemon=True)
            self._thread.start()
            return job

    def resume(self) -> Job:
        """Carries out the last order again; what is done is not done twice. Raises RagError where there is none."""
        if self.last is None:
            raise RagError("There is no job to resume.")
        return self.start(self.last.order)

    def stop(self) -> None:
        """Tells the running job to end; what it has committed stays."""
        if self.last is not None:
            self.last.meter.stop()

    def dismiss(self) -> None:
        """Forgets the last job, unless it runs."""
        with self._lock:
            if not self.running:
                self.last = None
                self._forget()

    def close(self, timeout: float = 10) -> None:
        """Stops the running job and waits for it; after the application has gone it can be resumed."""
        if self._thread is not None and self.running:
            self.stop()
            self._thread.join(timeout)

    # --- the thread

    def _run(self, job: Job) -> None:
        try:
            job.report = self._carry_out(job.order, job.meter)
        except Stopped:
            state = State.STOPPED  # while it waited for its turn
        except Exception as error:
            state = State.FAILED
            job.message = explain(error) or f"Something broke inside: {type(error).__name__}. The terminal tells more."
            if not isinstance(error, RagError):  # the one place where a bug or a broken disk must not end in silence
                log.exception("A job failed.")
        else:
            state = State.STOPPED if job.report is not None and job.report.stopped else State.DONE
        if state is State.DONE:
            self._forget()
        job.meter.finish()
        job.state = state

    def _carry_out(self, order: Order, meter: Meter) -> IngestReport | None:
        with self._holding.writing(order.corpus, lambda: meter.stopping) as chroma:
            return self._write(order, meter, chroma)

    def _write(self, order: Order, meter: Meter, chroma: ChromaStore) -> IngestReport | None:
        library, settings, corpus = self._holding.library, self._holding.settings, order.corpus
        if order.kind is Kind.REMOVE:
            remove_documents(library, settings, corpus, order.sources, chroma)
            clear_empty_folders(settings.home, corpus)
            return None
        if order.kind is Kind.BACKFILL:
            return backfill(library, settings, corpus, order.embedders, order.chunker, meter, chroma, order.budget)
        paths = [Path(path) for path in order.paths]
        return ingest_paths(library, settings, paths, corpus, order.embedders, order.chunker, meter, chroma)

    # --- what survives a crash

    @property
    def _file(self) -> Path:
        return self._holding.settings.home / FILE

    def _remember(self, order: Order) -> None:
        fields = {**asdict(order), "kind": order.kind.value}
        self._quietly(lambda: self._file.write_text(json.dumps(fields), encoding="utf-8"))

    def _forget(self) -> None:
        self._quietly(lambda: self._file.unlink(missing_ok=True))

    def _quietly(self, write: Callable[[], object]) -> None:
        try:
            write()
        except OSError as error:
            log.warning("%s cannot be written: %s", self._file, error)

    def _interrupted(self) -> Job | None:
        """Returns the job of an application that did not end it."""
        try:
            fields = json.loads(self._file.read_text(encoding="utf-8"))
            lists = {key: tuple(fields[key]) for key in ("paths", "embedders", "sources")}
            kind, corpus, chunker = Kind(fields["kind"]), str(fields["corpus"]), fields["chunker"]
            order = Order(kind, corpus, chunker=chunker, budget=fields.get("budget"), **lists)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        meter = Meter(lambda: 0.0)
        return Job(int(time.time()), order, meter, State.INTERRUPTED)
