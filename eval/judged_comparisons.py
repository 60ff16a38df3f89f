"""Rows compared by what a judge said of them: only queries that were judged under both count, and how many is said."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from statistics import fmean
from typing import Any

from eval.comparisons import A_BETTER, B_BETTER, MIN_PAIRS, NOT_SEPARABLE, TOO_FEW
from eval.judged_metrics import JUDGED_METRICS
from eval.power import ALPHA
from eval.rows import EvalRow
from eval.statistics import holm, paired_interval, sign_flip_test


@dataclass(frozen=True, slots=True)
class JudgedComparison:
    """Two rows of a task by one judged metric; `a` and `b` are positions in the rows, `difference` is a's minus b's.

    `n` queries were judged under both. `only_a` and `only_b` were judged under one of them and are left out; where they
    are many, the others may not stand for them. All numbers are None where no query was judged under both.
    """

    metric: str
    a: int
    b: int
    n: int
    only_a: int
    only_b: int
    difference: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    p: float | None = None
    p_holm: float | None = None
    verdict: str = TOO_FEW


def compare_judged(rows: Sequence[EvalRow], seed: int) -> tuple[JudgedComparison, ...]:
    """Compares all pairs of a task's rows by each judged metric; p values are corrected by Holm within a metric."""
    compared: list[JudgedComparison] = []
    for metric in JUDGED_METRICS:
        values = [judged_values(row, metric) for row in rows]
        pairs = [
            _compare(metric, a, b, values[a], values[b], seed)
            for a, b in combinations([at for at, row in enumerate(rows) if metric in row.context], 2)
        ]
        adjusted = iter(holm([pair.p for pair in pairs if pair.p is not None]))
        compared += [pair if pair.p is None else _verdict(pair, next(adjusted), values) for pair in pairs]
    return tuple(compared)


def judged_lines(rows: Sequence[EvalRow], seed: int) -> list[str]:
    """Returns in words which rows of a task a judge tells apart, metric by metric."""
    found = compare_judged(rows, seed)
    lines = []
    for metric in dict.fromkeys(pair.metric for pair in found):
        pairs = [pair for pair in found if pair.metric == metric]
        name = metric.removeprefix("ragas.")
        lines += [f"{name}: {_in_words(pair, rows)}" for pair in pairs if pair.verdict in (A_BETTER, B_BETTER)]
        if all(pair.verdict not in (A_BETTER, B_BETTER) for pair in pairs):
            fewest, most = min(pair.n for pair in pairs), max(pair.n for pair in pairs)
            judged = f"{fewest}" if fewest == most else f"{fewest} to {most}"
            lines.append(f"{name}: no two rows are separable ({judged} queries judged under both)")
    return lines


def _in_words(pair: JudgedComparison, rows: Sequence[EvalRow]) -> str:
    sign = 1 if pair.verdict == A_BETTER else -1
    above, below = (rows[at].label for at in (pair.a, pair.b)[::sign])
    difference, low, high = (sign * (bound or 0.0) for bound in (pair.difference, pair.ci_low, pair.ci_high))
    only = f", {pair.only_a + pair.only_b} under one only" if pair.only_a + pair.only_b else ""
    return (
        f"{above} is above {below} by {difference:.3f} [{min(low, high):.3f}, {max(low, high):.3f}] "
        f"(p = {pair.p_holm:.2g}, Holm; {pair.n} queries judged under both{only})"
    )


def judged_document(rows: Sequence[EvalRow], seed: int) -> list[dict[str, Any]]:
    """Returns the comparisons as comparisons.json holds them."""
    keys = [{"embedder": row.embedder, "retriever": row.retriever, "chunker": row.chunker} for row in rows]
    return [asdict(pair) | {"a": keys[pair.a], "b": keys[pair.b]} for pair in compare_judged(rows, seed)]


def judgements_document(row: EvalRow) -> dict[str, Any]:
    """Returns what results.json tells of a row's judged metrics besides their values: each judging, and what failed."""
    return {
        metric: {
            "reasons": dict(sorted(score.reasons.items())),
            "repeats": [dict(sorted(times.items())) for times in score.repeats],
        }
        for metric, score in row.context.items()
        if score.repeats
    }


def judged_values(row: EvalRow, metric: str) -> dict[str, float]:
    """Returns the values of the queries that were judged."""
    score = row.context.get(metric)
    return {query: value for query, value in score.per_query.items() if value is not None} if score else {}


def _compare(
    metric: str, a: int, b: int, of_a: Mapping[str, float], of_b: Mapping[str, float], seed: int
) -> JudgedComparison:
    both = sorted(of_a.keys() & of_b.keys())
    pair = JudgedComparison(metric, a, b, len(both), len(of_a) - len(both), len(of_b) - len(both))
    if not both:
        return pair
    differences = [of_a[query] - of_b[query] for query in both]
    interval = paired_interval(differences, seed)
    return replace(
        pair,
        difference=fmean(differences),
        ci_low=interval.low,
        ci_high=interval.high,
        p=sign_flip_test(differences, seed),
    )


def _verdict(pair: JudgedComparison, p_holm: float, values: Sequence[Mapping[str, float]]) -> JudgedComparison:
    of_a, of_b = values[pair.a], values[pair.b]
    differ = sum(of_a[query] != of_b[query] for query in of_a.keys() & of_b.keys())
    if differ < MIN_PAIRS:
        verdict = TOO_FEW
    elif p_holm >= ALPHA:
        verdict = NOT_SEPARABLE
    else:
        verdict = A_BETTER if (pair.difference or 0.0) > 0 else B_BETTER
    return replace(pair, p_holm=p_holm, verdict=verdict)
