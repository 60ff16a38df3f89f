"""The vector store as LangChain uses it, with LangChain's own store as an oracle."""

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.example_selectors import SemanticSimilarityExampleSelector
from langchain_core.indexing import InMemoryRecordManager, index
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_core.vectorstores.utils import maximal_marginal_relevance

from langchain_stores import METADATAS, TEXTS, stores
from rag.embedders.spec import unit_rows
from rag.errors import UsageError
from rag.langchain_adapter import EmbedderAsLangChain
from rag.langchain_store import LibraryVectorStore, choose_diverse

QUERY = "the moon of Saturn and tea"


@pytest.fixture
def open_store(tmp_path):
    with stores(tmp_path / "home") as open_one:
        yield open_one


@pytest.fixture
def filled(open_store):
    store = open_store()
    store.add_texts(TEXTS, METADATAS, ids=list("abcde"))
    return store


@pytest.fixture
def oracle():
    """LangChain's store in memory, with the same texts under the same embedder."""
    store = InMemoryVectorStore(EmbedderAsLangChain("hash"))
    store.add_texts(TEXTS, METADATAS, ids=list("abcde"))
    return store


def test_it_ranks_and_scores_as_langchains_own_store(filled, oracle):
    ours = filled.similarity_search_with_score(QUERY, k=5)
    theirs = oracle.similarity_search_with_score(QUERY, k=5)
    assert [document for document, _ in ours] == [document for document, _ in theirs]
    np.testing.assert_allclose([score for _, score in ours], [score for _, score in theirs], atol=1e-6)
    assert filled.similarity_search(QUERY, k=0) == []
    vector = EmbedderAsLangChain("hash").embed_query(QUERY)
    assert filled.similarity_search_by_vector([3 * value for value in vector], k=2) == [ours[0][0], ours[1][0]]


def test_it_filters_as_langchains_own_store(filled, oracle):
    def is_on_page_2(document):
        return document.metadata.get("page") == 2

    theirs = oracle.similarity_search(QUERY, k=2, filter=is_on_page_2)
    assert {document.id for document in theirs} == {"b", "e"}
    assert filled.similarity_search(QUERY, k=2, filter=is_on_page_2) == theirs
    assert filled.similarity_search(QUERY, k=2, filter={"page": 2}) == theirs
    assert filled.similarity_search(QUERY, k=4, filter={"page": 2, "topic": "planets"}) == filled.get_by_ids(["b"])
    assert filled.similarity_search(QUERY, k=4, filter={"topic": None}) == []


def test_a_filter_finds_what_lies_deep_in_the_ranking(open_store):
    store = open_store()
    texts = [f"tea number {number}" for number in range(450)]
    store.add_texts(["nothing of the kind", *texts], [{"odd": True}, *({} for _ in texts)])
    assert [found.page_content for found in store.similarity_search("tea", filter={"odd": True})] == [
        "nothing of the kind"
    ]


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.5, 1.0])
def test_diversity_is_chosen_as_langchain_chooses_it(filled, oracle, weight):
    options = {"k": 3, "fetch_k": 4, "lambda_mult": weight}
    assert filled.max_marginal_relevance_search(QUERY, **options) == oracle.max_marginal_relevance_search(
        QUERY, **options
    )
    random = np.random.default_rng(7)
    vectors, query = unit_rows(random.normal(size=(40, 8))), unit_rows(random.normal(size=(1, 8)))[0]
    assert choose_diverse(query, vectors, 12, weight) == maximal_marginal_relevance(query, vectors, weight, 12)
    vector = EmbedderAsLangChain("hash").embed_query(QUERY)
    assert filled.max_marginal_relevance_search_by_vector(vector, filter={"none": 1}) == []


def test_retrievers_of_each_kind_come_of_it(filled):
    assert filled.as_retriever(search_kwargs={"k": 1}).invoke("Saturn moon Titan") == filled.get_by_ids(["b"])
    assert len(filled.as_retriever(search_type="mmr", search_kwargs={"k": 3}).invoke("tea")) == 3
    options = {"score_threshold": 0.3}
    near = filled.as_retriever(search_type="similarity_score_threshold", search_kwargs=options).invoke("worn chain")
    assert [document.id for document in near] == ["c"]
    assert all(0 <= score <= 1 for _, score in filled.similarity_search_with_relevance_scores(TEXTS[0], k=5))


def test_options_that_would_be_ignored_are_refused(filled):
    with pytest.raises(UsageError, match=r"No option 'filtre' of a search in the library. Did you mean 'filter'"):
        filled.similarity_search(QUERY, filtre={"page": 2})
    with pytest.raises(UsageError, match=r"filter = 3 should be"):
        filled.similarity_search(QUERY, filter=3)
    with pytest.raises(UsageError, match=r"has 2 dimensions, those under 'hash' have"):
        filled.similarity_search_by_vector([1.0, 0.0])


def test_half_a_surrogate_pair_in_a_query_is_no_error(open_store):
    store = open_store("wordllama")
    store.add_texts(TEXTS)
    assert len(store.similarity_search("tea \ud83d", k=2)) == 2


def test_langchains_indexing_keeps_it_in_step(open_store):
    store, manager = open_store(), InMemoryRecordManager("notes")
    manager.create_schema()

    def indexed(*texts):
        documents = [Document(text, metadata={"source": text[:3]}) for text in texts]
        return index(documents, manager, store, cleanup="full", source_id_key="source", key_encoder="sha256")

    assert indexed(*TEXTS)["num_added"] == 5
    result = indexed(*TEXTS[:2], "Oolong.")
    assert (result["num_added"], result["num_skipped"], result["num_deleted"]) == (1, 2, 3)
    found = store.similarity_search("tea", k=9)
    assert {document.page_content for document in found} == {*TEXTS[:2], "Oolong."}


def test_it_is_made_of_documents_and_examples(tmp_path):
    documents = [Document(text, id=str(place)) for place, text in enumerate(TEXTS)]
    store = LibraryVectorStore.from_documents(documents, EmbedderAsLangChain("hash"), home=tmp_path)
    assert store.get_by_ids(["4", "0"]) == [documents[4], documents[0]]
    assert store.embeddings.embed_query("tea") == EmbedderAsLangChain("hash").embed_query("tea")
    examples = [{"input": "worn chain", "output": "replace it"}, {"input": "green tea", "output": "brew it"}]
    selector = SemanticSimilarityExampleSelector.from_examples(
        examples, EmbedderAsLangChain("hash"), LibraryVectorStore, k=1, home=tmp_path, corpus="examples"
    )
    assert selector.select_examples({"input": "tea"}) == examples[1:]
