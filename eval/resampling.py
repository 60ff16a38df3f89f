"""Seeded samples of items, drawn with replacement, and what measures make of them; many rows share one drawing.

Memory is bounded: samples are drawn in blocks, however many items there are.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from eval.measures import Mean, Measure, Numbers

_BLOCK_CELLS = 1_000_000  # numbers drawn at a time, so that memory does not grow with the number of items


def resample(
    measured: Sequence[tuple[Measure, Numbers]],
    gold: Numbers,
    seed: int | Sequence[int],
    resamples: int,
) -> Numbers:
    """Returns the value of each measure in each sample (s, resamples); the same samples serve all of them.

    `measured` are measures with the items' values (n,), `gold` the items' labels (n,), which means do not read.
    """
    size = measured[0][1].size
    means = [at for at, (measure, _) in enumerate(measured) if isinstance(measure, Mean)]
    others = [at for at in range(len(measured)) if at not in means]
    columns = np.column_stack([_exact(measured[at][1]) for at in means]) if means else np.empty((size, 0))
    results = np.empty((len(measured), resamples))
    start = 0
    for counts in sample_counts(size, seed, resamples):
        block = slice(start, start + len(counts))
        results[means, block] = (counts @ columns).T / size
        for at in others:
            measure, values = measured[at]
            results[at, block] = measure.resampled(values, gold, counts)
        start = block.stop
    return results


def leave_one_out(measure: Measure, values: Numbers, gold: Numbers) -> Numbers:
    """Returns the measure without each item in turn (n,); items of equal value and label are tried once."""
    size = values.size
    if isinstance(measure, Mean):
        return np.asarray((values.sum() - values) / (size - 1), dtype=np.float64)
    _, first, alike = np.unique(np.stack([values, gold]), axis=1, return_index=True, return_inverse=True)
    blocks = []
    start = 0
    for height in block_heights(size, first.size):
        counts = np.ones((height, size))
        counts[np.arange(height), first[start : start + height]] = 0
        blocks.append(measure.resampled(values, gold, counts))
        start += height
    return np.concatenate(blocks)[alike.reshape(-1)]


def sample_counts(size: int, seed: int | Sequence[int], resamples: int) -> Iterator[Numbers]:
    """Yields blocks (b, n) of how often each item stands in each sample."""
    generator = np.random.default_rng(seed)
    for height in block_heights(size, resamples):
        drawn = generator.integers(0, size, (height, size), dtype=np.int32).astype(np.int64)
        drawn *= height
        drawn += np.arange(height)[:, np.newaxis]
        by_item = np.bincount(drawn.reshape(-1), minlength=height * size).reshape(size, height)
        yield by_item.astype(np.float64).T


def sample_signs(size: int, seed: int, permutations: int) -> Iterator[Numbers]:
    """Yields blocks (b, n) of random signs, 1 or -1."""
    generator = np.random.default_rng(seed)
    for height in block_heights(size, permutations):
        yield np.asarray(1 - 2 * generator.integers(0, 2, (height, size), dtype=np.int8), dtype=np.float64)


def block_heights(width: int, rows: int) -> Iterator[int]:
    """Yields how many of the rows are worked on at a time."""
    height = max(1, _BLOCK_CELLS // width)
    for start in range(0, rows, height):
        yield min(height, rows - start)


def _exact(values: NDArray[np.float64]) -> Numbers:
    """Rounds values in their last bits so that no sum of n of them is rounded, in whatever order it is added.

    Without that the last digits would depend on the number of threads and the size of the blocks.
    """
    _, exponent = np.frexp(np.abs(values).max(initial=0.0))
    shift = 51 - int(exponent) - values.size.bit_length()
    return np.asarray(np.ldexp(np.rint(np.ldexp(values, shift)), -shift), dtype=np.float64)
