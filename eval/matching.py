"""Two evaluations against each other: the rows of both, paired item by item, and why others cannot be compared."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from eval.comparisons import A_BETTER, B_BETTER, NOT_SEPARABLE, TOO_FEW, Comparison, compare
from eval.measures import MAIN_METRICS, measure_of
from eval.power import ALPHA
from eval.results import Results
from eval.rows import EvalRow
from eval.saved import Saved
from eval.statistics import holm
from eval.tasks.task import Task
from eval.trec_runs import RowKey

EQUAL = "equal"
"""The verdict on rows that differ on no item."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of two evaluations: what it is called in a sentence, its rows, and its tasks where they are known."""

    name: str
    rows: Mapping[RowKey, EvalRow]
    tasks: Mapping[str, Task]

    @classmethod
    def saved(cls, name: str, saved: Saved) -> "Side":
        """Makes a side of a saved evaluation."""
        rows = {RowKey.of(row): row for each in saved.tasks for row in each.rows}
        return cls(name, rows, {each.name: each.task for each in saved.tasks if each.task})

    @classmethod
    def results(cls, name: str, results: Results) -> "Side":
        """Makes a side of results that were just made."""
        rows = {RowKey.of(row): row for row in results.rows}
        return cls(name, rows, {each.task.name: each.task for each in results.tasks})


@dataclass(frozen=True, slots=True)
class Match:
    """A row that both sides have, compared on a metric; in `pair` a is the first side, b the second."""

    key: RowKey
    metric: str
    pair: Comparison
    verdict: str

    @property
    def gain(self) -> float:
        """By how much the second side is better; below 0 where it is worse."""
        return 0.0 - self.pair.difference

    @property
    def interval(self) -> tuple[float | None, float | None]:
        """The 95 % interval of the gain, None where it has none."""
        low, high = self.pair.ci_low, self.pair.ci_high
        return None if high is None else 0.0 - high, None if low is None else 0.0 - low


@dataclass(frozen=True, slots=True)
class Matching:
    """All rows of two evaluations: those that were compared, those that could not be, those of one side only."""

    matches: tuple[Match, ...]
    refused: tuple[tuple[RowKey, str], ...]
    only_a: tuple[RowKey, ...]
    only_b: tuple[RowKey, ...]


def match(a: Side, b: Side, seed: int, metric: str | None = None) -> Matching:
    """Compares the rows that both sides have; p values are corrected by Holm over all of them.

    The metric is the main one of each task's family unless it is named.
    """
    refused: list[tuple[RowKey, str]] = []
    pairs: list[tuple[RowKey, str, Comparison]] = []
    for key in a.rows:
        if key not in b.rows:
            continue
        name = metric or MAIN_METRICS[a.rows[key].family]
        found = _compare(a, b, key, name, seed)
        if isinstance(found, str):
            refused.append((key, found))
        else:
            pairs.append((key, name, found))
    adjusted = holm([pair.p for _, _, pair in pairs])
    matches = [
        Match(key, name, replace(pair, p_holm=p_holm), _verdict(pair, p_holm))
        for (key, name, pair), p_holm in zip(pairs, adjusted, strict=True)
    ]
    return Matching(
        tuple(matches),
        tuple(refused),
        tuple(key for key in a.rows if key not in b.rows),
        tuple(key for key in b.rows if key not in a.rows),
    )


def matching_document(matching: Matching) -> dict[str, Any]:
    """Returns what `rag eval compare --json` prints; differences are b minus a."""
    return {
        "compared": [
            {
                **each.key._asdict(),
                "metric": each.metric,
                "n": each.pair.n,
                "a": each.pair.mean_a,
                "b": each.pair.mean_b,
                "difference": each.gain,
                "ci_low": each.interval[0],
                "ci_high": each.interval[1],
                "p": each.pair.p,
                "p_holm": each.pair.p_holm,
                "verdict": each.verdict,
            }
            for each in matching.matches
        ],
        "not_comparable": [{**key._asdict(), "reason": reason} for key, reason in matching.refused],
        "only_a": [key._asdict() for key in matching.only_a],
        "only_b": [key._asdict() for key in matching.only_b],
    }


def _compare(a: Side, b: Side, key: RowKey, metric: str, seed: int) -> Comparison | str:
    """Returns the comparison of a row with itself on the other side, or why there is none."""
    tasks = [side.tasks[key.task] for side in (a, b) if key.task in side.tasks]
    gold = tasks[0].gold if tasks else {}
    if len({task.split for task in tasks}) > 1:
        return f"different splits: {tasks[0].split} in {a.name}, {tasks[1].split} in {b.name}"
    rows = [_called(side.name, side.rows[key]) for side in (a, b)]
    if measure_of(metric).needs_gold and not gold:
        return f"{metric} needs the labels, which were saved with neither"
    compared = compare(rows, seed, metric, gold)
    return compared.compared[0] if compared.compared else compared.not_comparable[0].reason


def _called(side: str, row: EvalRow) -> EvalRow:
    """Names a row by its side, so that a reason tells which of the two it speaks of."""
    return replace(row, embedder=f"{row.embedder or ''} ({side})".strip())


def _verdict(pair: Comparison, p_holm: float) -> str:
    if pair.wins + pair.losses == 0:
        return EQUAL
    if pair.verdict == TOO_FEW:
        return TOO_FEW
    if p_holm >= ALPHA:
        return NOT_SEPARABLE
    return A_BETTER if pair.difference > 0 else B_BETTER
