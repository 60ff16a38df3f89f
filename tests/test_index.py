"""Chroma as a cache: it follows the library, is checked where it was not closed, and built anew where it is damaged."""

import shutil

import numpy as np
import pytest
from chromadb.api.models.Collection import Collection
from chromadb.errors import InternalError

from file_builders import write
from rag import chroma_check, index
from rag.embedders.registry import load_embedder
from rag.errors import CacheError
from rag.health import examine
from rag.index import OPEN_MARK, ChromaStore, is_synced, open_chroma, recall
from rag.reader import Reader
from rag.retrievers import ExactSearch

QUERIES = ["how is green tea brewed", "moons of Saturn", "the chain of my bicycle skips", "capital of Peru", "向量模型"]


def card_of(made, embedder):
    return made.library.cards.find(made.report.corpus, embedder)


def vectors_of(made, embedder):
    card = card_of(made, embedder)
    return made.library.vectors.of_index(card.corpus, card.chunker, card.fingerprint)


@pytest.fixture
def made(tmp_path, small_folder, ingest):
    """A small library of its own, to be changed."""
    folder = tmp_path / "docs"
    folder.mkdir()
    for path in small_folder.rglob("*.*"):
        (folder / path.name).write_bytes(path.read_bytes())
    made = ingest(folder, embedders=["hash", "wordllama"])
    made.folder, made.again = folder, lambda: ingest(folder, embedders=["hash", "wordllama"])
    return made


def assert_in_step(made, store):
    """Chroma holds exactly the chunks of the library and finds what exact search finds, in the same order."""
    for name in ("hash", "wordllama"):
        card = card_of(made, name)
        store.sync(card)
        ids, _ = vectors_of(made, name)
        assert store.count(card) == len(ids)
        queries = load_embedder(name).embed_queries(QUERIES)
        exact, found = ExactSearch.over(made.library, card)(queries, 10), store.search(card, queries, 10)
        pairs = [[[chunk_id for chunk_id, _ in ranking] for ranking in both] for both in (exact, found)]
        assert recall(*pairs) == 1.0
        for one, other in zip(exact, found, strict=True):
            np.testing.assert_allclose([score for _, score in one], [score for _, score in other], atol=1e-5)


def test_chroma_follows_the_library(tmp_path, made, ingest):
    folder = tmp_path / "docs"
    with open_chroma(made.library) as store:
        assert store.count(card_of(made, "hash")) == 0
        assert_in_step(made, store)

        (folder / "new.txt").write_text("Volcanoes erupt where the plates of the earth drift apart.")
        (folder / "bread.txt").unlink()
        (folder / "tea.md").write_text("# Tea\n\nWhite tea steeps longer than any other tea.\n")
        ingest(folder, embedders=["hash", "wordllama"])
        assert_in_step(made, store)

        query = load_embedder("wordllama").embed_queries(["volcanoes and plates"])
        ((best, _), *_), *_ = store.search(card_of(made, "wordllama"), query, 1)
        assert made.library.chunks([best])[best].source == "new.txt"
        card = card_of(made, "hash")
        assert store.search(card, query[:0], 3) == []
    with open_chroma(made.library) as store:  # and all of it is on the disk
        assert store.count(card) == len(vectors_of(made, "hash")[0])
        assert_in_step(made, store)


@pytest.fixture
def examined(monkeypatch):
    """Makes a store that was not closed be examined, however small it is."""
    monkeypatch.setattr(chroma_check, "CHEAPER_TO_REBUILD", 0)


def leave_open(made):
    """Leaves the mark of a process that was killed."""
    (made.library.home / "chroma" / OPEN_MARK).write_text("12345")


def test_a_small_store_that_was_not_closed_is_built_anew(made):
    with open_chroma(made.library) as store:
        assert_in_step(made, store)
        assert (made.library.home / "chroma" / OPEN_MARK).exists()
    assert not (made.library.home / "chroma" / OPEN_MARK).exists()
    leave_open(made)
    with open_chroma(made.library) as store:
        assert store.count(card_of(made, "hash")) == 0
        assert_in_step(made, store)


def test_a_store_that_was_not_closed_and_is_whole_is_kept(made, examined):
    with open_chroma(made.library) as store:
        assert_in_step(made, store)
    leave_open(made)
    with open_chroma(made.library) as store:
        assert store.count(card_of(made, "hash")) == len(vectors_of(made, "hash")[0])
        assert_in_step(made, store)


def test_a_store_that_cannot_be_written_begins_anew(made, monkeypatch):
    """As on a full disk: one part of what was to be written is there, and nobody knows which."""
    card = card_of(made, "hash")
    mark = made.library.home / "chroma" / OPEN_MARK
    with open_chroma(made.library) as store, monkeypatch.context() as patch:
        add = Collection.add

        def add_half(collection, ids, embeddings):
            add(collection, ids=ids[::2], embeddings=embeddings[::2])
            raise InternalError("database or disk is full")

        patch.setattr(Collection, "add", add_half)
        with pytest.raises(CacheError, match="could not be opened or written: database or disk is full"):
            store.sync(card)
        assert store.count(card) > 0
        patch.undo()
        assert_in_step(made, store)
        patch.setattr(Collection, "add", add_half)
        write(made.folder, "new.txt", "Something new.")
        made.again()
        with pytest.raises(CacheError):
            store.sync(card)
    assert mark.exists(), "the next process would trust it"
    with open_chroma(made.library) as store:
        assert store.count(card) == 0
        store.sync(card)
        assert store.count(card) == len(vectors_of(made, "hash")[0])


def graph_file(made, name):
    """Returns the largest file of that name among the graphs."""
    return max((made.library.home / "chroma").rglob(name), key=lambda path: path.stat().st_size)


