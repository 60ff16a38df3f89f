"""What is added to the vector store is a corpus, and every promise of one holds."""

import asyncio
import logging
from dataclasses import replace

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding

from counting import Counting
from langchain_stores import METADATAS, TEXTS, stores
from rag.embedders.registry import load_embedder
from rag.embedders.spec import UnfinishedError
from rag.errors import IndexMismatchError, IndexNotFoundError, LibraryLockedError, UsageError
from rag.health import examine
from rag.index import open_chroma
from rag.langchain_adapter import LangChainAsEmbedder, RetrieverAsLangChain
from rag.langchain_corpus import SLICE
from rag.langchain_records import CHUNKER
from rag.library import Library
from rag.lock import writer_lock


@pytest.fixture
def open_store(tmp_path):
    with stores(tmp_path / "home") as open_one:
        yield open_one


@pytest.fixture
def library(tmp_path, open_store):
    """The library behind the stores."""
    open_store()
    library = Library(tmp_path / "home")
    yield library
    library.close()


@pytest.fixture
def filled(open_store):
    store = open_store()
    store.add_texts(TEXTS, METADATAS, ids=list("abcde"))
    return store


def test_vectors_are_computed_once(open_store):
    embedder = Counting()
    open_store(embedder).add_texts([*TEXTS, TEXTS[0]], ids=list("abcdef"))
    assert sorted(embedder.passages) == sorted(TEXTS)
    again = open_store(embedder)
    again.add_texts(TEXTS, METADATAS, ids=list("abcde"))  # other metadata
    again.add_texts(TEXTS)  # other ids
    open_store(embedder, "other").add_texts(TEXTS)
    assert len(embedder.passages) == len(TEXTS)


def test_what_was_embedded_before_a_stop_is_kept(open_store):
    texts = [f"text number {number:04}" for number in range(SLICE + 44)]
    stopped = open_store(Counting(fail_after=SLICE))
    with pytest.raises(KeyboardInterrupt):
        stopped.add_texts(texts)
    assert stopped.similarity_search("text", k=400) == []
    embedder = Counting()
    store = open_store(embedder)
    store.add_texts(texts)
    assert len(embedder.passages) == 44  # the others were stored before the stop
    assert len(store.similarity_search("text", k=400)) == len(texts)


class _Refusing(Counting):
    """Refuses one passage for good."""

    def embed_passages(self, passages):
        rows = super().embed_passages([passage for passage in passages if passage != TEXTS[2]])
        if TEXTS[2] not in passages:
            return rows
        kept = [place for place, passage in enumerate(passages) if passage != TEXTS[2]]
        raise UnfinishedError("refused: " + TEXTS[2], dict(zip(kept, rows, strict=True)))


def test_one_refused_text_costs_the_others_nothing(open_store, library):
    refusing = _Refusing()
    with pytest.raises(UnfinishedError, match=r"refused: A worn chain"):
        open_store(refusing).add_texts(TEXTS)
    assert library.sources("notes") == {}
    embedder = Counting()
    open_store(embedder).add_texts(TEXTS)
    assert embedder.passages == [TEXTS[2]]


def test_what_was_spent_stands_on_the_card(open_store, library):
    embedder = Counting()
    embedder.spec = replace(embedder.spec, usd_per_million_tokens=1e6)
    open_store(embedder).add_texts(TEXTS)
    (card,) = library.cards.all("notes")
    assert card.usd == sum(embedder.count_tokens(TEXTS))
    assert (card.documents, card.chunks, card.embedded) == (5, 5, 5)


def test_chunks_are_spans_of_their_documents_and_metadata_is_outside(filled, library):
    documents = list(library.documents("notes"))
    assert [document.source for document in documents] == list("abcde")
    for document, text, metadata in zip(documents, TEXTS, METADATAS, strict=True):
        (chunk,) = library.document_chunks(document.id, CHUNKER)
        assert document.text[chunk.start : chunk.end] == chunk.text == text
        assert ("topic" in document.text) == ("topic" in metadata)
    assert sorted(text for _, text, _ in library.chunk_passages("notes", CHUNKER)) == sorted(TEXTS)


@pytest.mark.parametrize("change", ["add", "replace", "delete", "delete all"])
def test_the_library_is_whole_after_each_change(filled, library, change):
    if change == "replace":
        filled.add_texts(["Something new.", TEXTS[1]], [{}, {"topic": "moons"}], ids=["a", "b"])
        assert filled.get_by_ids(["b"])[0].metadata == {"topic": "moons"}
    elif change != "add":
        assert filled.delete(["a", "nobody"] if change == "delete" else None)
    findings = examine(library, {"hash": load_embedder("hash").spec}, is_writer=True)
    assert [finding for finding in findings if not finding.well] == []
    left = {"add": 5, "replace": 5, "delete": 4, "delete all": 0}[change]
    assert (library.cards.all("notes")[0].documents, len(library.sources("notes"))) == (left, left)
    assert sum(count for _, count, _ in library.vectors.count()) == left
    assert len(filled.similarity_search("Saturn", k=9)) == left


