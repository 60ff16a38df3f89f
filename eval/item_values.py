"""What a row put out for its items, with their labels, as arrays in one order, and what a metric makes of it."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from eval.measures import Measure, Numbers, measure_of
from eval.rows import EvalRow


def value_of(row: EvalRow, metric: str, gold: Mapping[str, float] | None = None) -> float:
    """Returns a row's value of a metric, NaN where it was not scored by it or where the value is undefined."""
    items = sorted(row.per_query.get(metric, ()))
    if not items:
        return math.nan
    measure = measure_of(metric)
    return measure.value(values_of(row, metric, items), gold_of(items, measure, metric, gold))


def gold_of(items: Sequence[str], measure: Measure, metric: str, gold: Mapping[str, float] | None) -> Numbers:
    """Returns the labels of items, none where the measure reads none; raises ValueError for an item without one."""
    if not measure.needs_gold:
        return np.empty(0)
    missing = [item for item in items if item not in (gold or {})]
    if missing:
        raise ValueError(f"{metric} needs a label for every item; '{missing[0]}' has none")
    return np.array([(gold or {})[item] for item in items], dtype=np.float64)


def values_of(row: EvalRow, metric: str, items: Sequence[str]) -> Numbers:
    """Returns what a row has for each item under a metric (n,)."""
    scores = row.per_query[metric]
    return np.array([scores[item] for item in items], dtype=np.float64)
