import json
import os
import random
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ingest.chunkers import load_chunker
from ingest.items import find_items
from ingest.pipeline import Ingest
from ingest.sandbox import ParserPool
from rag.bm25 import open_lexical
from rag.cards import CANARY
from rag.embedders import registry
from rag.embedders.registry import find_spec, load_embedder
from rag.errors import UsageError
from rag.index import open_chroma
from rag.library import Library
from rag.settings import Settings, read_settings
from ui.ingesting import ingest_paths

HASH = find_spec("hash").fingerprint
WORDLLAMA = find_spec("wordllama").fingerprint
CHUNKER = load_chunker("heading").name


@pytest.fixture
def docs(tmp_path):
    """A folder of three documents, the first with three chunks."""
    folder = tmp_path / "docs"
    write(
        folder, "rivers.md", "# Rivers\n\nRivers run to the sea.\n\n## Nile\n\nIt is long.\n\n## Rhine\n\nIt is cold.\n"
    )
    write(folder, "bread.txt", "Sourdough bread rests overnight before it is baked.")
    write(folder, "sub/tea.txt", "Green tea is brewed at eighty degrees.")
    return folder


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def statuses(report):
    return {outcome.source: outcome.status for outcome in report.outcomes}


def reasons(report):
    return {outcome.source: outcome.reason for outcome in report.outcomes}


def ledger(library, corpus="c"):
    return {entry.source: (entry.status, entry.reason) for entry in library.ledger.entries(corpus)}


def texts_in(library, fingerprint, chunker=CHUNKER, corpus="c"):
    """The chunks that are found under an index."""
    ids, vectors = library.vectors.of_index(corpus, chunker, fingerprint)
    assert len(ids) == len(vectors)
    return sorted(stored.chunk.text for stored in library.chunks(ids).values())


def stored_vectors(library):
    return {fingerprint: count for fingerprint, count, _ in library.vectors.count()}


class Counting:
    """The bag-of-words embedder, writing down each passage it embeds; `fail_after` vectors it is stopped."""

    def __init__(self, fail_after=None):
        self.spec = replace(find_spec("hash"), name="counting", model="counted")
        self.passages = []
        self._fail_after = fail_after

    def embed_queries(self, queries):
        return load_embedder("hash").embed_queries(queries)

    def embed_passages(self, passages):
        passages_but_canary = [passage for passage in passages if passage != CANARY]
        if self._fail_after is not None and len(self.passages) + len(passages_but_canary) > self._fail_after:
            raise KeyboardInterrupt
        self.passages += passages_but_canary
        return load_embedder("hash").embed_passages(passages)


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


# --- changes


def test_a_changed_file_is_replaced_in_every_index_it_had(docs, ingest):
    ingest(docs, embedders=["hash", "wordllama"])
    ingest(docs, embedders=["wordllama"], chunker="whole")
    write(docs, "bread.txt", "Rye bread keeps for a week.")
    made = ingest(docs, embedders=["hash"])  # only one of the three is asked for
    for chunker, fingerprint in ((CHUNKER, HASH), (CHUNKER, WORDLLAMA), ("whole", WORDLLAMA)):
        texts = texts_in(made.library, fingerprint, chunker)
        assert "Rye bread keeps for a week." in texts
        assert not any("Sourdough" in text for text in texts)
    assert made.report.embedded == {"hash": 1, "wordllama": 1}  # both chunkers make the same passage of it
    assert len(made.library.sources("c")) == 3


def test_the_vectors_of_all_chunkers_are_counted(docs, ingest):
    ingest(docs, embedders=["hash"])
    made = ingest(docs, embedders=["hash"], chunker="whole")
    assert made.report.embedded == {"hash": 1}  # only rivers.md is another passage as a whole
    write(docs, "rivers.md", "# Rivers\n\nRivers dry up.\n\n## Nile\n\nIt is short.\n")
    made = ingest(docs, embedders=["hash"])
    assert made.report.embedded == {"hash": 3}  # two sections, and the whole


def test_a_deleted_file_leaves_every_index_and_every_table(tmp_path, docs):
    settings = Settings(tmp_path / "home", registry.table_specs())
    library = Library(settings.home, create=True)
    names = ["hash", "wordllama"]
    ingest_paths(library, settings, [docs], "c", names)
    (docs / "bread.txt").unlink()
    report = ingest_paths(library, settings, [docs], "c", names)

    assert statuses(report) == {"bread.txt": "deleted", "rivers.md": "unchanged", "sub/tea.txt": "unchanged"}
    assert set(library.sources("c")) == set(ledger(library)) == {"rivers.md", "sub/tea.txt"}
    assert [(card.documents, card.chunks) for card in report.cards] == [(2, 4), (2, 4)]
    assert stored_vectors(library) == {HASH: 4, WORDLLAMA: 4}
    assert open_lexical(library, "c", CHUNKER).rank("sourdough", 5) == []
    with open_chroma(library) as chroma:
        for card in report.cards:
            chroma.sync(card)
            assert chroma.count(card) == 4
    dump = "\n".join(library.database._connect().iterdump())
    assert "Sourdough" not in dump


