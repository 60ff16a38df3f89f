"""Retrievers: a query in, chunks out. Dense over an index, lexical over BM25, hybrid over both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from rag.bm25 import LexicalIndex
from rag.embedders.spec import Embedder
from rag.fusion import fuse
from rag.library import Library, StoredChunk
from rag.schema import Hit, Leg, Scored
from rag.searches import ExactSearch, Search

__all__ = [
    "LEG_DEPTH",
    "NAMES",
    "DenseRetriever",
    "ExactSearch",
    "Fetched",
    "HybridRetriever",
    "LexicalRetriever",
    "Retriever",
    "Search",
    "look_up",
]

NAMES = ("dense", "lexical", "hybrid")

LEG_DEPTH = 100
"""How many chunks each leg of a hybrid search fetches, whatever k is asked for: what is evaluated is what is served."""

MAX_QUERY_CHARACTERS = 20_000
"""A longer query is read up to here; embedders cut at a few hundred tokens anyway."""


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
        self._weights = dense_share(weight)

    def legs(self, queries: Sequence[str]) -> list[Mapping[str, list[Scored]]]:
        """Fetches what both legs find for each query: what `fuse` may be run on again under another weight."""
        pairs = zip(self._dense.rank(queries, LEG_DEPTH), self._lexical.rank(queries, LEG_DEPTH), strict=True)
        return [{"dense": dense, "lexical": lexical} for dense, lexical in pairs]

    def fetch(self, query: str) -> "Fetched":
        """Fetches what both legs find for one query and looks it all up, to be fused under any weight."""
        (legs,) = self.legs([query])
        return Fetched(legs, self._library.chunks([*dict.fromkeys(r.chunk_id for leg in legs.values() for r in leg)]))

    def rank(self, queries: Sequence[str], k: int) -> list[list[Scored]]:
        """Ranks the k best chunks of each query after fusion; there are at most twice LEG_DEPTH."""
        return [fuse(legs, self._weights, self._method, k) for legs in self.legs(queries)]

    def retrieve(self, query: str, k: int) -> list[Hit]:
        """Finds the k best chunks of one query after fusion."""
        return look_up(self._library, self.rank([query], k)[0])


def dense_share(weight: float) -> dict[str, float]:
    """Returns the weights of both legs, of which the dense one has this share."""
    return {"dense": weight, "lexical": 1 - weight}


def _readable(query: str) -> str:
    """Returns what is read of a query: its beginning, without halves of surrogate pairs, which no tokenizer takes."""
    return query[:MAX_QUERY_CHARACTERS].encode("utf-8", "replace").decode("utf-8")


def look_up(library: Library, ranking: Sequence[Scored]) -> list[Hit]:
    """Makes a ranking into hits; a chunk that was deleted since it was ranked is left out."""
    return _hits(ranking, library.chunks([result.chunk_id for result in ranking]))


def _hits(ranking: Sequence[Scored], stored: Mapping[str, StoredChunk]) -> list[Hit]:
    present = [(result, stored[result.chunk_id]) for result in ranking if result.chunk_id in stored]
    return [
        Hit(found.chunk, found.source, found.title, rank, result.score, result.legs)
        for rank, (result, found) in enumerate(present, start=1)
    ]


@dataclass(frozen=True, slots=True)
class Fetched:
    """What the legs of a hybrid found for one query, looked up: a slider may fuse it as often as it moves."""

    legs: Mapping[str, Sequence[Scored]]
    stored: Mapping[str, StoredChunk]

    def hits(self, k: int, weight: float, method: str = "rrf") -> list[Hit]:
        """Returns the k best chunks under another weight of the dense leg, 0 to 1; nothing is fetched."""
        return _hits(fuse(self.legs, dense_share(weight), method), self.stored)[:k]
