"""The one order that holds everywhere: score descending, then id descending, as trec_eval breaks ties."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray


def top_k(scores: NDArray[np.float32], k: int) -> NDArray[np.intp]:
    """Returns the positions of the k best scores, best first; of equal scores the later position comes first.

    With ids in ascending order at those positions this is trec_eval's order. Scores are compared as float32, as
    pytrec_eval does, so that what we call equal is equal there.
    """
    scores = scores.astype(np.float32, copy=False)
    if k <= 0 or not len(scores):
        return np.empty(0, dtype=np.intp)
    if k < len(scores):
        threshold = np.partition(scores, -k)[-k]
        candidates = np.flatnonzero(scores >= threshold)  # ties with the last place included
    else:
        candidates = np.arange(len(scores))
    order = np.lexsort((-candidates, -scores[candidates]))
    return candidates[order[:k]]


def by_score(scores: Mapping[str, float]) -> list[str]:
    """Returns ids by score descending, then id descending.

    >>> by_score({"a": 1.0, "b": 1.0, "c": 2.0})
    ['c', 'b', 'a']
    """
    rounded = np.fromiter(scores.values(), dtype=np.float32, count=len(scores)).tolist()
    return [key for _, key in sorted(zip(rounded, scores, strict=True), reverse=True)]


def min_max(scores: Sequence[float]) -> list[float]:
    """Scales scores to [0, 1]; where all are equal each becomes 1.

    >>> min_max([2.0, 4.0, 3.0])
    [0.0, 1.0, 0.5]
    """
    if not scores:
        return []
    low, high = min(scores), max(scores)
    return [(score - low) / (high - low) if high > low else 1.0 for score in scores]
