"""The live weight: what the legs of a hybrid search have fetched is kept with its turn and fused anew at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rag.fusion import fuse
from rag.library import Library
from rag.retrievers import HybridRetriever, Retriever, dense_share, look_up
from rag.schema import Hit, Scored

Legs = Mapping[str, tuple[Scored, ...]]
"""All that each leg has fetched, best first."""


@dataclass(frozen=True, slots=True)
class Fused:
    """A turn's evidence under another weight: the hits, and where each was before.

    `moves` maps chunk ids to the ranks they have gained (below zero: lost), None for a chunk that was not among the
    hits; `gone` are the hits that are not among them any more.
    """

    weight: float
    fusion: str
    hits: tuple[Hit, ...]
    moves: Mapping[str, int | None]
    gone: tuple[Hit, ...]


def find(retriever: Retriever, query: str, k: int, weight: float, fusion: str) -> tuple[tuple[Hit, ...], Legs]:
    """Finds the k best chunks of a query, with what the legs have fetched where there are legs."""
    if not isinstance(retriever, HybridRetriever):
        return tuple(retriever.retrieve(query, k)), {}
    fetched = retriever.fetch(query)
    legs = {name: tuple(Scored(each.chunk_id, each.score) for each in leg) for name, leg in fetched.legs.items()}
    return tuple(fetched.hits(k, weight, fusion)), legs


def fuse_anew(library: Library, before: Sequence[Hit], legs: Legs, k: int, weight: float, fusion: str) -> Fused:
    """Fuses the legs under another weight of the dense one, and tells what moved; no query is run.

    A chunk that was deleted since is shown as it was found, or left out where it was not among the hits.
    """
    ranking = fuse(legs, dense_share(weight), fusion)[:k]
    known = {hit.chunk.id: hit for hit in before}
    found = {hit.chunk.id: hit for hit in look_up(library, [each for each in ranking if each.chunk_id not in known])}
    hits: list[Hit] = []
    for result in ranking:
        hit = known.get(result.chunk_id) or found.get(result.chunk_id)
        if hit is not None:
            hits.append(Hit(hit.chunk, hit.source, hit.title, len(hits) + 1, result.score, result.legs))
    now = {hit.chunk.id: hit.rank for hit in hits}
    moves = {key: known[key].rank - rank if key in known else None for key, rank in now.items()}
    return Fused(weight, fusion, tuple(hits), moves, tuple(hit for hit in before if hit.chunk.id not in now))
