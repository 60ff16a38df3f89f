"""How sure a value and a difference are: bootstrap intervals, permutation tests, a correction for many comparisons.

Everything is seeded: the same values and the same seed give the same numbers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from eval.measures import MEAN, Measure, Numbers
from eval.resampling import leave_one_out, resample, sample_signs

RESAMPLES = 10_000
PERMUTATIONS = 10_000
CONFIDENCE = 0.95
EXACT_UP_TO = 14
"""Up to this many differences other than 0 all 2^n sign patterns are counted; 2^14 is as long as a sample of 10,000."""

ROUNDING = 1e-12
"""Relative difference below which two values of the same items are one."""

UNDEFINED_SHARE = 0.1
"""Where a statistic is undefined in more of the samples than this, they tell nothing of it."""

_NO_GOLD = np.empty(0)


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with the bounds of its confidence interval, None where there are too few items for one."""

    value: float
    low: float | None
    high: float | None


def mean_interval(values: Sequence[float], seed: int, resamples: int = RESAMPLES) -> Interval:
    """Returns the mean with its 95 % BCa bootstrap interval over the values, one an item.

    Equal values give that value as both bounds. Raises ValueError for no values.
    """
    return measured_interval(MEAN, values, (), seed, resamples)


def paired_interval(differences: Sequence[float], seed: int, resamples: int = RESAMPLES) -> Interval:
    """Returns the mean of paired differences with its 95 % interval; items are resampled, so pairs stay together."""
    return mean_interval(differences, seed, resamples)


def measured_interval(
    measure: Measure, values: Sequence[float], gold: Sequence[float], seed: int, resamples: int = RESAMPLES
) -> Interval:
    """Returns what a measure makes of the items' values and labels, with its 95 % interval over the items.

    Raises ValueError for no values.
    """
    sample, labels = np.asarray(values, dtype=np.float64), np.asarray(gold, dtype=np.float64)
    if sample.size == 0:
        raise ValueError("a mean needs at least one value")
    value = measure.value(sample, labels)
    if sample.size == 1:
        return Interval(value, None, None)
    [drawn] = resample([(measure, sample)], labels, seed, resamples)
    return interval_of(measure, value, drawn, leave_one_out(measure, sample, labels), least=0.0)


def interval_of(measure: Measure, value: float, drawn: Numbers, left_out: Numbers, least: float = -1.0) -> Interval:
    """Returns the 95 % interval of a value from what was found in samples and with items left out in turn.

    Bias-corrected and accelerated (BCa): Efron, JASA 82 (1987); expanded for few items, which the bootstrap takes for
    more alike than they are: Hesterberg, The American Statistician 69 (2015). A measure that repeated items raise gets
    the quantiles of `around_zero` instead, added to the value, within `least` and 1: BCa would take all of the rise for
    bias. Samples in which the value is undefined are left aside; where they are many there is no interval.
    """
    defined = drawn[np.isfinite(drawn)]
    if not np.isfinite(value) or defined.size < (1 - UNDEFINED_SHARE) * drawn.size:
        return Interval(value, None, None)
    rounding = ROUNDING * max(abs(value), float(np.abs(defined).max()))
    if float(np.ptp(defined)) <= rounding:
        return Interval(value, value, value)
    if measure.rises_in_samples:
        level = NormalDist().cdf(expanded_quantile(left_out.size))
        low, high = np.clip(np.quantile(around_zero(defined, left_out), [1 - level, level]) + value, least, 1.0)
    else:
        low, high = np.quantile(defined, _bca_levels(value, defined, left_out, rounding))
    return Interval(value, float(low), float(high))


def sign_flip_test(differences: Sequence[float], seed: int, permutations: int = PERMUTATIONS) -> float:
    """Returns the two-sided p value of a zero mean, by flipping the signs of paired differences (Fisher's test).

    Exact for few differences. Otherwise a sample of sign patterns to which the observed one is added, so that p is
    never 0 (Phipson and Smyth, 2010). Differences of 0 change nothing; with no others p is 1.
    """
    return sign_flip_tests([differences], seed, permutations)[0]


