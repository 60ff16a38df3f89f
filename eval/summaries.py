"""What is shown of a row: each metric's mean with its interval, and the main metric by kind of query."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

from eval.context_metrics import ContextScore
from eval.measures import MAIN_METRICS
from eval.metrics import attainable
from eval.rows import EvalRow
from eval.statistics import mean_interval
from eval.tasks.retrieval import RetrievalTask
from eval.tasks.task import Task


@dataclass(frozen=True, slots=True)
class MetricSummary:
    """A metric's mean over the queries with its 95 % interval; None where no query has a value.

    `attainable` is the highest mean that any run can reach, for metrics of rankings; `n` and `failed` count the queries
    that were scored and those that were not, for metrics that can fail.
    """

    value: float | None
    ci_low: float | None
    ci_high: float | None
    attainable: float | None = None
    n: int | None = None
    failed: int | None = None


@dataclass(frozen=True, slots=True)
class RowSummary:
    """The metrics of a row by name, the main one first, and the main metric's mean by kind of query."""

    metrics: Mapping[str, MetricSummary]
    kinds: Mapping[str, float]


def summarise(row: EvalRow, task: Task, seed: int) -> RowSummary:
    """Summarises one row; kinds stay empty for a task without them."""
    metrics = {name: _of_items(name, values, task, seed) for name, values in row.per_query.items()}
    metrics |= {name: _of_context(score, seed) for name, score in row.context.items()}
    main = row.per_query.get(MAIN_METRICS[row.family], {})
    kinds: dict[str, list[float]] = {}
    for query_id, value in main.items():
        if kind := task.kinds.get(query_id):
            kinds.setdefault(kind, []).append(value)
    return RowSummary(metrics, {kind: fmean(kinds[kind]) for kind in sorted(kinds)})


def _of_items(name: str, values: Mapping[str, float], task: Task, seed: int) -> MetricSummary:
    interval = mean_interval([values[item] for item in sorted(values)], seed)
    highest = attainable(task.qrels, name) if isinstance(task, RetrievalTask) else None
    return MetricSummary(interval.value, interval.low, interval.high, attainable=highest)


def _of_context(score: ContextScore, seed: int) -> MetricSummary:
    if not score.n:
        return MetricSummary(None, None, None, n=0, failed=score.failed)
    interval = mean_interval(score.scored, seed)
    return MetricSummary(interval.value, interval.low, interval.high, n=score.n, failed=score.failed)
