import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from eval import resampling, statistics
from eval.measures import measure_of
from eval.statistics import holm, mean_interval, measured_interval, paired_interval, sign_flip_test

SKEWED = np.random.default_rng(3).beta(0.6, 2.0, 80)


def expanded_level(size):
    """The level at which a plain interval is as wide as ours at 95 %: Hesterberg's expansion for few items."""
    reach = scipy.stats.t.ppf(0.975, size - 1) * math.sqrt(size / (size - 1))
    return 2 * scipy.stats.norm.cdf(reach) - 1


@pytest.mark.parametrize("values", [SKEWED, -SKEWED, SKEWED[:12], np.round(SKEWED * 3) / 3], ids=str)
def test_interval_agrees_with_scipys_bca(values):
    level = expanded_level(len(values))
    expected = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, confidence_level=level, method="BCa", rng=1
    ).confidence_interval
    found = mean_interval(values.tolist(), seed=1, resamples=20_000)
    width = expected.high - expected.low
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(expected.low, abs=0.03 * width)
    assert found.high == pytest.approx(expected.high, abs=0.03 * width)


def test_interval_leans_to_the_long_tail_and_is_not_the_percentile_interval():
    found = mean_interval(SKEWED.tolist(), seed=1)
    assert found.high - found.value > found.value - found.low


def test_intervals_hold_the_true_mean_about_as_often_as_they_say():
    generator = np.random.default_rng(5)
    truth = 2 / 5
    intervals = [mean_interval(generator.beta(2, 3, 40).tolist(), seed, resamples=1000) for seed in range(300)]
    covered = sum(interval.low <= truth <= interval.high for interval in intervals)
    assert 0.90 <= covered / 300 <= 0.985


STATISTICS = {
    "cosine_spearman": lambda values, gold: scipy.stats.spearmanr(values, gold).statistic,
    "cosine_pearson": lambda values, gold: scipy.stats.pearsonr(values, gold).statistic,
    "auroc": lambda values, gold: roc_auc_score(gold, values),
}


@pytest.mark.parametrize("metric", STATISTICS)
def test_interval_of_other_measures_agrees_with_scipys_bca(metric):
    generator = np.random.default_rng(8)
    gold = generator.normal(size=60)
    values = gold + generator.normal(size=60)
    gold = (gold > 0.5) * 1.0 if metric == "auroc" else gold
    expected = scipy.stats.bootstrap(
        (values, gold), STATISTICS[metric], n_resamples=4_000, confidence_level=expanded_level(60),
        method="BCa", paired=True, vectorized=False, rng=1,
    ).confidence_interval  # fmt: skip
    found = measured_interval(measure_of(metric), values, gold, seed=1)
    width = expected.high - expected.low
    assert found.value == pytest.approx(STATISTICS[metric](values, gold))
    assert found.low == pytest.approx(expected.low, abs=0.06 * width)
    assert found.high == pytest.approx(expected.high, abs=0.06 * width)


def test_a_statistic_that_most_samples_leave_undefined_has_no_interval():
    gold = np.array([1.0] + [0.0] * 9)
    found = measured_interval(measure_of("auroc"), np.arange(10.0), gold, seed=1)
    assert found == statistics.Interval(0.0, None, None)  # a third of the samples lack the only 1


def test_agreement_of_clusters_has_an_interval_around_its_value():
    generator = np.random.default_rng(8)
    gold = generator.integers(0, 10, 200) * 1.0
    values = np.where(generator.random(200) < 0.7, gold, generator.integers(0, 10, 200))
    found = measured_interval(measure_of("v_measure"), values, gold, seed=1)
    [drawn] = resampling.resample([(measure_of("v_measure"), values)], gold, 1, 2_000)
    assert found.low < found.value < found.high
    assert drawn.mean() > found.value + 0.5 * drawn.std()  # why the samples themselves cannot bound it
    left_out = [measure_of("v_measure").value(np.delete(values, at), np.delete(gold, at)) for at in range(200)]
    assert resampling.leave_one_out(measure_of("v_measure"), values, gold) == pytest.approx(left_out, abs=1e-12)
    error = statistics.jackknife_error(np.array(left_out))
    assert found.high - found.low == pytest.approx(2 * 1.98 * error, rel=0.06)
    assert error == pytest.approx(math.sqrt(199 / 200 * ((np.array(left_out) - np.mean(left_out)) ** 2).sum()))


def test_interval_of_equal_values_is_the_value():
    assert mean_interval([0.1] * 7, seed=1) == statistics.Interval(0.1, 0.1, 0.1)


def test_one_value_has_no_interval_and_none_is_an_error():
    assert mean_interval([0.5], seed=1) == statistics.Interval(0.5, None, None)
    with pytest.raises(ValueError, match="at least one"):
        mean_interval([], seed=1)


@pytest.mark.parametrize("function", [mean_interval, paired_interval, sign_flip_test])
def test_the_seed_decides_the_result(function):
    values = (SKEWED - 0.2).tolist()
    assert function(values, 7) == function(values, 7)
    assert function(values, 7) != function(values, 8)


