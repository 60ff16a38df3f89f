"""A library, or the settings in it, that is missing, empty, broken or of another version."""

import json
import sqlite3

import pytest

from cli_contract import DOCTOR, departures, one_line

# --- no library, or nothing in it


@pytest.mark.parametrize(
    "command", [("search", "x"), ("ask", "x"), ("ingest", "FOLDER", "--embedder", "hash"), ("doctor",)]
)
def test_a_library_path_that_is_a_file(rag, monkeypatch, small_folder, command):
    monkeypatch.setenv("RAG_HOME", str(small_folder / "bread.txt"))
    one_line(rag(*(small_folder if word == "FOLDER" else word for word in command)), 2, "is a file", "RAG_HOME")


def test_a_library_that_cannot_be_made(rag, small_folder):
    one_line(rag("--home", "/proc/none", "ingest", small_folder, "--embedder", "hash"), 1, "/proc/none")


def test_an_empty_corpus(rag, home, tmp_path):
    (tmp_path / "nothing").mkdir()
    assert rag("--home", tmp_path / "h", "ingest", tmp_path / "nothing", "--embedder", "hash").status == 0
    for command in ("search", "ask"):
        one_line(rag("--home", tmp_path / "h", command, "x"), 1, "'default'", "rag ingest PATH --corpus default")


def test_an_index_that_is_not_there_brings_the_command_that_builds_it(rag, home):
    said = "rag ingest PATH --corpus small --embedder minilm"
    one_line(rag("--home", home, "search", "x", "--embedder", "minilm"), 1, "'minilm'", said)


# --- settings

SAME_WIDTH = """[embedders.hash]
provider = "hash"
model = "another"
revision = "1"
dimension = 512
max_tokens = 0
query_prefix = ""
passage_prefix = ""
usd_per_million_tokens = 0.0
languages = ["any"]
licence = "Apache-2.0"
source = "a test"
"""


@pytest.mark.parametrize("command", ["search", "ask"])
def test_an_index_of_another_model_of_the_same_width_is_refused(rag, copied, small_folder, command):
    home = copied()
    (home / "rag.toml").write_text(SAME_WIDTH, encoding="utf-8")
    remedy = "rag ingest PATH --corpus small --embedder hash"
    one_line(rag("--home", home, command, "tea", "--embedder", "hash"), 1, "'bag-of-words'", "'another'", remedy)
    assert rag("--home", home, *remedy.replace("PATH", str(small_folder)).split()[1:]).status == 0
    assert rag("--home", home, command, "tea", "--embedder", "hash").status == 0


WRONG_SETTINGS = {
    "not TOML": ("k = ", "not valid TOML"),
    "not UTF-8": (b"# caf\xe9\n", "not valid TOML"),
    "unknown key": ("retreiver = 'dense'", "Did you mean 'retriever'?"),
    "wrong type": ('k = "8"', "k = '8'"),
    "k of 0": ("k = 0", "at least 1"),
    "weight of 2": ("weight = 2", "between 0 and 1"),
    "unknown embedder": ('embedder = "hsh"', "Did you mean 'hash'?"),
    "unknown embedder to ingest with": ('ingest_with = ["minlm"]', "Did you mean 'minilm'?"),
    "embedders that are no tables": ("embedders = 3", "[embedders.NAME]"),
    "an embedder that is no table": ("[embedders]\nmine = 3", "[embedders.NAME]"),
    "an embedder that lacks facts": ('[embedders.mine]\nprovider = "hash"', "lacks model"),
    "an unknown provider": (SAME_WIDTH.replace('provider = "hash"', 'provider = "hsh"'), "Did you mean 'hash'?"),
}


@pytest.mark.parametrize("kind", WRONG_SETTINGS)
@pytest.mark.parametrize("command", [("search", "x"), ("embedders",)])
def test_broken_settings_name_their_file(rag, tmp_path, home, kind, command):
    written, said = WRONG_SETTINGS[kind]
    settings = tmp_path / "rag.toml"
    settings.write_bytes(written if isinstance(written, bytes) else written.encode())
    one_line(rag("--home", tmp_path, *command), 2, str(settings), said)


# --- damage


EVERY_COMMAND = [("search", "x"), ("ask", "x"), ("doctor",), ("indexes",), ("rebuild",), ("ingest", "F"), ("eval", "T")]


@pytest.mark.parametrize("command", EVERY_COMMAND, ids=lambda command: command[0])
def test_a_library_that_is_garbage(rag, tmp_path, small_folder, task, command):
    (tmp_path / "library.db").write_bytes(bytes(range(256)) * 32)
    paths = {"F": small_folder, "T": task}
    one_line(rag("--home", tmp_path, *(paths.get(word, word) for word in command)), 1, "library.db", "backup")
    assert (tmp_path / "library.db").read_bytes() == bytes(range(256)) * 32


@pytest.mark.parametrize("command", EVERY_COMMAND, ids=lambda command: command[0])
def test_a_library_of_a_newer_version(rag, copied, small_folder, task, command):
    home = copied()
    with sqlite3.connect(home / "library.db") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    paths = {"F": small_folder, "T": task}
    said = ("newer version", "schema 99", "Update the program")
    one_line(rag("--home", home, *(paths.get(word, word) for word in command)), 1, *said)


def test_a_library_with_damaged_pages(rag, copied):
    home = copied()
    database = sqlite3.connect(home / "library.db")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = database.execute("PRAGMA page_size").fetchone()[0]
    query = "SELECT rootpage FROM sqlite_master WHERE name IN ('documents', 'chunks', 'indexed')"
    pages = [row[0] for row in database.execute(query)]
    database.close()
    with (home / "library.db").open("r+b") as file:
        for page in pages:
            file.seek((page - 1) * size)
            file.write(b"\xa5" * size)
    for command in (("search", "tea"), ("ask", "tea"), ("rebuild",)):
        one_line(rag("--home", home, *command), 1, "damaged", "rag doctor")
    doctor = rag("--home", home, "doctor", "--json")
    printed = json.loads(doctor.out)
    assert departures(printed, DOCTOR) == []
    assert (doctor.status, printed["well"], doctor.err) == (1, False, "")
    assert printed["findings"][0]["remedy"]


def test_doctor_sees_a_vector_that_is_gone(rag, copied):
    home = copied()
    with sqlite3.connect(home / "library.db") as database:
        database.execute("DELETE FROM vectors WHERE rowid = 1")
    database.close()
    doctor = rag("--home", home, "doctor")
    assert doctor.status == 1
    assert "BAD  index small / hash" in doctor.out
