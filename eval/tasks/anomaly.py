"""Anomaly detection: how far a text is from the normal texts that are known.

The score is the mean cosine distance to the ten nearest normal training texts (Ramaswamy et al., "Efficient algorithms
for mining outliers from large data sets", SIGMOD 2000; the mean over the neighbours: Angiulli and Pizzuti, PKDD 2002).
Anomalies are never learned from. `auroc` is the chance that an anomaly is scored higher than a normal text. Normal is
what task.toml names, `normal = "ham"` or a list, else the most frequent label of the training texts.
"""

from pathlib import Path

from eval.metrics import PerQuery
from eval.tasks.classification import Embed
from eval.tasks.labelled_texts import LabelledTask, load_labelled_task

NEIGHBOURS = 10


def load_anomaly_task(folder: Path, split: str) -> LabelledTask:
    """Reads an anomaly detection task; raises UsageError as `load_labelled_task` does."""
    return load_labelled_task(folder, split, "anomaly")


def score_anomaly(task: LabelledTask, embed: Embed) -> PerQuery:
    """Returns by metric, and by item, the anomaly score of the text; the higher, the stranger."""
    from sklearn.neighbors import NearestNeighbors

    normal = embed([each.text for each in task.train.values() if each.label in task.normal])
    nearest = NearestNeighbors(n_neighbors=min(NEIGHBOURS, normal.shape[0]), metric="cosine", algorithm="brute")
    distances, _ = nearest.fit(normal).kneighbors(embed(list(task.items.values())))
    return {"auroc": {item: float(score) for item, score in zip(task.test, distances.mean(axis=1), strict=True)}}
