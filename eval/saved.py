"""A saved evaluation read back: the rows of `results.json` with their TREC runs, and the tasks from their evidence."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.context_metrics import ContextScore
from eval.evidence import read_evidence
from eval.rows import EvalRow
from eval.tasks.retrieval import RANKED
from eval.tasks.task import Task
from eval.trec_runs import RowKey, file_safe, read_run, run_names
from rag.errors import RagError
from rag.schema import Run

RESULTS, COMPARISONS, LEADERBOARD = "results.json", "comparisons.json", "leaderboard.csv"
RAGAS = "ragas."
_KEYS = ("task", "embedder", "retriever", "chunker")


@dataclass(frozen=True, slots=True)
class SavedTask:
    """A task of a saved evaluation with its rows; `task` is None where its evidence was not written."""

    name: str
    task: Task | None
    facts: Mapping[str, Any]
    rows: tuple[EvalRow, ...]
    written: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Saved:
    """A saved evaluation: its folder, its tasks in their order, and the documents as they were written."""

    folder: Path
    tasks: tuple[SavedTask, ...]
    results: Mapping[str, Any]

    @property
    def seed(self) -> int:
        """The seed of its intervals and tests."""
        return int(self.results["provenance"]["protocol"]["seed"])

    @property
    def provenance(self) -> dict[str, Any]:
        """What the evaluation as a whole said of itself, without what is made of its rows and tasks."""
        own = {"tasks", "indexes", "protocol", "software"}
        return {key: value for key, value in self.results["provenance"].items() if key not in own}


def load_saved(folder: Path, with_runs: bool = True) -> Saved:
    """Reads what `rag eval --out` wrote; raises RagError for a folder that does not hold that.

    Without runs the rows' rankings are empty. A task's evidence may be missing, but not be unreadable.
    """
    path = folder / RESULTS
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        runs = _runs(folder, document["rows"]) if with_runs else {}
        pairs = zip(document["rows"], document["provenance"]["indexes"], strict=True)
        rows = [_row(written, facts, document, runs.get(key_of_row(written), {})) for written, facts in pairs]
        tasks = tuple(
            SavedTask(
                name=name,
                task=_read_task(folder, name),
                facts=facts,
                rows=tuple(row for row in rows if row.task == name),
                written=tuple(written for written in document["rows"] if written["task"] == name),
            )
            for name, facts in document["provenance"]["tasks"].items()
        )
    except FileNotFoundError as error:
        raise RagError(f"{error.filename} does not exist. Name a folder that rag eval --out has written.") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RagError(f"{path} cannot be read as the results of an evaluation: {error!r}.") from error
    return Saved(folder, tasks, document)


def key_of_row(written: Mapping[str, Any]) -> RowKey:
    """Returns the key of a row as results.json holds it."""
    return RowKey(written["task"], written["embedder"], written["retriever"], written["chunker"])


def evidence_folder(folder: Path, task: str) -> Path:
    """Returns where the evidence of a task is in an evaluation's folder."""
    return folder / "tasks" / file_safe(task)


def _runs(folder: Path, written: Sequence[Mapping[str, Any]]) -> dict[RowKey, Run]:
    keys = [key_of_row(row) for row in written if row["family"] in RANKED]
    return {key: read_run(folder / "runs" / name) for key, name in zip(keys, run_names(keys), strict=True)}


def _read_task(folder: Path, name: str) -> Task | None:
    path = evidence_folder(folder, name)
    return read_evidence(path) if path.is_dir() else None


def _row(written: Mapping[str, Any], facts: Mapping[str, Any], document: Mapping[str, Any], run: Run) -> EvalRow:
    values, judged = written["per_query"], written.get("judgements", {})
    return EvalRow(
        task=written["task"],
        family=written["family"],
        embedder=written["embedder"],
        retriever=written["retriever"],
        chunker=written["chunker"],
        run=run,
        per_query={name: of for name, of in values.items() if not name.startswith(RAGAS)},
        cost=written["cost"],
        task_digest=document["provenance"]["tasks"][written["task"]]["digest"],
        provenance={key: value for key, value in facts.items() if key not in _KEYS},
        context={
            name: ContextScore(
                of, judged.get(name, {}).get("reasons", {}), tuple(judged.get(name, {}).get("repeats", ()))
            )
            for name, of in values.items()
            if name.startswith(RAGAS)
        },
    )