def cut(path, to):
    path.write_bytes(path.read_bytes()[:to])


def flip(path):
    """Inverts what holds the first vectors; the rest of the file is room for more."""
    data = path.read_bytes()
    path.write_bytes(bytes(255 - byte for byte in data[:8192]) + data[8192:])


def take_graphs_away(made):
    for path in list((made.library.home / "chroma").rglob("header.bin")):
        shutil.rmtree(path.parent)


DAMAGES = {
    "vectors cut short": lambda made: cut(graph_file(made, "data_level0.bin"), 3000),
    "vectors flipped": lambda made: flip(graph_file(made, "data_level0.bin")),
    "header empty": lambda made: cut(graph_file(made, "header.bin"), 0),
    "graphs gone": take_graphs_away,
    "database cut short": lambda made: cut(made.library.home / "chroma" / "chroma.sqlite3", 50_000),
    "database empty": lambda made: cut(made.library.home / "chroma" / "chroma.sqlite3", 0),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_store_is_found_out_and_built_anew(made, examined, monkeypatch, damage):
    monkeypatch.setitem(index.HNSW, "sync_threshold", 5)  # so that these few chunks are flushed to the graph's files
    monkeypatch.setitem(index.HNSW, "batch_size", 4)
    with open_chroma(made.library) as store:
        assert_in_step(made, store)
    assert chroma_check.find_damage(made.library) == ""
    DAMAGES[damage](made)
    assert chroma_check.find_damage(made.library)
    findings = {finding.subject: finding for finding in examine(made.library, made.settings.embedders, is_writer=True)}
    assert not findings["chroma"].well
    assert "rag rebuild" in findings["chroma"].remedy
    with open_chroma(made.library) as store:  # doctor has marked it
        assert_in_step(made, store)
    assert chroma_check.find_damage(made.library) == ""


def test_whether_chroma_is_in_step_is_told_without_opening_it(tmp_path, made, ingest):
    card, mark = card_of(made, "hash"), made.library.home / "chroma" / OPEN_MARK
    assert not is_synced(made.library, card)
    with open_chroma(made.library) as store:
        store.sync(card)
    assert is_synced(made.library, card)
    assert not is_synced(made.library, card_of(made, "wordllama"))
    mark.write_text("12345")  # it was not closed
    assert not is_synced(made.library, card)
    mark.unlink()
    (tmp_path / "docs" / "bread.txt").unlink()
    ingest(tmp_path / "docs", embedders=["hash"])
    assert not is_synced(made.library, card)


def test_a_collection_catches_up_with_what_changed_and_leaves_the_rest_alone(tmp_path, made, ingest):
    with open_chroma(made.library) as store:
        assert_in_step(made, store)
        collections = {collection.name: collection.id for collection in store._client.list_collections()}
        write(tmp_path / "docs", "bread.txt", "Rye bread needs a long, slow bake.")
        (tmp_path / "docs" / "zh.txt").unlink()
        ingest(tmp_path / "docs", embedders=["hash", "wordllama"])
        assert_in_step(made, store)
        assert {collection.name: collection.id for collection in store._client.list_collections()} == collections
    assert made.library.database.query("SELECT COUNT(*) FROM removed").fetchone() == (0,)


@pytest.mark.parametrize("at", ["the first batch", "the end"])
def test_a_write_that_was_never_recorded_is_done_again_without_harm(made, monkeypatch, at):
    monkeypatch.setattr(index, "BATCH", 3)
    with open_chroma(made.library) as store:
        assert_in_step(made, store)
        with made.library.database.transaction() as connection:
            connection.execute("UPDATE chroma_state SET added = ?", (1 if at == "the first batch" else 4,))
        assert_in_step(made, store)


def test_a_collection_that_lost_chunks_or_was_never_recorded_is_filled_anew(made):
    with open_chroma(made.library) as store:
        assert_in_step(made, store)
        for collection in store._client.list_collections():
            collection.delete(ids=collection.get(limit=2)["ids"])
        with made.library.database.transaction() as connection:
            connection.execute("UPDATE chroma_state SET added = added - 1")  # something is to be done, so it is counted
        assert_in_step(made, store)
        for collection in store._client.list_collections():
            width = collection.get(limit=1, include=["embeddings"])["embeddings"].shape[1]
            collection.add(ids=["a stranger"], embeddings=np.ones((1, width)))
        with made.library.database.transaction() as connection:
            connection.execute("DELETE FROM chroma_state")
        assert_in_step(made, store)


def test_the_application_searches_chroma_and_keeps_it_in_step(tmp_path, made, ingest):
    with open_chroma(made.library) as store:
        reader = Reader(made.library, made.settings, store)
        for search in ("ann", "exact", None):
            retriever = reader.open("c", "wordllama", "dense", search=search).retriever
            assert retriever.retrieve("sourdough bread", 1)[0].source == "bread.txt"
        assert store.count(card_of(made, "wordllama")) == len(vectors_of(made, "wordllama")[0])

        (tmp_path / "docs" / "bread.txt").unlink()
        ingest(tmp_path / "docs", embedders=["wordllama"])
        hits = reader.open("c", "wordllama", "dense", search="ann").retriever.retrieve("sourdough bread", 50)
        assert len(hits) == len(vectors_of(made, "wordllama")[0])
        assert "bread.txt" not in {hit.source for hit in hits}


def test_collections_compare_cosines_and_search_widely(made):
    store = ChromaStore(made.library)
    try:
        store.sync(card_of(made, "hash"))
        (collection,) = store._client.list_collections()
        assert collection.configuration_json["hnsw"]["space"] == "cosine"
        assert collection.configuration_json["hnsw"]["ef_search"] == 400
    finally:
        store.close()