def sign_flip_tests(
    columns: Sequence[Sequence[float] | Numbers], seed: int, permutations: int = PERMUTATIONS
) -> list[float]:
    """Returns the p value of each of many columns of differences of the same items, under the same sign patterns.

    Each is what `sign_flip_test` says of its column alone.
    """
    results = [1.0] * len(columns)
    shares = [np.asarray(column, dtype=np.float64) for column in columns]
    sampled = []
    for at, column in enumerate(shares):
        moved = column[column != 0]
        if 0 < moved.size <= EXACT_UP_TO:
            results[at] = _count_extreme(_all_patterns(moved.size), moved[:, np.newaxis])[0] / 2**moved.size
        elif moved.size:
            sampled.append(at)
    if sampled:
        matrix = np.column_stack([shares[at] for at in sampled])
        extreme = sum(_count_extreme(signs, matrix) for signs in sample_signs(len(matrix), seed, permutations))
        for at, count in zip(sampled, np.asarray(extreme).tolist(), strict=True):
            results[at] = (count + 1) / (permutations + 1)
    return results


def inverted_bootstrap_test(difference: float, drawn: Numbers, left_out: Numbers) -> float:
    """Returns the two-sided p value of a zero difference: the largest level at which an interval still holds 0.

    `drawn` are the differences found in samples, `left_out` those with items left out in turn. Never 0: the observed
    difference is counted among the samples.
    """
    null = around_zero(drawn[np.isfinite(drawn)], left_out)
    rounding = ROUNDING * max(1.0, float(np.abs(null).max(initial=0.0)))
    above = np.count_nonzero(null >= difference - rounding)
    below = np.count_nonzero(null <= difference + rounding)
    return min(1.0, 2 * (float(min(above, below)) + 1) / (null.size + 1))


def around_zero(drawn: Numbers, left_out: Numbers) -> Numbers:
    """Returns what was found in samples, moved to the mean 0 and scaled to the jackknife's standard error.

    For measures that repeated items raise: their samples spread too little (V-measure's by a fifth to a quarter in
    simulations), the jackknife's values do not (Efron and Stein, Annals of Statistics 9, 1981).
    """
    spread = drawn.std()
    scale = jackknife_error(left_out) / spread if spread > 0 else 0.0
    return np.asarray((drawn - drawn.mean()) * scale, dtype=np.float64)


def jackknife_error(left_out: Numbers) -> float:
    """Returns the standard error that the values with items left out in turn tell."""
    return float(np.sqrt((left_out.size - 1) * left_out.var()))


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns p values adjusted for their number, in their order, by Holm's step-down method (Holm, 1979)."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for step, position in enumerate(sorted(range(len(p_values)), key=lambda at: p_values[at])):
        largest = max(largest, min(1.0, (len(p_values) - step) * p_values[position]))
        adjusted[position] = largest
    return adjusted


def expanded_quantile(items: int) -> float:
    """Returns how many standard deviations of the samples an interval over so many items reaches to either side.

    Student's t quantile in the place of the normal one, and sqrt(n / (n - 1)) for the variance of samples: 2.38 for ten
    items, 2.08 for thirty, 1.98 for two hundred.
    """
    from scipy.special import stdtrit

    return float(stdtrit(items - 1, (1 + CONFIDENCE) / 2)) * math.sqrt(items / (items - 1))


def _bca_levels(value: float, drawn: Numbers, left_out: Numbers, rounding: float) -> list[float]:
    """Returns the two quantiles of the samples' values that bound the interval."""
    normal = NormalDist()
    below = np.count_nonzero(drawn < value - rounding)
    equal = np.count_nonzero(np.abs(drawn - value) <= rounding)
    share = (below + equal / 2) / drawn.size
    bias = normal.inv_cdf(min(max(share, 0.5 / drawn.size), 1 - 0.5 / drawn.size))
    reach = expanded_quantile(left_out.size)
    left_out = left_out[np.isfinite(left_out)]
    spread = left_out.mean() - left_out
    squares = float((spread**2).sum())
    acceleration = float((spread**3).sum() / (6 * squares**1.5)) if squares > 0 else 0.0
    levels = []
    for quantile in (-reach, reach):
        shifted = bias + quantile
        levels.append(normal.cdf(bias + shifted / (1 - acceleration * shifted)))
    return levels


def _count_extreme(signs: Numbers, shares: Numbers) -> Numbers:
    """Returns for each column how many sign patterns give a sum at least as far from 0 as its own."""
    thresholds = np.abs(shares.sum(axis=0)) - ROUNDING * np.abs(shares).sum(axis=0)
    return np.asarray((np.abs(signs @ shares) >= thresholds).sum(axis=0), dtype=np.float64)


def _all_patterns(size: int) -> Numbers:
    numbers = np.arange(2**size)[:, np.newaxis]
    return np.asarray(1 - 2 * ((numbers >> np.arange(size)) & 1), dtype=np.float64)
