"""Saved evaluations: read back as they were, and two of them compared."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import permutation_test

from eval.bundle import Difference, verify
from eval.context_metrics import ContextScore
from eval.matching import Side, match
from eval.outputs import write_outputs
from eval.results import conclude
from eval.saved import load_saved
from eval.trec_runs import RowKey
from evaluation_tasks import labelled_task, retrieval_task, sts_task
from rag.errors import RagError
from test_outputs import TASK, make_row


def save(folder, rows, task=TASK):
    write_outputs(folder, conclude([(task, rows)], seed=1))
    return load_saved(folder)


def test_rows_come_back_as_they_were(tmp_path):
    judged = ContextScore({"q0": 0.5, "q1": None}, {"q1": "timeout"}, ({"q0": 0.4, "q1": None}, {"q0": 0.6}))
    context = {"ragas.X@10": ContextScore({"q0": None, "q1": 0.5}), "ragas.Faithfulness": judged}
    rows = [replace(make_row("a/b", "dense", 1), context=context), make_row(None, "lexical", 2)]
    [task] = save(tmp_path, rows).tasks
    assert list(task.rows) == rows
    assert (task.task.queries, task.task.qrels) == (TASK.queries, TASK.qrels)
    assert verify(tmp_path).differences == [
        Difference("results.json", "provenance tasks toy digest", "abc", task.task.digest)
    ]


def test_several_chunkers_have_runs_of_their_own(tmp_path):
    rows = [replace(make_row("a", "dense", seed), chunker=chunker) for seed, chunker in ((1, "whole"), (2, "heading"))]
    saved = save(tmp_path, rows)
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {
        "toy.a.dense.whole.trec", "toy.a.dense.heading.trec",
    }  # fmt: skip
    assert [row.run for row in saved.tasks[0].rows] == [row.run for row in rows]


def test_without_its_evidence_a_task_is_unknown(tmp_path):
    save(tmp_path, [make_row("a", "dense", 1)])
    for path in (tmp_path / "tasks" / "toy").rglob("*.*"):
        path.unlink()
    (tmp_path / "tasks" / "toy" / "qrels").rmdir()
    (tmp_path / "tasks" / "toy").rmdir()
    assert load_saved(tmp_path).tasks[0].task is None


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"rows": [{}], "provenance": {"indexes": [], "tasks": {}}}'])
def test_what_is_no_evaluation_is_told(tmp_path, content):
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(RagError, match="cannot be read as the results of an evaluation"):
        load_saved(tmp_path)


def test_a_folder_without_results_is_told(tmp_path):
    with pytest.raises(RagError, match=r"results.json does not exist. Name a folder that rag eval --out has written"):
        load_saved(tmp_path)


# --- two of them


def sides(a, b):
    return Side.saved("A", a), Side.saved("B", b)


def test_rows_of_both_are_paired_query_by_query(tmp_path):
    a = save(tmp_path / "a", [make_row("x", "dense", 1), make_row("only", "dense", 4)])
    b = save(tmp_path / "b", [make_row("x", "dense", 2), make_row(None, "lexical", 4)])
    matching = match(*sides(a, b), 13)
    [each] = matching.matches
    of_a, of_b = (side.tasks[0].rows[0].per_query["nDCG@10"] for side in (a, b))
    differences = np.array([of_b[query] - of_a[query] for query in of_a])
    assert each.gain == pytest.approx(differences.mean())
    exact = permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
    assert each.pair.p == pytest.approx(exact, abs=0.02)
    assert each.interval[0] < each.gain < each.interval[1]
    assert [str(key) for key in matching.only_a] == ["toy, dense only (none)"]
    assert [str(key) for key in matching.only_b] == ["toy, lexical (none)"]


def test_equal_rows_are_equal(tmp_path):
    a = save(tmp_path / "a", [make_row("x", "dense", 1)])
    [each] = match(*sides(a, a), 13).matches
    assert (each.verdict, each.gain) == ("equal", 0.0)


@pytest.mark.parametrize(
    ("task", "change", "reason"),
    [
        ({"digest": "other"}, {"task_digest": "other"}, "different judgements or query texts"),
        ({"split": "dev"}, {}, "different splits: test in A, dev in B"),
        ({}, {"provenance": {"depth": 10}}, "retrieved to different depths: 1000 for dense x (A), 10 for dense x (B)"),
        (
            {},
            {"provenance": {"depth": 1000, "label_sources": {"synthetic": 12}}},
            "labels of different sources",
        ),
    ],
)
def test_what_cannot_be_compared_says_why(tmp_path, task, change, reason):
    provenance = {"depth": 1000, "label_sources": {"human": 12}}
    row = replace(make_row("x", "dense", 1), provenance=provenance)
    a = save(tmp_path / "a", [row])
    b = save(tmp_path / "b", [replace(row, **change)], replace(TASK, **task))
    matching = match(*sides(a, b), 13)
    assert matching.matches == ()
    [(key, told)] = matching.refused
    assert (key, reason in told) == (RowKey.of(row), True), told


def test_other_queries_cannot_be_compared(tmp_path):
    row = make_row("x", "dense", 1)
    a = save(tmp_path / "a", [row])
    fewer = {name: {q: v for q, v in values.items() if q != "q1"} for name, values in row.per_query.items()}
    b = save(tmp_path / "b", [replace(row, per_query=fewer)])
    [(_, told)] = match(*sides(a, b), 13).refused
    assert told == "different queries: 1 only in dense x (A), 0 only in dense x (B)"


def test_the_command_compares_all_families(rag, tmp_path):
    tasks = [retrieval_task(tmp_path / "birds"), sts_task(tmp_path / "pairs"), labelled_task(tmp_path / "topics")]
    for name, embedder in (("a", "hash"), ("b", "wordllama")):
        both = ("--embedder", embedder, "--embedder", "hash") if name == "b" else ("--embedder", embedder)
        ran = rag("--home", tmp_path / "home", "bakeoff", *tasks, *both, "--no-ragas", "--out", tmp_path / name)
        assert ran.status == 0, ran.err
    document = json.loads(rag("eval", "compare", tmp_path / "a", tmp_path / "b", "--json").out)
    assert {(each["task"], each["embedder"], each["retriever"]) for each in document["compared"]} == {
        ("birds", "hash", "dense"),
        ("birds", None, "lexical"),
        ("birds", "hash", "hybrid"),
        *((task, *row) for task in ("pairs", "topics") for row in (("hash", None), (None, "lexical"))),
    }
    assert {each["verdict"] for each in document["compared"]} == {"equal"}
    assert len(document["only_b"]) == 4
    shown = rag("eval", "compare", tmp_path / "a", tmp_path / "b", "--metric", "R@100")
    assert shown.status == 0
    assert "3 rows compared, paired item by item" in shown.out
    assert "not comparable: pairs, hash: hash (A) was not scored by R@100" in shown.out
    assert max(map(len, shown.out.splitlines()[3:10])) <= 100
