"""Wrong requests, unreadable files and broken tasks: each is told in one line or accounted for."""

import json
import os
from pathlib import Path

import pytest

from cli_contract import one_line

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


# --- files that cannot be read


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
