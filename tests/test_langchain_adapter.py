"""Our parts in LangChain's clothes, and LangChain's in ours."""

import asyncio
import doctest
import json
import re
import subprocess
import sys
import threading
from dataclasses import replace
from operator import itemgetter
from pathlib import Path

import numpy as np
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from pydantic import ValidationError

from rag.embedders.registry import find_spec, load_embedder
from rag.errors import IndexNotFoundError, RagError, UsageError
from rag.langchain_adapter import EmbedderAsLangChain, LangChainAsEmbedder, RetrieverAsLangChain
from rag.schema import Chunk, Hit, Leg

ROOT = Path(__file__).parents[1]


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


def test_our_embedders_are_made_by_name(tmp_path):
    assert EmbedderAsLangChain("hash").embedder is load_embedder("hash")
    own = replace(find_spec("hash"), name="mine", dimension=32)
    assert len(EmbedderAsLangChain("mine", {"mine": own}).embed_query("a cat")) == 32
    with pytest.raises(UsageError, match=r"No embedder 'hsah'. Did you mean 'hash'"):
        EmbedderAsLangChain("hsah")


def test_our_embedder_does_not_hold_up_the_event_loop():
    """An embedder that waits for something else in the same loop would wait for ever if it ran inside it."""
    reached = threading.Event()

    class Waiting:
        spec = find_spec("hash")

        def embed_passages(self, passages):
            assert reached.wait(timeout=20)
            return load_embedder("hash").embed_passages(passages)

    async def work():
        embedding = asyncio.create_task(EmbedderAsLangChain(Waiting()).aembed_documents(["a", "b"]))
        await asyncio.sleep(0)
        reached.set()
        return await embedding

    assert len(asyncio.run(work())) == 2


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


class _Giving(Embeddings):
    """Gives what it is told to, whatever it is asked."""

    def __init__(self, *rows):
        self.rows = list(rows)

    def embed_documents(self, texts):
        return self.rows

    def embed_query(self, text):
        return self.rows[0]


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([[1.0, 0.0]], r"'mine' gave 1 vectors for 2 texts"),
        ([[1.0, 0.0], [1.0]], r"'mine' gave vectors of 1 dimensions, its entry says 2"),
        ([[1.0, 0.0], [float("nan"), 1.0]], r"gave zeros, or what is no number, for the text that begins 'second"),
        ([[1.0, 0.0], [float("inf"), 1.0]], r"gave zeros, or what is no number, for the text that begins 'second"),
        ([[1.0, 0.0], [0.0, 0.0]], r"gave zeros, or what is no number, for the text that begins 'second"),
    ],
)
def test_vectors_that_cannot_be_right_are_refused(rows, complaint):
    ours = LangChainAsEmbedder.named(_Giving(*rows), "mine")
    with pytest.raises(RagError, match=complaint):
        ours.embed_passages(["first", "second " + "x" * 200])


def test_a_name_tells_their_models_apart():
    theirs = DeterministicFakeEmbedding(size=16)
    ours = LangChainAsEmbedder.named(theirs, "mine")
    assert (ours.spec.name, ours.spec.provider, ours.spec.dimension) == ("mine", "langchain", 16)
    others = [
        LangChainAsEmbedder.named(theirs, "other"),
        LangChainAsEmbedder.named(theirs, "mine", "2"),
        LangChainAsEmbedder.named(DeterministicFakeEmbedding(size=8), "mine"),
    ]
    assert len({each.spec.fingerprint for each in (ours, *others)}) == 4
    assert LangChainAsEmbedder.named(theirs, "mine").spec == ours.spec


def test_a_retriever_runs_in_an_lcel_chain_with_all_its_facts():
    chain = RetrieverAsLangChain(retriever=_OneHit(), k=2) | RunnableLambda(lambda documents: documents)
    first, second = chain.invoke("half and half")
    assert first == second
    assert (first.id, first.page_content) == ("c1", "half and half")
    assert first.metadata["source"] == "guide.pdf"
    assert first.metadata["page"] == 3
    assert (first.metadata["start"], first.metadata["end"]) == (10, 23)
    assert first.metadata["legs"] == {"dense": {"rank": 1, "score": 0.5}}


