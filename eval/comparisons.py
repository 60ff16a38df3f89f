"""Every row of a task against every other: paired differences, intervals, tests, and who is tied with the leader."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

from eval.metrics import RETRIEVAL_METRICS
from eval.runner import EvalRow
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


def compare(rows: Sequence[EvalRow], seed: int, metric: str = RETRIEVAL_METRICS[0]) -> TaskComparisons:
    """Compares all pairs of rows of one task; p values are corrected by Holm over all of them.

    Raises ValueError for no rows, or for rows of several tasks.
    """
    tasks = {row.task for row in rows}
    if len(tasks) != 1:
        raise ValueError(f"the rows of one task are compared at a time, not of {sorted(tasks)}")
    measured, refused = [], []
    for a, b in combinations(range(len(rows)), 2):
        reason = _why_not(rows[a], rows[b], metric)
        if reason:
            refused.append(NotComparable(a, b, reason))
        else:
            measured.append(_measure(a, b, rows, metric, seed))
    adjusted = holm([p for _, p in measured])
    compared = tuple(
        _judge(pair, p, p_holm) for (pair, p), p_holm in zip(measured, adjusted, strict=True)
    )
    means = {at: fmean(row.per_query[metric].values()) for at, row in enumerate(rows) if row.per_query.get(metric)}
    ranking = tuple(sorted(range(len(rows)), key=lambda at: (-means.get(at, -1.0), rows[at].label, rows[at].chunker)))
    return TaskComparisons(
        task=rows[0].task,
        metric=metric,
        rows=tuple(rows),
        compared=compared,
        not_comparable=tuple(refused),
        ranking=ranking,
        not_separable=_tied_with(ranking[0], ranking, compared),
    )
