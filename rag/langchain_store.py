"""A LangChain `VectorStore` over the library: what is added to it is a corpus, and every promise of one holds.

Vectors are computed once for each text and embedder, changes are atomic, another model over the same corpus is refused,
and what is deleted leaves the disk. Searches compare all stored vectors.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore

from rag.embedders.registry import load_embedder
from rag.embedders.spec import Embedder, unit_rows
from rag.errors import UsageError, unknown_name
from rag.langchain_adapter import EmbedderAsLangChain
from rag.langchain_corpus import LangChainCorpus, Loaded
from rag.langchain_records import label
from rag.library import Library
from rag.retrievers import ExactSearch
from rag.schema import Vectors
from rag.settings import read_settings

CORPUS = "langchain"
READ = 200
"""Documents that are looked up at once while a filter is searched with."""

Accepts = Callable[[Document], bool]


@dataclass(frozen=True, slots=True)
class _Found:
    """A document with its chunk's id and its cosine to the query."""

    chunk_id: str
    score: float
    document: Document


class LibraryVectorStore(VectorStore):
    """A corpus of a library as LangChain's vector store; threads may share it.

    `embedding` is an embedder, its name, or an `EmbedderAsLangChain`; other LangChain `Embeddings` do not say which
    model they are, so name them: `LangChainAsEmbedder.named(embeddings, "my-model")`. Reading needs no lock; adding and
    deleting take the writer's, and raise LibraryLockedError while another process has it.
    """

    def __init__(
        self, embedding: Embeddings | Embedder | str, corpus: str = CORPUS, home: str | Path | None = None
    ) -> None:
        settings = read_settings(home)
        if isinstance(embedding, str):
            embedding = load_embedder(embedding, settings.embedders)
        if isinstance(embedding, Embeddings) and not isinstance(embedding, EmbedderAsLangChain):
            raise UsageError(
                f"{type(embedding).__name__} does not say which model it is, so its vectors could not be told from "
                "another's. Name it: LangChainAsEmbedder.named(embeddings, 'my-model')."
            )
        self._embeddings = embedding if isinstance(embedding, EmbedderAsLangChain) else EmbedderAsLangChain(embedding)
        self._embedder = self._embeddings.embedder
        self._library = Library(settings.home, create=True)
        self._corpus = LangChainCorpus(self._library, corpus, self._embedder)

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings | Embedder | str,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        corpus: str = CORPUS,
        home: str | Path | None = None,
        **kwargs: Any,
    ) -> Self:
        """Opens a store and adds texts to what is in it."""
        store = cls(embedding, corpus, home)
        store.add_texts(texts, metadatas, ids=ids, **kwargs)
        return store

    @property
    def embeddings(self) -> Embeddings:
        """The embedder as LangChain sees it."""
        return self._embeddings

    def close(self) -> None:
        """Closes the library."""
        self._library.close()

    # --- what is in it

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Adds texts in one transaction, in place of those with the same ids, and returns the ids.

        A text without an id gets one by its content and metadata. Options of other stores, such as `batch_size`, are
        of no effect. Raises UsageError for metadata that is not JSON.
        """
        documents = label(texts, metadatas, ids)
        if documents:
            self._corpus.add(documents)
        return [str(document.id) for document in documents]

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:
        """Deletes documents from every index and from the disk; None stands for all, unknown ids for nothing."""
        self._corpus.delete(ids)
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Looks documents up by id, in the order of the ids; what is not there is left out."""
        found = self._corpus.by_id(ids)
        return [found[key] for key in dict.fromkeys(ids) if key in found]

    # --- searching

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """Finds the k nearest documents; see `similarity_search_with_score`."""
        return [document for document, _ in self.similarity_search_with_score(query, k, **kwargs)]

    def similarity_search_with_score(self, query: str, k: int = 4, **kwargs: Any) -> list[tuple[Document, float]]:
        """Finds the k nearest documents with their cosines, the nearest first.

        `filter` is a dictionary that the metadata must contain, or a function that tells whether a document will do.
        Raises UsageError for any other option.
        """
        accepts = _filter(kwargs)
        loaded = self._corpus.load()
        if loaded is None:
            return []
        return [(found.document, found.score) for found in self._rank(loaded, self._query(query), k, accepts)]

    def similarity_search_by_vector(self, embedding: list[float], k: int = 4, **kwargs: Any) -> list[Document]:
        """Finds the k documents nearest to a vector of the embedder's dimension."""
        accepts, vector = _filter(kwargs), self._vector(embedding)
        loaded = self._corpus.load()
        return [found.document for found in self._rank(loaded, vector, k, accepts)] if loaded else []

    def max_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        """Chooses k of the `fetch_k` nearest documents, each near to the query and far from those chosen before.

        Carbonell and Goldstein, "The use of MMR, diversity-based reranking" (SIGIR 1998); `lambda_mult` is the weight
        of nearness to the query, 0 to 1.
        """
        return self._diverse(self._query(query), k, fetch_k, lambda_mult, _filter(kwargs))

    def max_marginal_relevance_search_by_vector(
        self, embedding: list[float], k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        """Does the same for a vector of the embedder's dimension."""
        return self._diverse(self._vector(embedding), k, fetch_k, lambda_mult, _filter(kwargs))

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        return lambda cosine: min(1.0, max(0.0, cosine))

    def _query(self, query: str) -> Vectors:
        readable = query.encode("utf-8", "replace").decode("utf-8")  # no tokenizer takes halves of surrogate pairs
        return self._embedder.embed_queries([readable])

    def _vector(self, embedding: Sequence[float]) -> Vectors:
        dimension = self._embedder.spec.dimension
        if len(embedding) != dimension:
            raise UsageError(
                f"The vector has {len(embedding)} dimensions, those under '{self._embedder.spec.name}' have "
                f"{dimension}. Embed the query with the store's own embedder."
            )
        return unit_rows(np.asarray([embedding], dtype=np.float64))

    def _rank(self, loaded: Loaded, query: Vectors, k: int, accepts: Accepts | None) -> list[_Found]:
        """Returns the k nearest documents that are accepted."""
        (ranking,) = ExactSearch(loaded.ids, loaded.vectors)(query, k if accepts is None else len(loaded.ids))
        found: list[_Found] = []
        for first in range(0, len(ranking), READ):
            part = ranking[first : first + READ]
            documents = self._corpus.by_chunk([chunk_id for chunk_id, _ in part])
            for chunk_id, score in part:
                document = documents.get(chunk_id)  # None where it was deleted meanwhile
                if document is not None and (accepts is None or accepts(document)):
                    found.append(_Found(chunk_id, score, document))
            if len(found) >= k:
                break
        return found[: max(k, 0)]

    def _diverse(self, query: Vectors, k: int, fetch_k: int, weight: float, accepts: Accepts | None) -> list[Document]:
        loaded = self._corpus.load()
        if loaded is None:
            return []
        found = self._rank(loaded, query, fetch_k, accepts)
        places = {chunk_id: place for place, chunk_id in enumerate(loaded.ids)}
        vectors = loaded.vectors[[places[each.chunk_id] for each in found]]
        return [found[row].document for row in choose_diverse(query[0], vectors, k, weight)]


def choose_diverse(query: Vectors, vectors: Vectors, k: int, weight: float) -> list[int]:
    """Returns the rows of at most k unit vectors (n, d) in the order in which maximal marginal relevance takes them.

    >>> rows = np.array([[1, 0], [0.99, 0.141], [0.6, 0.8]], dtype=np.float32)
    >>> choose_diverse(np.array([1, 0], dtype=np.float32), rows, 2, 0.5)
    [0, 1]
    >>> choose_diverse(np.array([1, 0], dtype=np.float32), rows, 2, 0.3)
    [0, 2]
    """
    if not len(vectors):
        return []
    nearness = vectors @ query
    scores, closest = nearness, np.full(len(vectors), -np.inf, dtype=np.float32)
    chosen: list[int] = []
    while len(chosen) < min(k, len(vectors)):
        best = int(np.argmax(scores))
        chosen.append(best)
        closest = np.maximum(closest, vectors @ vectors[best])
        scores = weight * nearness - (1 - weight) * closest
        scores[chosen] = -np.inf
    return chosen


def _filter(options: dict[str, Any]) -> Accepts | None:
    """Returns what the option `filter` asks of a document; raises UsageError for an option that is not known."""
    for name in options:
        if name != "filter":
            raise unknown_name("option", name, ["filter"], where=" of a search in the library")
    wanted = options.get("filter")
    if isinstance(wanted, Mapping):
        return lambda document: wanted.items() <= document.metadata.items()
    if wanted is None or callable(wanted):
        return wanted
    raise UsageError(f"filter = {wanted!r} should be a dictionary of metadata, or a function of a document.")
