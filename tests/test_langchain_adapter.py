"""Our parts in LangChain's clothes, and LangChain's in ours."""

from dataclasses import replace

import numpy as np
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.runnables import RunnableLambda

from rag.embedders.registry import load_embedder
from rag.errors import RagError
from rag.langchain_adapter import EmbedderAsLangChain, LangChainAsEmbedder, RetrieverAsLangChain
from rag.schema import Chunk, Hit, Leg


class _OneHit:
    """A retriever that always finds one chunk; the adapter must carry all of it over."""

    name = "dense"

    def rank(self, queries, k):
        raise NotImplementedError

    def retrieve(self, query, k):
        chunk = Chunk("c1", "d1", 10, 10 + len(query), 3, "Guide > Weights", query)
        return [Hit(chunk, "guide.pdf", "Guide", 1, 0.5, {"dense": Leg(1, 0.5)})] * k


def test_our_embedder_keeps_its_vectors_and_its_prefixes():
    ours = load_embedder("wordllama")
    prefixed = type(ours)(replace(ours.spec, query_prefix="query: ", passage_prefix="passage: "))
    theirs = EmbedderAsLangChain(prefixed)
    assert np.allclose(theirs.embed_query("a cat"), ours.embed_queries(["query: a cat"])[0])
    assert np.allclose(theirs.embed_documents(["a cat"]), ours.embed_passages(["passage: a cat"]))


def test_their_embeddings_become_unit_rows_with_our_prefixes():
    theirs = DeterministicFakeEmbedding(size=16)
    spec = replace(load_embedder("hash").spec, dimension=16, query_prefix="q: ", passage_prefix="p: ")
    ours = LangChainAsEmbedder(theirs, spec)
    expected = np.array(theirs.embed_query("q: hello"))
    assert np.allclose(ours.embed_queries(["hello"])[0], expected / np.linalg.norm(expected), atol=1e-6)
    assert np.allclose(np.linalg.norm(ours.embed_passages(["a", "b"]), axis=1), 1)
    assert not np.allclose(ours.embed_queries(["hello"]), ours.embed_passages(["hello"]))
    assert ours.embed_passages([]).shape == (0, 16)


def test_tokens_of_their_embeddings_are_estimated_by_characters():
    spec = replace(load_embedder("hash").spec, dimension=16, query_prefix="not counted", passage_prefix="p: ")
    ours = LangChainAsEmbedder(DeterministicFakeEmbedding(size=16), spec)
    assert ours.count_tokens(["", "a", "ab", "a" * 397]) == [1, 1, 2, 100]


def test_a_wrong_dimension_is_refused_by_name():
    spec = replace(load_embedder("hash").spec, dimension=8)
    with pytest.raises(RagError, match="16 dimensions, its entry says 8"):
        LangChainAsEmbedder(DeterministicFakeEmbedding(size=16), spec).embed_passages(["a"])


def test_a_retriever_runs_in_an_lcel_chain_with_all_its_facts():
    chain = RetrieverAsLangChain(retriever=_OneHit(), k=2) | RunnableLambda(lambda documents: documents)
    first, second = chain.invoke("half and half")
    assert first == second
    assert (first.id, first.page_content) == ("c1", "half and half")
    assert first.metadata["source"] == "guide.pdf"
    assert first.metadata["page"] == 3
    assert (first.metadata["start"], first.metadata["end"]) == (10, 23)
    assert first.metadata["legs"] == {"dense": {"rank": 1, "score": 0.5}}
