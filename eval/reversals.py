"""How the order of embedders changes from task to task: their ranks, how far two tasks agree, and proven reversals.

A reversal is proven where one embedder is significantly better on one task and the other on another one, at a level
that is corrected over all pairs on all tasks. Without any, the tasks may still order embedders differently by chance.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np

from eval.comparisons import MIN_PAIRS, TaskComparisons
from eval.item_values import gold_of, value_of
from eval.measures import Numbers, measure_of
from eval.power import ALPHA
from eval.resampling import resample
from eval.statistics import CONFIDENCE, holm
from eval.tasks.task import Task

LEXICAL = "lexical"
RESAMPLES = 2_000

_TIE = 1e-12


@dataclass(frozen=True, slots=True)
class Ranks:
    """The contestants' values and ranks on one task, or in one family by their mean rank over its tasks.

    `name` is the task's, with its family where two tasks share a folder; `metric` is None for a family. Rank 1 is the
    best; equal values share their mean rank.
    """

    name: str
    family: str
    metric: str | None
    values: Mapping[str, float | None]
    ranks: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Kendall's tau-b between the orders of the same n contestants on a and on b: 1 equal, -1 opposite.

    The interval is the 2.5 % to 97.5 % range of tau over samples of both tasks' items, ranked anew in each; the items
    of two tasks are drawn independently. None where all contestants are equal on one side.
    """

    a: str
    b: str
    n: int
    tau: float | None
    ci_low: float | None
    ci_high: float | None


@dataclass(frozen=True, slots=True)
class Reversal:
    """Contestant a is better than b on `task_a`, and b better than a on `task_b`; both beyond chance."""

    a: str
    b: str
    task_a: str
    difference_a: float
    p_holm_a: float
    task_b: str
    difference_b: float
    p_holm_b: float


@dataclass(frozen=True, slots=True)
class RankChanges:
    """Ranks by task and by family, how far they agree, and the reversals; `tested` p values were corrected together.

    A contestant is an embedder, alone or by dense retrieval, or words alone (`lexical`). `families` are told where one
    holds several tasks.
    """

    contestants: tuple[str, ...]
    tasks: tuple[Ranks, ...]
    families: tuple[Ranks, ...]
    agreements: tuple[Agreement, ...]
    family_agreements: tuple[Agreement, ...]
    reversals: tuple[Reversal, ...]
    tested: int


class _Entered(NamedTuple):
    """A task with the rows of its contestants, by name."""

    name: str
    task: Task
    compared: TaskComparisons
    positions: Mapping[str, int]


def rank_changes(tasks: Sequence[tuple[Task, TaskComparisons]], seed: int) -> RankChanges | None:
    """Compares the orders of the contestants over several tasks; None where no two tasks share two contestants."""
    names = _names([task for task, _ in tasks])
    entered = [
        _Entered(name, task, compared, contestants(compared))
        for name, (task, compared) in zip(names, tasks, strict=True)
    ]
    shared = [a.positions.keys() & b.positions.keys() for a, b in combinations(entered, 2)]
    if not any(len(common) >= 2 for common in shared):
        return None
    ranks = tuple(_ranks_of(each) for each in entered)
    samples = {each.name: _samples(each, [seed, number]) for number, each in enumerate(entered)}
    families = _families(ranks)
    by_family = {family.name: _family_samples(family, ranks, samples) for family in families}
    several = families if any(count > 1 for count in Counter(each.family for each in ranks).values()) else ()
    reversals, tested = _reversals(entered)
    return RankChanges(
        contestants=tuple(dict.fromkeys(name for each in entered for name in each.positions)),
        tasks=ranks,
        families=several,
        agreements=tuple(_agreement(a, b, samples) for a, b in combinations(ranks, 2)),
        family_agreements=tuple(_agreement(a, b, by_family) for a, b in combinations(several, 2)),
        reversals=reversals,
        tested=tested,
    )


def contestants(compared: TaskComparisons) -> dict[str, int]:
    """Returns the row that stands for each contestant: like is compared with like, by one chunker.

    Of several chunkers the one under which most contestants were scored is taken, of equal ones the first. Nonsense
    controls are none: they would come last on every task, which makes tasks look more alike than they are.
    """
    by_chunker: dict[str | None, dict[str, int]] = {}
    for at, row in enumerate(compared.rows):
        name = LEXICAL if row.embedder is None else row.embedder if row.retriever in (None, "dense") else None
        if name and row.per_query.get(compared.metric) and not row.provenance.get("control"):
            by_chunker.setdefault(row.chunker, {}).setdefault(name, at)
    return max(by_chunker.values(), key=len, default={})


def _names(tasks: Sequence[Task]) -> list[str]:
    counts = Counter(task.name for task in tasks)
    return [f"{task.name} ({task.family})" if counts[task.name] > 1 else task.name for task in tasks]


def _ranks_of(entered: _Entered) -> Ranks:
    metric, gold = entered.compared.metric, entered.task.gold
    values = {name: value_of(entered.compared.rows[at], metric, gold) for name, at in entered.positions.items()}
    ranks = _rank(np.array(list(values.values()))[:, np.newaxis])[:, 0].tolist() if values else []
    return Ranks(
        name=entered.name,
        family=entered.task.family,
        metric=metric,
        values={name: None if np.isnan(value) else value for name, value in values.items()},
        ranks=dict(zip(values, ranks, strict=True)),
    )


