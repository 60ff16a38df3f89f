"""Several rankings into one: pure functions over what the legs have already fetched, so a weight can be moved live."""

from collections.abc import Mapping, Sequence

from rag.errors import unknown_name
from rag.ranking import by_score, min_max
from rag.schema import Leg, Scored

RRF_K = 60
"""The constant of Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion" (SIGIR 2009)."""

FUSIONS = ("rrf", "weighted")


def fuse(
    legs: Mapping[str, Sequence[Scored]], weights: Mapping[str, float], method: str = "rrf", k: int | None = None
) -> list[Scored]:
    """Fuses the rankings of the legs and records in each of the k best results what every leg contributed.

    `rrf` sums weight / (60 + rank), rank from 1, and needs no common scale. `weighted` sums weight times the leg's
    scores scaled to [0, 1] over what it fetched. A leg that found nothing abstains: it takes no part, and the others
    are not diluted. Weights need not sum to one. Raises UsageError for an unknown method.

    >>> dense = [Scored("a", 0.9), Scored("b", 0.5)]
    >>> [result.chunk_id for result in fuse({"dense": dense, "lexical": [Scored("b", 7.0)]}, {})]
    ['b', 'a']
    """
    if method not in FUSIONS:
        raise unknown_name("fusion", method, FUSIONS)
    totals: dict[str, float] = {}
    ranks: dict[str, dict[str, int]] = {}
    for name, ranking in legs.items():
        weight = weights.get(name, 1.0)
        if method == "rrf":
            gains = [1 / (RRF_K + rank) for rank in range(1, len(ranking) + 1)]
        else:
            gains = min_max([result.score for result in ranking])
        place = ranks[name] = {}
        for rank, (result, gain) in enumerate(zip(ranking, gains, strict=True), start=1):
            totals[result.chunk_id] = totals.get(result.chunk_id, 0.0) + weight * gain
            place[result.chunk_id] = rank
    return [Scored(chunk_id, totals[chunk_id], _legs(chunk_id, legs, ranks)) for chunk_id in by_score(totals)[:k]]


def _legs(
    chunk_id: str, legs: Mapping[str, Sequence[Scored]], ranks: Mapping[str, Mapping[str, int]]
) -> dict[str, Leg]:
    """Returns what each leg that found a chunk contributed."""
    found = {name: place[chunk_id] for name, place in ranks.items() if chunk_id in place}
    return {name: Leg(rank, legs[name][rank - 1].score) for name, rank in found.items()}
