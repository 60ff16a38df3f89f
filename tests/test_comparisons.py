import numpy as np
import pytest
import scipy.stats

from eval.comparisons import A_BETTER, B_BETTER, NOT_SEPARABLE, TOO_FEW, compare
from eval.rows import EvalRow
from eval.statistics import holm


def make_row(embedder, values, retriever="dense", **changes):
    settings = {"task": "toy", "family": "retrieval", "chunker": "none", "run": {}, "cost": {}, "task_digest": "1"}
    settings |= changes
    per_query = {"nDCG@10": {f"q{number}": float(value) for number, value in enumerate(values)}}
    return EvalRow(embedder=embedder, retriever=retriever, per_query=per_query, **settings)


GENERATOR = np.random.default_rng(4)
BASE = GENERATOR.uniform(0.2, 0.6, 60)
ROWS = [
    make_row("poor", BASE),
    make_row("good", BASE + GENERATOR.normal(0.2, 0.1, 60)),
    make_row("like good", BASE + GENERATOR.normal(0.2, 0.1, 60)),
]


def test_all_pairs_are_compared_both_ways_round():
    compared = compare(ROWS, seed=1)
    assert [(pair.a, pair.b, pair.verdict) for pair in compared.compared] == [
        (0, 1, B_BETTER),
        (0, 2, B_BETTER),
        (1, 2, NOT_SEPARABLE),
    ]
    assert compare(ROWS[::-1], seed=1).compared[1].verdict == A_BETTER


def test_a_comparison_is_paired_and_agrees_with_scipy():
    first = compare(ROWS, seed=1).compared[0]
    a, b = (np.array(list(ROWS[at].per_query["nDCG@10"].values())) for at in (0, 1))
    assert (first.n, first.wins + first.ties + first.losses) == (60, 60)
    assert (first.wins, first.losses) == ((a > b).sum(), (a < b).sum())
    assert (first.mean_a, first.mean_b) == pytest.approx((a.mean(), b.mean()))
    assert first.difference == pytest.approx((a - b).mean())
    expected = scipy.stats.ttest_rel(a, b).confidence_interval()
    assert (first.ci_low, first.ci_high) == pytest.approx((expected.low, expected.high), abs=0.003)


def test_p_values_are_corrected_over_all_pairs_of_the_task():
    compared = compare(ROWS, seed=1).compared
    assert [pair.p_holm for pair in compared] == holm([pair.p for pair in compared])
    assert compared[0].p_holm > compared[0].p


def test_the_leader_and_its_ties():
    compared = compare(ROWS, seed=1)
    assert set(compared.ranking[:2]) == {1, 2}
    assert compared.ranking[2] == 0
    assert compared.not_separable == (compared.ranking[1],)
    assert compared.with_leader(compared.ranking[0]) is None
    assert compared.with_leader(0).b == compared.ranking[0]


@pytest.mark.parametrize(("different", "verdict"), [(0, TOO_FEW), (5, TOO_FEW), (6, A_BETTER), (60, A_BETTER)])
def test_below_six_differing_pairs_nothing_is_said(different, verdict):
    better = BASE + 0.1 * (np.arange(60) < different)
    pair = compare([make_row("a", better), make_row("b", BASE)], seed=1).compared[0]
    assert (pair.verdict, pair.ties) == (verdict, 60 - different)


def test_rounding_is_a_tie():
    pair = compare([make_row("a", BASE + 1e-15), make_row("b", BASE)], seed=1).compared[0]
    assert (pair.ties, pair.difference, pair.p) == (60, 0.0, 1.0)


def test_rows_of_different_queries_or_judgements_are_listed_with_the_reason():
    rows = [make_row("a", BASE), make_row("b", BASE[:50]), make_row("c", BASE, task_digest="2")]
    compared = compare(rows, seed=1)
    assert compared.compared == ()
    assert [(pair.a, pair.b) for pair in compared.not_comparable] == [(0, 1), (0, 2), (1, 2)]
    assert compared.not_comparable[0].reason == "different queries: 10 only in dense a, 0 only in dense b"
    assert "judgements" in compared.not_comparable[1].reason
    assert compared.not_separable == ()


def test_equal_means_rank_by_name_and_a_row_without_the_metric_comes_last():
    rows = [make_row("b", BASE), make_row("a", BASE), make_row("c", [])]
    compared = compare(rows, seed=1)
    assert compared.ranking == (1, 0, 2)
    assert "not scored by nDCG@10" in compared.not_comparable[0].reason


def test_one_task_at_a_time():
    with pytest.raises(ValueError, match="one task"):
        compare([make_row("a", BASE), make_row("b", BASE, task="other")], seed=1)
    with pytest.raises(ValueError, match="one task"):
        compare([], seed=1)
