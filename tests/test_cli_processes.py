"""The installed script as a process: its bytes and locales, closed pipes, and several processes at once."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli_contract import SEARCH, departures, one_line

ROOT = Path(__file__).parents[1]
RAG = Path(sys.executable).with_name("rag")


def process(*arguments, **options):
    """Runs the installed console script."""
    command = [str(RAG), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120, **options)


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
    refused = [
        ("ingest", small_folder, "--embedder", "hash"),
        ("ingest", "--backfill", "--corpus", "small", "--embedder", "hash", "--chunker", "whole"),
        ("remove", "bread.txt"),
        ("rebuild",),
        ("eval", task, "--embedder", "hash"),
    ]
    for command in refused:
        one_line(rag("--home", home, *command), 1, f"process {writer.pid}", "is being written", "Wait")
    assert rag("--home", home, "search", "tea").status == 0
    assert rag("--home", home, "ask", "How hot is green tea brewed?").status == 0
    assert rag("--home", home, "indexes").status == 0
    assert rag("--home", home, "doctor").status == 0
    assert (home / "chroma" / "chroma.sqlite3").exists(), "the refused rebuild threw the caches away"
    assert "bread.txt" in rag("--home", home, "search", "sourdough").out


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
