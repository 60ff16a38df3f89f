"""What public leaderboards say of the same embedders, beside what your data say.

`published.csv` holds figures of the MTEB results repository and of the models' own READMEs, each with its source. An
embedder is matched by its model's id, never by its name. Left out are averages of parts of a task, submissions that are
visibly broken, and figures of quantised models, which are other weights.
"""

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import fmean

from eval.across import across_tasks, listed
from eval.results import Results
from eval.reversals import LEXICAL

BM25 = "bm25"
"""Stands for lexical search among the models."""

_TABLE = Path(__file__).parent / "published.csv"
_LEAST_FOR_TAU = 3
_AVERAGE = "MTEB average"
_OTHER_WEIGHTS = ("int8",)


@dataclass(frozen=True, slots=True)
class Figure:
    """A published value of a model's main metric on a task, as a fraction; `origin` tells who computed it."""

    model: str
    task: str
    family: str
    value: float
    origin: str
    source: str


@dataclass(frozen=True, slots=True)
class PublishedRank:
    """An embedder's published mean over the tasks in common, and its rank among those that have them all."""

    embedder: str
    value: float
    rank: int


@dataclass(frozen=True, slots=True)
class Published:
    """The published order of some embedders in a family; `tasks` are those that all of the ranked have in common.

    `unknown` are the embedders without a figure of the family, or without any in common with the others.
    """

    family: str
    tasks: tuple[str, ...]
    ranks: tuple[PublishedRank, ...]
    unknown: tuple[str, ...]
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Beside:
    """A task's order of embedders beside the published one; ranks are counted among those that have both."""

    task: str
    family: str
    metric: str
    embedders: tuple[str, ...]
    your_values: tuple[float, ...]
    your_ranks: tuple[int | None, ...]
    published: Published
    published_values: tuple[float | None, ...]
    published_ranks: tuple[int | None, ...]
    tau: float | None
    sentence: str

    @property
    def is_ranked(self) -> bool:
        """Whether two embedders or more have published figures in common."""
        return len(self.published.ranks) > 1


@cache
def figures() -> tuple[Figure, ...]:
    """Returns all published figures."""
    with _TABLE.open(encoding="utf-8", newline="") as file:
        return tuple(
            Figure(
                line["model"],
                line["task"],
                line["family"],
                float(line["value_x100"]) / 100,
                line["origin"],
                line["source"],
            )
            for line in csv.DictReader(file)
        )


def published_ranks(models: Mapping[str, str], family: str) -> Published:
    """Ranks embedders by their published means over the tasks of a family that they have in common.

    `models` gives the model id of each embedder. Where no task is common to all, the embedder with the fewest figures
    is left out, and so on. An average over tasks counts only where single tasks are not in common.
    """
    known: dict[str, dict[str, Figure]] = {
        name: {figure.task: figure for figure in figures() if (figure.model, figure.family) == (model, family)}
        for name, model in models.items()
    }
    ranked = {name: of_model for name, of_model in known.items() if of_model}
    while ranked and not _in_common(ranked):
        del ranked[min(ranked, key=lambda name: (len(ranked[name]), name))]
    tasks = _in_common(ranked) if len(ranked) > 1 else ()
    means = {name: fmean(of_model[task].value for task in tasks) for name, of_model in ranked.items()} if tasks else {}
    order = sorted(means, key=lambda name: (-means[name], name))
    sources = {ranked[name][task].source: None for name in order for task in tasks}
    return Published(
        family=family,
        tasks=tasks,
        ranks=tuple(PublishedRank(name, means[name], _rank(means, name)) for name in order),
        unknown=tuple(name for name in models if name not in means),
        sources=tuple(sources),
    )


