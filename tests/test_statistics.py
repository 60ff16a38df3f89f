import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from eval import statistics
from eval.statistics import holm, mean_interval, paired_interval, sign_flip_test

SKEWED = np.random.default_rng(3).beta(0.6, 2.0, 80)


@pytest.mark.parametrize("values", [SKEWED, -SKEWED, SKEWED[:12], np.round(SKEWED * 3) / 3], ids=str)
def test_interval_agrees_with_scipys_bca(values):
    expected = scipy.stats.bootstrap((values,), np.mean, n_resamples=20_000, method="BCa", rng=1).confidence_interval
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


def test_blocks_bound_the_memory_without_changing_the_result(monkeypatch):
    values = (SKEWED - 0.2).tolist()
    whole = mean_interval(values, 1), sign_flip_test(values, 1)
    monkeypatch.setattr(statistics, "_BLOCK_CELLS", 80 * 512)
    heights = list(statistics._block_heights(80, 10_000))
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
