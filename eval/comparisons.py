"""Every row of a task against every other: paired differences, intervals, tests, and who is tied with whom."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import NamedTuple

import numpy as np

from eval.comparability import why_not_comparable
from eval.item_values import gold_of, value_of, values_of
from eval.measures import MAIN_METRICS, Mean, Measure, Numbers, measure_of
from eval.power import ALPHA, effect_size, items_needed, min_detectable
from eval.resampling import leave_one_out, resample
from eval.rows import EvalRow
from eval.statistics import (
    RESAMPLES,
    Interval,
    holm,
    interval_of,
    inverted_bootstrap_test,
    jackknife_error,
    sign_flip_tests,
)
from eval.tie_groups import letters, tie_groups

MIN_PAIRS = 6
"""With five pairs that differ the smallest possible p is 2/32, so nothing can be said below six."""

FEW_PAIRS = 10
"""Below so many pairs that differ a verdict hangs on single items, and intervals are too narrow."""

A_BETTER, B_BETTER = "a is better", "b is better"
NOT_SEPARABLE, TOO_FEW = "not separable", "too few pairs to say"

_TIE = 1e-12  # scores of one item that differ by less are rounding


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two rows of a task on one metric, item by item; `difference` is a's value minus b's (`mean_a`, `mean_b`).

    `a` and `b` are positions in the rows that were compared. `wins` counts the items that speak for a: those with the
    higher score, or, for a metric of all items together, those that add to its lead. `effect` is the difference in
    standard deviations of the items' differences (d_z); None where no item differs. `min_detectable` is the difference
    that as many items show at 5 % with power 0.8; `needed` the items like these with which this very difference would
    be shown in this table, None where it is shown already, is 0, or would take more than ten million. `warning` tells
    what to be careful about.
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
    effect: float | None = None
    min_detectable: float | None = None
    needed: int | None = None
    warning: str | None = None


@dataclass(frozen=True, slots=True)
class NotComparable:
    """Two rows that cannot be compared fairly, and why."""

    a: int
    b: int
    reason: str


@dataclass(frozen=True, slots=True)
class TaskComparisons:
    """All pairs of a task's rows on its main metric.

    `ranking` holds the positions of the rows, best value first; `not_separable` those which are not shown to be worse
    than the leader. `groups` gives each row, in the order of the rows, its letters: two rows that share one are not
    separable; "" for a row that cannot be compared with the leader.
    """

    task: str
    metric: str
    rows: tuple[EvalRow, ...]
    compared: tuple[Comparison, ...]
    not_comparable: tuple[NotComparable, ...]
    ranking: tuple[int, ...]
    not_separable: tuple[int, ...]
    groups: tuple[str, ...] = ()

    def with_leader(self, position: int) -> Comparison | None:
        """Returns the comparison of a row with the leader, None for the leader and for a pair not comparable."""
        wanted = {position, self.ranking[0]}
        return next((pair for pair in self.compared if {pair.a, pair.b} == wanted), None)


def compare(
    rows: Sequence[EvalRow], seed: int, metric: str | None = None, gold: Mapping[str, float] | None = None
) -> TaskComparisons:
    """Compares all pairs of rows of one task; p values are corrected by Holm over all of them.

    The metric is the main one of the task's family unless it is named; `gold` are the labels of the items, for those
    metrics that need them. Raises ValueError for no rows, for rows of several tasks, and for items without a label.
    """
    tasks = {row.task for row in rows}
    if len(tasks) != 1:
        raise ValueError(f"the rows of one task are compared at a time, not of {sorted(tasks)}")
    metric = metric or MAIN_METRICS[rows[0].family]
    values = [value_of(row, metric, gold) for row in rows]
    pairs: list[tuple[int, int]] = []
    refused: list[NotComparable] = []
    for a, b in combinations(range(len(rows)), 2):
        reason = why_not_comparable(rows[a], rows[b], metric) or _why_undefined(rows, values, metric, a, b)
        if reason:
            refused.append(NotComparable(a, b, reason))
        else:
            pairs.append((a, b))
    measured = _measure_pairs(pairs, rows, values, metric, seed, gold)
    adjusted = holm([pair.p for pair in measured])
    compared = tuple(_judge(pair, p_holm, len(measured)) for pair, p_holm in zip(measured, adjusted, strict=True))
    ranking = _rank(rows, values)
    return TaskComparisons(
        task=rows[0].task,
        metric=metric,
        rows=tuple(rows),
        compared=compared,
        not_comparable=tuple(refused),
        ranking=ranking,
        not_separable=_tied_with(ranking[0], ranking, compared),
        groups=_letters(ranking, compared),
    )


class _Drawn(NamedTuple):
    """What one row's items are, and what their measure is in samples and with items left out."""

    values: Numbers
    samples: Numbers
    left_out: Numbers


def _measure_pairs(
    pairs: Sequence[tuple[int, int]],
    rows: Sequence[EvalRow],
    values: Sequence[float],
    metric: str,
    seed: int,
    gold: Mapping[str, float] | None,
) -> list[Comparison]:
    """Measures all pairs; those over the same items share their samples and sign patterns."""
    measured: dict[tuple[int, int], Comparison] = {}
    measure = measure_of(metric)
    by_items: dict[tuple[str, ...], list[tuple[int, int]]] = {}
    for pair in pairs:
        by_items.setdefault(tuple(sorted(rows[pair[0]].per_query[metric])), []).append(pair)
    for items, together in by_items.items():
        labels = gold_of(items, measure, metric, gold)
        drawn = _draw(sorted({at for pair in together for at in pair}), rows, metric, items, labels, seed)
        shares = [_without_rounding(measure.shares(drawn[a].values, drawn[b].values, labels)) for a, b in together]
        tested = sign_flip_tests(shares, seed) if measure.can_swap else [None] * len(together)
        for (a, b), share, p in zip(together, shares, tested, strict=True):
            measured[a, b] = _measure(a, b, values, measure, drawn, share, p)
    return [measured[pair] for pair in pairs]


