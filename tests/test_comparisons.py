from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
from sklearn.metrics import roc_auc_score

from eval.comparisons import A_BETTER, B_BETTER, NOT_SEPARABLE, TOO_FEW, compare
from eval.power import items_needed, min_detectable
from eval.rows import EvalRow
from eval.statistics import holm, sign_flip_test


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


def items_of(values):
    return {f"q{number}": float(value) for number, value in enumerate(values)}


def family_row(embedder, family, metric, values, **changes):
    settings = {"task": "toy", "retriever": None, "chunker": None, "run": {}, "cost": {}, "task_digest": "1"}
    return EvalRow(embedder=embedder, family=family, per_query={metric: items_of(values)}, **{**settings, **changes})


def test_correlations_are_compared_as_a_whole_and_a_better_one_is_found():
    gold = GENERATOR.normal(size=150)
    noise = GENERATOR.normal(size=(3, 150))
    values = [gold + 0.5 * noise[0], gold + 1.5 * noise[1], gold + 1.5 * noise[2]]
    rows = [family_row(name, "sts", "cosine_spearman", one) for name, one in zip("abc", values, strict=True)]
    compared = compare(rows, seed=1, gold=items_of(gold))
    correlations = [scipy.stats.spearmanr(one, gold).statistic for one in values]
    first = compared.compared[0]
    assert (first.mean_a, first.mean_b) == pytest.approx(correlations[:2])
    assert first.difference == pytest.approx(correlations[0] - correlations[1])
    assert first.ci_low < first.difference < first.ci_high
    assert [pair.verdict for pair in compared.compared] == [A_BETTER, A_BETTER, NOT_SEPARABLE]
    assert compared.groups == ("a", "b", "b")
    # Williams' test of two correlations with one variable in common, on the ranks
    r_ab = scipy.stats.spearmanr(values[1], values[2]).statistic
    williams = t_of_dependent_correlations(*correlations[1:], r_ab, 150)
    assert compared.compared[2].p == pytest.approx(2 * scipy.stats.t.sf(abs(williams), 147), abs=0.06)


def t_of_dependent_correlations(r_a, r_b, r_ab, n):
    determinant = 1 - r_a**2 - r_b**2 - r_ab**2 + 2 * r_a * r_b * r_ab
    mean = (r_a + r_b) / 2
    below = 2 * determinant * (n - 1) / (n - 3) + mean**2 * (1 - r_ab) ** 3
    return (r_a - r_b) * np.sqrt((n - 1) * (1 + r_ab) / below)


def test_areas_are_compared_as_delong_compares_them():
    gold = (np.arange(200) < 60) * 1.0
    a, b = gold * 1.5 + GENERATOR.normal(size=200), gold + GENERATOR.normal(size=200)
    rows = [family_row("a", "anomaly", "auroc", a), family_row("b", "anomaly", "auroc", b)]
    [pair] = compare(rows, seed=1, gold=items_of(gold)).compared
    assert (pair.mean_a, pair.mean_b) == pytest.approx((roc_auc_score(gold, a), roc_auc_score(gold, b)))
    assert pair.p == pytest.approx(delong(a, b, gold), abs=0.02)


def delong(a, b, gold):
    """The p value of DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988)."""
    ones, zeros = gold == 1, gold == 0
    wins = [(side[ones][:, None] > side[zeros]) + (side[ones][:, None] == side[zeros]) / 2 for side in (a, b)]
    of_ones, of_zeros = (np.stack([win.mean(axis=axis) for win in wins]) for axis in (1, 0))
    covariance = np.cov(of_ones) / ones.sum() + np.cov(of_zeros) / zeros.sum()
    error = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    return 2 * scipy.stats.norm.sf(abs(wins[0].mean() - wins[1].mean()) / error)


def test_clusters_are_compared_whatever_their_numbers():
    gold = GENERATOR.integers(0, 6, 300) * 1.0
    others = GENERATOR.integers(0, 6, (2, 300))
    good = np.where(GENERATOR.random(300) < 0.9, gold, others[0])
    poor = np.where(GENERATOR.random(300) < 0.6, gold, others[1])
    rows = [
        family_row(name, "clustering", "v_measure", values)
        for name, values in (("good", good), ("poor", poor), ("renamed", (good + 3) % 6))
    ]
    compared = compare(rows, seed=1, gold=items_of(gold))
    assert [pair.verdict for pair in compared.compared] == [A_BETTER, TOO_FEW, B_BETTER]
    same = compared.compared[1]
    assert (same.difference, same.p, same.ties, same.effect) == (0.0, 1.0, 300, None)
    assert compared.groups == ("a", "b", "a")


