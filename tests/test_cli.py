"""The command line as a whole: its help, what it imports, and which library it means."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli_contract import one_line
from ui.cli import COMMANDS

ROOT = Path(__file__).parents[1]

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
        "bakeoff": ("--embedder", "--retriever", "--chunker", "--out", "--dry-run", "--json"),
        "labels": ("--json",),
        "embedders": ("--json",),
        "rerankers": ("--json",),
        "indexes": ("--json",),
        "remove": ("--corpus",),
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


# --- the library that is meant


def test_home_may_stand_before_and_after_the_command(rag, home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAG_HOME", raising=False)
    before = rag("--home", home, "search", "tea", "--json", "--retriever", "lexical")
    after = rag("search", "tea", "--json", "--retriever", "lexical", "--home", home)
    assert (before.status, before.out) == (after.status, after.out)
    assert after.status == 0
    assert not (tmp_path / ".rag").exists()


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
