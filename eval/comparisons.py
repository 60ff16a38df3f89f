"""Every row of a task against every other: paired differences, intervals, tests, and who is tied with the leader."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import fmean

from eval.measures import MAIN_METRICS
from eval.rows import EvalRow
from eval.statistics import holm, paired_interval, sign_flip_test

ALPHA = 0.05
MIN_PAIRS = 6
"""With five pairs that differ the smallest possible p is 2/32, so nothing can be said below six."""

A_BETTER, B_BETTER = "a is better", "b is better"
NOT_SEPARABLE, TOO_FEW = "not separable", "too few pairs to say"

_TIE = 1e-12  # scores of one query that differ by less are rounding


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two rows of a task on one metric, query by query; `difference` is a's mean minus b's.

    `a` and `b` are positions in the rows that were compared. `wins` counts the queries on which a scores higher.
    """

    a: int
    b: int
    n: int
    mean_a: float
    mean_b: float
    difference: float
    ci_low: float | None
    ci_high: float | None
    p: float
    p_holm: float
    wins: int
    ties: int
    losses: int
    verdict: str


@dataclass(frozen=True, slots=True)
class NotComparable:
    """Two rows that cannot be compared fairly, and why."""

    a: int
    b: int
    reason: str


@dataclass(frozen=True, slots=True)
class TaskComparisons:
    """All pairs of a task's rows on its main metric.

    `ranking` holds the positions of the rows, best mean first; `not_separable` those which are not shown to be worse
    than the leader.
    """

    task: str
    metric: str
    rows: tuple[EvalRow, ...]
    compared: tuple[Comparison, ...]
    not_comparable: tuple[NotComparable, ...]
    ranking: tuple[int, ...]
    not_separable: tuple[int, ...]

    def with_leader(self, position: int) -> Comparison | None:
        """Returns the comparison of a row with the leader, None for the leader and for a pair not comparable."""
        wanted = {position, self.ranking[0]}
        return next((pair for pair in self.compared if {pair.a, pair.b} == wanted), None)


def compare(
    rows: Sequence[EvalRow], seed: int, metric: str | None = None, gold: Mapping[str, float] | None = None
) -> TaskComparisons:
    """Compares all pairs of rows of one task; p values are corrected by Holm over all of them.

    The metric is the main one of the task's family unless it is named; `gold` are the labels of the items, for those
    metrics that need them. Raises ValueError for no rows, or for rows of several tasks.
    """
    tasks = {row.task for row in rows}
    if len(tasks) != 1:
        raise ValueError(f"the rows of one task are compared at a time, not of {sorted(tasks)}")
    metric = metric or MAIN_METRICS[rows[0].family]
    measured: list[Comparison] = []
    refused: list[NotComparable] = []
    for a, b in combinations(range(len(rows)), 2):
        reason = _why_not_comparable(rows[a], rows[b], metric)
        if reason:
            refused.append(NotComparable(a, b, reason))
        else:
            measured.append(_measure(a, b, rows, metric, seed))
    adjusted = holm([pair.p for pair in measured])
    compared = tuple(_judge(pair, p_holm) for pair, p_holm in zip(measured, adjusted, strict=True))
    ranking = _rank(rows, metric)
    return TaskComparisons(
        task=rows[0].task,
        metric=metric,
        rows=tuple(rows),
        compared=compared,
        not_comparable=tuple(refused),
        ranking=ranking,
        not_separable=_tied_with(ranking[0], ranking, compared),
    )


def _rank(rows: Sequence[EvalRow], metric: str) -> tuple[int, ...]:
    """Orders rows by their mean, equal ones by name; a row without the metric comes last."""

    def key(position: int) -> tuple[float, str, str]:
        row = rows[position]
        values = row.per_query.get(metric)
        return (-fmean(values.values()) if values else 1.0, row.label, row.chunker or "")

    return tuple(sorted(range(len(rows)), key=key))


def _why_not_comparable(a: EvalRow, b: EvalRow, metric: str) -> str | None:
    for row in (a, b):
        if not row.per_query.get(metric):
            return f"{row.label} was not scored by {metric}"
    only_a = len(a.per_query[metric].keys() - b.per_query[metric].keys())
    only_b = len(b.per_query[metric].keys() - a.per_query[metric].keys())
    if only_a or only_b:
        return f"different queries: {only_a} only in {a.label}, {only_b} only in {b.label}"
    if a.task_digest != b.task_digest:
        return "different judgements or query texts of the task"
    return None


def _measure(a: int, b: int, rows: Sequence[EvalRow], metric: str, seed: int) -> Comparison:
    of_a, of_b = rows[a].per_query[metric], rows[b].per_query[metric]
    queries = sorted(of_a)
    raw = [of_a[query] - of_b[query] for query in queries]
    differences = [difference if abs(difference) > _TIE else 0.0 for difference in raw]
    interval = paired_interval(differences, seed)
    wins, losses = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    p = sign_flip_test(differences, seed)
    return Comparison(
        a=a,
        b=b,
        n=len(queries),
        mean_a=fmean(of_a.values()),
        mean_b=fmean(of_b.values()),
        difference=interval.value,
        ci_low=interval.low,
        ci_high=interval.high,
        p=p,
        p_holm=p,
        wins=wins,
        ties=len(queries) - wins - losses,
        losses=losses,
        verdict=NOT_SEPARABLE,
    )


def _judge(pair: Comparison, p_holm: float) -> Comparison:
    """Fills in the corrected p value and the verdict that follows from it."""
    if pair.wins + pair.losses < MIN_PAIRS:
        verdict = TOO_FEW
    elif p_holm >= ALPHA:
        verdict = NOT_SEPARABLE
    else:
        verdict = A_BETTER if pair.difference > 0 else B_BETTER
    return replace(pair, p_holm=p_holm, verdict=verdict)


def _tied_with(leader: int, ranking: Sequence[int], compared: Sequence[Comparison]) -> tuple[int, ...]:
    """Returns the rows whose comparison with the leader shows neither to be better, best mean first."""
    undecided = {
        pair.a if pair.b == leader else pair.b
        for pair in compared
        if leader in (pair.a, pair.b) and pair.verdict in (NOT_SEPARABLE, TOO_FEW)
    }
    return tuple(position for position in ranking if position in undecided)