def test_a_file_that_became_empty_leaves_the_corpus(docs, ingest):
    ingest(docs)
    write(docs, "bread.txt", "")
    made = ingest(docs)
    assert statuses(made.report)["bread.txt"] == "skipped"
    assert "empty" in ledger(made.library)["bread.txt"][1]
    assert set(made.library.sources("c")) == {"rivers.md", "sub/tea.txt"}


def test_a_version_that_fails_leaves_the_one_before_and_may_be_taken_back(docs, ingest):
    ingest(docs)
    good = (docs / "bread.txt").read_bytes()
    (docs / "bread.txt").write_bytes(b"%PDF-1.7\n" + bytes(range(256)) * 20)
    made = ingest(docs)
    status, reason = ledger(made.library)["bread.txt"]
    assert status == "failed"
    assert "the version of before stays in the corpus" in reason
    assert any("Sourdough" in text for text in texts_in(made.library, HASH))

    (docs / "bread.txt").write_bytes(good)
    made = ingest(docs)
    assert statuses(made.report)["bread.txt"] == "unchanged"
    assert ledger(made.library)["bread.txt"] == ("done", "")  # nothing is wrong with it any more


def test_many_changes_one_after_the_other_end_where_a_fresh_ingest_does(tmp_path, ingest):
    """After each round of edits the library equals one that is made anew from the folder as it is then."""
    chance = random.Random(5)
    folder, names = tmp_path / "docs", [f"{sub}{number}.md" for sub in ("", "sub/") for number in range(6)]
    topics = ["heron", "stork", "crane", "ibis"]

    def edit(name):
        sections = chance.sample(topics, chance.randint(1, 3))  # so that files share passages
        write(folder, name, "".join(f"# About the {topic}\n\nThe {topic} is a bird.\n\n" for topic in sections))

    def contents(library):
        ids, vectors = library.vectors.of_index("c", CHUNKER, HASH)
        passages = {row[0] for row in library.database.query("SELECT passage FROM vectors")}
        return library.sources("c"), ids, vectors.tobytes(), passages, sorted(ledger(library).items())

    for name in names:
        edit(name)
    for round_number in range(6):
        incremental = ingest(folder)
        fresh = ingest(folder, home=tmp_path / f"fresh{round_number}")
        assert contents(incremental.library) == contents(fresh.library)
        (card,), (fresh_card,) = incremental.report.cards, fresh.report.cards
        assert (card.documents, card.chunks, card.noise) == (fresh_card.documents, fresh_card.chunks, fresh_card.noise)
        for name in chance.sample(names, 5):
            if (folder / name).exists() and chance.random() < 0.5:
                (folder / name).unlink()
            else:
                edit(name)


# --- every file accounted for


