"""How one value is made of the items' values: a mean for most metrics, a statistic of all the items together for some.

Resampling needs no more than this: the value of a sample in which item i stands counts[i] times.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

MAIN_METRICS = {
    "retrieval": "nDCG@10",
    "classification": "accuracy",
    "clustering": "v_measure",
    "anomaly": "auroc",
    "sts": "cosine_spearman",
}
"""The metric by which the rows of each family are ranked."""


class Measure(Protocol):
    """A statistic of a sample of items."""

    needs_gold: bool
    """Whether the items' labels enter beside their values."""

    def value(self, values: Numbers, gold: Numbers) -> float:
        """Returns the statistic of all items; `values` and `gold` are (n,)."""
        ...

    def resampled(self, values: Numbers, gold: Numbers, counts: Numbers) -> Numbers:
        """Returns the statistic (b,) of each of b samples; `counts` (b, n) tells how often each item stands in it."""
        ...


class Mean:
    """The arithmetic mean of the items' values."""

    needs_gold = False

    def value(self, values: Numbers, gold: Numbers) -> float:
        """Returns the mean."""
        return float(values.mean())

    def resampled(self, values: Numbers, gold: Numbers, counts: Numbers) -> Numbers:
        """Returns the mean of each sample."""
        return np.asarray(counts @ values / counts.sum(axis=1), dtype=np.float64)


MEAN = Mean()


def measure_of(metric: str) -> Measure:
    """Returns how a metric's value is made of its items'; the mean unless it is told otherwise here."""
    return MEAN
