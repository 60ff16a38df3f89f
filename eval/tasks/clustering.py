"""Clustering: k-means over the test texts' vectors, held against their labels, which it never sees.

`v_measure` is the harmonic mean of homogeneity and completeness (Rosenberg and Hirschberg, "V-Measure: A conditional
entropy-based external cluster evaluation measure", EMNLP 2007), MTEB's main score for the family. MTEB clusters with
mini-batches and draws subsets; here it is plain k-means, the best of ten starts (Lloyd 1982; k-means++ starts, Arthur
and Vassilvitskii 2007), over all texts, so that the figure says less of the algorithm and more of the vectors.
"""

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from eval.metrics import PerQuery
from eval.tasks.classification import Embed
from eval.tasks.labelled_texts import LabelledTask, load_labelled_task

STARTS = 10
MOST_FOR_SILHOUETTE = 10_000
"""Items that silhouettes are taken of; the time grows with the square of their number."""


def load_clustering_task(folder: Path, split: str) -> LabelledTask:
    """Reads a clustering task; raises UsageError as `load_labelled_task` does."""
    return load_labelled_task(folder, split, "clustering")


def score_clustering(task: LabelledTask, embed: Embed, seed: int) -> PerQuery:
    """Returns by metric, and by item, the number of its cluster (`v_measure`) and its silhouettes.

    `silhouette` is that of the clusters found, `label_silhouette` that of the true labels (Rousseeuw 1987), both by
    cosine distance, over at most so many items, drawn with the seed; left out where there are not two clusters, as of
    an embedder that gives every text the same vector.
    """
    vectors = embed(list(task.items.values()))
    clusters = find_clusters(vectors, len({each.label for each in task.test.values()}), seed)
    gold = np.array(list(task.gold.values()))
    items = list(task.test)
    scores = {"v_measure": {item: float(cluster) for item, cluster in zip(items, clusters, strict=True)}}
    chosen = np.arange(len(items))
    if len(items) > MOST_FOR_SILHOUETTE:
        chosen = np.sort(np.random.default_rng(seed).choice(len(items), MOST_FOR_SILHOUETTE, replace=False))
    for metric, grouping in (("silhouette", clusters), ("label_silhouette", gold)):
        values = _silhouettes(vectors[chosen], grouping[chosen])
        if values is not None:
            scores[metric] = {items[at]: float(value) for at, value in zip(chosen, values, strict=True)}
    return scores


def find_clusters(vectors: Any, k: int, seed: int) -> np.ndarray:
    """Returns the number of each row's cluster, 0 to k - 1; equal seeds give equal clusters."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits  # comes with scikit-learn

    # Several threads would add up the centres in an order that changes from run to run, and with it the last digits.
    with threadpool_limits(limits=1, user_api="openmp"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct vectors than clusters
        return np.asarray(KMeans(k, n_init=STARTS, random_state=seed).fit_predict(vectors))


def _silhouettes(vectors: Any, grouping: np.ndarray) -> np.ndarray | None:
    """Returns the silhouette of each row; None where they are not defined: all in one group, or each in its own."""
    from sklearn.metrics import silhouette_samples

    if not 2 <= len(np.unique(grouping)) < len(grouping):
        return None
    return np.asarray(silhouette_samples(vectors, grouping, metric="cosine"))
