"""Maximal marginal relevance: of much alike chunks the best one, then what says something else.

Carbonell and Goldstein, "The Use of MMR, Diversity-Based Reranking" (SIGIR 1998).
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rag.errors import UsageError
from rag.library import Library
from rag.ranking import min_max
from rag.retrievers import Retriever, look_up
from rag.schema import Hit, Leg, Scored
from rag.tokens import tokens

CANDIDATES = 50
"""How many of the best chunks are chosen among."""

LEG = "mmr"

Likeness = Callable[[Sequence[str]], NDArray[np.float32]]
"""Compares chunks with each other: ids to a matrix (n, n), 1 for equal ones and 0 for those with nothing in common."""


def choose_diverse(ranking: Sequence[Scored], likeness: NDArray[np.float32], balance: float, k: int) -> list[Scored]:
    """Chooses k of a ranking one after another, each by balance x relevance - (1 - balance) x likeness.

    Relevance is the score scaled to [0, 1] over the ranking; the likeness that counts is that to the most alike chunk
    chosen before. The result's score is this gain, which never rises, so the order is that of the scores.
    """
    relevance = balance * np.asarray(min_max([result.score for result in ranking]))
    alike = np.zeros(len(ranking))
    free = np.ones(len(ranking), dtype=np.bool_)
    chosen: list[Scored] = []
    while len(chosen) < min(k, len(ranking)):
        gains = np.where(free, relevance - (1 - balance) * alike, -np.inf)
        best = int(np.argmax(gains))  # of equal ones the first in the ranking
        result, gain = ranking[best], float(gains[best])
        chosen.append(Scored(result.chunk_id, gain, {**result.legs, LEG: Leg(len(chosen) + 1, gain)}))
        free[best] = False
        alike = np.maximum(alike, likeness[best])
    return chosen


def by_vectors(library: Library, fingerprint: str) -> Likeness:
    """Compares chunks by the cosine of their stored vectors, 0 where it is negative; needs no model."""

    def likeness(ids: Sequence[str]) -> NDArray[np.float32]:
        found, vectors = library.vectors.of_chunks(fingerprint, ids)
        present = {chunk_id: row for row, chunk_id in enumerate(found)}
        alike = np.zeros((len(ids), len(ids)), dtype=np.float32)
        if present:
            places = np.array([place for place, chunk_id in enumerate(ids) if chunk_id in present])
            rows = vectors[[present[ids[place]] for place in places]]
            cosines = np.vecdot(rows[:, np.newaxis], rows)  # BLAS would start its threads for so little
            alike[np.ix_(places, places)] = np.clip(cosines, 0, 1)
        return alike

    return likeness


def by_words(library: Library) -> Likeness:
    """Compares chunks by the share of their terms that both hold (Jaccard), for where no embedder takes part."""

    def likeness(ids: Sequence[str]) -> NDArray[np.float32]:
        stored = library.chunks(ids)
        terms = [frozenset(tokens(stored[each].chunk.text)) if each in stored else frozenset() for each in ids]
        return np.array(
            [[len(a & b) / len(a | b) if a | b else 0.0 for b in terms] for a in terms], dtype=np.float32
        ).reshape(len(ids), len(ids))

    return likeness


class DiverseRetriever:
    """Chooses diverse chunks among the best of another retriever; `balance` is 1 for relevance alone, 0 for none."""

    def __init__(self, library: Library, inner: Retriever, likeness: Likeness, balance: float) -> None:
        check_balance(balance)
        self.name = inner.name
        self._library = library
        self._inner = inner
        self._likeness = likeness
        self._balance = balance

    def rank(self, queries: Sequence[str], k: int) -> list[list[Scored]]:
        """Chooses k chunks for each query."""
        rankings = self._inner.rank(queries, max(k, CANDIDATES))
        return [
            choose_diverse(ranking, self._likeness([result.chunk_id for result in ranking]), self._balance, k)
            for ranking in rankings
        ]

    def retrieve(self, query: str, k: int) -> list[Hit]:
        """Chooses k chunks for one query and looks them up."""
        return look_up(self._library, self.rank([query], k)[0])


def check_balance(balance: float) -> None:
    """Raises UsageError for what is no balance of relevance and diversity."""
    if not 0 <= balance <= 1:
        raise UsageError(f"mmr = {balance} must lie between 0 (diversity alone) and 1 (relevance alone).")
