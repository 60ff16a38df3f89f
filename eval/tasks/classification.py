"""Classification of frozen vectors from a few labelled texts, in the protocol of MTEB.

Protocol and defaults: `AbsTaskClassification` of mteb (Muennighoff et al., "MTEB: Massive Text Embedding Benchmark",
EACL 2023). Ten times, eight training texts of each label are drawn; logistic regression is fitted to their vectors, and
what it says of all test texts is compared with their labels. The draws are MTEB's own, for its published figures hang
on them: one list of positions is shuffled anew for each experiment, each time by a fresh generator of the same seed.
"""

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eval.metrics import PerQuery
from eval.tasks.labelled_texts import LabelledTask, load_labelled_task

SAMPLES_PER_LABEL = 8
EXPERIMENTS = 10
MAX_ITERATIONS = 100
DRAWING_SEED = 42

Embed = Callable[[Sequence[str]], Any]
"""Turns texts into rows of a matrix, dense or sparse."""


def load_classification_task(folder: Path, split: str) -> LabelledTask:
    """Reads a classification task; raises UsageError as `load_labelled_task` does."""
    return load_labelled_task(folder, split, "classification")


def score_classification(task: LabelledTask, embed: Embed) -> PerQuery:
    """Returns by metric, and by item, the share of the experiments in which the text was given its label.

    The mean over the items is therefore the mean accuracy over the experiments. `accuracy` is that of the linear probe,
    `centroid_accuracy` that of the nearest class centroid, by Euclidean distance between unit rows, on the same draws.
    Where all training vectors are equal, no text is given its label: a model would answer whichever class comes first,
    and be right as often as that one is frequent.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import NearestCentroid

    numbers = {label: number for number, label in enumerate(task.classes)}
    texts = [each.text for each in task.train.values()]
    labels = np.array([numbers[each.label] for each in task.train.values()])
    wanted = np.array([numbers[each.label] for each in task.test.values()])
    draws = draw(labels)
    used = sorted(set().union(*draws))  # nothing is embedded that no experiment learns from
    learned, scored = embed([texts[at] for at in used]), embed(list(task.items.values()))
    row_of = {at: row for row, at in enumerate(used)}

    right = {"accuracy": np.zeros(len(wanted)), "centroid_accuracy": np.zeros(len(wanted))}
    for sample in [] if _tells_nothing(learned) else draws:
        rows = [row_of[at] for at in sample]
        probe = LogisticRegression(max_iter=MAX_ITERATIONS, random_state=DRAWING_SEED)
        right["accuracy"] += _predict(probe, learned[rows], labels[sample], scored) == wanted
        right["centroid_accuracy"] += _predict(NearestCentroid(), learned[rows], labels[sample], scored) == wanted
    return {
        metric: {item: float(count) / len(draws) for item, count in zip(task.test, counts, strict=True)}
        for metric, counts in right.items()
    }


def draw(labels: Sequence[Any] | np.ndarray) -> list[list[int]]:
    """Returns for each experiment the positions of its training texts, as MTEB draws them."""
    order = list(range(len(labels)))
    draws = []
    for _ in range(EXPERIMENTS):
        np.random.RandomState(DRAWING_SEED).shuffle(order)
        drawn: Counter[Any] = Counter()
        sample = []
        for at in order:
            if drawn[labels[at]] < SAMPLES_PER_LABEL:
                drawn[labels[at]] += 1
                sample.append(at)
        draws.append(sample)
    return draws


def _tells_nothing(learned: Any) -> bool:
    """Tells whether all vectors are equal, so that no class is nearer or likelier than another."""
    return isinstance(learned, np.ndarray) and not np.ptp(learned, axis=0).any()


def _predict(model: Any, learned: Any, labels: np.ndarray, scored: Any) -> np.ndarray:
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.simplefilter("ignore", ConvergenceWarning)  # a hundred iterations are the protocol, converged or not
        warnings.filterwarnings("ignore", "self.within_class_std_dev_", UserWarning)  # centroids do not use it
        return np.asarray(model.fit(learned, labels).predict(scored))
