"""Decides whether what was retrieved can answer a question at all, on a scale that holds for every embedder.

Two signs are added up. *Coverage*: how much of what the question asks about, weighed by IDF and with misspellings
forgiven, stands in the best hits. *Nearness*: the best cosine in units of what the same index gives for word salads
(`rag.calibration`), because cosines of different embedders have no common scale. Either alone misleads: a question in
another language has no coverage, and one from next door ("what does model X cost?") is as near as an answered one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rag.bm25 import LexicalIndex
from rag.library import Library
from rag.retrievers import look_up
from rag.schema import Hit
from rag.tokens import tokens

READ_HITS = 4

# Set on the demo task and checked on another corpus with labelled unanswerable questions: docs/abstention.md.
NEARNESS_WEIGHT = 0.75
MOST_NEARNESS = 1.5
ENOUGH = 0.95
ENOUGH_COVERAGE = 0.4
"""What is asked of coverage alone where no embedder took part."""


@dataclass(frozen=True, slots=True)
class Answerability:
    """Weighs the two signs for one index; `noise` is empty where no embedder took part."""

    library: Library
    index: LexicalIndex
    noise: tuple[float, ...] = ()

    def answers(self, query: str, hits: Sequence[Hit]) -> bool:
        """Tells whether the hits seem to answer the query."""
        if not hits:
            return False
        coverage = self.coverage(query, hits)
        if not self.noise:
            return coverage >= ENOUGH_COVERAGE
        return coverage + NEARNESS_WEIGHT * min(self.nearness(hits), MOST_NEARNESS) >= ENOUGH

    def coverage(self, query: str, hits: Sequence[Hit]) -> float:
        """Returns the IDF-weighted share, 0 to 1, of the query's terms that stand in the best hits.

        The best chunks by BM25 are read as well, whatever found the hits: what the corpus holds must not depend on it.
        """
        best = (*hits[:READ_HITS], *look_up(self.library, self.index.rank(query, READ_HITS)))
        return self.weigher(query)(" ".join(f"{hit.title} {hit.chunk.heading} {hit.chunk.text}" for hit in best))

    def weigher(self, query: str) -> Callable[[str], float]:
        """Returns a function that gives the IDF-weighted share, 0 to 1, of the query's terms that a text holds.

        A term that no passage holds is taken for the most similarly spelled one, if there is one.
        """
        meant = {self.index.nearest_term(term) or term for term in tokens(query)}
        weights = {
            term: self.index.idf(term) for term in sorted(meant)
        }  # in one order, so that sums are equal to the bit
        total = sum(weights.values())

        def share(text: str) -> float:
            held = set(tokens(text))
            return sum(weight for term, weight in weights.items() if term in held) / total if total else 0.0

        return share

    def nearness(self, hits: Sequence[Hit]) -> float:
        """Returns the best cosine among the hits divided by the median best cosine of word salads."""
        cosines = [hit.legs["dense"].score for hit in hits if "dense" in hit.legs]
        usual = self.noise[len(self.noise) // 2]
        return max(cosines, default=0.0) / usual if usual > 0 else MOST_NEARNESS
