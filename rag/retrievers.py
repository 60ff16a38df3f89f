"""Retrievers: a query in, chunks out. Dense over an index, lexical over BM25, hybrid over both."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from rag.bm25 import LexicalIndex
from rag.cards import IndexCard
from rag.embedders.spec import Embedder
from rag.fusion import fuse
from rag.library import Library
from rag.ranking import top_k
from rag.schema import Hit, Leg, Scored, Vectors

NAMES = ("dense", "lexical", "hybrid")

LEG_DEPTH = 100
"""How many chunks each leg of a hybrid search fetches, whatever k is asked for: what is evaluated is what is served."""

MAX_QUERY_CHARACTERS = 20_000
"""A longer query is read up to here; embedders cut at a few hundred tokens anyway."""

Search = Callable[[Vectors, int], list[list[tuple[str, float]]]]
"""Finds the k nearest chunks of each query row: (chunk id, cosine), best first."""


@runtime_checkable
class Retriever(Protocol):
    """Ranks chunks for queries."""

    @property
    def name(self) -> str:
        """The retriever's name: dense, lexical or hybrid."""
        ...

    def rank(self, queries: Sequence[str], k: int) -> list[list[Scored]]:
        """Ranks the k best chunks of each query, by score and then id descending."""
        ...

    def retrieve(self, query: str, k: int) -> list[Hit]:
        """Finds the k best chunks of one query and looks them up."""
        ...


class ExactSearch:
    """Compares each query with every stored vector: no approximation, milliseconds up to 100,000 vectors."""

    def __init__(self, ids: Sequence[str], vectors: Vectors) -> None:
        self._ids = ids
        self._vectors = vectors

    @classmethod
    def over(cls, library: Library, card: IndexCard) -> "ExactSearch":
        """Reads the vectors of an index."""
        return cls(*library.vectors.of_index(card.corpus, card.chunker, card.fingerprint))

    def __call__(self, queries: Vectors, k: int) -> list[list[tuple[str, float]]]:
        """Returns (chunk id, cosine) of the k nearest chunks of each row."""
        if not self._ids:
            return [[] for _ in queries]
        found = []
        for block in np.array_split(queries, max(1, len(queries) // 64)):
            for scores in block @ self._vectors.T:
                found.append([(self._ids[position], float(scores[position])) for position in top_k(scores, k)])
        return found


class DenseRetriever:
    """Ranks by the cosine of query and passage under one embedder."""

    name = "dense"

    def __init__(self, library: Library, embedder: Embedder, search: Search) -> None:
        self._library = library
        self._embedder = embedder
        self._search = search

    def rank(self, queries: Sequence[str], k: int) -> list[list[Scored]]:
        """Ranks the k nearest chunks of each query."""
        vectors = self._embedder.embed_queries([_readable(query) for query in queries])
        return [
            [Scored(chunk_id, score, {"dense": Leg(rank, score)}) for rank, (chunk_id, score) in enumerate(found, 1)]
            for found in self._search(vectors, k)
        ]

    def retrieve(self, query: str, k: int) -> list[Hit]:
        """Finds the k nearest chunks of one query."""
        return look_up(self._library, self.rank([query], k)[0])


class LexicalRetriever:
    """Ranks by BM25."""

    name = "lexical"

    def __init__(self, library: Library, index: LexicalIndex) -> None:
        self._library = library
        self._index = index

    def rank(self, queries: Sequence[str], k: int) -> list[list[Scored]]:
        """Ranks the k best chunks that share a term with each query."""
        return [self._index.rank(_readable(query), k) for query in queries]

    def retrieve(self, query: str, k: int) -> list[Hit]:
        """Finds the k best chunks that share a term with one query."""
        return look_up(self._library, self.rank([query], k)[0])


class HybridRetriever:
    """Fuses the dense and the lexical ranking; `weight` is the dense leg's share, from 0 to 1."""

    name = "hybrid"

    def __init__(
        self,
        library: Library,
        dense: DenseRetriever,
        lexical: LexicalRetriever,
        method: str = "rrf",
        weight: float = 0.5,
    ) -> None:
        self._library = library
        self._dense = dense
        self._lexical = lexical
        self._method = method
        self._weights = {"dense": weight, "lexical": 1 - weight}

    def legs(self, queries: Sequence[str]) -> list[Mapping[str, list[Scored]]]:
        """Fetches what both legs find for each query: what `fuse` may be run on again under another weight."""
        pairs = zip(self._dense.rank(queries, LEG_DEPTH), self._lexical.rank(queries, LEG_DEPTH), strict=True)
        return [{"dense": dense, "lexical": lexical} for dense, lexical in pairs]

    def rank(self, queries: Sequence[str], k: int) -> list[list[Scored]]:
        """Ranks the k best chunks of each query after fusion; there are at most twice LEG_DEPTH."""
        return [fuse(legs, self._weights, self._method)[:k] for legs in self.legs(queries)]

    def retrieve(self, query: str, k: int) -> list[Hit]:
        """Finds the k best chunks of one query after fusion."""
        return look_up(self._library, self.rank([query], k)[0])


def _readable(query: str) -> str:
    """Returns what is read of a query: its beginning, without halves of surrogate pairs, which no tokenizer takes."""
    return query[:MAX_QUERY_CHARACTERS].encode("utf-8", "replace").decode("utf-8")


def look_up(library: Library, ranking: Sequence[Scored]) -> list[Hit]:
    """Makes a ranking into hits; a chunk that was deleted since it was ranked is left out."""
    stored = library.chunks([result.chunk_id for result in ranking])
    present = [result for result in ranking if result.chunk_id in stored]
    return [
        Hit(
            chunk=stored[result.chunk_id].chunk,
            source=stored[result.chunk_id].source,
            title=stored[result.chunk_id].title,
            rank=rank,
            score=result.score,
            legs=result.legs,
        )
        for rank, result in enumerate(present, start=1)
    ]
