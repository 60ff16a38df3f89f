"""Bake-offs: all combinations in one command, nothing scored or embedded twice, equal bytes for equal runs."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evaluation_tasks import labelled_task, retrieval_task, sts_task
from rag.settings import read_settings

TESTS = Path(__file__).parent


@pytest.fixture
def tasks(tmp_path):
    return [retrieval_task(tmp_path / "birds"), sts_task(tmp_path / "pairs"), labelled_task(tmp_path / "topics")]


def results_of(folder):
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def without_times(folder):
    """The bytes of results.json but for what was measured with a clock."""
    document = results_of(folder)
    for row in document["rows"]:
        del row["cost"]
    return json.dumps(document)


def bakeoff(rag, home, *arguments):
    return rag("--home", home, "bakeoff", *arguments, "--no-ragas")


def test_every_combination_is_a_row_and_a_second_run_scores_none(rag, tmp_path, tasks):
    command = (*tasks, "--embedder", "hash", "--embedder", "wordllama")
    first = bakeoff(rag, tmp_path / "home", *command, "--out", tmp_path / "1")
    assert first.status == 0, first.err
    rows = results_of(tmp_path / "1")["rows"]
    keys = [(row["task"], row["retriever"], row["embedder"]) for row in rows]
    assert keys == [
        ("birds", "dense", "hash"),
        ("birds", "dense", "wordllama"),
        ("birds", "lexical", None),
        ("birds", "hybrid", "hash"),
        ("birds", "hybrid", "wordllama"),
        ("pairs", None, "hash"),
        ("pairs", None, "wordllama"),
        ("pairs", "lexical", None),
        ("topics", None, "hash"),
        ("topics", None, "wordllama"),
        ("topics", "lexical", None),
    ]
    assert "[11/11] topics: lexical" in first.err and "left)" in first.err
    assert "Across tasks" in first.out

    second = bakeoff(rag, tmp_path / "home", *command, "--out", tmp_path / "2")
    assert second.err.count(": stored") == 11
    assert (tmp_path / "1" / "results.json").read_bytes() == (tmp_path / "2" / "results.json").read_bytes()


def test_two_libraries_give_equal_bytes_but_for_times(rag, tmp_path, tasks):
    for number in "12":
        ran = bakeoff(rag, tmp_path / number, *tasks, "--embedder", "hash", "--out", tmp_path / f"out{number}")
        assert ran.status == 0, ran.err
    assert without_times(tmp_path / "out1") == without_times(tmp_path / "out2")
    for name in ("comparisons.json", *(f"runs/birds.{row}.trec" for row in ("hash.dense", "bm25.lexical"))):
        assert (tmp_path / "out1" / name).read_bytes() == (tmp_path / "out2" / name).read_bytes()


def test_fresh_scores_anew(rag, tmp_path, tasks):
    command = (tasks[0], "--embedder", "hash", "--retriever", "dense")
    bakeoff(rag, tmp_path / "home", *command)
    assert ": stored" not in bakeoff(rag, tmp_path / "home", *command, "--fresh").err
    assert ": stored" in bakeoff(rag, tmp_path / "home", *command).err


def test_what_changes_a_row_makes_another_cell(rag, tmp_path, tasks):
    command = (tasks[0], "--embedder", "hash", "--retriever", "hybrid", "--retriever", "dense")
    bakeoff(rag, tmp_path / "home", *command)
    (tmp_path / "home" / "rag.toml").write_text("weight = 0.9\n")
    ran = bakeoff(rag, tmp_path / "home", *command)
    assert (ran.err.count("stored"), "dense under hash: stored" in ran.err) == (1, True)
    with (tasks[0] / "qrels" / "test.tsv").open("a") as file:
        file.write("q1\td9\t1\n")
    assert "stored" not in bakeoff(rag, tmp_path / "home", *command).err


def test_chunkers_are_a_dimension_of_tasks_over_documents(rag, tmp_path, small_folder, docs):
    home, task = tmp_path / "home", tmp_path / "task"
    rag("--home", home, "ingest", docs, "--corpus", "notes", "--embedder", "hash")
    (task / "qrels").mkdir(parents=True)
    (task / "task.toml").write_text('corpus = "notes"\n')
    (task / "queries.jsonl").write_text('{"_id": "q1", "text": "the long Nile"}\n{"_id": "q2", "text": "green tea"}\n')
    (task / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\trivers.md\t1\nq2\tsub/tea.txt\t1\n")
    chunkers = ("--chunker", "heading", "--chunker", "sentence-200-0", "--chunker", "heading-800-100")
    ran = bakeoff(rag, home, task, "--embedder", "hash", *chunkers, "--out", tmp_path / "out")
    assert ran.status == 0, ran.err
    assert "indexing its documents under hash, sentence-200-0" in ran.err
    rows = results_of(tmp_path / "out")["rows"]
    assert [row["chunker"] for row in rows] == ["heading-800-100"] * 3 + ["sentence-200-0"] * 3
    assert {path.name for path in (tmp_path / "out" / "runs").iterdir()} == {
        f"task.{row}.{chunker}.trec"
        for row in ("hash.dense", "bm25.lexical", "hash.hybrid")
        for chunker in ("heading-800-100", "sentence-200-0")
    }
    pairs = json.loads((tmp_path / "out" / "comparisons.json").read_text())["tasks"][0]["pairs"]
    assert len(pairs) == 15  # documents are ranked under either chunker, so all six rows can be compared


def test_a_dry_run_tells_all_and_changes_nothing(rag, tmp_path, tasks):
    home = tmp_path / "home"
    ran = bakeoff(rag, home, *tasks, "--embedder", "hash", "--dry-run", "--json")
    plan = json.loads(ran.out)
    assert (ran.status, home.exists()) == (0, False)
    assert (len(plan["cells"]), plan["stored"], plan["usd"]) == (7, 0, 0.0)
    [index] = plan["indexes"]
    assert (index["passages"], index["embedder"]) == (12, "hash")
    assert {each["task"]: each["texts"] for each in plan["texts"]} == {"birds": 12, "pairs": 18, "topics": 40}

    assert bakeoff(rag, home, tasks[0], "--embedder", "hash").status == 0
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    plan = json.loads(bakeoff(rag, home, *tasks, "--embedder", "hash", "--dry-run", "--json").out)
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == before
    assert (plan["stored"], plan["indexes"]) == (3, [])
    said = bakeoff(rag, home, *tasks, "--embedder", "hash", "--dry-run").out
    assert "7 rows: 3 stored, 4 to score" in said and "Nothing was written and nothing was sent." in said


def test_a_dry_run_knows_the_price_of_a_vendor(rag, tmp_path, tasks, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    name = "text-embedding-3-small"
    usd = read_settings(tmp_path / "home").embedders[name].usd_per_million_tokens
    plan = json.loads(bakeoff(rag, tmp_path / "home", tasks[0], "--embedder", name, "--dry-run", "--json").out)
    assert plan["tokens"] > 0
    assert plan["usd"] == pytest.approx(plan["tokens"] * usd / 1e6)


# --- what it is given


def test_one_folder_as_several_families_is_several_tasks(rag, tmp_path, tasks):
    families = ("--family", "classification", "--family", "anomaly")
    ran = bakeoff(rag, tmp_path / "home", tasks[2], *families, "--embedder", "hash", "--out", tmp_path / "out")
    assert ran.status == 0, ran.err
    assert {row["task"] for row in results_of(tmp_path / "out")["rows"]} == {"topics.classification", "topics.anomaly"}
    assert rag("eval", "verify", tmp_path / "out").status == 0
    mixed = bakeoff(rag, tmp_path / "home", *tasks[1:], *families, "--family", "sts", "--embedder", "hash", "--json")
    names = {row["task"] for row in json.loads(mixed.out)["rows"]}
    assert names == {"pairs", "topics.classification", "topics.anomaly"}, "each is what its files allow"
    none = bakeoff(rag, tmp_path / "home", tasks[1], *families, "--embedder", "hash")
    assert (none.status, "is not a task folder" in none.err) == (2, True)


def test_tasks_given_twice_or_of_one_name(rag, tmp_path, tasks):
    twice = bakeoff(rag, tmp_path / "home", tasks[0], f"{tasks[0]}/../birds", "--embedder", "hash", "--json")
    assert "is named twice; it is evaluated once" in twice.err
    assert len(json.loads(twice.out)["rows"]) == 3
    other = retrieval_task(tmp_path / "elsewhere" / "birds")
    refused = bakeoff(rag, tmp_path / "home", tasks[0], other, "--embedder", "hash")
    assert refused.status == 2
    assert "Two tasks are named 'birds'" in refused.err


def test_one_query_is_too_few_to_say(rag, tmp_path):
    task = retrieval_task(tmp_path / "single", queries=1)
    ran = bakeoff(rag, tmp_path / "home", task, "--embedder", "hash", "--out", tmp_path / "out")
    assert ran.status == 0, ran.err
    pairs = json.loads((tmp_path / "out" / "comparisons.json").read_text())["tasks"][0]["pairs"]
    assert {pair["verdict"] for pair in pairs} == {"too few pairs to say"}
    facts = results_of(tmp_path / "out")["provenance"]["tasks"]["single"]
    assert (facts["citable"], facts["reasons"]) == (False, ["only 1 labelled items, fewer than 10"])


def test_results_of_other_tasks_are_not_overwritten(rag, tmp_path, tasks):
    out = tmp_path / "out"
    assert bakeoff(rag, tmp_path / "home", *tasks[:2], "--embedder", "hash", "--out", out).status == 0
    refused = bakeoff(rag, tmp_path / "home", tasks[1], "--embedder", "hash", "--out", out)
    assert (refused.status, "holds the results of 'birds', which would be lost" in refused.err) == (2, True)
    fewer = bakeoff(rag, tmp_path / "home", *tasks, "--embedder", "hash", "--retriever", "dense", "--out", out)
    assert fewer.status == 0, fewer.err
    assert [path.name for path in (out / "runs").iterdir()] == ["birds.hash.dense.trec"]  # no run of an earlier row
    assert rag("eval", "verify", out).status == 0


# --- kills


class Killable:
    """A bake-off in a process of its own, and what it hands to its embedder."""

    def __init__(self, tmp_path, tasks):
        self.home, self.log = tmp_path / "home", tmp_path / "log"
        tmp_path.mkdir(exist_ok=True)
        self.log.touch()
        self.command = ["--home", str(self.home), "bakeoff", *map(str, tasks), "--embedder", "hash", "--no-ragas"]

    def start(self, stop_after=-1, *more):
        driver = [sys.executable, str(TESTS / "bakeoff_driver.py"), str(self.log), str(stop_after)]
        return subprocess.Popen(
            [*driver, *self.command, *map(str, more)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    def embedded(self, after=0):
        lines = [line.split() for line in self.log.read_text().splitlines()[after:]]
        return [(side, int(count)) for side, count in lines]

    def kill(self, process):
        process.send_signal(signal.SIGKILL)
        process.stderr.close()
        assert process.wait(timeout=20) == -signal.SIGKILL

    def finish(self, *more):
        process = self.start(-1, *more)
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
        return said


def test_a_killed_bakeoff_goes_on_where_it_was(tmp_path, tasks):
    killed = Killable(tmp_path, tasks)
    process = killed.start(2)  # the third cell is scored, but not stored
    while ("stopped", 0) not in killed.embedded():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    killed.kill(process)
    before = len(killed.embedded())
    assert ("passages", 12) in killed.embedded()

    said = killed.finish("--out", tmp_path / "out")
    assert said.count(": stored") == 2
    after = killed.embedded(before)
    texts = [count for side, count in after if side == "passages" and count > 1]
    assert texts == [], "no document is embedded again"
    batches = sum(count for side, count in after if side == "queries" and count > 1)
    assert batches == 18 + 40, "of birds no query is embedded again but to be timed; pairs and topics are new"

    silent = len(killed.embedded())
    assert killed.finish().count(": stored") == 7
    assert killed.embedded(silent) == [], "a finished one embeds nothing at all"

    whole = Killable(tmp_path / "whole", tasks)
    whole.finish("--out", tmp_path / "reference")
    assert without_times(tmp_path / "out") == without_times(tmp_path / "reference")


def test_a_bakeoff_survives_kills_at_any_moment(tmp_path, tasks):
    killed = Killable(tmp_path, tasks)
    for seconds in (0.9, 1.3, 1.8):
        process = killed.start()
        time.sleep(seconds)
        if process.poll() is None:
            killed.kill(process)
        else:
            process.communicate()
    killed.finish("--out", tmp_path / "out")
    parts = [path for path in killed.home.rglob("*.gz") if path.is_file()]
    assert len(parts) == 7
    whole = Killable(tmp_path / "whole", tasks)
    whole.finish("--out", tmp_path / "reference")
    assert without_times(tmp_path / "out") == without_times(tmp_path / "reference")
