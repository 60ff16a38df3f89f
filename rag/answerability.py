"""Decides whether what was retrieved can answer a question at all, on a scale that holds for every embedder.

Three signs are added up. *Coverage*: how much of what the question asks about, weighed by IDF and with misspellings
forgiven, stands in the best hits taken together. *Match*: how much of the best BM25 score that any passage could reach
the best one does reach, for words that are scattered over several passages answer little. *Nearness*: the best cosine,
on a scale that is measured for each index when it is built (`rag.calibration`), because cosines of different embedders
have no common one. Any of them alone misleads: a question in another language has no coverage, and one from next door
("what does model X cost?") is as near as an answered one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rag.abstentions import question_language
from rag.bm25 import LexicalIndex
from rag.library import Library
from rag.retrievers import look_up
from rag.schema import Hit
from rag.tokens import query_terms, tokens

READ_HITS = 4

# Set on the demo task and on half of mtRAG's and xQuAD's questions: docs/answers.md.
COVERAGE_WEIGHT, MATCH_WEIGHT, NEARNESS_WEIGHT = 2.0, 2.0, 3.0
ENOUGH = 0.39
WORDS_ALONE = 1.8
"""What words count for where no embedder took part, or none that reads the language: brings them to the same scale."""

FOREIGN = 2.0
"""What shared words count for where the question is in another language than all of the best hits: they are names."""

USUAL_SCALE = 1.6
"""What a corpus's own sentences get, in units of word salads, where only those have been measured."""

Meant = dict[tuple[str, ...], float]
"""What a question asks about: for each of its words the terms that it may stand under, and how much they tell."""


@dataclass(frozen=True, slots=True)
class Answerability:
    """Weighs the signs for one index; `noise` is empty where no embedder took part, or one that only counts words.

    `languages` are those that the embedder reads, as its entry lists them.
    """

    library: Library
    index: LexicalIndex
    noise: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    languages: tuple[str, ...] = ("any",)

    def answers(self, query: str, hits: Sequence[Hit]) -> bool:
        """Tells whether the hits seem to answer the query."""
        return bool(hits) and self.score(query, hits) >= ENOUGH

    def score(self, query: str, hits: Sequence[Hit]) -> float:
        """Returns how surely the hits answer the query, from 0 to at most 1.8; from ENOUGH on it is answered."""
        meant = self._meant(query)
        # Whatever found the hits, the best by BM25 are read as well: what the corpus holds must not depend on it.
        best = self.index.rank_terms([term for terms in meant for term in terms], READ_HITS)
        total = sum(meant.values())
        texts = [_whole(hit) for hit in (*hits[:READ_HITS], *look_up(self.library, best))]
        asked = question_language(query)
        found = [question_language(hit.chunk.text) for hit in hits[:READ_HITS]]
        times = FOREIGN if asked and not {"", asked} & {*found} else 1.0
        coverage = min(1.0, times * self._share(meant)(" ".join(texts)))
        match = min(1.0, times * best[0].score / total) if best and total else 0.0
        words = COVERAGE_WEIGHT * coverage + MATCH_WEIGHT * match
        if self.noise and (not any(found[:1]) or {"any", *found[:1]} & {*self.languages}):
            signs = words + NEARNESS_WEIGHT * self.nearness(hits)
            return signs / (COVERAGE_WEIGHT + MATCH_WEIGHT + NEARNESS_WEIGHT)
        return WORDS_ALONE * words / (COVERAGE_WEIGHT + MATCH_WEIGHT)

    def weigher(self, query: str) -> Callable[[str], float]:
        """Returns a function that gives the IDF-weighted share, 0 to 1, of the query's words that a text holds.

        A word that no passage holds is taken for the most similarly spelled one, if there is one.
        """
        return self._share(self._meant(query))

    def _meant(self, query: str) -> Meant:
        meant: Meant = {}
        for terms in sorted(query_terms(query, self.index.languages)):  # in one order: sums are equal to the bit
            known = {term for term in terms if self.index.holds(term)}
            nearest = known or {self.index.nearest_term(term) or term for term in terms}
            meant[tuple(sorted(nearest))] = min(self.index.idf(term) for term in nearest)
        return meant

    def _share(self, meant: Meant) -> Callable[[str], float]:
        total = sum(meant.values())

        def share(text: str) -> float:
            if not total:
                return 0.0
            held = {term for language in self.index.languages for term in tokens(text, language)}
            return sum(weight for terms, weight in meant.items() if not held.isdisjoint(terms)) / total

        return share

    def nearness(self, hits: Sequence[Hit]) -> float:
        """Returns the best cosine among the hits, where strange questions get 0 and the corpus's own sentences 1."""
        best = max((hit.legs["dense"].score for hit in hits if "dense" in hit.legs), default=0.0)
        strange, familiar = self.scale or (0.0, USUAL_SCALE * self.noise[len(self.noise) // 2])
        return max(0.0, (best - strange) / (familiar - strange)) if familiar > strange else 1.0


def _whole(hit: Hit) -> str:
    return f"{hit.title} {hit.chunk.heading} {hit.chunk.text}"