def _samples(entered: _Entered, seed: Sequence[int]) -> dict[str, Numbers]:
    """Returns the value (b,) of each contestant in samples of the task's items, the same samples for all."""
    metric = entered.compared.metric
    measure = measure_of(metric)
    by_items: dict[tuple[str, ...], list[str]] = {}
    for name, at in entered.positions.items():
        by_items.setdefault(tuple(sorted(entered.compared.rows[at].per_query[metric])), []).append(name)
    found: dict[str, Numbers] = {}
    for items, names in by_items.items():
        rows = [entered.compared.rows[entered.positions[name]].per_query[metric] for name in names]
        gold = gold_of(items, measure, metric, entered.task.gold)
        columns = [(measure, np.array([row[item] for item in items], dtype=np.float64)) for row in rows]
        found |= dict(zip(names, resample(columns, gold, seed, RESAMPLES), strict=True))
    return found


def _families(ranks: Sequence[Ranks]) -> tuple[Ranks, ...]:
    """Returns the families' ranks of the contestants that all tasks of the family have."""
    families = []
    for family in dict.fromkeys(each.family for each in ranks):
        together = [each for each in ranks if each.family == family]
        common = [name for name in together[0].ranks if all(name in each.ranks for each in together)]
        means = {name: _mean_rank(together, name, common) for name in common}
        order = _rank(-np.array(list(means.values()))[:, np.newaxis])[:, 0].tolist() if means else []
        families.append(Ranks(family, family, None, means, dict(zip(common, order, strict=True))))
    return tuple(families)


def _mean_rank(together: Sequence[Ranks], name: str, common: Sequence[str]) -> float:
    """Returns a contestant's mean rank among those that all the tasks have."""
    total = 0.0
    for each in together:
        own = each.ranks[name]
        lower = sum((each.ranks[other] < own) + (each.ranks[other] == own) / 2 for other in common if other != name)
        total += 1 + lower
    return total / len(together)


def _family_samples(
    family: Ranks, ranks: Sequence[Ranks], samples: Mapping[str, Mapping[str, Numbers]]
) -> dict[str, Numbers]:
    """Returns minus the mean rank of each contestant in samples of the items of all tasks of a family."""
    names = list(family.ranks)
    total = np.zeros((len(names), RESAMPLES))
    for each in ranks:
        if each.family == family.name:
            total -= _rank(np.stack([samples[each.name][name] for name in names])) if names else 0
    return dict(zip(names, total, strict=True))


def _rank(values: Numbers) -> Numbers:
    """Returns ranks (s, b) of s contestants within each column, 1 for the highest value; undefined values come last."""
    signs = _signs(values[:, np.newaxis], values[np.newaxis, :])
    return np.asarray((values.shape[0] + 1 - signs.sum(axis=1)) / 2, dtype=np.float64)


def _signs(a: Numbers, b: Numbers) -> Numbers:
    """Returns the signs of a - b, 0 within rounding; what is undefined is below everything."""
    a, b = (np.where(np.isnan(side), -1e9, side) for side in (a, b))
    return np.asarray(np.where(np.abs(a - b) <= _TIE, 0.0, np.sign(a - b)), dtype=np.float64)


def _agreement(a: Ranks, b: Ranks, samples: Mapping[str, Mapping[str, Numbers]]) -> Agreement:
    common = [name for name in a.ranks if name in b.ranks]
    if len(common) < 2:
        return Agreement(a.name, b.name, len(common), None, None, None)
    ranks = [np.array([[-each.ranks[name]] for name in common]) for each in (a, b)]
    tau = float(kendall(*ranks)[0])
    drawn = kendall(*(np.stack([samples[each.name][name] for name in common]) for each in (a, b)))
    drawn = drawn[np.isfinite(drawn)]
    if not np.isfinite(tau) or not drawn.size:
        return Agreement(a.name, b.name, len(common), None, None, None)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Agreement(a.name, b.name, len(common), tau, float(low), float(high))


def kendall(a: Numbers, b: Numbers) -> Numbers:
    """Returns Kendall's tau-b (k,) between each of k columns of two tables (s, k); NaN where a column is constant."""
    first, second = np.triu_indices(len(a), 1)
    x, y = (_signs(side[first], side[second]) for side in (a, b))
    below = np.sqrt((x * x).sum(axis=0) * (y * y).sum(axis=0))
    tau: Numbers = np.divide((x * y).sum(axis=0), below, out=np.full(below.size, np.nan), where=below > 0)
    return tau


class _Decided(NamedTuple):
    task: str
    difference: float
    p: float
    p_holm: float


def _reversals(entered: Sequence[_Entered]) -> tuple[tuple[Reversal, ...], int]:
    """Returns the proven reversals, and how many p values were corrected together."""
    tested: list[tuple[str, str, str, float, float, bool]] = []
    for each in entered:
        names = {at: name for name, at in each.positions.items()}
        for pair in each.compared.compared:
            if pair.a in names and pair.b in names:
                a, b, difference = names[pair.a], names[pair.b], pair.difference
                if a > b:
                    a, b, difference = b, a, -difference
                tested.append((a, b, each.name, difference, pair.p, pair.wins + pair.losses >= MIN_PAIRS))
    adjusted = holm([p for *_, p, _ in tested])
    decided: dict[tuple[str, str], list[_Decided]] = {}
    for (a, b, task, difference, p, enough), p_holm in zip(tested, adjusted, strict=True):
        if enough and p_holm < ALPHA:
            decided.setdefault((a, b), []).append(_Decided(task, difference, p, p_holm))
    found = [
        Reversal(a, b, one.task, one.difference, one.p_holm, other.task, -other.difference, other.p_holm)
        for (a, b), verdicts in sorted(decided.items())
        for one in verdicts
        for other in verdicts
        if one.difference > 0 > other.difference
    ]
    return tuple(found), len(tested)