def beside_published(results: Results) -> tuple[Beside, ...]:
    """Returns for each task of a family that is published your order of the embedders beside the published one."""
    across = across_tasks(results)
    models = models_of(results)
    compared = []
    for at, (task, family, metric) in enumerate(zip(across.tasks, across.families, across.metrics, strict=True)):
        if all(figure.family != family for figure in figures()):
            continue
        places = {entry.name: place for entry in across.entries if (place := entry.places[at])}
        yours = {name: places[name].value for name in sorted(places, key=lambda name: places[name].rank)}
        published = published_ranks({name: models.get(name, "") for name in yours}, family)
        compared.append(_beside(task, metric, yours, published))
    return tuple(compared)


def published_in_words(besides: Iterable[Beside]) -> list[str]:
    """Returns a sentence for each published order, with what each of the tasks says to it; none without one."""
    told: dict[str, dict[str, list[str]]] = {}
    for beside in besides:
        if beside.is_ranked:
            yours = [name for name, rank in zip(beside.embedders, beside.your_ranks, strict=True) if rank]
            said = told.setdefault(_theirs(beside.published), {})
            said.setdefault(_yours(yours, beside.published), []).append(beside.task)
    return [
        "; ".join(
            [theirs, *(f"{listed(tasks)} {'say' if tasks[1:] else 'says'} {what}" for what, tasks in said.items())]
        )
        + "."
        for theirs, said in told.items()
    ]


def models_of(results: Results) -> dict[str, str]:
    """Returns the model id of every embedder as its index card tells it; "" for a quantised one."""
    models = {LEXICAL: BM25}
    for row in results.rows:
        facts = row.provenance.get("index") or row.provenance.get("embedder") or {}
        if row.embedder and "model" in facts:
            models[row.embedder] = "" if facts.get("precision") in _OTHER_WEIGHTS else str(facts["model"])
    return models


def _in_common(known: Mapping[str, Mapping[str, Figure]]) -> tuple[str, ...]:
    """Returns the tasks of which every embedder has a figure: single ones, averages only where there are no others."""
    if not known:
        return ()
    common = set.intersection(*(set(of_model) for of_model in known.values()))
    single = {task for task in common if not task.startswith(_AVERAGE)}
    return tuple(sorted(single or common))


def _rank(means: Mapping[str, float], name: str) -> int:
    return 1 + sum(value > means[name] for value in means.values())


def _beside(task: str, metric: str, yours: Mapping[str, float], published: Published) -> Beside:
    theirs = {each.embedder: each for each in published.ranks}
    both = [name for name in yours if name in theirs]
    tau = _tau([yours[name] for name in both], [theirs[name].value for name in both])
    return Beside(
        task=task,
        family=published.family,
        metric=metric,
        embedders=tuple(yours),
        your_values=tuple(yours.values()),
        your_ranks=tuple(both.index(name) + 1 if name in theirs else None for name in yours),
        published=published,
        published_values=tuple(theirs[name].value if name in theirs else None for name in yours),
        published_ranks=tuple(theirs[name].rank if name in theirs else None for name in yours),
        tau=tau,
        sentence=_sentence(task, both, published, tau),
    )


def _tau(yours: list[float], theirs: list[float]) -> float | None:
    if len(yours) < _LEAST_FOR_TAU:
        return None
    from scipy.stats import kendalltau

    tau = float(kendalltau(yours, theirs).statistic)
    return tau if math.isfinite(tau) else None


def _sentence(task: str, yours: list[str], published: Published, tau: float | None) -> str:
    if len(yours) < 2:
        return f"No {published.family} figures in common are published for two or more of these embedders."
    said = f"{_theirs(published)}; {task} says {_yours(yours, published)}."
    return said if tau is None else f"{said} Kendall's tau {tau:.2f}.".replace("tau -", "tau −")


def _theirs(published: Published) -> str:
    count = published.tasks[0] if len(published.tasks) == 1 else f"mean of {len(published.tasks)} tasks"
    order = " before ".join(each.embedder for each in published.ranks)
    return f"Published {published.family} figures ({count}) put {order}"


def _yours(yours: list[str], published: Published) -> str:
    same = yours == [each.embedder for each in published.ranks]
    return "the same" if same else " before ".join(yours)
