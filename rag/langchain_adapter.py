"""LangChain at the edges: our embedders and retrievers as LangChain's, and its `Embeddings` as embedders."""

from collections.abc import Sequence

import numpy as np
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document as LangChainDocument
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict

from rag.embedders.spec import Embedder, EmbedderSpec, unit_rows
from rag.errors import RagError
from rag.retrievers import Retriever
from rag.schema import Hit, Vectors

CHARACTERS_PER_TOKEN = 4
"""What a token of an unknown tokenizer is taken for: about right for English, up to four times too many elsewhere."""


class EmbedderAsLangChain(Embeddings):
    """Gives one of our embedders to LangChain, with its prefixes on the right sides."""

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embeds passages."""
        vectors: list[list[float]] = self.embedder.embed_passages(texts).tolist()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        """Embeds one query."""
        vector: list[float] = self.embedder.embed_queries([text])[0].tolist()
        return vector


class LangChainAsEmbedder:
    """Makes any LangChain `Embeddings` one of our embedders: unit rows, its dimension checked, prefixes from the spec.

    Leave the spec's prefixes empty where the LangChain class puts its own.
    """

    def __init__(self, embeddings: Embeddings, spec: EmbedderSpec) -> None:
        self.embeddings = embeddings
        self.spec = spec

    def embed_queries(self, queries: Sequence[str]) -> Vectors:
        """Embeds queries one by one, which is all that LangChain offers, (n, dimension)."""
        return self._checked([self.embeddings.embed_query(self.spec.query_prefix + query) for query in queries])

    def embed_passages(self, passages: Sequence[str]) -> Vectors:
        """Embeds passages, (n, dimension)."""
        prefixed = [self.spec.passage_prefix + passage for passage in passages]
        return self._checked(self.embeddings.embed_documents(prefixed) if prefixed else [])

    def count_tokens(self, passages: Sequence[str]) -> list[int]:
        """Estimates tokens as characters / 4, rounded up: LangChain's `Embeddings` do not tell their tokenizer.

        English comes close to it; Chinese, code and long numbers hold up to four times as many tokens.
        """
        prefix = len(self.spec.passage_prefix)
        return [max(1, -(-(prefix + len(passage)) // CHARACTERS_PER_TOKEN)) for passage in passages]

    def _checked(self, rows: Sequence[Sequence[float]]) -> Vectors:
        vectors = (
            np.asarray(rows, dtype=np.float64).reshape(len(rows), -1) if rows else np.zeros((0, self.spec.dimension))
        )
        if vectors.shape[1] != self.spec.dimension:
            raise RagError(
                f"Embedder '{self.spec.name}' gave vectors of {vectors.shape[1]} dimensions, its entry says "
                f"{self.spec.dimension}. Correct `dimension` in its entry."
            )
        return unit_rows(vectors)


class RetrieverAsLangChain(BaseRetriever):
    """Gives one of our retrievers to any LCEL chain; offsets, page, score and legs travel in the metadata."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    retriever: Retriever
    k: int = 8

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[LangChainDocument]:
        return [_document(hit) for hit in self.retriever.retrieve(query, k or self.k)]


def _document(hit: Hit) -> LangChainDocument:
    chunk = hit.chunk
    return LangChainDocument(
        id=chunk.id,
        page_content=chunk.text,
        metadata={
            "document_id": chunk.document_id,
            "source": hit.source,
            "title": hit.title,
            "page": chunk.page,
            "heading": chunk.heading,
            "start": chunk.start,
            "end": chunk.end,
            "rank": hit.rank,
            "score": hit.score,
            "legs": {name: {"rank": leg.rank, "score": leg.score} for name, leg in hit.legs.items()},
        },
    )
