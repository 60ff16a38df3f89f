"""How sure a mean and a difference are: bootstrap intervals, a permutation test, a correction for many comparisons.

Everything is seeded: the same values and the same seed give the same numbers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000
PERMUTATIONS = 10_000
CONFIDENCE = 0.95
EXACT_UP_TO = 14
"""Up to this many differences other than 0 all 2^n sign patterns are counted; 2^14 is as long as a sample of 10,000."""

_BLOCK_CELLS = 2_000_000  # numbers drawn at a time, so that memory does not grow with the number of queries
_ROUNDING = 1e-12  # relative difference below which two sums of the same numbers are one value


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with the bounds of its confidence interval, None where fewer than two values allow none."""

    value: float
    low: float | None
    high: float | None


def mean_interval(values: Sequence[float], seed: int, resamples: int = RESAMPLES) -> Interval:
    """Returns the mean with its 95 % BCa bootstrap interval over the values, one a query.

    Bias-corrected and accelerated: Efron, JASA 82 (1987). Equal values give that value as both bounds. Raises
    ValueError for no values.
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.size == 0:
        raise ValueError("a mean needs at least one value")
    mean = float(sample.mean())
    if sample.size == 1:
        return Interval(mean, None, None)
    if np.all(sample == sample[0]):
        return Interval(float(sample[0]), float(sample[0]), float(sample[0]))
    means = np.concatenate([sample[rows].mean(axis=1) for rows in _resampled_rows(sample.size, seed, resamples)])
    low, high = np.quantile(means, _bca_levels(sample, mean, means))
    return Interval(mean, float(low), float(high))


def paired_interval(differences: Sequence[float], seed: int, resamples: int = RESAMPLES) -> Interval:
    """Returns the mean of paired differences with its 95 % interval; queries are resampled, so pairs stay together."""
    return mean_interval(differences, seed, resamples)


def sign_flip_test(differences: Sequence[float], seed: int, permutations: int = PERMUTATIONS) -> float:
    """Returns the two-sided p value of a zero mean, by flipping the signs of paired differences (Fisher's test).

    Exact for few differences. Otherwise a sample of sign patterns to which the observed one is added, so that p is
    never 0 (Phipson and Smyth, 2010). Differences of 0 change nothing and are left aside; with no others p is 1.
    """
    moved = np.asarray(differences, dtype=np.float64)
    moved = moved[moved != 0]
    if moved.size == 0:
        return 1.0
    threshold = abs(moved.sum()) - _ROUNDING * np.abs(moved).sum()
    exact = moved.size <= EXACT_UP_TO
    patterns = _all_patterns(moved.size) if exact else _sampled_patterns(moved.size, seed, permutations)
    as_extreme = sum(int((np.abs(pattern @ moved) >= threshold).sum()) for pattern in patterns)
    return as_extreme / 2**moved.size if exact else (as_extreme + 1) / (permutations + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns p values adjusted for their number, in their order, by Holm's step-down method (Holm, 1979)."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for step, position in enumerate(sorted(range(len(p_values)), key=lambda at: p_values[at])):
        largest = max(largest, min(1.0, (len(p_values) - step) * p_values[position]))
        adjusted[position] = largest
    return adjusted


def _bca_levels(sample: NDArray[np.float64], mean: float, means: NDArray[np.float64]) -> list[float]:
    """Returns the two quantiles of the resampled means that bound the interval."""
    normal = NormalDist()
    rounding = _ROUNDING * float(np.abs(sample).max())
    below = np.count_nonzero(means < mean - rounding)
    equal = np.count_nonzero(np.abs(means - mean) <= rounding)
    share = (below + equal / 2) / means.size
    bias = normal.inv_cdf(min(max(share, 0.5 / means.size), 1 - 0.5 / means.size))
    spread = sample - mean  # the jackknife means deviate by -spread / (n - 1), and the factor cancels
    acceleration = float((spread**3).sum() / (6 * (spread**2).sum() ** 1.5))
    tail = (1 - CONFIDENCE) / 2
    levels = []
    for quantile in (normal.inv_cdf(tail), normal.inv_cdf(1 - tail)):
        shifted = bias + quantile
        levels.append(normal.cdf(bias + shifted / (1 - acceleration * shifted)))
    return levels


def _resampled_rows(size: int, seed: int, resamples: int) -> Iterator[NDArray[np.int32]]:
    generator = np.random.default_rng(seed)
    for rows in _block_heights(size, resamples):
        yield generator.integers(0, size, (rows, size), dtype=np.int32)


def _all_patterns(size: int) -> Iterator[NDArray[np.float64]]:
    numbers = np.arange(2**size)[:, np.newaxis]
    yield np.asarray(1 - 2 * ((numbers >> np.arange(size)) & 1), dtype=np.float64)


def _sampled_patterns(size: int, seed: int, permutations: int) -> Iterator[NDArray[np.float64]]:
    generator = np.random.default_rng(seed)
    for rows in _block_heights(size, permutations):
        yield np.asarray(1 - 2 * generator.integers(0, 2, (rows, size), dtype=np.int8), dtype=np.float64)


def _block_heights(width: int, rows: int) -> Iterator[int]:
    height = max(1, _BLOCK_CELLS // width)
    for start in range(0, rows, height):
        yield min(height, rows - start)
