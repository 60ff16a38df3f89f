"""Searches by vector: exact over the stored vectors, and an approximate one confined to what a filter lets through."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from rag.cards import IndexCard
from rag.filters import Mask
from rag.library import Library
from rag.ranking import top_k
from rag.schema import Vectors

Search = Callable[[Vectors, int], list[list[tuple[str, float]]]]
"""Finds the k nearest chunks of each query row: (chunk id, cosine), best first."""

QUERIES_AT_ONCE = 64

FEW = 1 / 3
"""Below this share of the vectors it is cheaper to gather the allowed ones than to compare them all."""

BROAD = 0.2
"""From this share on an approximate search is asked for more than k, of which enough should be allowed."""
NOT_MANY = 10_000
"""Up to so many allowed chunks are compared exactly, whatever their share: that is faster, and no chunk is missed."""
SPARE = 2
"""How many times as many as would do if what is allowed were spread evenly; it seldom is."""


class ExactSearch:
    """Compares each query with every stored vector: no approximation, milliseconds up to 100,000 vectors.

    `ids` are ascending; with a mask (n,) only its chunks are found.
    """

    def __init__(self, ids: Sequence[str], vectors: Vectors, mask: Mask | None = None) -> None:
        self.ids = ids
        self._vectors = vectors
        self._allowed = None if mask is None else np.flatnonzero(mask)

    @classmethod
    def over(cls, library: Library, card: IndexCard) -> "ExactSearch":
        """Reads the vectors of an index."""
        return cls(*library.vectors.of_index(card.corpus, card.chunker, card.fingerprint))

    def within(self, mask: Mask) -> "ExactSearch":
        """Returns the same search confined to the chunks of a mask."""
        return ExactSearch(self.ids, self._vectors, mask)

    def __call__(self, queries: Vectors, k: int) -> list[list[tuple[str, float]]]:
        """Returns (chunk id, cosine) of the k nearest chunks of each row."""
        allowed = self._allowed
        if not self.ids or (allowed is not None and not len(allowed)):
            return [[] for _ in queries]
        gathers = allowed is not None and len(allowed) < FEW * len(self.ids)
        vectors = self._vectors[allowed] if gathers else self._vectors
        found = []
        for block in np.array_split(queries, max(1, len(queries) // QUERIES_AT_ONCE)):
            for scores in _cosines(block, vectors):
                among = scores if gathers or allowed is None else scores[allowed]
                best = top_k(among, k)
                positions = best if allowed is None else allowed[best]
                found.append(
                    [
                        (self.ids[position], score)
                        for position, score in zip(positions.tolist(), among[best].tolist(), strict=True)
                    ]
                )
        return found


def _cosines(queries: Vectors, vectors: Vectors) -> Vectors:
    """Returns the cosines (n, m) of queries and vectors.

    One query alone is bound by memory: BLAS would spread it over threads, which takes three times the processor's time
    and wins nothing.
    """
    if len(queries) == 1:
        return np.asarray(np.vecdot(vectors, queries[0]))[np.newaxis]
    return queries @ vectors.T


class ConfinedSearch:
    """Confines an approximate search, which knows no filters, to allowed chunks, and still finds k where there are k.

    Where much is allowed, more is asked for. Where little is, or that did not suffice, the allowed vectors are compared
    exactly, read from the library once; `exact` makes that search when it is first needed. `total` counts the chunks of
    the index.
    """

    def __init__(
        self,
        search: Search,
        allowed: frozenset[str],
        total: int,
        exact: Callable[[], Search],
        not_many: int = NOT_MANY,
    ) -> None:
        self._search = search
        self._allowed = allowed
        self._share = len(allowed) / max(total, 1)
        self._not_many = not_many
        self._make_exact = exact
        self._exact: Search | None = None

    def __call__(self, queries: Vectors, k: int) -> list[list[tuple[str, float]]]:
        """Returns (chunk id, cosine) of about the k nearest allowed chunks of each row."""
        if self._share >= BROAD and len(self._allowed) > self._not_many:
            asked = math.ceil(SPARE * k / self._share)
            found = [
                [pair for pair in ranking if pair[0] in self._allowed][:k] for ranking in self._search(queries, asked)
            ]
            if all(len(ranking) >= min(k, len(self._allowed)) for ranking in found):
                return found
        if self._exact is None:
            self._exact = self._make_exact()
        return self._exact(queries, k)
