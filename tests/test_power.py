import math

import numpy as np
import pytest
import scipy.stats

from eval.power import effect_size, items_needed, min_detectable


def power_of_t_test(effect, items, alpha):
    """The exact power of the two-sided paired t test, by the noncentral t distribution."""
    critical = scipy.stats.t.ppf(1 - alpha / 2, items - 1)
    shifted = scipy.stats.nct(items - 1, effect * math.sqrt(items))
    return shifted.sf(critical) + shifted.cdf(-critical)


@pytest.mark.parametrize("items", [8, 20, 100, 1379])
@pytest.mark.parametrize("alpha", [0.05, 0.05 / 28])
def test_the_detectable_difference_is_found_four_times_in_five(items, alpha):
    difference = min_detectable(items, deviation=0.3, alpha=alpha)
    assert power_of_t_test(difference / 0.3, items, alpha) == pytest.approx(0.8, abs=1e-4)


@pytest.mark.parametrize("difference", [0.02, -0.1, 0.5])
@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_the_items_needed_are_the_fewest_that_find_the_difference(difference, alpha):
    items = items_needed(difference, deviation=0.4, alpha=alpha)
    assert power_of_t_test(abs(difference) / 0.4, items, alpha) >= 0.8 - 1e-6
    assert power_of_t_test(abs(difference) / 0.4, items - 1, alpha) < 0.8
    assert min_detectable(items, 0.4, alpha) <= abs(difference) < min_detectable(items - 1, 0.4, alpha)


def test_permutation_tests_have_that_power_too():
    from eval.statistics import sign_flip_test

    generator = np.random.default_rng(4)
    difference = min_detectable(40, deviation=1.0)
    found = sum(sign_flip_test(generator.normal(difference, 1, 40), seed, 499) < 0.05 for seed in range(400))
    assert 0.8 - 0.06 <= found / 400 <= 0.8 + 0.06  # three binomial standard errors


def test_nothing_is_said_without_a_difference_or_a_spread():
    assert effect_size(0.2, 0.0) is None
    assert effect_size(0.2, 0.4) == 0.5
    assert min_detectable(1, 0.3) is None
    assert min_detectable(50, 0.0) is None
    assert items_needed(0.0, 0.3) is None
    assert items_needed(0.2, 0.0) is None
    assert items_needed(1e-6, 0.3) is None  # more than ten million