def test_one_bad_file_does_not_stop_the_others(docs, ingest):
    (docs / "broken.pdf").write_bytes(b"%PDF-1.7\n" + bytes(range(256)) * 20)
    (docs / "fake.docx").write_bytes(b"PK\x03\x04 but not really")
    (docs / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    made = ingest(docs)
    assert made.report.counts() == {"done": 3, "unchanged": 0, "skipped": 1, "failed": 2, "deleted": 0}
    for name, status in {"broken.pdf": "failed", "fake.docx": "failed", "picture.png": "skipped"}.items():
        assert ledger(made.library)[name] == (status, reasons(made.report)[name])
        assert len(reasons(made.report)[name]) > 20
    assert len(texts_in(made.library, HASH)) == 5


def test_every_file_is_accounted_for(docs, ingest):
    write(docs, "empty.txt", "")
    write(docs, "blank.txt", " \n\n ")
    write(docs, ".hidden.txt", "A hidden file.")
    write(docs, ".git/config", "In a hidden folder.")
    (docs / "dangling.txt").symlink_to(docs / "nowhere.txt")
    (docs / "loop.txt").symlink_to(docs / "loop.txt")
    (docs / "to-file.txt").symlink_to(docs / "bread.txt")
    (docs / "to-folder").symlink_to(docs / "sub")
    os.mkfifo(docs / "pipe")
    made = ingest(docs)
    expected = {
        "rivers.md": "done", "bread.txt": "done", "sub/tea.txt": "done", "to-file.txt": "done",
        "empty.txt": "skipped", "blank.txt": "skipped", ".hidden.txt": "skipped", ".git": "skipped",
        "dangling.txt": "skipped", "loop.txt": "skipped", "to-folder": "skipped", "pipe": "skipped",
    }  # fmt: skip
    assert statuses(made.report) == expected
    assert len(made.report.outcomes) == len(expected)
    said = reasons(made.report)
    assert all(said[source] for source, status in expected.items() if status == "skipped")
    assert "hidden" in said[".git"]
    assert "leads nowhere" in said["dangling.txt"]
    assert said["loop.txt"] == said["dangling.txt"]
    assert "not followed" in said["to-folder"]
    assert "not a regular file" in said["pipe"]
    assert {source: status for source, (status, _) in ledger(made.library).items()} == expected
    assert statuses(ingest(docs).report) == {
        source: "unchanged" if status == "done" else status for source, status in expected.items()
    }


def test_a_name_that_is_not_utf8_is_told_and_stops_nothing(docs, ingest):
    with open(os.fsencode(docs) + b"/caf\xe9.txt", "w") as file:  # noqa: PTH123
        file.write("A file from another age.")
    made = ingest(docs)
    assert statuses(made.report)["caf\\xe9.txt"] == "skipped"
    assert "not valid UTF-8" in ledger(made.library)["caf\\xe9.txt"][1]
    assert made.report.counts()["done"] == 3


def test_a_file_that_cannot_be_read_fails_alone(docs, ingest, monkeypatch):
    stat = os.stat

    def denied(path, *args, **kwargs):
        if str(path).endswith("bread.txt"):
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, *args, **kwargs)

    monkeypatch.setattr(os, "stat", denied)  # root may read everything, so that a mode would not do
    made = ingest(docs)
    assert statuses(made.report) == {"bread.txt": "failed", "rivers.md": "done", "sub/tea.txt": "done"}
    assert reasons(made.report)["bread.txt"] == "cannot be read: Permission denied"


def test_what_lies_in_a_folder_that_cannot_be_read_is_not_taken_for_deleted(docs, ingest, monkeypatch):
    before = texts_in(ingest(docs).library, HASH)
    scandir = os.scandir

    def denied(path):
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", denied)
        made = ingest(docs)
    assert statuses(made.report) == {"bread.txt": "unchanged", "rivers.md": "unchanged", "sub": "failed"}
    assert "cannot be read: Permission denied" in reasons(made.report)["sub"]
    assert texts_in(made.library, HASH) == before
    assert statuses(ingest(docs).report)["sub/tea.txt"] == "unchanged"


def test_a_hidden_folder_that_was_given_itself_survives_an_ingest_of_its_parent(docs, ingest):
    write(docs, ".notes/secret.txt", "The treasure lies under the oak.")
    ingest(docs / ".notes")
    made = ingest(docs)
    assert any("treasure" in text for text in texts_in(made.library, HASH))
    (docs / ".notes" / "secret.txt").unlink()
    assert statuses(ingest(docs / ".notes").report) == {"secret.txt": "deleted"}


# --- names


def test_equal_names_under_two_roots_stay_apart(tmp_path, ingest):
    for root in ("one", "two"):
        write(tmp_path / root, "readme.txt", f"This is the readme of project {root}.")
    made = ingest(tmp_path / "one", tmp_path / "two")
    assert statuses(made.report) == {"readme.txt": "done", "two/readme.txt": "done"}
    assert statuses(ingest(tmp_path / "two", tmp_path / "one").report) == {
        "readme.txt": "unchanged",
        "two/readme.txt": "unchanged",
    }
    shutil.rmtree(tmp_path / "one")
    (tmp_path / "one").mkdir()
    made = ingest(tmp_path / "one")  # only what was under this root may go
    assert statuses(made.report) == {"readme.txt": "deleted"}
    assert list(made.library.sources("c")) == ["two/readme.txt"]


def test_a_file_under_two_of_the_paths_counts_once(docs, ingest):
    made = ingest(docs, docs / "sub", docs / "bread.txt")
    assert statuses(made.report) == {"rivers.md": "done", "bread.txt": "done", "sub/tea.txt": "done"}
    assert len(made.report.outcomes) == 3