def _draw(
    positions: Sequence[int],
    rows: Sequence[EvalRow],
    metric: str,
    items: Sequence[str],
    labels: Numbers,
    seed: int,
) -> dict[int, _Drawn]:
    measure = measure_of(metric)
    columns = [values_of(rows[at], metric, items) for at in positions]
    samples = resample([(measure, column) for column in columns], labels, seed, RESAMPLES)
    drawn = {}
    for at, column, sample in zip(positions, columns, samples, strict=True):
        drawn[at] = _Drawn(column, sample, leave_one_out(measure, column, labels) if len(items) > 1 else column)
    return drawn


def _without_rounding(differences: Numbers) -> Numbers:
    return np.where(np.abs(differences) > _TIE, differences, 0.0)


def _measure(
    a: int,
    b: int,
    values: Sequence[float],
    measure: Measure,
    drawn: Mapping[int, _Drawn],
    shares: Numbers,
    p: float | None,
) -> Comparison:
    difference = values[a] - values[b]
    difference = difference if abs(difference) > _TIE else 0.0
    samples = drawn[a].samples - drawn[b].samples
    samples[np.abs(samples) <= _TIE] = 0.0  # NaN, of an undefined sample, stays
    left_out = drawn[a].left_out - drawn[b].left_out
    n = drawn[a].values.size
    interval = interval_of(measure, difference, samples, left_out) if n > 1 else Interval(difference, None, None)
    wins, losses = int(np.count_nonzero(shares > 0)), int(np.count_nonzero(shares < 0))
    if p is None:
        p = inverted_bootstrap_test(difference, samples, left_out) if wins + losses else 1.0
    deviation = _deviation(measure, shares, samples, left_out, n)
    return Comparison(
        a=a,
        b=b,
        n=n,
        mean_a=values[a],
        mean_b=values[b],
        difference=difference,
        ci_low=interval.low,
        ci_high=interval.high,
        p=p,
        p_holm=p,
        wins=wins,
        ties=n - wins - losses,
        losses=losses,
        verdict=NOT_SEPARABLE,
        effect=effect_size(difference, deviation),
        min_detectable=min_detectable(n, deviation),
        needed=None,
        warning=None,
    )


def _deviation(measure: Measure, shares: Numbers, samples: Numbers, left_out: Numbers, items: int) -> float:
    """Returns the standard deviation of the items' differences: the difference's standard error times root n."""
    if items < 2 or not shares.any():
        return 0.0
    if isinstance(measure, Mean):
        return float(shares.std(ddof=1))
    error = jackknife_error(left_out) if measure.rises_in_samples else float(np.nanstd(samples))
    return error * math.sqrt(items)


def _judge(pair: Comparison, p_holm: float, pairs: int) -> Comparison:
    """Fills in the corrected p value, and the verdict and the advice that follow from it."""
    differing = pair.wins + pair.losses
    if differing < MIN_PAIRS:
        verdict = TOO_FEW
    elif p_holm >= ALPHA:
        verdict = NOT_SEPARABLE
    else:
        verdict = A_BETTER if pair.difference > 0 else B_BETTER
    needed = None
    if verdict in (NOT_SEPARABLE, TOO_FEW) and pair.effect:
        least = items_needed(pair.effect, 1.0, ALPHA / pairs)
        needed = None if least is None else max(least, pair.n + 1)
    warning = f"only {differing} items differ: read it with care" if MIN_PAIRS <= differing < FEW_PAIRS else None
    return replace(pair, p_holm=p_holm, verdict=verdict, needed=needed, warning=warning)


def _rank(rows: Sequence[EvalRow], values: Sequence[float]) -> tuple[int, ...]:
    """Orders rows by their value, equal ones by name; a row without one comes last."""

    def key(position: int) -> tuple[float, str, str]:
        value, row = values[position], rows[position]
        return (math.inf if math.isnan(value) else -value, row.label, row.chunker or "")

    return tuple(sorted(range(len(rows)), key=key))


def _why_undefined(rows: Sequence[EvalRow], values: Sequence[float], metric: str, a: int, b: int) -> str | None:
    at = next((at for at in (a, b) if math.isnan(values[at])), None)
    return None if at is None else f"{metric} of {rows[at].label} is undefined: it gives every item the same value"


def _tied_with(leader: int, ranking: Sequence[int], compared: Sequence[Comparison]) -> tuple[int, ...]:
    """Returns the rows whose comparison with the leader shows neither to be better, best value first."""
    undecided = {
        pair.a if pair.b == leader else pair.b
        for pair in compared
        if leader in (pair.a, pair.b) and pair.verdict in (NOT_SEPARABLE, TOO_FEW)
    }
    return tuple(position for position in ranking if position in undecided)


def _letters(ranking: Sequence[int], compared: Sequence[Comparison]) -> tuple[str, ...]:
    leader = ranking[0]
    told = {leader} | {at for pair in compared for at in (pair.a, pair.b) if leader in (pair.a, pair.b)}
    separable = [
        (pair.a, pair.b) for pair in compared if {pair.a, pair.b} <= told and pair.verdict in (A_BETTER, B_BETTER)
    ]
    return letters(len(ranking), tie_groups([at for at in ranking if at in told], separable))
