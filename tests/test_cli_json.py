"""What the commands print as JSON: its shape, spans that are true, and answers that the documents hold."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from cli_contract import ASK, CARD, COST, DOCTOR, EMBEDDER, INGEST, LEG, METRICS, SEARCH, departures
from rag.library import Library

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("value", [{"a": 1}, {"a": "x", "b": 1}, {"b": 1}, [], {"a": True, "b": [1]}])
def test_departures_are_seen(value):
    assert departures(value, {"a": int, "b": [int]})
    assert not departures({"a": 1, "b": [1, 2]}, {"a": int, "b": [int]})


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
    told = [line for line in ran.stderr.splitlines() if not line.startswith("note: minilm reads English")]
    assert told == [], "warnings reach the terminal"
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
        assert departures({key: row["cost"][key] for key in COST}, COST) == []  # others may stand beside them
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


def test_a_query_of_100000_characters_works(rag, home):
    query = ("green tea " * 10_000)[:100_000]
    printed = json.loads(rag("--home", home, "search", query, "--json").out)
    assert printed["query"] == query.strip()
    assert printed["hits"][0]["source"] == "notes/tea.md"