def test_k_is_at_least_one():
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        RetrieverAsLangChain(retriever=_OneHit(), k=0)
    with pytest.raises(UsageError, match=r"k = 0 must be at least 1\."):
        RetrieverAsLangChain(retriever=_OneHit()).invoke("query", k=0)


def test_a_retriever_is_opened_by_names(small_library):
    home = small_library.settings.home
    found = {
        name: RetrieverAsLangChain.open(embedder="wordllama", retriever=name, home=home, k=2).invoke("worn chain")
        for name in ("dense", "lexical", "hybrid")
    }
    for name, documents in found.items():
        assert documents[0].metadata["source"] == "bicycles.html"
        assert set(documents[0].metadata["legs"]) == ({name} if name != "hybrid" else {"dense", "lexical"})
        for document in documents:
            whole = small_library.library.document(document.metadata["document_id"]).text
            assert whole[document.metadata["start"] : document.metadata["end"]] == document.page_content
    assert RetrieverAsLangChain.open(home=home).k == small_library.settings.k


def test_wrong_names_are_told_when_a_retriever_is_opened(small_library, tmp_path):
    home = small_library.settings.home
    with pytest.raises(UsageError, match=r"No corpus 'smal'. Did you mean 'small'"):
        RetrieverAsLangChain.open("smal", home=home)
    with pytest.raises(IndexNotFoundError, match=r"no index under 'minilm'"):
        RetrieverAsLangChain.open("small", "minilm", home=home)
    with pytest.raises(RagError, match=r"no library at"):
        RetrieverAsLangChain.open(home=tmp_path / "nowhere")


def test_an_opened_retriever_sees_what_is_ingested_later(ingest, docs):
    home = ingest(docs).settings.home
    retriever = RetrieverAsLangChain.open("c", "hash", "dense", home=home, k=1)
    assert retriever.invoke("volcano in Iceland")[0].metadata["source"] != "new.txt"
    (docs / "new.txt").write_text("A volcano in Iceland.")
    ingest(docs)
    assert retriever.invoke("volcano in Iceland")[0].metadata["source"] == "new.txt"


def test_a_chain_streams_the_documents_before_the_answer(small_library):
    retriever = RetrieverAsLangChain.open("small", "wordllama", home=small_library.settings.home, k=2)
    prompt = ChatPromptTemplate.from_template("{documents}\n\n{question}")
    model = FakeListChatModel(responses=["Titan [1]"])
    asked = []
    chain = RunnablePassthrough.assign(documents=itemgetter("question") | retriever).assign(
        answer=prompt
        | RunnableLambda(lambda messages: asked.append(messages.to_string()) or messages)
        | model
        | StrOutputParser()
    )
    question = {"question": "Which is the largest moon of Saturn?"}
    parts = [part for part in chain.stream(question) if part.keys() != question.keys()]
    (documents,) = [part["documents"] for part in parts[:1]]
    assert any("Titan" in document.page_content for document in documents)
    assert [list(part) for part in parts[1:]] == [["answer"]] * len("Titan [1]")
    assert "".join(part["answer"] for part in parts[1:]) == "Titan [1]"
    assert documents[0].page_content in asked[0].replace("\\n", "\n")

    async def streamed():
        return [part async for part in chain.astream(question)]

    assert [list(part) for part in asyncio.run(streamed()) if "question" not in part][:2] == [["documents"], ["answer"]]


def test_who_does_not_use_langchain_does_not_import_it():
    code = (
        "import json, sys\n"
        "import rag.embedders.registry, rag.library, rag.reader, rag.retrievers, ingest.pipeline, ui.cli\n"
        "print(json.dumps([name for name in sys.modules if name.split('.')[0].startswith('langchain')]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert json.loads(done.stdout) == []


def test_the_guide_is_true(small_folder, ingest, tmp_path, monkeypatch):
    """Runs the Python of the guide, over the small files in the place of the reader's own."""
    ingest(small_folder, corpus="guide", home=tmp_path / ".rag", embedders=["wordllama"])
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAG_HOME", raising=False)
    text = (ROOT / "docs" / "langchain.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, "langchain.md", "langchain.md", 0)
    assert len(test.examples) > 10
    said = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=said.append)
    assert said == []
