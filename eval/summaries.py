"""What is shown of a row: metrics with intervals, the main one by kind of item, and where relevant documents rank."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from eval.context_metrics import ContextScore
from eval.diagnosis import Diagnosis, diagnose
from eval.item_values import gold_of
from eval.measures import MAIN_METRICS, MEAN, Measure, Numbers, measure_of
from eval.metrics import attainable
from eval.resampling import leave_one_out, resample
from eval.rows import EvalRow
from eval.spans import SPAN_METRICS
from eval.statistics import RESAMPLES, Interval, interval_of
from eval.tasks.retrieval import RetrievalTask
from eval.tasks.task import Task


@dataclass(frozen=True, slots=True)
class MetricSummary:
    """A metric's mean over the queries with its 95 % interval; None where no query has a value.

    `attainable` is the highest mean that any run can reach, for metrics of rankings; `n` and `failed` count the queries
    that were scored and those that were not, for metrics that can fail; `nan` are those of the failed that gave no
    number, and `spread` is the standard deviation of the mean from one judging to the next, for metrics with a judge.
    """

    value: float | None
    ci_low: float | None
    ci_high: float | None
    attainable: float | None = None
    n: int | None = None
    failed: int | None = None
    nan: int | None = None
    spread: float | None = None


@dataclass(frozen=True, slots=True)
class RowSummary:
    """The metrics of a row by name, the main one first, and the main metric by kind of item.

    `kinds` are its values alone, `by_kind` the same with intervals and counts; `by_source` splits the items by where
    their labels are from. `diagnosis` tells where the relevant documents rank; None where nothing is retrieved.
    """

    metrics: Mapping[str, MetricSummary]
    kinds: Mapping[str, float]
    by_kind: Mapping[str, MetricSummary] = field(default_factory=dict)
    by_source: Mapping[str, MetricSummary] = field(default_factory=dict)
    diagnosis: Diagnosis | None = None


def summarise(row: EvalRow, task: Task, seed: int) -> RowSummary:
    """Summarises one row; kinds stay empty for a task without them."""
    return summarise_all([row], task, seed)[0]


def summarise_all(rows: Sequence[EvalRow], task: Task, seed: int) -> tuple[RowSummary, ...]:
    """Summarises all rows of a task as `summarise` does each; figures of the same items share their samples."""
    intervals = _Intervals(seed)
    asked = [_ask(row, task, intervals) for row in rows]
    intervals.draw()
    highest = cache(lambda name: _attainable(task, name))
    return tuple(_summary(row, task, each, intervals, highest) for row, each in zip(rows, asked, strict=True))


class _Intervals:
    """Collects which intervals are wanted, then draws samples once for all that are over the same items."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._wanted: list[tuple[Measure, tuple[str, ...], Numbers, Numbers]] = []
        self._found: dict[int, Interval] = {}

    def ask(self, measure: Measure, values: Mapping[str, float], gold: Mapping[str, float], metric: str) -> int:
        """Asks for a measure's interval over the items of `values`; returns the number under which it is found."""
        items = tuple(sorted(values))
        numbers = np.array([values[item] for item in items], dtype=np.float64)
        self._wanted.append((measure, items, numbers, gold_of(items, measure, metric, gold)))
        return len(self._wanted) - 1

    def draw(self) -> None:
        """Finds all intervals that were asked for."""
        by_items: dict[tuple[str, ...], list[int]] = {}
        for number, (_, items, _, _) in enumerate(self._wanted):
            by_items.setdefault(items, []).append(number)
        for items, together in by_items.items():
            gold = next((self._wanted[at][3] for at in together if self._wanted[at][0].needs_gold), np.empty(0))
            measured = [(self._wanted[at][0], self._wanted[at][2]) for at in together]
            drawn = resample(measured, gold, self._seed, RESAMPLES) if len(items) > 1 else np.empty((len(together), 0))
            for at, (measure, values), samples in zip(together, measured, drawn, strict=True):
                value = measure.value(values, gold)
                self._found[at] = (
                    interval_of(measure, value, samples, leave_one_out(measure, values, gold), least=0.0)
                    if len(items) > 1
                    else Interval(value, None, None)
                )

    def found(self, number: int) -> Interval:
        """Returns an interval that was asked for."""
        return self._found[number]


@dataclass(frozen=True, slots=True)
class _Asked:
    """The numbers of a row's intervals."""

    items: Mapping[str, int]
    context: Mapping[str, int]
    kinds: Mapping[str, tuple[int, int]]
    sources: Mapping[str, tuple[int, int]]


def _ask(row: EvalRow, task: Task, intervals: _Intervals) -> _Asked:
    main = MAIN_METRICS[row.family]
    values = row.per_query.get(main, {})

    def by(names: Mapping[str, str]) -> dict[str, tuple[int, int]]:
        groups: dict[str, dict[str, float]] = {}
        for item, value in values.items():
            if name := names.get(item):
                groups.setdefault(name, {})[item] = value
        return {
            name: (intervals.ask(measure_of(main), groups[name], task.gold, main), len(groups[name]))
            for name in sorted(groups)
        }

    return _Asked(
        {
            name: intervals.ask(measure_of(name), scores, task.gold, name)
            for name, scores in row.per_query.items()
            if scores
        },
        {
            name: intervals.ask(
                MEAN, {item: value for item, value in score.per_query.items() if value is not None}, {}, name
            )
            for name, score in row.context.items()
            if score.n
        },
        by(task.kinds),
        by(task.sources if isinstance(task, RetrievalTask) else {}),
    )


def _summary(
    row: EvalRow, task: Task, asked: _Asked, intervals: _Intervals, highest: Callable[[str], float | None]
) -> RowSummary:
    metrics = {name: _of_items(intervals.found(at), highest(name)) for name, at in asked.items.items()}
    for name, score in row.context.items():
        metrics[name] = _of_context(score, intervals.found(asked.context[name]) if score.n else None)
    by_kind, by_source = (
        {name: _of_items(intervals.found(at), None, n) for name, (at, n) in groups.items()}
        for groups in (asked.kinds, asked.sources)
    )
    return RowSummary(
        metrics=metrics,
        kinds={name: metric.value for name, metric in by_kind.items() if metric.value is not None},
        by_kind=by_kind,
        by_source=by_source,
        diagnosis=diagnose(task.qrels, row.run) if isinstance(task, RetrievalTask) and row.run else None,
    )


def _attainable(task: Task, name: str) -> float | None:
    return attainable(task.qrels, name) if isinstance(task, RetrievalTask) and name not in SPAN_METRICS else None


def _of_items(interval: Interval, highest: float | None, n: int | None = None) -> MetricSummary:
    value = None if math.isnan(interval.value) else interval.value
    return MetricSummary(value, interval.low, interval.high, attainable=highest, n=n)


def _of_context(score: ContextScore, interval: Interval | None) -> MetricSummary:
    nan = score.nan if score.repeats else None
    if interval is None:
        return MetricSummary(None, None, None, n=0, failed=score.failed, nan=nan)
    return MetricSummary(
        interval.value, interval.low, interval.high, n=score.n, failed=score.failed, nan=nan, spread=score.spread
    )
