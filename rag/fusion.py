"""Several rankings into one: pure functions over what the legs have already fetched, so a weight can be moved live."""

from collections.abc import Mapping, Sequence

from rag.errors import unknown_name
from rag.ranking import by_score, min_max
from rag.schema import Leg, Scored

RRF_K = 60
"""The constant of Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion" (SIGIR 2009)."""

FUSIONS = ("rrf", "weighted")


def fuse(legs: Mapping[str, Sequence[Scored]], weights: Mapping[str, float], method: str = "rrf") -> list[Scored]:
    """Fuses the rankings of the legs and records in each result what every leg contributed.

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
    found: dict[str, dict[str, Leg]] = {}
    for name, ranking in legs.items():
        weight = weights.get(name, 1.0)
        scaled = min_max([result.score for result in ranking])
        for rank, (result, share) in enumerate(zip(ranking, scaled, strict=True), start=1):
            gain = 1 / (RRF_K + rank) if method == "rrf" else share
            totals[result.chunk_id] = totals.get(result.chunk_id, 0.0) + weight * gain
            found.setdefault(result.chunk_id, {})[name] = Leg(rank, result.score)
    return [Scored(chunk_id, totals[chunk_id], found[chunk_id]) for chunk_id in by_score(totals)]
