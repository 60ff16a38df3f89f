"""The pipeline embeds each passage once, with exact offsets, and gives the same bytes each time."""

import numpy as np
import pytest

from counting import Counting
from file_builders import write
from ingest.pipeline import Ingest
from ingest.sandbox import ParserPool
from pipeline_results import CHUNKER, HASH, WORDLLAMA, statuses, stored_vectors, texts_in
from rag.embedders import registry
from rag.errors import UsageError
from rag.library import Library
from rag.settings import Settings


@pytest.fixture
def counted(tmp_path, monkeypatch):
    """Runs the pipeline under a counting embedder; returns the library, the report and the passages embedded."""

    def run(*paths, fail_after=None, library=None):
        embedder = Counting(fail_after)
        monkeypatch.setitem(registry._loaded, embedder.spec, embedder)
        library = library or Library(tmp_path / "home", create=True)
        settings = Settings(tmp_path / "home", {"counting": embedder.spec})
        try:
            report = Ingest(library, settings, "c", ["counting"], "heading").run(paths)
        except KeyboardInterrupt:
            report = None
        return library, report, embedder.passages

    return run


# --- embedding once


def test_a_second_run_embeds_nothing_and_changes_nothing(docs, counted):
    library, report, passages = counted(docs)
    assert report.counts() == {"done": 3, "unchanged": 0, "skipped": 0, "failed": 0, "deleted": 0}
    assert len(passages) == len(set(passages)) == report.embedded["counting"] == report.chunks == 5
    state, cards = library.state_of("c"), library.cards.all("c")

    library, report, passages = counted(docs)
    assert report.counts() == {"done": 0, "unchanged": 3, "skipped": 0, "failed": 0, "deleted": 0}
    assert (passages, report.embedded) == ([], {"counting": 0})
    assert library.state_of("c") == state
    assert library.cards.all("c") == cards


def test_only_the_changed_passages_of_a_changed_file_are_embedded(docs, counted):
    counted(docs)
    text = (docs / "rivers.md").read_text().replace("It is cold.", "It is cold, and it floods.")
    write(docs, "rivers.md", text)
    library, report, passages = counted(docs)
    assert [passage.endswith("It is cold, and it floods.") for passage in passages] == [True]
    assert statuses(report) == {"bread.txt": "unchanged", "rivers.md": "done", "sub/tea.txt": "unchanged"}
    assert sum(stored_vectors(library).values()) == 5  # that of the old passage is gone


def test_what_was_embedded_before_a_run_was_stopped_is_not_embedded_again(tmp_path, counted):
    for number in range(300):
        write(tmp_path / "many", f"{number:03}.txt", f"This is note number {number} of a long series.")
    library, report, first = counted(tmp_path / "many", fail_after=256)
    assert report is None
    assert len(first) == 256  # the vectors of the whole slices before the stop
    _, report, rest = counted(tmp_path / "many", library=library)
    assert report.counts()["done"] + report.counts()["unchanged"] == 300
    assert len(rest) == 300 - len(first)
    assert set(rest).isdisjoint(first)


def test_equal_passages_are_embedded_once_and_found_in_each_file(tmp_path, counted):
    for name in ("one.md", "two.md"):
        write(tmp_path / "twins", name, "# Twins\n\nThe very same words stand in both files.")
    library, report, passages = counted(tmp_path / "twins")
    assert (len(passages), report.chunks, len(library.sources("c"))) == (1, 2, 2)

    (tmp_path / "twins" / "one.md").unlink()
    library, report, _ = counted(tmp_path / "twins")
    assert report.counts()["deleted"] == 1
    (text,) = texts_in(library, Counting().spec.fingerprint)  # its vector stays for the other file
    assert "very same words" in text


def test_a_new_embedder_is_filled_from_the_stored_documents(docs, ingest, monkeypatch):
    before = ingest(docs).library
    ids = before.vectors.of_index("c", CHUNKER, HASH)[0]

    def refuse(*_):
        raise AssertionError("parsed again")

    monkeypatch.setattr(ParserPool, "parse", refuse)
    made = ingest(docs, embedders=["hash", "wordllama"])
    assert made.report.embedded == {"hash": 0, "wordllama": 5}
    assert made.library.vectors.of_index("c", CHUNKER, WORDLLAMA)[0] == ids


# --- wrong requests


def test_what_was_asked_wrongly_changes_nothing(tmp_path, docs, ingest):
    for options, paths in (
        ({"embedders": ["hsh"]}, [docs]),
        ({"chunker": "hedding"}, [docs]),
        ({}, [docs, tmp_path / "nowhere"]),
    ):
        with pytest.raises(UsageError):
            ingest(*paths, corpus="new", **options)
    with pytest.raises(UsageError, match="cannot name a corpus"):
        ingest(docs, corpus="a/b")
    library = Library(tmp_path / "home")
    assert (library.corpora(), stored_vectors(library)) == ([], {})


# --- offsets and reproducibility


def test_offsets_are_exact(small_library):
    library = small_library.library
    documents = {document.id: document for document in library.documents("small")}
    assert len(documents) == 7
    seen = 0
    for card in small_library.report.cards:
        ids, vectors = library.vectors.of_index("small", card.chunker, card.fingerprint)
        assert (len(ids), vectors.shape[1]) == (card.chunks, card.dimension)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
        for stored in library.chunks(ids).values():
            chunk = stored.chunk
            assert documents[chunk.document_id].text[chunk.start : chunk.end] == chunk.text != ""
            seen += 1
    assert seen == 2 * small_library.report.chunks > 14


def test_equal_input_gives_equal_ids_and_equal_bytes(tmp_path, docs, ingest):
    made = [ingest(docs, embedders=["hash", "wordllama"], home=tmp_path / name) for name in ("one", "two")]
    dumps = []
    for library in (each.library for each in made):
        tables = ["documents", "chunks", "vectors", "indexed"]
        dumps.append([library.database.query(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in tables])
    assert dumps[0] == dumps[1]
    assert [card.noise for card in made[0].report.cards] == [card.noise for card in made[1].report.cards]
