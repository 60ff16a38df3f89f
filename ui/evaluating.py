"""An evaluation as the faces run it: cells are planned, indexes made where they lack, rows scored or read back."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from eval.cells import FOLDER, CellStore, DamagedCellError, key_of, scoring_code, task_state
from eval.metrics import JUDGED, RETRIEVAL_METRICS
from eval.rows import EvalRow
from eval.runner import DEPTH
from eval.tasks.retrieval import RetrievalTask
from eval.tasks.task import Task
from rag.embedders.registry import load_embedder
from rag.errors import unknown_name
from rag.library import Library
from rag.reader import Reader
from rag.retrievers import LEG_DEPTH, NAMES
from rag.settings import Settings
from rag.stored_embedder import StoredEmbedder
from ui.evaluation_host import CommandHost, Host
from ui.retrieval_scoring import RetrievalScorer
from ui.task_indexes import Place, TaskIndexes, corpus_of
from ui.task_selection import check_not_sealed

__all__ = ["SEED", "Cell", "Evaluation", "Watch", "check_embedders", "corpus_of"]

SEED = 13
LEXICAL = "lexical"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Cell:
    """One row that is asked for.

    `embedder` is None for words alone, `retriever` and `place` where nothing is retrieved. `facts` are all
    that can change the row, `key` their sha256: what it is stored under.
    """

    task: Task
    embedder: str | None
    retriever: str | None
    place: Place | None
    with_ragas: bool
    facts: Mapping[str, Any]

    @property
    def key(self) -> str:
        """The name of the cell in the store."""
        return key_of(self.facts)

    @property
    def label(self) -> str:
        """The cell in words, such as `scifact: hybrid under minilm`."""
        under = f" under {self.embedder}" if self.embedder else ""
        cut = f", {self.place.chunker}" if self.place and self.place.chunker != "whole" else ""
        return f"{self.task.name}: {self.retriever or self.task.family}{under}{cut}"


class Watch(Protocol):
    """Hears how an evaluation goes, cell by cell; any method may raise `ingest.report.Stopped`."""

    def begun(self, cell: Cell) -> None:
        """Hears that a cell is being scored; not called for one that is stored."""
        ...

    def finished(self, cell: Cell, row: EvalRow, seconds: float, stored: bool) -> None:
        """Hears the row of a cell, how long it took, and whether it was taken from the store."""
        ...


class _Telling:
    """Says what is being scored, as a command does."""

    def __init__(self, say: Say) -> None:
        self._say = say

    def begun(self, cell: Cell) -> None:
        self._say(cell.label)

    def finished(self, cell: Cell, row: EvalRow, seconds: float, stored: bool) -> None:
        if stored:
            self._say(f"{cell.label}: stored")


class Evaluation:
    """Evaluates tasks of every family over one library; with `fresh` no stored row is used.

    `host` is whoever runs it, a command unless told otherwise. `setfit` asks for the heavier row of classification.
    """

    def __init__(
        self,
        library: Library,
        settings: Settings,
        say: Say,
        host: Host | None = None,
        *,
        fresh: bool = False,
        setfit: bool = False,
    ) -> None:
        self._library = library
        self._settings = settings
        self._say = say
        self._host = host or CommandHost(library)
        self._fresh = fresh
        self._setfit = setfit
        self._reader = Reader(library, settings)
        self._told: set[str] = set()
        self.indexes = TaskIndexes(library, settings, say, self._host)
        self.store = CellStore(settings.home / "runs" / FOLDER)

    def rows(
        self,
        task: Task,
        embedders: Sequence[str],
        retrievers: Sequence[str],
        chunker: str | None = None,
        with_ragas: bool = True,
        watch: Watch | None = None,
    ) -> list[EvalRow]:
        """Evaluates every retriever under every embedder, lexical once; indexes first what is not indexed yet.

        Where nothing is retrieved there is one row an embedder, and one of words alone unless `retrievers` leaves
        lexical out.
        """
        return list(self.score(self.cells(task, embedders, retrievers, chunker, with_ragas), watch))

    # --- planning: nothing is written, and no model is loaded

    def cells(
        self,
        task: Task,
        embedders: Sequence[str],
        retrievers: Sequence[str],
        chunker: str | None = None,
        with_ragas: bool = True,
    ) -> list[Cell]:
        """Returns the rows that are asked for, with the keys that they are stored under.

        Raises UsageError for a name that is not known, for what is sealed, and as `TaskIndexes.place` does.
        """
        for name in retrievers:
            if name not in NAMES:
                raise unknown_name("retriever", name, NAMES)
        check_embedders(self._settings, embedders)
        check_not_sealed(self._library, task)
        if not isinstance(task, RetrievalTask):
            names: list[str | None] = [] if set(retrievers) == {LEXICAL} else list(self._embedders_of(embedders))
            names += [None] if not retrievers or LEXICAL in retrievers else []
            return [self._cell(task, name, None if name else LEXICAL, None, False) for name in names]
        place = self.indexes.place(task, embedders, chunker)
        return [
            self._cell(task, embedder, name, place, with_ragas)
            for embedder, name in _combinations(place.embedders, retrievers or NAMES)
        ]

    def is_stored(self, cell: Cell) -> bool:
        """Tells whether a cell need not be scored."""
        return not self._fresh and self.store.holds(cell.key)

    def _embedders_of(self, embedders: Sequence[str]) -> Sequence[str]:
        return tuple(dict.fromkeys(embedders)) or self._settings.ingest_with

    def _cell(
        self, task: Task, embedder: str | None, retriever: str | None, place: Place | None, with_ragas: bool
    ) -> Cell:
        spec = self._settings.embedders[embedder] if embedder else None
        facts: dict[str, Any] = {
            "code": scoring_code(),
            "task": task_state(task),
            "family": task.family,
            "embedder": embedder,
            "fingerprint": spec.fingerprint if spec else None,
            "query_prefix": spec.query_prefix if spec else None,
            "retriever": retriever,
            "seed": SEED,
        }
        if isinstance(task, RetrievalTask) and place:
            facts |= {
                "corpus": place.corpus,
                "documents": self.indexes.digest(task, place.corpus),
                "chunker": place.chunker,
                "depth": DEPTH,
                "metrics": [*RETRIEVAL_METRICS, JUDGED],
                "ragas": with_ragas,
            }
            if retriever == "hybrid":
                facts |= {"fusion": self._settings.fusion, "weight": self._settings.weight, "leg_depth": LEG_DEPTH}
        elif self._setfit and embedder:
            facts["setfit"] = True
        return Cell(task, embedder, retriever, place, with_ragas, facts)

    # --- scoring

    def score(self, cells: Sequence[Cell], watch: Watch | None = None) -> Iterator[EvalRow]:
        """Yields the rows of cells of one task and one chunker; what is stored already is neither indexed nor scored.

        Each row is stored before it is yielded.
        """
        watch = watch or _Telling(self._say)
        if not cells:
            return
        first = cells[0]
        if not isinstance(first.task, RetrievalTask) or first.place is None:
            for cell in cells:
                yield self._stored_or_scored(cell, watch, self._embedder_row)
            return
        lacking = [cell.embedder for cell in cells if not self.is_stored(cell)]
        if lacking:
            self.indexes.ensure(first.task, first.place, lacking)
        scorer = RetrievalScorer(self._library, self._reader, self._host, first.task, first.place, self._say)
        with self._host.evaluating(first.place.corpus):
            for cell in cells:
                current = self._cell(cell.task, cell.embedder, cell.retriever, cell.place, cell.with_ragas)
                yield self._stored_or_scored(
                    current, watch, lambda cell: scorer.row(cell.embedder, cell.retriever, cell.with_ragas)
                )

    def control_rows(self, task: Task, places: Collection[Place]) -> list[EvalRow]:
        """Returns the rows of the nonsense controls, at each of the places where something is retrieved."""
        from eval.controls import embedder_controls

        if not isinstance(task, RetrievalTask):
            return embedder_controls(task, SEED)
        rows = []
        for place in places:
            scorer = RetrievalScorer(self._library, self._reader, self._host, task, place, self._say)
            with self._host.evaluating(place.corpus):
                rows += scorer.control_rows()
        return rows

    def _stored_or_scored(self, cell: Cell, watch: Watch, make: Callable[[Cell], EvalRow]) -> EvalRow:
        self._host.check()
        row = None if self._fresh else self._read(cell)
        if row is not None:
            watch.finished(cell, row, 0.0, True)
            return row
        watch.begun(cell)
        started = time.perf_counter()
        row = make(cell)
        seconds = time.perf_counter() - started
        self.store.write(row, cell.facts, seconds)
        watch.finished(cell, row, seconds, False)
        return row

    def _read(self, cell: Cell) -> EvalRow | None:
        try:
            stored = self.store.read(cell.key)
        except DamagedCellError as error:
            self._say(str(error))
            return None
        return replace(stored.row, task=cell.task.name) if stored else None

    def _embedder_row(self, cell: Cell) -> EvalRow:
        [row] = self._embedder_rows(cell.task, [cell.embedder])
        return row

    def _embedder_rows(self, task: Task, embedders: Sequence[str | None]) -> list[EvalRow]:
        """Evaluates a task that retrieves nothing under each embedder; None is the baseline of words alone."""
        from eval.embedding_runner import evaluate_embedder, evaluate_words

        for note in getattr(task, "notes", ()):
            line = f"{task.name}: {note}"
            if line not in self._told:
                self._told.add(line)
                self._say(line)
        rows = []
        for name in embedders:
            if name is None:
                rows.append(evaluate_words(task, seed=SEED))
                continue
            loaded = load_embedder(name, self._settings.embedders)
            embedder = StoredEmbedder(self._library, loaded, purpose=task.name, check=self._host.check)
            rows.append(evaluate_embedder(task, embedder, seed=SEED, setfit=self._setfit))
            if isinstance(untuned := rows[-1].provenance.get("setfit"), str):
                self._say(f"{task.name}: SetFit: {untuned}")
            if embedder.unstored:
                self._say(
                    f"{task.name}: {embedder.unstored} vectors under {name} were computed but not stored, because "
                    "another process is writing to the library"
                )
        return rows


def _combinations(embedders: Sequence[str], retrievers: Sequence[str]) -> Iterator[tuple[str | None, str]]:
    for name in dict.fromkeys(retrievers):
        for embedder in dict.fromkeys(embedders) if name != LEXICAL else (None,):
            yield embedder, name


def check_embedders(settings: Settings, names: Collection[str]) -> None:
    """Raises UsageError for a name that no table knows."""
    for name in names:
        if name not in settings.embedders:
            raise unknown_name("embedder", name, settings.embedders)
