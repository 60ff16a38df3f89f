import math

import ir_measures
import numpy as np
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.metrics import RETRIEVAL_METRICS, attainable, judged_at, score, trec_order
from rag.errors import RagError, UsageError

TREC_NAMES = {"nDCG@10": "ndcg_cut_10", "R@100": "recall_100", "AP": "map", "P@5": "P_5", "RR": "recip_rank"}

DOCUMENTS = st.sampled_from([f"d{number}" for number in range(15)] + ["ä", "文", "D1", "~"])
SCORES = st.one_of(
    st.sampled_from([0.0, 1.0, 1.0 + 1e-9, -2.5]),  # ties, one of them only in float32
    st.floats(-100, 100, allow_nan=False),
)
QRELS = st.dictionaries(
    st.sampled_from(["q1", "q2", "q3", "q4"]),
    st.dictionaries(DOCUMENTS, st.integers(-1, 3), min_size=1, max_size=12),
    min_size=1,
)
RUNS = st.dictionaries(st.sampled_from(["q1", "q2", "q3", "unjudged"]), st.dictionaries(DOCUMENTS, SCORES, max_size=19))


@given(QRELS, RUNS)
@settings(max_examples=150, deadline=None)
def test_scores_equal_pytrec_eval_and_missing_queries_get_zero(qrels, run):
    evaluator = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10", "recall.100", "map", "P.5", "recip_rank"})
    expected = evaluator.evaluate(run)
    scores = score(qrels, run, TREC_NAMES)
    for name, trec_name in TREC_NAMES.items():
        assert scores[name].keys() == qrels.keys()
        for query_id, value in scores[name].items():
            assert value == expected.get(query_id, {}).get(trec_name, 0.0)


@given(QRELS, RUNS)
@settings(max_examples=150, deadline=None)
def test_rr_with_cutoff_is_rr_of_the_run_cut_as_trec_eval_ranks_it(qrels, run):
    cut = {query_id: {d: scores[d] for d in trec_order(scores)[:3]} for query_id, scores in run.items()}
    expected = pytrec_eval.RelevanceEvaluator(qrels, {"recip_rank"}).evaluate(cut)
    for query_id, value in score(qrels, run, ["RR@3"])["RR@3"].items():
        assert value == expected.get(query_id, {}).get("recip_rank", 0.0)


@given(st.dictionaries(DOCUMENTS, SCORES, min_size=1))
@settings(max_examples=150, deadline=None)
def test_trec_order_is_the_order_in_which_pytrec_eval_ranks(scores):
    for rank, document in enumerate(trec_order(scores), start=1):
        found = pytrec_eval.RelevanceEvaluator({"q": {document: 1}}, {"recip_rank"}).evaluate({"q": scores})
        assert math.isclose(found["q"]["recip_rank"], 1 / rank)


@given(QRELS, RUNS)
@settings(max_examples=80, deadline=None)
def test_no_run_beats_the_attainable_mean(qrels, run):
    for name in RETRIEVAL_METRICS:
        values = score(qrels, run, [name])[name]
        assert sum(values.values()) / len(values) <= attainable(qrels, name) + 1e-12


def test_attainable_of_precision_with_one_relevant_document_is_a_fifth():
    qrels = {"q": {"a": 2, "b": 0}}
    assert attainable(qrels, "P@5") == pytest.approx(0.2)
    assert attainable(qrels, "nDCG@10") == pytest.approx(1.0)


def test_judged_share_agrees_with_ir_measures_where_nothing_is_tied():
    qrels = {"q1": {"a": 1, "b": 0}, "q2": {"c": 1}}
    run = {"q1": {"a": 3.0, "x": 2.0, "b": 1.0, "y": 0.5}, "q2": {"x": 1.0, "c": 0.5}}
    for k in (1, 2, 3):
        expected = {m.query_id: m.value for m in ir_measures.iter_calc([ir_measures.Judged @ k], qrels, run)}
        assert judged_at(qrels, run, k) == pytest.approx(expected)
    assert score(qrels, run, ["Judged@2"])["Judged@2"] == judged_at(qrels, run, 2)


def test_judged_share_of_an_empty_ranking_is_zero():
    assert judged_at({"q1": {"a": 1}, "q2": {"a": 1}}, {"q1": {}}, 10) == {"q1": 0.0, "q2": 0.0}


def test_numpy_numbers_are_taken():
    qrels = {"q": {"a": np.int64(1)}}
    assert score(qrels, {"q": {"a": np.float32(1)}}, ["P@5"])["P@5"]["q"] == pytest.approx(0.2)


@pytest.mark.parametrize("name", ["nDGC@10", "", "nDCG@@", "R", "nDCG@1.5", "RR@-1", "1", "a; b"])
def test_an_unknown_metric_is_refused_with_the_known_ones(name):
    with pytest.raises(UsageError, match="nDCG@10"):
        score({"q": {"a": 1}}, {}, [name])


@pytest.mark.parametrize("name", ["P@0", "RR@0", "ERR@10", "nDCG(dcg='exp-log2')@10"])
def test_a_metric_that_trec_eval_lacks_is_refused(name):
    with pytest.raises(UsageError, match=r"cut-off 0|not one that trec_eval computes"):
        score({"q": {"a": 1}}, {"q": {"a": 1.0}}, [name])


def test_a_score_that_is_no_number_is_refused():
    with pytest.raises(RagError, match="NaN"):
        score({"q": {"a": 1}}, {"q": {"a": math.nan}})


@pytest.mark.parametrize("name", ["a\udce4.md", "a\0b"])
def test_an_id_that_would_crash_trec_eval_is_refused(name):
    with pytest.raises(RagError, match="Rename the document"):
        score({"q": {"a": 1}}, {"q": {name: 1.0}})
