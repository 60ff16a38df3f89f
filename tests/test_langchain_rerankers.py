"""Our rerankers as LangChain's compressors and back, and filters, MMR and rerankers through LangChain's retrievers."""

import pytest
from langchain_classic.retrievers import ContextualCompressionRetriever
from langchain_core.documents import Document
from langchain_core.documents.compressor import BaseDocumentCompressor
from langchain_tests.integration_tests import RetrieversIntegrationTests

from rag.errors import UsageError
from rag.filters import Filter
from rag.langchain_adapter import RetrieverAsLangChain
from rag.langchain_rerankers import LangChainAsReranker, RerankerAsLangChain
from rag.reader import Reader
from rag.rerankers.spec import RerankerSpec
from vendor_clients import server, serving  # noqa: F401  # fixtures
from wire_server import relevance

QUESTION = "the chain of my bicycle, the planets and green tea"


@pytest.fixture
def home(small_library, server, tmp_path):  # noqa: F811
    """A home with a reranker of its own, over the small library's database."""
    import shutil

    folder = tmp_path / "home"
    shutil.copytree(small_library.settings.home, folder)
    (folder / "rag.toml").write_text(
        f"[rerankers.mine]\nprovider = 'tei'\nmodel = 'm'\nrevision = ''\nmax_tokens = 0\nlanguages = ['any']\n"
        f"licence = ''\nsource = ''\nbase_url = '{server.url}'\n"
    )
    return folder


def tei(server):  # noqa: F811
    from rag.rerankers.tei import TeiReranker

    return TeiReranker(RerankerSpec("mine", "tei", "m", "", 0, ("any",), "", "", base_url=server.url))


def test_a_reranker_orders_langchains_documents(server):  # noqa: F811
    texts = ["a worn chain", "green tea takes two minutes", "bread", "tea and tea"]
    documents = [Document(text, metadata={"n": number}) for number, text in enumerate(texts)]
    found = RerankerAsLangChain(reranker=tei(server), top_n=2).compress_documents(documents, "green tea")
    scores = sorted((relevance("green tea", text) for text in texts), reverse=True)
    assert [document.metadata["relevance_score"] for document in found] == pytest.approx(scores[:2])
    assert all(document.page_content == texts[document.metadata["n"]] for document in found)
    assert documents[1].metadata == {"n": 1}  # the caller's own are left alone


def test_a_reranker_serves_langchains_compression_retriever(small_library, server):  # noqa: F811
    retriever = ContextualCompressionRetriever(
        base_compressor=RerankerAsLangChain(reranker=tei(server), top_n=3),
        base_retriever=RetrieverAsLangChain.open(embedder="hash", home=small_library.settings.home, k=6),
    )
    found = retriever.invoke("green tea")
    assert len(found) == 3
    scores = [document.metadata["relevance_score"] for document in found]
    assert scores == sorted(scores, reverse=True)


class _Shortest(BaseDocumentCompressor):
    """Keeps the two shortest documents, the shortest first."""

    def compress_documents(self, documents, query, callbacks=None):
        return sorted(documents, key=lambda document: len(document.page_content))[:2]


def test_a_compressor_of_langchains_reranks_our_search(small_library):
    reader = Reader(small_library.library, small_library.settings)
    reranker = LangChainAsReranker(_Shortest(), "shortest")
    hits = reader.open("small", "hash", "dense", reranker=reranker).retriever.retrieve(QUESTION, 50)
    lengths = [len(hit.chunk.text) for hit in hits]
    assert lengths[:2] == sorted(lengths)[:2]
    assert len({hit.score for hit in hits[2:]}) == 1
    assert reranker.score("anything", []) == []


def test_ours_as_theirs_as_ours_changes_nothing(server):  # noqa: F811
    texts = ["a worn chain", "green tea takes two minutes", "bread"]
    ours = tei(server)
    again = LangChainAsReranker(RerankerAsLangChain(reranker=ours, top_n=10), "again")
    assert again.score("green tea", texts) == pytest.approx(ours.score("green tea", texts))


def test_a_retriever_takes_options_when_opened_and_with_a_question(home):
    opened = RetrieverAsLangChain.open(embedder="hash", home=home, k=4, filter=Filter(type="md"))
    assert {document.metadata["source"] for document in opened.invoke(QUESTION)} <= {"planets.md", "notes/tea.md"}
    asked = opened.invoke(QUESTION, filter=Filter(source="bicycles.html"), k=2)
    assert {document.metadata["source"] for document in asked} == {"bicycles.html"}
    assert "reranker" in opened.invoke(QUESTION, reranker="mine")[0].metadata["legs"]
    assert "mmr" in opened.invoke(QUESTION, mmr=0.5)[0].metadata["legs"]


def test_an_option_that_no_question_has_is_refused(home):
    opened = RetrieverAsLangChain.open(embedder="hash", home=home)
    with pytest.raises(UsageError, match=r"No option 'filtre' of a question\. Did you mean 'filter'"):
        opened.invoke(QUESTION, filtre=1)
    with pytest.raises(UsageError, match="No document of type 'mdd'"):
        RetrieverAsLangChain.open(embedder="hash", home=home, filter=Filter(type="mdd"))


class _WithEverything:
    """What LangChain's suite of retrievers is told."""

    options: dict = {}  # noqa: RUF012

    @pytest.fixture(autouse=True)
    def _home(self, home):
        self.home = home

    @property
    def retriever_constructor(self):
        return RetrieverAsLangChain

    @property
    def retriever_constructor_params(self):
        return {"retriever": RetrieverAsLangChain.open(embedder="wordllama", home=self.home, **self.options).retriever}

    @property
    def retriever_query_example(self):
        return QUESTION


class TestFiltered(_WithEverything, RetrieversIntegrationTests):
    options = {"filter": Filter(language="en")}  # noqa: RUF012


class TestDiverse(_WithEverything, RetrieversIntegrationTests):
    options = {"mmr": 0.5}  # noqa: RUF012


class TestReranked(_WithEverything, RetrieversIntegrationTests):
    options = {"reranker": "mine"}  # noqa: RUF012
