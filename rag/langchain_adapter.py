"""LangChain at the edges: our embedders and retrievers as LangChain's, and its `Embeddings` as embedders."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document as LangChainDocument
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict, Field

from rag.cards import CANARY
from rag.embedders.registry import load_embedder
from rag.embedders.spec import Embedder, EmbedderSpec, unit_rows
from rag.errors import RagError, UsageError, unknown_name
from rag.library import Library
from rag.reader import Opened, Reader
from rag.retrievers import Retriever
from rag.schema import Hit, Scored, Vectors
from rag.settings import read_settings

CHARACTERS_PER_TOKEN = 4
"""What a token of an unknown tokenizer is taken for: about right for English, up to four times too many elsewhere."""

QUESTION_OPTIONS = ("filter", "reranker", "mmr", "fusion", "weight", "search")
"""What a question may be asked with, where its retriever was opened by names."""

SHOWN = 60
"""Characters of a text that an error shows."""


class EmbedderAsLangChain(Embeddings):
    """Gives one of our embedders, itself or by its name, to LangChain, with its prefixes on the right sides.

    `specs` adds the user's own entries to the names (`Settings.embedders`).
    """

    def __init__(self, embedder: Embedder | str, specs: Mapping[str, EmbedderSpec] | None = None) -> None:
        self.embedder = load_embedder(embedder, specs) if isinstance(embedder, str) else embedder

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

    @classmethod
    def named(cls, embeddings: Embeddings, name: str, revision: str = "") -> Self:
        """Makes an embedder of what no entry describes; its dimension is asked of it.

        Stored vectors are kept under the name and the revision: another model, or the same one with other parameters,
        needs another of either.
        """
        unknown = ("max_tokens", "usd_per_million_tokens", "languages", "licence", "source")
        spec = EmbedderSpec(
            name=name,
            provider="langchain",
            model=name,
            revision=revision,
            dimension=len(embeddings.embed_query(CANARY)),
            max_tokens=0,
            query_prefix="",
            passage_prefix="",
            usd_per_million_tokens=0.0,
            languages=("any",),
            licence="",
            source="",
            unconfirmed=unknown,
        )
        return cls(embeddings, spec)

    def embed_queries(self, queries: Sequence[str]) -> Vectors:
        """Embeds queries one by one, which is all that LangChain offers, (n, dimension)."""
        prefixed = [self.spec.query_prefix + query for query in queries]
        return self._checked(prefixed, [self.embeddings.embed_query(query) for query in prefixed])

    def embed_passages(self, passages: Sequence[str]) -> Vectors:
        """Embeds passages, (n, dimension)."""
        prefixed = [self.spec.passage_prefix + passage for passage in passages]
        return self._checked(prefixed, self.embeddings.embed_documents(prefixed) if prefixed else [])

    def count_tokens(self, passages: Sequence[str]) -> list[int]:
        """Estimates tokens as characters / 4, rounded up: LangChain's `Embeddings` do not tell their tokenizer.

        English comes close to it; Chinese, code and long numbers hold up to four times as many tokens.
        """
        prefix = len(self.spec.passage_prefix)
        return [max(1, -(-(prefix + len(passage)) // CHARACTERS_PER_TOKEN)) for passage in passages]

    def _checked(self, texts: Sequence[str], rows: Sequence[Sequence[float]]) -> Vectors:
        """Returns unit rows; raises RagError unless each text has one, of the right width and with a direction."""
        name, dimension = self.spec.name, self.spec.dimension
        if len(rows) != len(texts):
            raise RagError(
                f"Embedder '{name}' gave {len(rows)} vectors for {len(texts)} texts, so none can be told "
                "whose it is. Mend its LangChain class, or take another embedder."
            )
        for row in rows:
            if len(row) != dimension:
                raise RagError(
                    f"Embedder '{name}' gave vectors of {len(row)} dimensions, its entry says {dimension}. "
                    "Correct `dimension` in its entry."
                )
        vectors = np.asarray(rows, dtype=np.float64).reshape(len(rows), dimension)
        usable = np.isfinite(vectors).all(axis=1) & vectors.any(axis=1)
        if not usable.all():
            text = texts[int(np.argmin(usable))]
            raise RagError(
                f"Embedder '{name}' gave zeros, or what is no number, for the text that begins {text[:SHOWN]!r}. "
                "Leave that text out, or take another embedder."
            )
        return unit_rows(vectors)


class RetrieverAsLangChain(BaseRetriever):
    """Gives one of our retrievers to any LCEL chain; offsets, page, score and legs travel in the metadata."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    retriever: Retriever
    k: int = Field(default=8, ge=1)

    @classmethod
    def open(
        cls,
        corpus: str | None = None,
        embedder: str | None = None,
        retriever: str | None = None,
        chunker: str | None = None,
        home: str | Path | None = None,
        k: int | None = None,
        **options: Any,
    ) -> Self:
        """Opens a library for reading, beside whoever writes it; what is None is taken from its `rag.toml`.

        `retriever` is dense, lexical or hybrid; further options are those of `Reader.open`: `filter`, `reranker`,
        `mmr`, `fusion`, `weight`, `search`. They may be given with a question as well: `invoke(question, filter=...)`.
        Each question is asked of the corpus as it is then. Raises what `Reader.open` raises, now rather than at the
        first question.
        """
        settings = read_settings(home)
        reader = Reader(Library(settings.home), settings)
        reopened = _Reopened(partial(reader.open, corpus, embedder, retriever, chunker, **options))
        return cls(retriever=reopened, k=settings.k if k is None else k)

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None, **options: Any
    ) -> list[LangChainDocument]:
        wanted = self.k if k is None else k
        if wanted < 1:
            raise UsageError(f"k = {wanted} must be at least 1.")
        for name in options:
            if name not in QUESTION_OPTIONS or not isinstance(self.retriever, _Reopened):
                known = QUESTION_OPTIONS if isinstance(self.retriever, _Reopened) else ()
                raise unknown_name("option", name, ("k", *known), where=" of a question")
        asked = self.retriever.opened_with(**options) if isinstance(self.retriever, _Reopened) else self.retriever
        return [_document(hit) for hit in asked.retrieve(query, wanted)]


class _Reopened:
    """A retriever that is opened anew for each question, so that none is asked of a state that is gone."""

    def __init__(self, opened: Callable[..., Opened]) -> None:
        self._open = opened
        self.name = opened().retriever.name

    def opened_with(self, **options: Any) -> Retriever:
        """Opens it for one question, with other options than usual."""
        return self._open(**options).retriever

    def rank(self, queries: Sequence[str], k: int) -> list[list[Scored]]:
        """Ranks the k best chunks of each query."""
        return self._open().retriever.rank(queries, k)

    def retrieve(self, query: str, k: int) -> list[Hit]:
        """Finds the k best chunks of one query."""
        return self._open().retriever.retrieve(query, k)


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
