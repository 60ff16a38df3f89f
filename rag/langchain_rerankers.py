"""Rerankers and LangChain's document compressors: each as the other."""

from collections.abc import Mapping, Sequence

from langchain_core.callbacks import Callbacks
from langchain_core.documents import Document as LangChainDocument
from langchain_core.documents.compressor import BaseDocumentCompressor
from pydantic import ConfigDict, Field

from rag.rerankers.registry import load_reranker
from rag.rerankers.spec import Reranker, RerankerSpec

SCORE = "relevance_score"
"""The metadata that LangChain's own rerankers put their score into."""

_POSITION = "position"


class RerankerAsLangChain(BaseDocumentCompressor):
    """Gives one of our rerankers to a `ContextualCompressionRetriever`: the `top_n` best documents, best first.

    The score goes into the metadata as `relevance_score`, where LangChain's own rerankers put it.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    reranker: Reranker
    top_n: int = Field(default=8, ge=1)

    @classmethod
    def named(cls, name: str, top_n: int = 8, specs: Mapping[str, RerankerSpec] | None = None) -> "RerankerAsLangChain":
        """Loads a reranker by its name; `specs` adds the user's own entries (`Settings.rerankers`)."""
        return cls(reranker=load_reranker(name, specs), top_n=top_n)

    def compress_documents(
        self, documents: Sequence[LangChainDocument], query: str, callbacks: Callbacks | None = None
    ) -> Sequence[LangChainDocument]:
        """Returns the best documents; of equal ones the first that came."""
        scores = self.reranker.score(query, [document.page_content for document in documents])
        best = sorted(range(len(documents)), key=lambda place: -scores[place])[: self.top_n]
        return [
            documents[place].model_copy(update={"metadata": {**documents[place].metadata, SCORE: scores[place]}})
            for place in best
        ]


class LangChainAsReranker:
    """Makes a LangChain compressor that reorders documents one of our rerankers, under a name of its own.

    Scores are those that it leaves in the metadata; where it leaves none its order decides. What it drops comes last.
    """

    billed_usd = 0.0

    def __init__(self, compressor: BaseDocumentCompressor, name: str) -> None:
        self.spec = RerankerSpec(name, "langchain", name, "", 0, ("any",), "", "")
        self._compressor = compressor

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        """Scores each passage for one query."""
        documents = [
            LangChainDocument(page_content=text, metadata={_POSITION: place}) for place, text in enumerate(passages)
        ]
        kept = list(self._compressor.compress_documents(documents, query)) if documents else []
        scored = [document.metadata.get(SCORE) for document in kept]
        has_scores = all(isinstance(score, int | float) for score in scored)
        values = [float(score or 0) if has_scores else -float(rank) for rank, score in enumerate(scored)]
        last = min(values, default=0.0) - 1
        found = {document.metadata[_POSITION]: value for document, value in zip(kept, values, strict=True)}
        return [found.get(place, last) for place in range(len(passages))]
