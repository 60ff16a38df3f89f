from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats

from eval.measures import measure_of
from eval.metrics import RETRIEVAL_METRICS, score
from eval.rows import EvalRow
from eval.statistics import mean_interval, measured_interval
from eval.summaries import summarise, summarise_all
from eval.tasks.retrieval import RetrievalTask

GENERATOR = np.random.default_rng(6)
QUERIES = [f"q{number:02}" for number in range(30)]
QRELS = {query: {f"d{number % 12}": 1, **({f"e{at}": 1 for at in range(20)} if number < 3 else {})}
         for number, query in enumerate(QUERIES)}  # fmt: skip
TASK = RetrievalTask(
    name="toy",
    folder=Path("toy"),
    split="test",
    queries=dict.fromkeys(QUERIES, "text"),
    qrels=QRELS,
    corpus=None,
    has_documents=True,
    kinds={query: "odd" if number % 2 else "even" for number, query in enumerate(QUERIES)},
    unanswerable={},
    left_out=(),
    answers=(),
    digest="1",
    sources={query: "human" if number < 20 else "synthetic" for number, query in enumerate(QUERIES)},
)


def retrieval_row(embedder):
    run = {
        query: {f"d{document}": 1 - place / 12 for place, document in enumerate(GENERATOR.permutation(12).tolist())}
        for query in QUERIES
    }
    scores = score(QRELS, run, (*RETRIEVAL_METRICS, "R@10"))
    return EvalRow("toy", "retrieval", embedder, "dense", "none", run, scores, {}, "1")


ROWS = [retrieval_row("a"), retrieval_row("b")]


def test_metrics_have_the_interval_that_each_would_have_alone():
    summary = summarise(ROWS[0], TASK, seed=5)
    assert list(summary.metrics) == list(ROWS[0].per_query)
    for name, metric in summary.metrics.items():
        alone = mean_interval([ROWS[0].per_query[name][query] for query in QUERIES], seed=5)
        assert (metric.value, metric.ci_low, metric.ci_high) == (alone.value, alone.low, alone.high)
    assert summarise_all(ROWS, TASK, seed=5) == (summary, summarise(ROWS[1], TASK, seed=5))


def test_the_highest_value_that_any_run_can_reach_stands_beside_a_metric():
    metrics = summarise(ROWS[0], TASK, seed=5).metrics
    assert metrics["nDCG@10"].attainable == 1
    assert metrics["R@10"].attainable == pytest.approx((27 + 3 * 10 / 21) / 30)
    assert metrics["P@5"].attainable == pytest.approx((27 * 0.2 + 3) / 30)


@pytest.mark.parametrize(("groups", "names"), [("by_kind", TASK.kinds), ("by_source", TASK.sources)])
def test_kinds_and_label_sources_have_values_counts_and_intervals(groups, names):
    summary = summarise(ROWS[0], TASK, seed=5)
    found = getattr(summary, groups)
    assert list(found) == sorted(set(names.values()))
    for name, metric in found.items():
        values = [ROWS[0].per_query["nDCG@10"][query] for query in QUERIES if names[query] == name]
        assert metric.n == len(values)
        assert metric.value == pytest.approx(np.mean(values))
        assert metric.ci_low < metric.value < metric.ci_high
    assert summary.kinds == {name: metric.value for name, metric in summary.by_kind.items()}


def test_retrieval_is_diagnosed_and_nothing_else():
    summary = summarise(ROWS[0], TASK, seed=5)
    assert summary.diagnosis.relevant == 30 + 60
    assert summary.diagnosis.beyond == pytest.approx(60 / 90)


def similarity(values):
    gold = {f"p{number:02}": float(value) for number, value in enumerate(GENERATOR.normal(size=40))}
    cosines = {item: values(label) for item, label in gold.items()}
    per_query = {"cosine_spearman": cosines, "cosine_pearson": cosines}
    task = SimpleNamespace(gold=gold, kinds={})
    return EvalRow("toy", "sts", "a", None, None, {}, per_query, {}, "1"), task, list(gold.values())


def test_a_correlation_is_summarised_as_a_whole():
    row, task, gold = similarity(lambda label: label + float(GENERATOR.normal()))
    summary = summarise(row, task, seed=5)
    cosines = list(row.per_query["cosine_spearman"].values())
    for name, oracle in (("cosine_spearman", scipy.stats.spearmanr), ("cosine_pearson", scipy.stats.pearsonr)):
        expected = measured_interval(measure_of(name), cosines, gold, seed=5)
        metric = summary.metrics[name]
        assert metric.value == pytest.approx(oracle(cosines, gold).statistic)
        assert (metric.ci_low, metric.ci_high) == (expected.low, expected.high)
    assert (summary.kinds, summary.diagnosis) == ({}, None)


def test_an_undefined_value_is_none():
    row, task, _ = similarity(lambda label: 1.0)
    metric = summarise(row, task, seed=5).metrics["cosine_spearman"]
    assert (metric.value, metric.ci_low, metric.ci_high) == (None, None, None)
