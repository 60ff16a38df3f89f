import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from ingest.chunkers import load_chunker
from rag.database import MIGRATIONS, Database
from rag.errors import LibraryLockedError, RagError, UsageError
from rag.ledger import LedgerEntry
from rag.library import Library, NewDocument
from rag.lock import holder, writer_lock
from rag.passages import passage, passage_key
from rag.schema import Document, Heading, content_id

CHUNKER = load_chunker("recursive-60-0")
INDEX = (CHUNKER.name, "fingerprint")


@pytest.fixture
def library(tmp_path):
    library = Library(tmp_path / "home", create=True)
    library.add_corpus("c")
    yield library
    library.close()


def new_document(source, text, indexes=(INDEX,)):
    """A document of several chunks, as ingest hands it over."""
    document = Document(
        content_id("c", source, text), "c", source, source.title(), text, "plain_text", f"hash of {text}"
    )
    entry = LedgerEntry(source, f"/docs/{source}", "/docs", document.content_hash, "done", "")
    return NewDocument(document, {CHUNKER.name: CHUNKER.split(document)}, indexes, entry)


def long_text(word, sentences=6):
    return " ".join(f"The {word} of sentence number {number} is told at some length." for number in range(sentences))


def store_vectors(library, new):
    keys = [passage_key(passage(new.document.title, c.heading, c.text)) for c in new.chunks[CHUNKER.name]]
    vectors = np.tile(np.array([[0.6, 0.8]], dtype=np.float32), (len(keys), 1))
    library.vectors.add(INDEX[1], keys, vectors, range(len(keys)))


def texts_of(library):
    rows = library.database.query(
        """SELECT d.source, d.text, c.start, c.text FROM chunks c
           JOIN documents d ON d.id = c.document_id ORDER BY c.start"""
    )
    return rows.fetchall()


# --- the database


