"""Gates: rows below a threshold, rows worse than a baseline, and gates that would hold nothing."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from eval.gates import below, parse_threshold, worse_than
from eval.outputs import write_outputs
from eval.results import conclude
from eval.saved import load_saved
from evaluation_tasks import retrieval_task
from rag.errors import UsageError
from test_outputs import QRELS, TASK, make_row


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nDCG@10=0.60", ("nDCG@10", 0.6, None)),
        ("minilm:R@100=1", ("R@100", 1.0, "minilm")),
        (" accuracy = 0.5 ", ("accuracy", 0.5, None)),
    ],
)
def test_thresholds_are_read(text, expected):
    threshold = parse_threshold(text)
    assert (threshold.metric, threshold.least, threshold.embedder) == expected


@pytest.mark.parametrize("text", ["", "nDCG@10", "nDCG@10=", "=0.5", "nDCG@10=high", "nDCG@10=nan", "a:=1", "m=inf"])
def test_what_is_no_threshold_is_refused(text):
    with pytest.raises(UsageError, match=r"is no threshold\. Write METRIC=VALUE"):
        parse_threshold(text)


def results_of(rows):
    return conclude([(TASK, rows)], seed=1)


def test_every_row_is_held_against_a_threshold_and_the_shortfall_is_told():
    results = results_of([make_row("a", "dense", 1), make_row("b", "dense", 2), make_row(None, "lexical", 3)])
    values = [summary.metrics["nDCG@10"].value for summary in results.tasks[0].summaries]
    limit = sorted(values)[1]  # the lowest row is below, the next is not
    [line] = below(results, [parse_threshold(f"nDCG@10={limit!r}")])
    assert f"nDCG@10 is {min(values):.4f}, {limit - min(values):.4f} below" in line
    assert below(results, [parse_threshold("nDCG@10=0")]) == []
    assert len(below(results, [parse_threshold("nDCG@10=1"), parse_threshold("a:nDCG@10=1")])) == 4


def test_a_threshold_that_holds_nobody_fails():
    results = results_of([make_row("a", "dense", 1)])
    assert below(results, [parse_threshold("b:nDCG@10=0")]) == ["b:nDCG@10=0: no row was scored so"]
    assert below(results, [parse_threshold("accuracy=0")]) == ["accuracy=0: no row was scored so"]


def test_a_threshold_that_no_run_can_reach_says_so():
    highest = results_of([make_row("a", "dense", 1)]).tasks[0].summaries[0].metrics["P@5"].attainable
    [line] = below(results_of([make_row("a", "dense", 1)]), [parse_threshold("P@5=1")])
    assert line.endswith(f"no run can reach more than {highest:.4f}")


# --- baselines


@pytest.fixture
def baseline(tmp_path):
    """A saved evaluation of two rows whose every query is answered well: its rows, and itself."""
    good = {query: {doc: float(grade) for doc, grade in grades.items()} for query, grades in QRELS.items()}
    rows = [perfect(make_row("a", "dense", 1), good), make_row(None, "lexical", 2)]
    write_outputs(tmp_path / "base", results_of(rows))
    return SimpleNamespace(rows=rows, saved=load_saved(tmp_path / "base"))


def perfect(row, run):
    from eval.metrics import JUDGED, RETRIEVAL_METRICS, score

    return replace(row, run=run, per_query=score(QRELS, run, (*RETRIEVAL_METRICS, JUDGED)))


def test_the_same_rows_pass(baseline):
    assert worse_than(results_of(baseline.rows), baseline.saved, 1) == ([], [])


def test_a_row_that_fell_fails_and_says_by_how_much(baseline):
    worse = [make_row("a", "dense", 7), baseline.rows[1]]
    failed, notes = worse_than(results_of(worse), baseline.saved, 1)
    [line] = failed
    now = np.mean(list(worse[0].per_query["nDCG@10"].values()))
    assert line.startswith("toy, dense a (none): nDCG@10 fell from 1.0000 to")
    assert f"to {now:.4f}, by {1 - now:.4f} (p = 0.00" in line
    assert notes == []


def test_better_is_no_failure(baseline, tmp_path):
    write_outputs(tmp_path / "low", results_of([make_row("a", "dense", 7)]))
    assert worse_than(results_of(baseline.rows[:1]), load_saved(tmp_path / "low"), 1)[0] == []


def test_a_row_that_is_gone_fails_and_a_new_one_is_noted(baseline):
    failed, notes = worse_than(results_of([baseline.rows[0], make_row("b", "dense", 3)]), baseline.saved, 1)
    assert failed == ["toy, lexical (none): is in the baseline, but was not evaluated now"]
    assert notes == ["toy, dense b (none): is not in the baseline"]


def test_other_judgements_cannot_be_compared_and_fail(baseline):
    task, rows = replace(TASK, digest="other"), [replace(row, task_digest="other") for row in baseline.rows]
    failed, _ = worse_than(conclude([(task, rows)], seed=1), baseline.saved, 1)
    assert len(failed) == 2
    assert all("cannot be compared with the baseline: different judgements" in line for line in failed)


# --- the command


def test_the_command_exits_with_1_and_says_what_failed(rag, tmp_path):
    task = retrieval_task(tmp_path / "birds")
    command = ("--home", tmp_path / "home", "eval", task, "--embedder", "hash", "--retriever", "dense", "--no-ragas")
    good = rag(*command, "--out", tmp_path / "base", "--fail-under", "nDCG@10=0.1")
    assert good.status == 0, good.err
    bad = rag(*command, "--fail-under", "nDCG@10=0.999", "--fail-under", "hash:R@100=0", "--json")
    assert bad.status == 1
    assert [line for line in bad.err.splitlines() if line.startswith("failed: birds, dense hash: nDCG@10 is 0.")]
    assert json.loads(bad.out)["rows"]
    assert rag(*command, "--baseline", tmp_path / "base").status == 0
    gone = rag(*command[:-2], "lexical", "--no-ragas", "--baseline", tmp_path / "base")
    assert (gone.status, "is in the baseline, but was not evaluated now" in gone.err) == (1, True)


def test_nonsense_controls_are_held_against_nothing(rag, tmp_path):
    task = retrieval_task(tmp_path / "birds")
    command = ("--home", tmp_path / "home", "eval", task, "--embedder", "hash", "--retriever", "dense", "--no-ragas")
    with_controls = rag(*command, "--controls", "--out", tmp_path / "base", "--fail-under", "nDCG@10=0.5")
    assert with_controls.status == 0, with_controls.err
    assert {row["embedder"] for row in json.loads((tmp_path / "base" / "results.json").read_text())["rows"]} == {
        "hash", "constant", "random",
    }  # fmt: skip
    assert rag("eval", "verify", tmp_path / "base").status == 0
    without = rag(*command, "--baseline", tmp_path / "base")
    assert (without.status, "constant" in without.err) == (0, False)


@pytest.mark.parametrize("wrong", [("--fail-under", "high"), ("--baseline", "nowhere")])
def test_a_wrong_gate_is_told_before_anything_is_scored(rag, tmp_path, wrong):
    task = retrieval_task(tmp_path / "birds")
    ran = rag("--home", tmp_path / "home", "eval", task, "--embedder", "hash", *wrong)
    assert ran.status in (1, 2)
    assert "indexing" not in ran.err
    shutil.rmtree(task)
