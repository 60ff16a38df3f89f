"""The command-line contract: JSON shapes, exit statuses, and one clear line for whatever is wrong."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from rag.library import Library
from ui.cli import COMMANDS, run

ROOT = Path(__file__).parents[1]
RAG = Path(sys.executable).with_name("rag")

HEAVY = {"bm25s", "chromadb", "gradio", "langchain", "langchain_community", "langchain_core", "pandas", "ragas"} | {
    "rapidfuzz",
    "scipy",
    "sentence_transformers",
    "sklearn",
    "tokenizers",
    "torch",
    "transformers",
    "wordllama",
}

LEG = {"rank": int, "score": float}
HIT = {
    "rank": int,
    "score": float,
    "chunk_id": str,
    "document_id": str,
    "source": str,
    "page": (int, None),
    "start": int,
    "end": int,
    "heading": str,
    "text": str,
    "legs": dict,
}
SEARCH = {"query": str, "corpus": str, "embedder": (str, None), "retriever": str, "hits": [HIT]}
CITATION = {
    "marker": int,
    "chunk_id": str,
    "document_id": str,
    "source": str,
    "page": (int, None),
    "start": int,
    "end": int,
    "quote": str,
}
ASK = {**SEARCH, "answer": str, "abstained": bool, "citations": [CITATION]}
INGEST = {
    "corpus": str,
    "documents": {"done": int, "unchanged": int, "skipped": int, "failed": int, "deleted": int},
    "chunks": int,
    "indexes": [
        {
            "embedder": str,
            "chunker": str,
            "fingerprint": str,
            "documents": int,
            "chunks": int,
            "embedded": int,
            "seconds": float,
            "usd": float,
        }
    ],
    "files": [{"path": str, "status": str, "reason": str}],
    "seconds": float,
}
FACTS = {
    "fingerprint": str,
    "provider": str,
    "model": str,
    "revision": str,
    "dimension": int,
    "max_tokens": int,
    "query_prefix": str,
    "passage_prefix": str,
}
EMBEDDER = FACTS | {
    "name": str,
    "usd_per_million_tokens": float,
    "languages": [str],
    "licence": str,
    "source": str,
    "lacks": str,
}
CARD = FACTS | {
    "corpus": str,
    "chunker": str,
    "embedder": str,
    "precision": str,
    "documents": int,
    "chunks": int,
    "embedded": int,
    "seconds": float,
    "usd": float,
    "built": str,
    "updated": str,
}
DOCTOR = {"well": bool, "findings": [{"subject": str, "well": bool, "detail": str, "remedy": str}]}
COST = {
    "embed_seconds": (float, None),
    "query_ms_p50": float,
    "bytes_per_vector": (int, None),
    "usd": (float, None),
}
METRICS = ("nDCG@10", "R@100", "RR@10", "AP", "P@5")

TASK_FILES = {
    "corpus.jsonl": (
        '{"_id": "bread", "title": "", "text": "Sourdough bread proofs for two hours."}\n'
        '{"_id": "ferry", "title": "Harbour", "text": "The ferries left late because of fog."}\n'
    ),
    "queries.jsonl": '{"_id": "q1", "text": "proofing bread"}\n{"_id": "q2", "text": "ferries in the fog"}\n',
    "qrels/test.tsv": "query-id\tcorpus-id\tscore\nq1\tbread\t1\nq2\tferry\t1\n",
}


def departures(value, shape, where="$"):
    """Lists where a JSON value departs from a shape: exact keys, exact types, the items of lists all alike."""
    if isinstance(shape, dict):
        if not isinstance(value, dict) or value.keys() != shape.keys():
            return [f"{where}: {sorted(value) if isinstance(value, dict) else value!r}, not {sorted(shape)}"]
        return [line for key in shape for line in departures(value[key], shape[key], f"{where}.{key}")]
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [f"{where}: {value!r} is no list"]
        return [line for at, item in enumerate(value) for line in departures(item, shape[0], f"{where}[{at}]")]
    allowed = [type(None) if kind is None else kind for kind in (shape if isinstance(shape, tuple) else (shape,))]
    return [] if type(value) in allowed else [f"{where}: {value!r} is no {shape}"]


@pytest.mark.parametrize("value", [{"a": 1}, {"a": "x", "b": 1}, {"b": 1}, [], {"a": True, "b": [1]}])
def test_departures_are_seen(value):
    assert departures(value, {"a": int, "b": [int]})
    assert not departures({"a": 1, "b": [1, 2]}, {"a": int, "b": [int]})


@pytest.fixture
def rag(capsys):
    """Runs the command line in this process."""

    def call(*arguments):
        status = run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return SimpleNamespace(status=status, out=out, err=err)

    return call


@pytest.fixture(scope="module")
def home(tmp_path_factory, small_folder):
    """A library made by the command itself: the small folder under both light embedders."""
    folder = tmp_path_factory.mktemp("cli") / "home"
    command = ["ingest", str(small_folder), "--corpus", "small", "--embedder", "hash", "--embedder", "wordllama"]
    assert run(["--home", str(folder), *command]) == 0
    return folder


@pytest.fixture(scope="module")
def copied(home, tmp_path_factory):
    """Makes copies of the library that a test may spoil."""
    import shutil

    def copy():
        return Path(shutil.copytree(home, tmp_path_factory.mktemp("copy") / "home"))

    return copy


@pytest.fixture
def task(tmp_path):
    """A BEIR folder of two documents and two queries."""
    folder = tmp_path / "tiny"
    (folder / "qrels").mkdir(parents=True)
    for name, text in TASK_FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def process(*arguments, **options):
    """Runs the installed console script."""
    command = [str(RAG), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120, **options)


def one_line(result, status, *said):
    """Asserts a refusal: its status, nothing on standard output, and exactly one line of ours at the end."""
    lines = result.err.splitlines()
    assert result.status == status, result.err
    assert [line for line in lines if line.startswith("rag: ")] == lines[-1:], result.err
    assert "Traceback" not in result.err
    assert result.out == ""
    for words in said:
        assert words in lines[-1]
    return lines[-1]


# --- help


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)])
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_of_every_command(rag, command, option):
    shown = rag(*command, option)
    assert shown.status == 0
    assert shown.out.startswith(f"Usage: {' '.join(('rag', *command))} [OPTIONS]")
    assert shown.err == ""


def test_the_help_names_every_option_of_the_contract(rag):
    contract = {
        "ingest": ("--corpus", "--embedder", "--chunker", "--json"),
        "search": ("--corpus", "--embedder", "--retriever", "-k", "--json"),
        "ask": ("--corpus", "--embedder", "--retriever", "-k", "--json"),
        "ui": ("--host", "--port"),
        "eval": ("--embedder", "--retriever", "--out", "--json"),
        "embedders": ("--json",),
        "indexes": ("--json",),
        "doctor": ("--json",),
        "rebuild": (),
    }
    assert set(contract) == set(COMMANDS)
    for command, options in contract.items():
        shown = rag(command, "--help").out
        assert [option for option in options if f"  {option} " not in shown] == []


def test_help_imports_nothing_heavy():
    script = (
        "import sys\nfrom ui.cli import COMMANDS, run\nrun(['--help'])\n"
        "for name in COMMANDS:\n    run([name, '--help'])\nprint('|'.join(sys.modules), file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=60)
    loaded = {name.partition(".")[0] for name in ran.stderr.strip().split("|")}
    assert {"click", "ui"} <= loaded
    assert loaded & HEAVY == set()


def test_search_and_ask_import_neither_chroma_nor_torch(home):
    script = (
        "import sys\nfrom ui.cli import run\n"
        "assert run(['search', 'tea', '--embedder', 'wordllama']) == 0\n"
        "assert run(['ask', 'How hot is green tea?', '--embedder', 'hash']) == 0\n"
        "print('|'.join(sys.modules), file=sys.stderr)"
    )
    environment = os.environ | {"RAG_HOME": str(home)}
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=60, env=environment
    )
    loaded = {name.partition(".")[0] for name in ran.stderr.strip().split("|")}
    assert "bm25s" in loaded
    assert loaded & {"chromadb", "torch", "gradio", "ragas"} == set()


def test_the_bare_command_shows_the_help_and_is_wrong_usage(rag):
    shown = rag()
    assert shown.status == 2
    assert shown.err.startswith("Usage: rag [OPTIONS] COMMAND")


def test_the_version_is_the_projects(rag):
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert rag("--version").out == f"rag, version {project['version']}\n"


# --- shapes


def test_ingest_prints_its_shape(rag, tmp_path, small_folder):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "tea.md").write_bytes((small_folder / "notes" / "tea.md").read_bytes())
    (tmp_path / "docs" / "empty.txt").touch()
    (tmp_path / "docs" / "broken.pdf").write_bytes(b"%PDF-1.4\nno more than this")
    command = ("--home", tmp_path / "home", "ingest", tmp_path / "docs", "--embedder", "hash", "--json")

    first = rag(*command)
    printed = json.loads(first.out)
    assert departures(printed, INGEST) == []
    assert printed["documents"] == {"done": 1, "unchanged": 0, "skipped": 1, "failed": 1, "deleted": 0}
    assert {Path(file["path"]).name: file["status"] for file in printed["files"]} == {
        "broken.pdf": "failed",
        "empty.txt": "skipped",
        "tea.md": "done",
    }
    assert all(bool(file["reason"]) == (file["status"] != "done") for file in printed["files"])
    assert printed["corpus"] == "default"
    (index,) = printed["indexes"]
    assert index["chunks"] == index["embedded"] == printed["chunks"] > 0
    assert first.status == 1, "a file failed"
    assert {line.partition(":")[0] for line in first.err.splitlines()} == {"skipped", "failed"}

    (tmp_path / "docs" / "broken.pdf").unlink()
    second = rag(*command)
    assert second.status == 0
    printed = json.loads(second.out)
    assert printed["documents"] == {"done": 0, "unchanged": 1, "skipped": 1, "failed": 0, "deleted": 1}
    assert [index["embedded"] for index in printed["indexes"]] == [0]


def test_every_file_is_one_of_the_counts(rag, tmp_path, small_folder):
    ran = rag("--home", tmp_path, "ingest", small_folder, "--embedder", "hash", "--json")
    printed = json.loads(ran.out)
    assert sum(printed["documents"].values()) == len(printed["files"]) == len(list(small_folder.rglob("*.*")))


@pytest.mark.parametrize("embedder", ["hash", "wordllama"])
@pytest.mark.parametrize("retriever", ["dense", "lexical", "hybrid"])
def test_search_and_ask_print_their_shapes_and_true_spans(rag, home, embedder, retriever):
    options = ("--corpus", "small", "--embedder", embedder, "--retriever", retriever, "-k", 3, "--json")
    check_search(rag("--home", home, "search", "rings of Saturn", *options), home, embedder, retriever)
    check_ask(rag("--home", home, "ask", "What is Saturn known for?", *options), home, embedder, retriever)


def check_search(ran, home, embedder, retriever, shape=SEARCH):
    printed = json.loads(ran.out)
    assert departures(printed, shape) == []
    assert (ran.status, ran.err) == (0, "")
    assert printed["corpus"] == "small"
    assert printed["embedder"] == (None if retriever == "lexical" else embedder)
    assert printed["retriever"] == retriever
    hits = printed["hits"]
    assert 1 <= len(hits) <= 3
    assert hits[0]["source"] == "planets.md"
    assert "rings of ice" in hits[0]["text"]
    assert [hit["rank"] for hit in hits] == list(range(1, len(hits) + 1))
    assert [hit["score"] for hit in hits] == sorted((hit["score"] for hit in hits), reverse=True)
    legs = {"dense", "lexical"} if retriever == "hybrid" else {retriever}
    assert set(hits[0]["legs"]) == legs
    for hit in hits:
        assert set(hit["legs"]) <= legs
        assert all(departures(leg, LEG) == [] for leg in hit["legs"].values())
        assert document_text(home, hit)[hit["start"] : hit["end"]] == hit["text"]
    return printed


def check_ask(ran, home, embedder, retriever):
    printed = check_search(ran, home, embedder, retriever, ASK)
    assert printed["abstained"] is False
    assert "bright rings of ice" in printed["answer"]
    assert printed["citations"]
    for number, citation in enumerate(printed["citations"], start=1):
        assert citation["marker"] == number
        assert f"[{number}]" in printed["answer"]
        assert citation["chunk_id"] in {hit["chunk_id"] for hit in printed["hits"]}
        assert document_text(home, citation)[citation["start"] : citation["end"]] == citation["quote"]
    return printed


def document_text(home, place):
    library = Library(home)
    try:
        document = library.document(place["document_id"])
        assert document.source == place["source"]
        return document.text
    finally:
        library.close()


def test_minilm_from_files_to_an_answer(small_folder, tmp_path):
    home = tmp_path / "home"
    script = (
        "import sys\nfrom ui.cli import run\nhome, folder = sys.argv[1:]\nchoice = ['--embedder', 'minilm']\n"
        "assert run(['--home', home, 'ingest', folder, '--corpus', 'small', *choice]) == 0\n"
        "sys.stdout.flush()\nprint('\\x1e')\n"
        "assert run(['--home', home, 'search', 'rings of Saturn', '-k', '3', '--json', *choice]) == 0\n"
        "print('\\x1e')\n"
        "assert run(['--home', home, 'ask', 'What is Saturn known for?', '-k', '3', '--json', *choice]) == 0\n"
    )
    command = [sys.executable, "-c", script, str(home), str(small_folder)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == "", "warnings reach the terminal"
    _, search, ask = ran.stdout.split("\x1e")
    check_search(SimpleNamespace(status=0, out=search, err=""), home, "minilm", "hybrid")
    check_ask(SimpleNamespace(status=0, out=ask, err=""), home, "minilm", "hybrid")


@pytest.mark.parametrize("options", [("--embedder", "hash"), ("--embedder", "wordllama"), ("--retriever", "lexical")])
def test_what_the_documents_do_not_say_is_not_answered(rag, home, options):
    question = "Which football club won the championship in 1998?"
    printed = json.loads(rag("--home", home, "ask", question, "--json", *options).out)
    assert departures(printed, ASK) == []
    assert printed["abstained"] is True
    assert printed["citations"] == []
    assert printed["answer"]


def test_the_tables_print_their_shapes(rag, home):
    embedders = rag("--home", home, "embedders", "--json")
    printed = json.loads(embedders.out)
    assert departures(printed, {"embedders": [EMBEDDER]}) == []
    ready = {row["name"] for row in printed["embedders"] if not row["lacks"]}
    assert {"hash", "minilm", "wordllama"} <= ready

    printed = json.loads(rag("--home", home, "indexes", "--json").out)
    assert departures(printed, {"indexes": [CARD]}) == []
    assert [(card["corpus"], card["embedder"]) for card in printed["indexes"]] == [
        ("small", "hash"),
        ("small", "wordllama"),
    ]

    doctor = rag("--home", home, "doctor", "--json")
    printed = json.loads(doctor.out)
    assert departures(printed, DOCTOR) == []
    assert printed["well"] is True
    assert doctor.status == 0


def test_eval_prints_and_writes_its_shape(rag, tmp_path, task):
    out = tmp_path / "results" / "first"
    ran = rag("--home", tmp_path / "home", "eval", task, "--embedder", "hash", "--no-ragas", "--out", out, "--json")
    assert ran.status == 0, ran.err
    printed = json.loads(ran.out)
    assert printed == json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert {(row["embedder"], row["retriever"]) for row in printed["rows"]} == {
        ("hash", "dense"),
        ("hash", "hybrid"),
        (None, "lexical"),
    }
    assert isinstance(printed["provenance"], dict)
    for row in printed["rows"]:
        assert (row["task"], row["family"], row["chunker"]) == ("tiny", "retrieval", "whole")
        assert departures(row["cost"], COST) == []
        for metric in METRICS:
            interval = {bound: row["metrics"][metric][bound] for bound in ("value", "ci_low", "ci_high")}
            assert departures(interval, dict.fromkeys(interval, float)) == []
            assert 0 <= interval["ci_low"] <= interval["value"] <= interval["ci_high"] <= 1
            assert departures(row["per_query"][metric], {"q1": float, "q2": float}) == []
    assert {path.relative_to(out).as_posix() for path in out.rglob("*.*")} >= {
        "comparisons.json",
        "leaderboard.csv",
        "runs/tiny.bm25.lexical.trec",
        "runs/tiny.hash.dense.trec",
        "runs/tiny.hash.hybrid.trec",
    }


# --- the library that is meant


def test_home_comes_before_the_environment(rag, home, tmp_path, monkeypatch):
    monkeypatch.setenv("RAG_HOME", str(tmp_path / "none"))
    one_line(rag("search", "tea"), 1, str(tmp_path / "none"), "rag ingest")
    assert rag("--home", home, "search", "tea").status == 0
    monkeypatch.setenv("RAG_HOME", str(home))
    assert rag("search", "tea").status == 0
    monkeypatch.delenv("RAG_HOME")
    monkeypatch.chdir(tmp_path)
    one_line(rag("search", "tea"), 1, str(tmp_path / ".rag"))
    assert list(tmp_path.iterdir()) == [], "a refused search leaves nothing behind"


@pytest.mark.parametrize("command", [("search", "x"), ("ask", "x"), ("indexes",), ("doctor",), ("rebuild",)])
def test_reading_makes_no_library(rag, tmp_path, command):
    one_line(rag("--home", tmp_path / "none", *command), 1, "no library", "rag ingest PATH")
    assert not (tmp_path / "none").exists()


# --- what is wrong is said in one line

WRONG_NAMES = {
    "embedder": (("search", "x", "--embedder", "wordlama"), "'wordlama'", "Did you mean 'wordllama'?"),
    "retriever": (("search", "x", "--retriever", "dens"), "'dens'", "Did you mean 'dense'?"),
    "chunker": (("ingest", "FOLDER", "--chunker", "recursve"), "'recursve'", "Did you mean 'recursive'?"),
    "corpus": (("search", "x", "--corpus", "smal"), "'smal'", "Did you mean 'small'?"),
    "fusion": (("search", "x", "--fusion", "weigthed"), "'weigthed'", "Did you mean 'weighted'?"),
    "search": (("search", "x", "--search", "exakt"), "'exakt'", "Did you mean 'exact'?"),
    "command": (("serch", "x"), "'serch'", "Did you mean 'search'?"),
    "option": (("search", "x", "--embeder", "hash"), "--embeder", "Did you mean", "'--embedder'"),
    "global option": (("--hom", "x", "search", "x"), "--hom", "Did you mean '--home'?"),
    "embedder of ingest": (("ingest", "FOLDER", "--embedder", "hsh"), "'hsh'", "Did you mean 'hash'?"),
    "embedder of eval": (("eval", "TASK", "--embedder", "hsh"), "'hsh'", "Did you mean 'hash'?"),
    "retriever of eval": (("eval", "TASK", "--retriever", "dens"), "'dens'", "Did you mean 'dense'?"),
    "family": (("eval", "TASK", "--family", "retrival"), "'retrival'", "Did you mean 'retrieval'?"),
}


@pytest.mark.parametrize("kind", WRONG_NAMES)
def test_an_unknown_name_brings_the_nearest_one(rag, home, small_folder, task, kind):
    command, *said = WRONG_NAMES[kind]
    paths = {"FOLDER": small_folder, "TASK": task}
    one_line(rag("--home", home, *(paths.get(word, word) for word in command)), 2, *said)


WRONG_VALUES = {
    "empty query": (("search", ""), "query is empty"),
    "blank query": (("search", " \t\n"), "query is empty"),
    "blank question": (("ask", "  "), "query is empty"),
    "no query": (("search",), "QUERY"),
    "no path": (("ingest",), "PATH"),
    "no task": (("eval",), "TASK_DIR"),
    "two queries": (("search", "two", "words"), "words"),
    "k of 0": (("search", "x", "-k", "0"), "'-k'", "0"),
    "k that is no number": (("search", "x", "-k", "many"), "'-k'", "many"),
    "weight of 2": (("search", "x", "--weight", "2"), "2.0", "between 0 and 1"),
    "weight that is no number": (("search", "x", "--weight", "nan"), "nan", "between 0 and 1"),
    "approximate search": (("search", "x", "--search", "ann"), "rag ui"),
    "missing path": (("ingest", "no/such/file.md"), "no/such/file.md", "Check the path"),
    "corpus with a slash": (("ingest", "FOLDER", "--corpus", "a/b"), "'a/b'", "letters and digits"),
    "corpus with dots": (("ingest", "FOLDER", "--corpus", ".."), "'..'"),
    "missing task": (("eval", "no/such/task"), "no/such/task"),
    "no task folder": (("eval", "FOLDER"), "not a task folder", "queries.jsonl"),
    "missing split": (("eval", "TASK", "--split", "dev"), "'dev'", "test"),
    "out that is a file": (("eval", "TASK", "--out", "FILE"), "is a file", "--out"),
    "out below a file": (("eval", "TASK", "--out", "FILE/deep/er"), "is a file", "--out"),
    "home that is a file": (("--home", "FILE", "search", "x"), "is a file"),
}


@pytest.mark.parametrize("kind", WRONG_VALUES)
def test_a_wrong_request_is_one_line_and_2(rag, home, small_folder, task, kind):
    command, *said = WRONG_VALUES[kind]
    paths = {"FOLDER": small_folder, "TASK": task, "FILE": small_folder / "bread.txt"}
    paths["FILE/deep/er"] = paths["FILE"] / "deep" / "er"
    before = {"--home": ()}.get(command[0], ("--home", home))
    one_line(rag(*before, *(paths.get(word, word) for word in command)), 2, *said)


def test_what_was_refused_has_cost_no_library(rag, tmp_path, small_folder):
    for command in (("ingest", "no/such"), ("ingest", small_folder, "--embedder", "hsh"), ("eval", small_folder)):
        one_line(rag("--home", tmp_path / "home", *command), 2)
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    "command", [("search", "x"), ("ask", "x"), ("ingest", "FOLDER", "--embedder", "hash"), ("doctor",)]
)
def test_a_library_path_that_is_a_file(rag, monkeypatch, small_folder, command):
    monkeypatch.setenv("RAG_HOME", str(small_folder / "bread.txt"))
    one_line(rag(*(small_folder if word == "FOLDER" else word for word in command)), 2, "is a file", "RAG_HOME")


def test_a_library_that_cannot_be_made(rag, small_folder):
    one_line(rag("--home", "/proc/none", "ingest", small_folder, "--embedder", "hash"), 1, "/proc/none")


def test_files_that_cannot_be_read_are_accounted_for(rag, tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "dangling.md").symlink_to(tmp_path / "nowhere")
    (folder / "loop.md").symlink_to(folder / "loop.md")
    os.mkfifo(folder / "fifo.md")
    (folder / "tea.md").write_text("Green tea is brewed at eighty degrees.\n", encoding="utf-8")
    (folder / os.fsdecode(b"caf\xe9.md")).write_text("Coffee.\n", encoding="utf-8")
    ran = rag("--home", tmp_path / "home", "ingest", folder, "--embedder", "hash", "--json")
    files = {Path(file["path"]).name: file for file in json.loads(ran.out)["files"]}
    assert {name: file["status"] for name, file in files.items()} == {
        "caf\\xe9.md": "skipped",
        "dangling.md": "skipped",
        "fifo.md": "skipped",
        "loop.md": "skipped",
        "tea.md": "done",
    }
    assert all(file["reason"] for file in files.values() if file["status"] == "skipped")
    assert len(ran.err.splitlines()) == 4
    assert "Traceback" not in ran.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file, whatever its mode")
def test_a_file_without_permission_fails_and_the_others_do_not(rag, tmp_path, small_folder):
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "closed.txt").write_text("Secret.\n", encoding="utf-8")
    (folder / "closed.txt").chmod(0)
    (folder / "tea.md").write_text("Green tea.\n", encoding="utf-8")
    ran = rag("--home", tmp_path / "home", "ingest", folder, "--embedder", "hash")
    assert ran.status == 1
    assert ran.err.startswith("failed: ")
    assert "1 done, 1 failed" in ran.out


def test_an_empty_corpus(rag, home, tmp_path):
    (tmp_path / "nothing").mkdir()
    assert rag("--home", tmp_path / "h", "ingest", tmp_path / "nothing", "--embedder", "hash").status == 0
    for command in ("search", "ask"):
        one_line(rag("--home", tmp_path / "h", command, "x"), 1, "'default'", "rag ingest PATH --corpus default")


def test_an_index_that_is_not_there_brings_the_command_that_builds_it(rag, home):
    said = "rag ingest PATH --corpus small --embedder minilm"
    one_line(rag("--home", home, "search", "x", "--embedder", "minilm"), 1, "'minilm'", said)


def test_a_query_of_100000_characters_works(rag, home):
    query = ("green tea " * 10_000)[:100_000]
    printed = json.loads(rag("--home", home, "search", query, "--json").out)
    assert printed["query"] == query.strip()
    assert printed["hits"][0]["source"] == "notes/tea.md"


@pytest.mark.parametrize("locale", ["C.UTF-8", "C"])
@pytest.mark.parametrize("query", ["чай 分词 café", b"tea \xff\xfe"])
def test_any_bytes_are_a_query_under_any_locale(home, locale, query):
    environment = os.environ | {"LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    environment.pop("PYTHONIOENCODING", None)
    command = [str(RAG), "--home", str(home), "search", query, "--json"]
    ran = subprocess.run(command, capture_output=True, env=environment, timeout=60)
    assert ran.returncode == 0, ran.stderr.decode()
    expected = query if isinstance(query, str) else query.decode("utf-8", "replace")
    assert json.loads(ran.stdout.decode("utf-8"))["query"] == expected


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


# --- tasks that are broken

BROKEN_TASKS = {
    "a malformed query": ("queries.jsonl", '{"_id": "q1", "text": "x"}\n{bad\n', "queries.jsonl, line 2", "{bad"),
    "a malformed judgement": ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1 bread\n", "test.tsv, line 2", "q1"),
    "a malformed document": ("corpus.jsonl", '{"_id": "bread", "text": "x"}\n{bad\n', "corpus.jsonl, line 2"),
    "no documents": ("corpus.jsonl", "", "corpus.jsonl", "holds no text"),
    "blank documents": ("corpus.jsonl", '{"_id": "bread", "title": "", "text": " "}\n', "corpus.jsonl", "no text"),
    "judged queries that are not there": ("queries.jsonl", '{"_id": "q1", "text": "x"}\n', "q2"),
    "judged documents that are not there": ("corpus.jsonl", '{"_id": "other", "text": "x"}\n', "none", "'bread'"),
    "no judgement above 0": ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\tbread\t0\n", "relevant"),
}


@pytest.mark.parametrize("kind", BROKEN_TASKS)
def test_a_broken_task(rag, tmp_path, task, kind):
    name, text, *said = BROKEN_TASKS[kind]
    (task / name).write_text(text, encoding="utf-8")
    one_line(rag("--home", tmp_path / "home", "eval", task, "--embedder", "hash", "--no-ragas"), 2, *said)


def test_a_task_over_a_corpus_that_is_not_there(rag, home, task):
    (task / "corpus.jsonl").unlink()
    (task / "task.toml").write_text('corpus = "smal"\n', encoding="utf-8")
    one_line(rag("--home", home, "eval", task), 2, "'smal'", "Did you mean 'small'?")


# --- other processes


def test_output_may_end_early(home):
    for command in (["embedders", "--json"], ["search", "tea", "--json"], ["search", "tea"], ["--help"]):
        reader, writer = os.pipe()
        os.close(reader)  # as `| head -0` leaves it
        ran = subprocess.run(
            [str(RAG), "--home", str(home), *command], stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60
        )
        os.close(writer)
        assert ran.stderr == ""
        assert ran.returncode == 1


@pytest.fixture
def writer(home):
    """Another process that holds the library for writing, until the test ends."""
    script = (
        "import sys\nfrom pathlib import Path\nfrom rag.lock import writer_lock\n"
        "with writer_lock(Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True
    )
    assert holder.stdout.readline() == "held\n"
    yield holder
    holder.communicate()


def test_a_second_writer_is_told_of_the_first_while_readers_work(rag, home, small_folder, task, writer):
    refused = [("ingest", small_folder, "--embedder", "hash"), ("rebuild",), ("eval", task, "--embedder", "hash")]
    for command in refused:
        one_line(rag("--home", home, *command), 1, f"process {writer.pid}", "is being written", "Wait")
    assert rag("--home", home, "search", "tea").status == 0
    assert rag("--home", home, "ask", "How hot is green tea brewed?").status == 0
    assert rag("--home", home, "indexes").status == 0
    assert rag("--home", home, "doctor").status == 0
    assert (home / "chroma" / "chroma.sqlite3").exists(), "the refused rebuild threw the caches away"


def test_a_writer_that_was_killed_holds_nothing(rag, home, writer):
    writer.send_signal(signal.SIGKILL)
    writer.wait(timeout=20)
    assert rag("--home", home, "rebuild").status == 0
    assert rag("--home", home, "search", "tea").status == 0


def test_the_script_says_the_same_as_the_function(home):
    ran = process("--home", home, "search", "x", "--retriever", "dens")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == "rag: No retriever 'dens'. Did you mean 'dense'? Known: dense, hybrid, lexical.\n"
    ran = process("--home", home, "search", "tea", "--json", cwd="/")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert departures(json.loads(ran.stdout), SEARCH) == []
