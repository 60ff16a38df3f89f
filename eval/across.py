"""Several tasks beside each other: the rank of every embedder in each, and how the order changes, in words."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from eval.results import Results
from eval.reversals import LEXICAL, Agreement, RankChanges, contestants
from eval.text_table import fill, groups_that_fit, shorten, table
from eval.verdicts import number, p_value, signed

_TIE = 1e-12


@dataclass(frozen=True, slots=True)
class Place:
    """An entry's value of a task's main metric, its rank there (equal ones share theirs), and its row in the task."""

    value: float
    rank: float
    row: int


@dataclass(frozen=True, slots=True)
class Entry:
    """An embedder, or words alone, with its place in each task; None where it was not evaluated."""

    name: str
    places: tuple[Place | None, ...]

    @property
    def embedder(self) -> str | None:
        """The embedder, None for words alone."""
        return None if self.name == LEXICAL else self.name

    @property
    def mean_rank(self) -> float:
        """The mean of the ranks that it has."""
        ranks = [place.rank for place in self.places if place]
        return math.fsum(ranks) / len(ranks)


@dataclass(frozen=True, slots=True)
class Across:
    """The tasks of an evaluation as columns, its embedders as rows; `sentences` tell the rest.

    Those that were evaluated on most tasks come first, of these the best mean rank.

    `tasks` are named with their family where two share a folder.
    """

    tasks: tuple[str, ...]
    families: tuple[str, ...]
    metrics: tuple[str, ...]
    entries: tuple[Entry, ...]
    sentences: tuple[str, ...]


def across_tasks(results: Results) -> Across:
    """Returns the ranks by task: an embedder stands for itself by its dense row, not by a hybrid."""
    places = [_places(results, at) for at in range(len(results.tasks))]
    names = dict.fromkeys(name for of_task in places for name in of_task)
    entries = [Entry(name, tuple(of_task.get(name) for of_task in places)) for name in names]
    return Across(
        tasks=task_names(results),
        families=tuple(each.task.family for each in results.tasks),
        metrics=tuple(each.compared.metric for each in results.tasks),
        entries=tuple(sorted(entries, key=_most_tasks_first)),
        sentences=order_in_words(results.reversals) if results.reversals else (),
    )


def task_names(results: Results) -> tuple[str, ...]:
    """Names the tasks; two that were read from one folder are told apart by their families."""
    tasks = [each.task for each in results.tasks]
    counts = Counter(task.name for task in tasks)
    return tuple(f"{task.name} ({task.family})" if counts[task.name] > 1 else task.name for task in tasks)


def render_across(results: Results) -> str:
    """Returns the table of ranks for a terminal, at most 100 columns wide, ending in a line break; "" for one task."""
    if len(results.tasks) < 2:
        return ""
    across = across_tasks(results)
    heads = [_short(name) for name in across.tasks]
    cells = [[_cell(entry.places[at]) for entry in across.entries] for at in range(len(heads))]
    widest = [max((*cells[at], across.metrics[at], head), key=len) for at, head in enumerate(heads)]
    parts = []
    for group in groups_that_fit(widest):
        body = [["", *(across.metrics[at] for at in group)]]
        body += [[entry.name, *(cells[at][line] for at in group)] for line, entry in enumerate(across.entries)]
        parts.append(table(["", *(heads[at] for at in group)], body, elastic=(0,), left=1))
    told = "\n".join(fill(sentence) for sentence in across.sentences)
    return "\n\n".join(filter(None, ("Across tasks: main metric and rank", *parts, told))) + "\n"


def order_in_words(changes: RankChanges) -> tuple[str, ...]:
    """Says how far the orders agree, and which embedders change places beyond chance; none is a result too."""
    return (*_agreement(changes), *_reversals(changes))


def reversals_in_words(changes: RankChanges) -> tuple[str, ...]:
    """Returns a sentence for each two that change places, with their differences and p values task by task."""
    pairs: dict[tuple[str, str], tuple[dict[str, str], dict[str, str]]] = {}
    for each in changes.reversals:
        of_a, of_b = pairs.setdefault((each.a, each.b), ({}, {}))
        of_a[each.task_a] = f"{each.task_a} ({signed(each.difference_a)}, {p_value(each.p_holm_a)})"
        of_b[each.task_b] = f"{each.task_b} ({signed(each.difference_b)}, {p_value(each.p_holm_b)})"
    return tuple(
        f"{a} is better than {b} on {listed([*of_a.values()])}; {b} is better than {a} on {listed([*of_b.values()])}."
        for (a, b), (of_a, of_b) in pairs.items()
    )


def listed(words: Sequence[str]) -> str:
    """Joins words as a sentence does: `one, two and three`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _agreement(changes: RankChanges) -> list[str]:
    known = [each for each in changes.agreements if each.tau is not None and each.n > 2]
    if not known:
        return []
    least, most = (choose(known, key=lambda each: each.tau or 0.0) for choose in (min, max))
    if least.tau == most.tau and len(known) > 1:
        return [f"Kendall's tau between the orders of any two tasks: {least.tau:.2f}.".replace(": -", ": −")]
    if len(known) == 1:
        return [f"Kendall's tau between the orders of {_between(most)}."]
    return [f"Kendall's tau between the orders: from {_between(least)} to {_between(most)}."]


def _between(agreement: Agreement) -> str:
    bounds = "" if agreement.ci_low is None else f" [{agreement.ci_low:.2f}, {agreement.ci_high:.2f}]"
    return f"{agreement.tau:.2f}{bounds}".replace("-", "−") + f" ({agreement.a} and {agreement.b})"


def _reversals(changes: RankChanges) -> list[str]:
    if not changes.reversals:
        return [
            "No order is reversed beyond chance: no embedder is better than another on one task and worse on a second "
            f"({changes.tested} tests, Holm, 5 %)."
        ]
    told = reversals_in_words(changes)
    count = f"{len(told)} {'pair changes' if len(told) == 1 else 'pairs change'} places beyond chance"
    return [f"{count} ({changes.tested} tests, Holm, 5 %).", *told]


def _places(results: Results, at: int) -> dict[str, Place]:
    """Ranks those that stand for themselves in a task among each other."""
    each = results.tasks[at]
    values: dict[str, tuple[float, int]] = {}
    for name, row in contestants(each.compared).items():
        metric = each.summaries[row].metrics.get(each.compared.metric)
        if metric and metric.value is not None and math.isfinite(metric.value):
            values[name] = metric.value, row
    return {
        name: Place(value, _rank(value, (other for other, _ in values.values())), row)
        for name, (value, row) in values.items()
    }


def _rank(value: float, values: Iterable[float]) -> float:
    """Returns the rank of a value; equal ones share their mean rank."""
    gaps = [other - value for other in values]
    return 0.5 + sum(gap > _TIE for gap in gaps) + sum(abs(gap) <= _TIE for gap in gaps) / 2


def _most_tasks_first(entry: Entry) -> tuple[int, float, str]:
    return -sum(place is not None for place in entry.places), entry.mean_rank, entry.name


def _cell(place: Place | None) -> str:
    return "-" if place is None else f"{number(place.value)} #{place.rank:g}"


def _short(name: str) -> str:
    return shorten(name, 26)
