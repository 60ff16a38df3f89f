"""The results of an evaluation as a whole: its tasks, their rows compared, each row summarised."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eval.comparisons import TaskComparisons, compare
from eval.reversals import RankChanges, rank_changes
from eval.rows import EvalRow
from eval.summaries import RowSummary, summarise_all
from eval.tasks.task import Task


@dataclass(frozen=True, slots=True)
class TaskResults:
    """One task with its rows compared; `summaries` belong to the rows of `compared`, in their order."""

    task: Task
    compared: TaskComparisons
    summaries: tuple[RowSummary, ...]

    @property
    def rows(self) -> tuple[EvalRow, ...]:
        """The rows of the task."""
        return self.compared.rows


@dataclass(frozen=True, slots=True)
class Results:
    """All that an evaluation found; equal rows and seeds give equal results.

    `reversals` tells how the order changes from task to task; None where no two tasks share two contestants.
    """

    tasks: tuple[TaskResults, ...]
    seed: int
    provenance: Mapping[str, Any] = field(default_factory=dict)
    reversals: RankChanges | None = None

    @property
    def rows(self) -> tuple[EvalRow, ...]:
        """The rows of all tasks, one task after the other."""
        return tuple(row for results in self.tasks for row in results.rows)


def conclude(
    evaluated: Sequence[tuple[Task, Sequence[EvalRow]]], seed: int, provenance: Mapping[str, Any] | None = None
) -> Results:
    """Compares and summarises the rows of each task. Raises ValueError for a task without rows."""
    tasks = tuple(
        TaskResults(task, compare(rows, seed, gold=task.gold), summarise_all(rows, task, seed))
        for task, rows in evaluated
    )
    changes = rank_changes([(each.task, each.compared) for each in tasks], seed)
    return Results(tasks, seed, provenance or {}, changes)