def test_a_folder_is_the_same_however_its_path_is_spelled(docs, ingest, monkeypatch):
    ingest(docs)
    monkeypatch.chdir(docs / "sub")
    for spelling in ("..", "../../docs", "../sub/..", "../../docs/./"):
        made = ingest(Path(spelling))
        assert statuses(made.report) == dict.fromkeys(["rivers.md", "bread.txt", "sub/tea.txt"], "unchanged"), spelling
    write(docs, "bread.txt", "Rye bread keeps for a week.")
    (docs / "rivers.md").unlink()
    assert statuses(ingest(Path("..")).report) == {
        "rivers.md": "deleted",
        "bread.txt": "done",
        "sub/tea.txt": "unchanged",
    }


def test_a_link_that_is_given_itself_may_lead_elsewhere_later(tmp_path, ingest):
    for version in ("v1", "v2"):
        write(tmp_path / version, "news.txt", f"What is new in {version}.")
    (tmp_path / "latest").symlink_to(tmp_path / "v1")
    ingest(tmp_path / "latest")
    (tmp_path / "latest").unlink()
    (tmp_path / "latest").symlink_to(tmp_path / "v2")
    assert texts_in(ingest(tmp_path / "latest").library, HASH) == ["What is new in v2."]


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


# --- BEIR


def beir(folder, *records):
    folder.mkdir(exist_ok=True)
    (folder / "queries.jsonl").write_text("")
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    (folder / "corpus.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def test_the_records_of_a_beir_folder_are_documents(tmp_path, ingest):
    records = [
        {"_id": "d1", "title": "Herons", "text": "They fish in ponds."},
        {"_id": "d2", "title": "Only a title about storks", "text": ""},
        {"_id": "d3", "title": "", "text": ""},
        {"_id": 4, "text": "No title, and a number for an id.", "metadata": {}},
        {"_id": "d5", "title": None, "text": "Half a character \ud83d is not lost."},
    ]
    folder = beir(tmp_path / "task", *records, "")
    made = ingest(folder, chunker="whole")
    assert statuses(made.report) == {"d1": "done", "d2": "done", "d3": "skipped", "4": "done", "d5": "done"}
    assert reasons(made.report)["d3"] == "the record holds no text"
    passages = {source: text for _, text, source in made.library.chunk_passages("c", "whole")}
    assert passages == {
        "d1": "Herons They fish in ponds.",
        "d2": "Only a title about storks",
        "4": "No title, and a number for an id.",
        "d5": "Half a character \ufffd is not lost.",
    }
    assert statuses(ingest(folder, chunker="whole").report)["d5"] == "unchanged"

    beir(folder, {"_id": "d1", "title": "Herons", "text": "They fish in rivers."}, *records[1:4])
    made = ingest(folder, chunker="whole")
    assert statuses(made.report) == {
        "d1": "done",
        "d2": "unchanged",
        "d3": "skipped",
        "4": "unchanged",
        "d5": "deleted",
    }
    assert "They fish in rivers." in texts_in(made.library, HASH, "whole")
    assert made.report.embedded == {"hash": 1}


@pytest.mark.parametrize("line", ["no json", "[]", '{"title": "no id"}', '{"_id": 1, "text": ["not", "text"]}'])
def test_a_broken_record_is_named_by_its_line(tmp_path, ingest, line):
    folder = beir(tmp_path / "task", {"_id": "d1", "text": "Good."}, line)
    with pytest.raises(UsageError, match=r"corpus\.jsonl, line 2: "):
        ingest(folder)


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


def test_a_repeated_beir_id_is_skipped_with_its_reason_and_the_first_record_stays(tmp_path):
    folder = tmp_path / "task"
    folder.mkdir()
    (folder / "queries.jsonl").write_text("")
    (folder / "corpus.jsonl").write_text('{"_id": "a", "text": "the first"}\n{"_id": "a", "text": "the second"}\n')
    library = Library(tmp_path / "home", create=True)
    for _ in range(2):  # and again, for the second run must not take the one for a change of the other
        report = Ingest(library, read_settings(tmp_path / "home"), "task", ["hash"], "whole").run([folder])
        [skipped] = [outcome for outcome in report.outcomes if outcome.status == "skipped"]
        assert skipped.reason == "an earlier record has the id 'a' as well"
        assert [document.text for document in library.documents("task")] == ["the first"]
    library.close()


def test_a_beir_file_that_is_not_utf_8_is_refused_with_its_line(tmp_path):
    (tmp_path / "queries.jsonl").write_text("")
    (tmp_path / "corpus.jsonl").write_bytes('{"_id": "a", "text": "café"}\n'.encode("latin-1"))
    with pytest.raises(UsageError, match=r"corpus\.jsonl, line 1: UnicodeDecodeError"):
        find_items([tmp_path])
