"""A retriever whose best chunks a reranker puts into another order."""

from collections.abc import Sequence

from rag.library import Library
from rag.passages import passage
from rag.ranking import by_score
from rag.rerankers.spec import Reranker
from rag.retrievers import Retriever, look_up
from rag.schema import Hit, Leg, Scored

CANDIDATES = 50
"""How many of the best chunks a reranker reads, and so the most that a reranked search finds."""

LEG = "reranker"


class RerankedRetriever:
    """Has a reranker read what another retriever found best; its scores are the hits', who keep their legs."""

    def __init__(self, library: Library, inner: Retriever, reranker: Reranker) -> None:
        self.name = inner.name
        self._library = library
        self._inner = inner
        self._reranker = reranker

    def rank(self, queries: Sequence[str], k: int) -> list[list[Scored]]:
        """Ranks the k best chunks of each query; a chunk that was deleted meanwhile is left out."""
        rankings = self._inner.rank(queries, CANDIDATES)
        return [self._rerank(query, ranking)[:k] for query, ranking in zip(queries, rankings, strict=True)]

    def retrieve(self, query: str, k: int) -> list[Hit]:
        """Finds the k best chunks of one query and looks them up."""
        return look_up(self._library, self.rank([query], k)[0])

    def _rerank(self, query: str, ranking: Sequence[Scored]) -> list[Scored]:
        stored = self._library.chunks([result.chunk_id for result in ranking])
        present = {result.chunk_id: result for result in ranking if result.chunk_id in stored}
        passages = [passage(stored[key].title, stored[key].chunk.heading, stored[key].chunk.text) for key in present]
        scores = dict(zip(present, self._reranker.score(query, passages), strict=True)) if present else {}
        return [
            Scored(key, scores[key], {**present[key].legs, LEG: Leg(rank, scores[key])})
            for rank, key in enumerate(by_score(scores), start=1)
        ]
