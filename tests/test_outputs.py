import csv
import json
from dataclasses import replace
from pathlib import Path

import ir_measures
import numpy as np
import pytest

from eval.context_metrics import ContextScore
from eval.metrics import JUDGED, RETRIEVAL_METRICS, score
from eval.outputs import check_folder, trec_lines, write_outputs
from eval.results import conclude
from eval.rows import COST_FIELDS, EvalRow
from eval.tasks.retrieval import RetrievalTask
from rag.errors import UsageError

QUERIES = [f"q{number}" for number in range(12)]
GENERATOR = np.random.default_rng(6)
QRELS = {q: {f"d{d}": int(GENERATOR.integers(0, 3)) for d in range(at, at + 4)} | {"d0": 1} for at, q in enumerate(QUERIES)}  # fmt: skip  # noqa: E501
TASK = RetrievalTask(
    name="toy",
    folder=Path("toy"),
    split="test",
    queries={query: f"text of {query}" for query in QUERIES},
    qrels=QRELS,
    corpus=None,
    has_documents=True,
    kinds={query: "typo" if at % 3 else "keyword" for at, query in enumerate(QUERIES)},
    unanswerable={"u1": "?"},
    left_out=("l1", "l2"),
    answers=(),
    digest="abc",
)


def make_row(embedder, retriever, seed, documents=None):
    generator = np.random.default_rng(seed)
    ids = documents or [f"d{number}" for number in range(15)]
    run = {query: dict(zip(ids, generator.normal(size=len(ids)).tolist(), strict=True)) for query in QUERIES[:-1]}
    return EvalRow(
        task="toy",
        family="retrieval",
        embedder=embedder,
        retriever=retriever,
        chunker="none",
        run=run,
        per_query=score(QRELS, run, (*RETRIEVAL_METRICS, JUDGED)),
        cost=dict.fromkeys(COST_FIELDS, None) | {"query_ms_p50": 1.5},
        task_digest="abc",
        provenance={"fingerprint": "f"},
    )


def make_rows():
    return [make_row("mini/lm", "dense", 1), make_row(None, "lexical", 2), make_row("mini/lm", "hybrid", 3)]


def write(folder, rows):
    return write_outputs(folder, conclude([(TASK, rows)], seed=1, provenance={"machine": "a laptop"}))


def load(path):
    return json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)


def test_the_files_are_those_of_the_contract(tmp_path):
    paths = write(tmp_path / "out", make_rows())
    names = {str(path.relative_to(tmp_path / "out")) for path in paths}
    assert names == {
        "results.json",
        "comparisons.json",
        "leaderboard.csv",
        "runs/toy.mini%2Flm.dense.trec",
        "runs/toy.bm25.lexical.trec",
        "runs/toy.mini%2Flm.hybrid.trec",
        "report.html",
        "leaderboard.md",
        "leaderboard.tex",
        "tasks/toy/task.json",
        "tasks/toy/queries.jsonl",
        "tasks/toy/qrels/test.tsv",
        "manifest.json",
    }
    on_disk = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert on_disk == names  # no temporary file is left


def test_results_have_the_shape_of_the_contract(tmp_path):
    rows = make_rows()
    write(tmp_path, rows)
    results = load(tmp_path / "results.json")
    assert results.keys() == {"rows", "provenance"}
    for row, document in zip(rows, results["rows"], strict=True):
        assert list(document)[:9] == [
            "task", "family", "embedder", "retriever", "chunker", "metrics", "per_query", "cost", "kinds",
        ]  # fmt: skip
        assert list(document["metrics"]) == [*RETRIEVAL_METRICS, JUDGED]
        for name, metric in document["metrics"].items():
            assert metric.keys() == {"value", "ci_low", "ci_high", "attainable"}
            assert metric["ci_low"] <= metric["value"] <= metric["ci_high"]
            assert metric["value"] == pytest.approx(np.mean(list(document["per_query"][name].values())))
        assert document["per_query"] == row.per_query
        assert list(document["cost"]) == ["embed_seconds", "query_ms_p50", "bytes_per_vector", "usd"]
        values = [row.per_query["nDCG@10"][query] for query in QUERIES if TASK.kinds[query] == "keyword"]
        assert document["kinds"]["keyword"] == pytest.approx(np.mean(values))
    assert results["rows"][1]["embedder"] is None
    task = results["provenance"]["tasks"]["toy"]
    assert (task["queries"], task["left_out"], task["unanswerable"], task["digest"]) == (12, 2, 1, "abc")
    assert task["kinds"] == {"keyword": 4, "typo": 8}
    assert results["provenance"]["indexes"][0]["fingerprint"] == "f"
    assert results["provenance"]["machine"] == "a laptop"