def brute_force(differences):
    observed = abs(sum(differences))
    patterns = itertools.product([1, -1], repeat=len(differences))
    sums = [abs(sum(s * d for s, d in zip(signs, differences, strict=True))) for signs in patterns]
    return sum(value >= observed - 1e-9 for value in sums) / len(sums)


@given(st.lists(st.sampled_from([0.0, 0.1, 0.2, -0.1, 0.3, -0.7, 1.0]), min_size=1, max_size=9))
@settings(max_examples=100, deadline=None)
def test_few_differences_are_tested_exactly(differences):
    assert sign_flip_test(differences, seed=1) == pytest.approx(brute_force(differences))


def test_exact_test_agrees_with_scipy():
    differences = np.random.default_rng(2).normal(0.4, 1, 12)
    expected = scipy.stats.permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip_test(differences.tolist(), seed=1) == pytest.approx(expected.pvalue)


@pytest.mark.parametrize("size", [15, 60, 400])
def test_sampled_test_agrees_with_scipy(size):
    differences = np.random.default_rng(size).normal(2 / math.sqrt(size), 1, size)
    expected = scipy.stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=20_000, vectorized=False, rng=1
    ).pvalue if size < 100 else scipy.stats.ttest_1samp(differences, 0).pvalue  # fmt: skip
    found = sign_flip_test(differences.tolist(), seed=1, permutations=20_000)
    assert found == pytest.approx(expected, abs=4 * math.sqrt(expected / 20_000) + 0.003)


def test_no_p_value_is_zero_and_all_ties_are_one():
    assert sign_flip_test([1.0] * 500, seed=1) == 1 / 10_001
    assert sign_flip_test([0.0] * 9, seed=1) == 1.0
    assert sign_flip_test([1.0] * 6 + [0.0] * 100, seed=1) == 2 / 64


def test_many_columns_share_their_sign_patterns_and_give_what_each_gives_alone():
    generator = np.random.default_rng(2)
    columns = [generator.normal(0.2, 1, 40), generator.normal(0, 1, 40), np.zeros(40), np.eye(40)[3] + np.eye(40)[5]]
    together = statistics.sign_flip_tests(columns, seed=4)
    assert together == [sign_flip_test(column.tolist(), seed=4) for column in columns]
    assert together[2:] == [1.0, 0.5]


def test_the_inverted_bootstrap_rejects_where_its_interval_leaves_zero_out():
    generator = np.random.default_rng(2)
    drawn, left_out = generator.normal(3, 2, 10_000), generator.normal(0, 2 / 99, 100)
    null = statistics.around_zero(drawn, left_out)
    for difference in (0.0, 1.0, 3.0, 4.5, -4.5, 9.0):
        p = statistics.inverted_bootstrap_test(difference, drawn, left_out)
        low, high = np.quantile(null, [0.025, 0.975]) + difference
        assert (p < 0.05) == (not low <= 0 <= high)
        expected = 2 * scipy.stats.norm.sf(abs(difference) / statistics.jackknife_error(left_out))
        assert p == pytest.approx(min(1, expected), abs=0.03)
        assert p >= 2 / 10_001


def test_sums_of_samples_do_not_depend_on_the_order_of_adding():
    values = np.random.default_rng(1).normal(0, 7, 1000)
    exact = resampling._exact(values)
    assert exact == pytest.approx(values, abs=1e-10)
    shuffled = np.random.default_rng(2).permutation(exact)
    assert exact.sum() == shuffled.sum() == math.fsum(exact) == sum(exact.tolist())
    assert resampling._exact(np.zeros(3)).tolist() == [0, 0, 0]


def test_blocks_bound_the_memory_without_changing_the_result(monkeypatch):
    values = (SKEWED - 0.2).tolist()
    whole = mean_interval(values, 1), sign_flip_test(values, 1)
    monkeypatch.setattr(resampling, "_BLOCK_CELLS", 80 * 512)
    heights = list(resampling.block_heights(80, 10_000))
    assert max(heights) == 512
    assert sum(heights) == 10_000
    assert (mean_interval(values, 1), sign_flip_test(values, 1)) == whole


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.sampled_from([0.01, 0.05, 0.2]))
def test_holm_rejects_what_its_definition_rejects(p_values, alpha):
    # Holm 1979: walk up the sorted p values, reject while p <= alpha / (number left), stop at the first that is not.
    rejected = set()
    for step, position in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[position] * (len(p_values) - step) > alpha:
            break
        rejected.add(position)
    adjusted = holm(p_values)
    assert {position for position, p in enumerate(adjusted) if p <= alpha} == rejected
    assert all(raw <= p <= 1 for raw, p in zip(p_values, adjusted, strict=True))


def test_holm_of_a_textbook_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_no_interval_of_an_agreement_leaves_what_agreements_can_be():
    gold = np.repeat([0.0, 1.0, 2.0], 4)
    nearly = gold.copy()
    nearly[0] = 1.0
    high = measured_interval(measure_of("v_measure"), nearly, gold, seed=1)
    low = measured_interval(measure_of("v_measure"), np.tile([0.0, 1.0], 6), gold, seed=1)
    assert high.low < high.value < high.high <= 1.0
    assert low.low >= 0.0
