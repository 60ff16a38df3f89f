"""LangChain's own suites (langchain-tests) over what we give to LangChain, and over its `Embeddings` once ours."""

import pytest
from langchain_tests.integration_tests import (
    EmbeddingsIntegrationTests,
    RetrieversIntegrationTests,
    VectorStoreIntegrationTests,
)
from langchain_tests.unit_tests import EmbeddingsUnitTests

from rag.langchain_adapter import EmbedderAsLangChain, LangChainAsEmbedder, RetrieverAsLangChain
from rag.langchain_store import LibraryVectorStore


class _Ours:
    """What the two suites of embeddings are told; each subclass names an embedder."""

    name = ""

    @property
    def embeddings_class(self):
        return EmbedderAsLangChain

    @property
    def embedding_model_params(self):
        return {"embedder": self.name}


class TestHashUnit(_Ours, EmbeddingsUnitTests):
    name = "hash"


class TestHash(_Ours, EmbeddingsIntegrationTests):
    name = "hash"


class TestWordllamaUnit(_Ours, EmbeddingsUnitTests):
    name = "wordllama"


class TestWordllama(_Ours, EmbeddingsIntegrationTests):
    name = "wordllama"


class TestMinilmUnit(_Ours, EmbeddingsUnitTests):
    name = "minilm"


class TestMinilm(_Ours, EmbeddingsIntegrationTests):
    name = "minilm"


class _OverSmallLibrary:
    """What the suite of retrievers is told; each subclass names a retriever."""

    name = ""

    @pytest.fixture(autouse=True)
    def _library(self, small_library):
        self.home = small_library.settings.home

    @property
    def retriever_constructor(self):
        return RetrieverAsLangChain

    @property
    def retriever_constructor_params(self):
        opened = RetrieverAsLangChain.open(embedder="wordllama", retriever=self.name, home=self.home)
        return {"retriever": opened.retriever}

    @property
    def retriever_query_example(self):
        return "the chain of my bicycle, the planets and green tea"


class TestDense(_OverSmallLibrary, RetrieversIntegrationTests):
    name = "dense"


class TestLexical(_OverSmallLibrary, RetrieversIntegrationTests):
    name = "lexical"


class TestHybrid(_OverSmallLibrary, RetrieversIntegrationTests):
    name = "hybrid"


class TestStore(VectorStoreIntegrationTests):
    """Over LangChain's fake embeddings, as the suite wants it."""

    @pytest.fixture
    def vectorstore(self, tmp_path):
        store = LibraryVectorStore(LangChainAsEmbedder.named(self.get_embeddings(), "fake"), home=tmp_path)
        yield store
        store.close()


class TestStoreOfOurs(VectorStoreIntegrationTests):
    """Over an embedder of our own."""

    @pytest.fixture
    def vectorstore(self, tmp_path):
        store = LibraryVectorStore("hash", home=tmp_path)
        yield store
        store.close()