def test_what_is_deleted_leaves_the_disk(open_store, library):
    store = open_store()
    store.add_texts(["Xylophones in the attic.", "Zeppelins over the lake."], [{"of": "Quokka"}, {}], ids=["x", "z"])
    RetrieverAsLangChain.open("notes", "hash", "lexical", home=library.home)  # stores a BM25 index
    (card,) = library.cards.all("notes")
    with writer_lock(library.home), open_chroma(library) as chroma:
        chroma.sync(card)
        assert chroma.count(card) == 2
    assert places(library.home, b"xylophon") and places(library.home, b"quokka")
    store.delete(["x"])
    assert not places(library.home, b"xylophon") and not places(library.home, b"quokka")
    assert places(library.home, b"zeppelin")
    with writer_lock(library.home), open_chroma(library) as chroma:
        assert chroma.count(card) == 1


def places(home, word):
    return [path for path in home.rglob("*") if path.is_file() and word in path.read_bytes().lower()]


# --- whose corpus it is


def test_embeddings_without_a_name_are_refused(open_store):
    with pytest.raises(UsageError, match=r"DeterministicFakeEmbedding does not say which model it is"):
        open_store(DeterministicFakeEmbedding(size=6))


class _Turned(DeterministicFakeEmbedding):
    """Other weights of the same width."""

    def embed_documents(self, texts):
        return [row[::-1] for row in super().embed_documents(texts)]


def test_other_weights_behind_the_same_name_are_refused(open_store):
    open_store(LangChainAsEmbedder.named(DeterministicFakeEmbedding(size=6), "mine")).add_texts(TEXTS)
    other = open_store(LangChainAsEmbedder.named(_Turned(size=6), "mine"))
    with pytest.raises(IndexMismatchError, match=r"'mine' was built with other weights"):
        other.similarity_search("tea")
    with pytest.raises(IndexMismatchError):
        other.add_texts(["tea"])
    elsewhere = open_store(LangChainAsEmbedder.named(_Turned(size=6), "mine"), "elsewhere")
    with pytest.raises(IndexMismatchError):  # it would be given vectors that the first has stored
        elsewhere.add_texts(TEXTS)


def test_another_embedder_joins_by_a_backfill(filled, open_store, library, rag, caplog):
    other = open_store("wordllama")
    command = r"rag ingest --backfill --corpus notes --embedder wordllama --chunker whole"
    for ask in (lambda: other.similarity_search("tea"), lambda: other.add_texts(["tea"])):
        with pytest.raises(IndexNotFoundError, match=rf"not embedded under 'wordllama'.*but under: hash.*{command}"):
            ask()
    assert rag("--home", library.home, *command.split()[1:]).status == 0
    assert {document.id: document.metadata for document in other.similarity_search("tea", k=9)} == dict(
        zip("abcde", METADATAS, strict=True)
    )
    filled.add_texts(["Oolong."])
    with caplog.at_level(logging.WARNING):
        assert len(other.similarity_search("tea", k=9)) == 5
        other.similarity_search("tea")
    (warning,) = [record.getMessage() for record in caplog.records if record.name == "rag.langchain_corpus"]
    assert warning.startswith("1 of 6 documents of corpus 'notes' are not embedded under 'wordllama'")


def test_a_backfill_measures_what_answers_are_judged_by(open_store, library, rag):
    open_store("wordllama").add_texts(TEXTS)
    assert library.cards.all("notes")[0].noise == ()
    command = "ingest --backfill --corpus notes --embedder wordllama --chunker whole"
    assert rag("--home", library.home, *command.split()).status == 0
    (card,) = library.cards.all("notes")
    assert len(card.noise) == 5
    open_store("wordllama").add_texts(["Oolong."])
    assert library.cards.all("notes")[0].noise == card.noise


def test_a_corpus_of_files_is_refused(ingest, small_folder, open_store):
    ingest(small_folder, corpus="files")
    with pytest.raises(UsageError, match=r"The corpus 'files' holds files, such as .*RetrieverAsLangChain.open"):
        open_store(corpus="files")


def test_the_command_line_and_our_retrievers_read_what_was_added(filled, library, rag):
    retriever = RetrieverAsLangChain.open("notes", "hash", "hybrid", home=library.home, k=1)
    (found,) = retriever.invoke("the largest moon of Saturn")
    assert (found.page_content, found.metadata["source"], found.metadata["start"]) == (TEXTS[1], "b", 0)
    result = rag("--home", library.home, "search", "worn chain", "--embedder", "hash", "-k", "1")
    assert result.status == 0
    assert TEXTS[2] in result.out


# --- several at once


def test_a_second_writer_is_told_so_and_reading_goes_on(filled, library):
    with writer_lock(library.home):
        with pytest.raises(LibraryLockedError, match=r"is being written by process"):
            filled.add_texts(["tea"])
        assert len(filled.similarity_search("tea")) == 4


def test_tasks_add_and_search_at_once(open_store):
    first, second = open_store(), open_store()

    async def work():
        adding = [(first, second)[n % 2].aadd_texts([f"tea {n}", f"cake {n}"]) for n in range(12)]
        asking = [first.asimilarity_search("tea", k=3) for _ in range(12)]
        await asyncio.gather(*adding, *asking)
        return await first.asimilarity_search("tea", k=99)

    assert len(asyncio.run(work())) == 24