def test_a_fresh_file_gets_the_whole_schema(tmp_path):
    database = Database(tmp_path / "library.db")
    assert database.query("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
    assert database.query("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert database.query("PRAGMA foreign_keys").fetchone()[0] == 1
    assert database.query("PRAGMA secure_delete").fetchone()[0] == 1
    tables = {row[0] for row in database.query("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert {"corpora", "documents", "chunks", "vectors", "index_cards", "indexed", "ledger"} <= tables
    database.close()
    Database(tmp_path / "library.db").close()  # a second start changes nothing


def test_a_newer_schema_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "library.db"
    Database(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 3}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(RagError, match=rf"newer version.*schema {len(MIGRATIONS) + 3}.*--home"):
        Database(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused(tmp_path):
    path = tmp_path / "library.db"
    path.write_bytes(b"this is no database, " * 200)
    with pytest.raises(RagError, match="cannot be opened as a library"):
        Database(path)
    assert path.read_bytes() == b"this is no database, " * 200


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    path = tmp_path / "library.db"
    Database(path).close()
    broken = "CREATE TABLE half (x);\nCREATE TABLE half (x);\n"
    monkeypatch.setattr("rag.database.MIGRATIONS", (*MIGRATIONS, broken))
    with pytest.raises(RagError, match="half already exists"):
        Database(path)
    monkeypatch.undo()
    database = Database(path)
    assert database.query("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
    assert database.query("SELECT COUNT(*) FROM sqlite_master WHERE name = 'half'").fetchone()[0] == 0


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("SELECT raise_here", sqlite3.OperationalError),
        ("INSERT OR ROLLBACK INTO corpora VALUES ('c', 0, '')", sqlite3.IntegrityError),  # SQLite rolls back itself
        ("INSERT INTO indexed VALUES (1, 'c', 'x', 'y', 'no document')", sqlite3.IntegrityError),  # seen at the commit
    ],
)
def test_a_transaction_that_fails_leaves_nothing_and_the_next_one_works(library, statement, error):
    with pytest.raises(error), library.database.transaction() as connection:
        connection.execute("PRAGMA defer_foreign_keys = ON")
        connection.execute("INSERT INTO corpora VALUES ('other', 0, '')")
        connection.execute(statement)
    assert library.corpora() == ["c"]
    library.add_corpus("next")
    assert library.corpora() == ["c", "next"]


def test_there_is_no_library_until_one_is_made(tmp_path):
    with pytest.raises(RagError, match=r"no library at .* Make one: rag ingest PATH"):
        Library(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


# --- corpora


@pytest.mark.parametrize("name", ["", "a/b", "../x", "a b", "-a", "a-", "a..b", "ü", "x" * 101])
def test_what_cannot_name_a_corpus(library, name):
    with pytest.raises(UsageError, match="cannot name a corpus"):
        library.add_corpus(name)
    assert library.corpora() == ["c"]


def test_the_corpus_that_was_meant(library):
    assert library.corpus_or_only(None) == "c"
    library.add_corpus("second")
    library.add_corpus("second")
    with pytest.raises(UsageError, match=r"Say which corpus .* c, second"):
        library.corpus_or_only(None)
    library.add_corpus("default")
    assert library.corpus_or_only(None) == "default"
    with pytest.raises(UsageError, match=r"No corpus 'secnd'\. Did you mean 'second'"):
        library.corpus_or_only("secnd")


# --- documents


def test_a_document_comes_back_as_it_went_in(library):
    document = Document(
        "id", "c", "a.pdf", "Title", "First page.\fSecond – 中文.", "pdf", "h", (0, 12), (Heading(0, 1, "First"),)
    )
    chunks = CHUNKER.split(document)
    entry = LedgerEntry("a.pdf", "/a.pdf", "/a.pdf", "h", "done", "1 of 3 pages holds no text")
    library.commit("c", [NewDocument(document, {CHUNKER.name: chunks}, (INDEX,), entry)])
    assert library.document("id") == document
    assert list(library.documents("c")) == [document]
    stored = library.chunks([chunk.id for chunk in chunks])
    assert [stored[chunk.id].chunk for chunk in chunks] == chunks
    assert library.ledger.entries("c") == [entry]
    assert library.document("none") is None
    assert library.chunks(["none"]) == {}


def test_a_new_version_takes_the_place_of_the_old_one(library):
    old, new = new_document("a.txt", long_text("heron")), new_document("a.txt", long_text("crane", 2))
    library.commit("c", [old])
    before = (library.revision("c"), library.state_of("c"))
    library.commit("c", [new])
    assert [document.text for document in library.documents("c")] == [new.document.text]
    assert all("crane" in text for _, _, _, text in texts_of(library))
    assert len(texts_of(library)) == len(new.chunks[CHUNKER.name])
    assert library.indexes_of(old.document.id) == set()
    assert library.revision("c") > before[0]
    assert library.state_of("c") != before[1]


def test_a_commit_that_fails_midway_changes_nothing(library):
    library.commit("c", [new_document("a.txt", long_text("heron"))])
    before = (texts_of(library), library.ledger.entries("c"), library.state_of("c"))
    broken = new_document("b.txt", long_text("stork"))
    orphan = NewDocument(
        broken.document, broken.chunks, broken.indexes, LedgerEntry("b.txt", "/b", "/", "h", "done", None)
    )
    with pytest.raises(sqlite3.IntegrityError):
        library.commit("c", [new_document("a.txt", long_text("crane")), orphan])
    assert (texts_of(library), library.ledger.entries("c"), library.state_of("c")) == before


def test_deletion_takes_chunks_ledger_and_at_last_vectors(library):
    kept, gone = new_document("a.txt", long_text("heron")), new_document("b.txt", long_text("stork"))
    for new in (kept, gone):
        store_vectors(library, new)
    library.commit("c", [kept, gone])
    total = len(kept.chunks[CHUNKER.name]) + len(gone.chunks[CHUNKER.name])
    assert len(library.vectors.of_index("c", *INDEX)[0]) == total

    library.delete("c", ["b.txt", "never there"])
    assert {source for source, *_ in texts_of(library)} == {"a.txt"}
    assert [entry.source for entry in library.ledger.entries("c")] == ["a.txt"]
    assert len(library.vectors.of_index("c", *INDEX)[0]) == len(kept.chunks[CHUNKER.name])
    assert library.vectors.empty_trash() == len(gone.chunks[CHUNKER.name])
    assert [count for _, count, _ in library.vectors.count()] == [len(kept.chunks[CHUNKER.name])]
    assert library.vectors.empty_trash() == 0


def test_the_words_of_a_deleted_document_leave_the_disk(library):
    library.commit(
        "c", [new_document("a.txt", long_text("heron", 200)), new_document("b.txt", long_text("stork", 200))]
    )
    library.delete("c", ["b.txt"])
    library.close()
    data = b"".join(path.read_bytes() for path in library.home.iterdir())
    assert (b"heron" in data, b"stork" in data) == (True, False)


def test_a_vector_that_another_chunk_still_uses_outlives_a_deletion(library):
    text = long_text("heron")
    one, other = new_document("a.txt", text), new_document("a.txt", text + " And one more sentence stands at the end.")
    for new in (one, other):
        store_vectors(library, new)
    library.commit("c", [one])
    library.commit("c", [other])
    library.vectors.empty_trash()
    ids, _ = library.vectors.of_index("c", *INDEX)
    assert sorted(ids) == sorted(chunk.id for chunk in other.chunks[CHUNKER.name])


# --- vectors


def test_vectors_are_kept_under_fingerprint_and_passage(library):
    keys = [passage_key(f"passage {number}") for number in range(1200)]  # more than one statement can ask for at once
    vectors = np.random.default_rng(1).normal(size=(1200, 3)).astype(np.float32)
    assert library.vectors.missing("f", keys) == set(keys)
    library.vectors.add("f", keys[:700], vectors[:700], [7] * 700)
    assert library.vectors.missing("f", keys) == set(keys[700:])
    assert library.vectors.missing("other", keys) == set(keys)
    library.vectors.add("f", keys[:1], vectors[1:2], [7])  # the first one stays
    (stored,) = library.database.query("SELECT vector FROM vectors WHERE passage = ?", (keys[0],)).fetchone()
    assert np.frombuffer(stored, "<f4").tolist() == vectors[0].tolist()


def test_only_complete_documents_are_in_an_index(library):
    complete = new_document("a.txt", long_text("heron"))
    other = new_document("b.txt", long_text("stork"), indexes=((CHUNKER.name, "another fingerprint"),))
    for new in (complete, other):
        store_vectors(library, new)
    library.commit("c", [complete, other])
    ids, vectors = library.vectors.of_index("c", *INDEX)
    assert ids == sorted(chunk.id for chunk in complete.chunks[CHUNKER.name])
    assert vectors.shape == (len(ids), 2)
    assert library.vectors.of_index("c", CHUNKER.name, "none")[0] == []


# --- readers beside the writer


def test_readers_never_see_half_a_document_nor_two_versions(library):
    versions = [
        new_document("a.txt", long_text(word, 2 + number)) for number, word in enumerate(["heron", "crane", "stork"])
    ]
    for new in versions:
        store_vectors(library, new)
    whole = {new.document.text: [c.text for c in new.chunks[CHUNKER.name]] for new in versions}
    library.commit("c", [versions[0]])
    seen, wrong = set(), []
    ready, done = threading.Barrier(3), threading.Event()

    def read():
        rounds = 0
        while rounds < 20 or not done.is_set():
            rows = texts_of(library)
            texts = {text for _, text, _, _ in rows}
            if len(texts) != 1 or [chunk for *_, chunk in rows] != whole[next(iter(texts))]:
                wrong.append(rows)
            ids, vectors = library.vectors.of_index("c", *INDEX)
            if len(ids) not in {len(chunks) for chunks in whole.values()} or len(ids) != len(vectors):
                wrong.append(ids)
            seen.update(texts)
            if not rounds:
                ready.wait(timeout=30)
            rounds += 1

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    ready.wait(timeout=30)
    for number in range(60):
        library.commit("c", [versions[number % 3]])
    done.set()
    for reader in readers:
        reader.join(timeout=30)
    assert wrong == []
    assert len(seen) > 1  # the readers did see it change


# --- the writer lock


HOLD = """
import sys
from pathlib import Path
from rag.lock import writer_lock

with writer_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other_process(tmp_path):
    """Another process that holds the lock of the library at tmp_path until its stdin is closed."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    root = Path(__file__).parents[1]
    process = subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait(timeout=30)
    process.stdin.close()
    process.stdout.close()


def test_a_second_writer_is_told_who_is_the_first(tmp_path, other_process):
    with (
        pytest.raises(LibraryLockedError, match=rf"process {other_process.pid} .*try again; searching"),
        writer_lock(tmp_path),
    ):
        pytest.fail("two writers at once")
    other_process.stdin.close()
    other_process.wait(timeout=30)
    with writer_lock(tmp_path):
        pass


def test_a_killed_writer_holds_nothing(tmp_path, other_process):
    other_process.kill()
    other_process.wait(timeout=30)
    with writer_lock(tmp_path):
        assert f"process {other_process.pid} " not in holder(tmp_path)  # the name it left is not taken for ours
    assert holder(tmp_path) == "another process"


def test_the_lock_is_free_again_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), writer_lock(tmp_path):
        1 / 0  # noqa: B018
    with writer_lock(tmp_path):
        pass