def test_runs_read_back_by_ir_measures_give_the_means_of_the_results(tmp_path):
    rows = make_rows()
    write(tmp_path, rows)
    measures = [ir_measures.parse_measure(name) for name in RETRIEVAL_METRICS]
    for row, document in zip(rows, load(tmp_path / "results.json")["rows"], strict=True):
        path = tmp_path / "runs" / f"toy.{'bm25' if row.embedder is None else 'mini%2Flm'}.{row.retriever}.trec"
        run = list(ir_measures.read_trec_run(str(path)))
        assert {(line.query_id, line.doc_id): line.score for line in run} == {
            (query, doc): value for query, scores in row.run.items() for doc, value in scores.items()
        }
        means = ir_measures.calc_aggregate(measures, QRELS, run)
        for measure, name in zip(measures, RETRIEVAL_METRICS, strict=True):
            assert means[measure] == pytest.approx(document["metrics"][name]["value"], abs=1e-6)


def test_comparisons_name_both_rows_and_the_verdict(tmp_path):
    write(tmp_path, make_rows())
    [task] = load(tmp_path / "comparisons.json")["tasks"]
    assert (task["task"], task["metric"], len(task["pairs"])) == ("toy", "nDCG@10", 3)
    assert list(task["pairs"][0])[:14] == [
        "a", "b", "n", "mean_a", "mean_b", "difference", "ci_low", "ci_high", "p", "p_holm",
        "wins", "ties", "losses", "verdict",
    ]  # fmt: skip
    assert task["pairs"][0]["a"] == {"embedder": "mini/lm", "retriever": "dense", "chunker": "none"}
    assert task["leader"] in [{"embedder": row.embedder, "retriever": row.retriever, "chunker": "none"} for row in make_rows()]  # fmt: skip  # noqa: E501


def test_the_csv_holds_every_row_best_first(tmp_path):
    write(tmp_path, make_rows())
    with (tmp_path / "leaderboard.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["rank"] for line in lines] == ["1", "2", "3"]
    values = [float(line["nDCG@10"]) for line in lines]
    assert values == sorted(values, reverse=True)
    assert {line["retriever"] for line in lines} == {"dense", "lexical", "hybrid"}
    assert all(line["query_ms_p50"] == "1.5" and line["usd"] == "" for line in lines)


def test_the_same_rows_give_the_same_bytes_whatever_the_order_of_queries(tmp_path):
    rows = make_rows()
    turned = [
        replace(
            row,
            run=dict(reversed(row.run.items())),
            per_query={name: dict(reversed(values.items())) for name, values in row.per_query.items()},
        )
        for row in rows
    ]
    for first, second in zip(write(tmp_path / "1", rows), write(tmp_path / "2", turned), strict=True):
        assert first.read_bytes() == second.read_bytes()


def test_context_scores_say_how_many_failed_and_nan_becomes_null(tmp_path):
    [row, *_] = make_rows()
    context = {"ragas.X@10": ContextScore({"q1": 0.5, "q0": None}), "ragas.Y@10": ContextScore({"q0": None})}
    write(tmp_path, [replace(row, context=context, provenance={"canary": float("nan")})])
    results = load(tmp_path / "results.json")
    [document] = results["rows"]
    assert document["metrics"]["ragas.X@10"] == {"value": 0.5, "ci_low": None, "ci_high": None, "n": 1, "failed": 1}
    assert document["metrics"]["ragas.Y@10"] == {"value": None, "ci_low": None, "ci_high": None, "n": 0, "failed": 1}
    assert document["per_query"]["ragas.X@10"] == {"q0": None, "q1": 0.5}
    assert results["provenance"]["indexes"][0]["canary"] is None


def test_white_space_in_ids_is_encoded_and_said_so(tmp_path):
    row = make_row(None, "lexical", 2, ["a b.md", "文\u3000.md"])
    for line in trec_lines(row).splitlines():
        query, _, document, _, value, tag = line.split()
        assert document in ("a%20b.md", "文%E3%80%80.md")
        assert float(value) in row.run[query].values()
        assert tag == "bm25.lexical"
    write(tmp_path, [row])
    assert load(tmp_path / "results.json")["provenance"]["protocol"]["trec_ids"] == "white space percent-encoded"


def test_two_rows_that_would_share_a_file_are_refused(tmp_path):
    rows = make_rows()
    with pytest.raises(UsageError, match=r"toy\.bm25\.lexical\.trec"):
        write(tmp_path, [*rows, rows[1]])
    assert list(tmp_path.iterdir()) == []


def test_another_evaluation_takes_the_place_of_the_files_of_the_one_before(tmp_path):
    rows = make_rows()
    write(tmp_path, rows)
    (tmp_path / "notes.txt").write_text("mine")
    write(tmp_path, rows[:1])
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["toy.mini%2Flm.dense.trec"]
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_results_of_other_tasks_are_kept(tmp_path):
    write(tmp_path, make_rows())
    other = replace(TASK, name="other")
    with pytest.raises(UsageError, match="holds the results of 'toy', which would be lost"):
        write_outputs(tmp_path, conclude([(other, [replace(row, task="other") for row in make_rows()])], seed=1))


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"is a file\. Name a folder with --out"):
        check_folder(tmp_path / "file" / "below")