def test_perfect_clusters_are_better_than_one_cluster():
    gold = np.arange(60) % 3 * 1.0
    rows = [family_row("a", "clustering", "v_measure", gold), family_row("b", "clustering", "v_measure", np.zeros(60))]
    [pair] = compare(rows, seed=1, gold=items_of(gold)).compared
    assert (pair.difference, pair.ci_low, pair.ci_high, pair.wins) == pytest.approx((1, 1, 1, 60))
    assert (pair.verdict, pair.p) == (A_BETTER, 2 / 10_001)


def test_an_undefined_value_ranks_last_and_is_not_compared():
    gold = GENERATOR.normal(size=40)
    rows = [
        family_row("constant", "sts", "cosine_spearman", np.ones(40)),
        family_row("opposite", "sts", "cosine_spearman", -gold),
    ]
    compared = compare(rows, seed=1, gold=items_of(gold))
    assert compared.ranking == (1, 0)
    assert "cosine_spearman of constant is undefined" in compared.not_comparable[0].reason
    assert compared.groups == ("", "a")


def test_items_need_labels_where_the_metric_does():
    rows = [family_row(name, "anomaly", "auroc", BASE) for name in "ab"]
    with pytest.raises(ValueError, match="auroc needs a label for every item; 'q0' has none"):
        compare(rows, seed=1)


def test_effect_detectable_difference_and_items_needed():
    a, b = BASE + GENERATOR.normal(0.02, 0.2, 60), BASE
    [pair] = compare([make_row("a", a), make_row("b", b)], seed=1).compared
    assert pair.verdict == NOT_SEPARABLE
    assert pair.effect == pytest.approx((a - b).mean() / (a - b).std(ddof=1))
    assert pair.min_detectable == pytest.approx(min_detectable(60, (a - b).std(ddof=1)))
    assert pair.needed == items_needed((a - b).mean(), (a - b).std(ddof=1)) > 60
    decided = compare(ROWS, seed=1).compared[0]
    assert decided.needed is None  # it is shown already
    assert compare([make_row("a", BASE), make_row("b", BASE)], seed=1).compared[0].min_detectable is None


def test_more_rows_need_more_items():
    a, b = BASE + GENERATOR.normal(0.02, 0.2, 60), BASE
    two = compare([make_row("a", a), make_row("b", b)], seed=1).compared[0].needed
    four = compare([make_row("a", a), make_row("b", b), *ROWS[1:]], seed=1).compared[0].needed
    assert four > two


@pytest.mark.parametrize(("different", "warned"), [(5, False), (6, True), (9, True), (10, False)])
def test_few_differing_pairs_are_warned_about(different, warned):
    better = BASE + 0.1 * (np.arange(60) < different)
    pair = compare([make_row("a", better), make_row("b", BASE)], seed=1).compared[0]
    assert (pair.warning is not None) == warned
    if warned:
        assert pair.warning == f"only {different} items differ: read it with care"


def test_a_pair_says_the_same_alone_and_among_others():
    together = compare(ROWS, seed=1).compared[0]
    alone = compare(ROWS[:2], seed=1).compared[0]
    assert (together.p, together.ci_low, together.ci_high) == (alone.p, alone.ci_low, alone.ci_high)
    differences = [a - b for a, b in zip(*(row.per_query["nDCG@10"].values() for row in ROWS[:2]), strict=True)]
    assert alone.p == sign_flip_test(differences, seed=1)


def test_rows_that_cannot_be_compared_with_the_leader_have_no_letter():
    rows = [*ROWS, make_row("other corpus", BASE, provenance={"corpus": "b"})]
    rows[1:3] = [replace(row, provenance={"corpus": "a"}) for row in rows[1:3]]
    compared = compare(rows, seed=1)
    assert [bool(letters) for letters in compared.groups] == [True, True, True, False]


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
