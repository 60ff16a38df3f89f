"""How one value is made of the items' values: a mean for most metrics, a statistic of all the items together for some.

Resampling needs no more than this: the value of a sample in which item i stands counts[i] times. A statistic that is
undefined for a sample (AUROC of one class, the correlation of a constant) is NaN there.
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
    "spans": "span_recall@4000chars",
}
"""The metric by which the rows of each family are ranked."""


class Measure(Protocol):
    """A statistic of a sample of items."""

    needs_gold: bool
    """Whether the items' labels enter beside their values."""

    rises_in_samples: bool
    """Whether a sample in which items are repeated has a higher value only for that."""

    def value(self, values: Numbers, gold: Numbers) -> float:
        """Returns the statistic of all items; `values` and `gold` are (n,)."""
        ...

    def resampled(self, values: Numbers, gold: Numbers, counts: Numbers) -> Numbers:
        """Returns the statistic (b,) of each of b samples; `counts` (b, n) tells how often each item stands in it."""
        ...

    can_swap: bool
    """Whether outputs for an item can change places between two systems."""

    def shares(self, a: Numbers, b: Numbers, gold: Numbers) -> Numbers:
        """Returns what each item (n,) adds to the difference a - b; their mean is the difference.

        Where outputs can be swapped, a share changes its sign once a and b swap theirs for the item. Of ranks that are
        tied the mean is the difference only about.
        """
        ...


class Mean:
    """The arithmetic mean of the items' values."""

    needs_gold = False
    rises_in_samples = False
    can_swap = True

    def value(self, values: Numbers, gold: Numbers) -> float:
        """Returns the mean, of equal values that value itself."""
        return float(values[0] if _is_constant(values) else values.mean())

    def resampled(self, values: Numbers, gold: Numbers, counts: Numbers) -> Numbers:
        """Returns the mean of each sample."""
        return np.asarray(counts @ values / counts.sum(axis=1), dtype=np.float64)

    def shares(self, a: Numbers, b: Numbers, gold: Numbers) -> Numbers:
        """Returns the differences, item by item."""
        return a - b


class Pearson:
    """The linear correlation of the items' values with their labels."""

    needs_gold = True
    rises_in_samples = False
    can_swap = True

    def value(self, values: Numbers, gold: Numbers) -> float:
        """Returns scipy's pearsonr, NaN where either side is constant."""
        from scipy.stats import pearsonr

        if _is_constant(values) or _is_constant(gold):
            return float("nan")
        return float(pearsonr(values, gold).statistic)

    def resampled(self, values: Numbers, gold: Numbers, counts: Numbers) -> Numbers:
        """Returns the correlation in each sample."""
        x, y = values - values.mean(), gold - gold.mean()
        moments = counts @ np.column_stack([x, y, x * x, y * y, x * y]) / counts.sum(axis=1, keepdims=True)
        mean_x, mean_y, xx, yy, xy = moments.T
        return _ratio(xy - mean_x * mean_y, np.sqrt(_positive(xx - mean_x**2, xx) * _positive(yy - mean_y**2, yy)))

    def shares(self, a: Numbers, b: Numbers, gold: Numbers) -> Numbers:
        """Returns the shares of the two systems' standardised values.

        Swapping items changes a system's variance too; that is followed to first order, which takes
        rho (a^2 - b^2) / 2 from the products with the labels, a sum of zero over all items.
        """
        a, b, gold = _standardised(a), _standardised(b), _standardised(gold)
        rho = float((a + b) @ gold) / (2 * a.size)
        return np.asarray((a - b) * (gold - rho * (a + b) / 2), dtype=np.float64)


class Spearman:
    """The correlation of the ranks of the items' values with the ranks of their labels; equal ones share mid-ranks."""

    needs_gold = True
    rises_in_samples = False
    can_swap = True

    def value(self, values: Numbers, gold: Numbers) -> float:
        """Returns scipy's spearmanr, NaN where either side is constant."""
        from scipy.stats import spearmanr

        if _is_constant(values) or _is_constant(gold):
            return float("nan")
        return float(spearmanr(values, gold).statistic)

    def resampled(self, values: Numbers, gold: Numbers, counts: Numbers) -> Numbers:
        """Returns the rank correlation in each sample, ranked anew."""
        by_item = _by_item(counts)
        middle = (by_item.sum(axis=0) + 1) / 2
        x, y = _ranks_in_samples(values, by_item) - middle, _ranks_in_samples(gold, by_item) - middle
        weighted_x, weighted_y = by_item * x, by_item * y
        xy, xx, yy = ((left * right).sum(axis=0) for left, right in ((weighted_x, y), (weighted_x, x), (weighted_y, y)))
        return _ratio(xy, np.sqrt(xx * yy))

    def shares(self, a: Numbers, b: Numbers, gold: Numbers) -> Numbers:
        """Returns the shares of the two systems' ranks.

        The covariance of ranks is a sum over pairs of items of sign(x_i - x_j) (g_i - g_j); after swaps each pair
        compares two ranks of one system or one of each, and the difference of the two sums stays linear in the swaps.
        So flipping signs of these shares is the same as swapping ranks and ranking all items anew.
        """
        a, b, gold = _mid_ranks(a), _mid_ranks(b), _standardised(_mid_ranks(gold))
        shares = np.zeros(a.size)
        for x, y, sign in ((a, a, 1), (b, b, -1), (a, b, 1), (b, a, -1)):
            shares += sign * (gold * _sum_of_signs(x, y) - _sum_of_signs(x, y, gold))
        spread = np.sqrt((a.var() + b.var()) / 2)
        return np.asarray(shares / (4 * max(spread, np.finfo(float).tiny)), dtype=np.float64)


class Auroc:
    """The area under the ROC curve: how likely an item labelled 1 has a higher value than another, ties half."""

    needs_gold = True
    rises_in_samples = False
    can_swap = True

    def value(self, values: Numbers, gold: Numbers) -> float:
        """Returns scikit-learn's roc_auc_score, NaN where all labels are equal."""
        from sklearn.metrics import roc_auc_score

        return float("nan") if _is_constant(gold) else float(roc_auc_score(gold, values))

    def resampled(self, values: Numbers, gold: Numbers, counts: Numbers) -> Numbers:
        """Returns the area in each sample."""
        order, starts, _ = _groups(values)
        sorted_items = _by_item(counts)[order]
        ones = np.add.reduceat(sorted_items * (gold[order] == 1)[:, np.newaxis], starts)
        zeros = np.add.reduceat(sorted_items, starts) - ones
        below = np.cumsum(zeros, axis=0) - zeros / 2
        return _ratio((ones * below).sum(axis=0), ones.sum(axis=0) * zeros.sum(axis=0))

    def shares(self, a: Numbers, b: Numbers, gold: Numbers) -> Numbers:
        """Returns the shares of the two systems' ranks, as in the permutation test of Bandos, Rockette and Gur (2005).

        The area is a sum over pairs of a 1 and a 0 of which is higher, so that, as for `Spearman`, the difference of
        two areas is linear in the swaps. Ranks make the scales equal: Venkatraman and Begg, Biometrika 83 (1996).
        """
        a, b, ones = _mid_ranks(a), _mid_ranks(b), gold == 1
        zeros = ~ones
        shares = np.zeros(a.size)
        for x, y, sign in ((a, a, 1), (b, b, -1), (a, b, 1), (b, a, -1)):
            shares[ones] += sign * _sum_of_signs(x[ones], y[zeros])
            shares[zeros] -= sign * _sum_of_signs(x[zeros], y[ones])
        return shares * a.size / (4 * np.count_nonzero(ones) * np.count_nonzero(zeros))


class VMeasure:
    """Agreement of clusters with classes: the harmonic mean of homogeneity and completeness.

    Rosenberg and Hirschberg (2007). Values are cluster numbers, whose names mean nothing from one system to the next.
    Few items for many clusters agree by chance, and the fewer different ones of a sample more so.
    """

    needs_gold = True
    rises_in_samples = True
    can_swap = False  # cluster 3 of one system is not cluster 3 of another

    def value(self, values: Numbers, gold: Numbers) -> float:
        """Returns scikit-learn's v_measure_score."""
        from sklearn.metrics import v_measure_score

        return float(v_measure_score(gold.astype(np.int64), values.astype(np.int64)))

    def resampled(self, values: Numbers, gold: Numbers, counts: Numbers) -> Numbers:
        """Returns the agreement in each sample; 1 where all its items are of one class and in one cluster."""
        by_item = _by_item(counts)
        clusters, classes = _entropy(values, by_item), _entropy(gold, by_item)
        _, cells = np.unique(np.stack([values, gold]), axis=1, return_inverse=True)
        shared = clusters + classes - _entropy(cells.reshape(-1).astype(np.float64), by_item)
        either = clusters + classes
        return np.where(either > 0, 2 * shared / np.where(either > 0, either, 1), 1.0)

    def shares(self, a: Numbers, b: Numbers, gold: Numbers) -> Numbers:
        """Returns the differences in how much an item's cluster tells of its class, its pointwise information."""
        return _pointwise(a, gold) - _pointwise(b, gold)


MEAN = Mean()

_MEASURES: dict[str, Measure] = {
    "auroc": Auroc(),
    "cosine_pearson": Pearson(),
    "cosine_spearman": Spearman(),
    "v_measure": VMeasure(),
}


def measure_of(metric: str) -> Measure:
    """Returns how a metric's value is made of its items'; the mean unless it is told otherwise here."""
    return _MEASURES.get(metric, MEAN)


def _pointwise(clusters: Numbers, classes: Numbers) -> Numbers:
    """Returns log p(cluster, class) / (p(cluster) p(class)) of each item, scaled so that the mean is the V-measure."""
    sizes = []
    for labels in (np.stack([clusters, classes]), clusters[np.newaxis], classes[np.newaxis]):
        _, members, counts = np.unique(labels, axis=1, return_inverse=True, return_counts=True)
        sizes.append(counts[members.reshape(-1)] / clusters.size)
    both, of_cluster, of_class = sizes
    entropies = -np.log(of_cluster).mean() - np.log(of_class).mean()
    information = 2 * np.log(both / (of_cluster * of_class))
    return np.asarray(information / entropies if entropies > 0 else np.ones(clusters.size), dtype=np.float64)


def _is_constant(values: Numbers) -> bool:
    return bool(np.all(values == values[0]))


def _standardised(values: Numbers) -> Numbers:
    """Returns the values with mean 0 and variance 1; constant ones as zeros."""
    spread = values.std()
    return np.asarray((values - values.mean()) / (spread if spread > 0 else 1.0), dtype=np.float64)


def _mid_ranks(values: Numbers) -> Numbers:
    from scipy.stats import rankdata

    return np.asarray(rankdata(values), dtype=np.float64)


def _sum_of_signs(x: Numbers, y: Numbers, weights: Numbers | None = None) -> Numbers:
    """Returns for each x_i the sum of sign(x_i - y_j) over all j, each times its weight."""
    order = np.argsort(y, kind="stable")
    heavy = np.ones(y.size) if weights is None else weights[order]
    sums = np.concatenate([[0.0], np.cumsum(heavy)])
    lower = sums[np.searchsorted(y[order], x, side="left")]
    not_higher = sums[np.searchsorted(y[order], x, side="right")]
    return np.asarray(lower + not_higher - sums[-1], dtype=np.float64)


def _groups(values: Numbers) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Returns the order of the values, where in it each group of equal ones starts, and each item's group."""
    _, members, sizes = np.unique(values, return_inverse=True, return_counts=True)
    return np.argsort(values, kind="stable"), np.cumsum(sizes) - sizes, members


def _by_item(counts: Numbers) -> Numbers:
    """Returns counts (n, b), items first: sorting items then moves whole rows, which is several times faster."""
    return np.ascontiguousarray(counts.T)


def _ranks_in_samples(values: Numbers, by_item: Numbers) -> Numbers:
    """Returns the mid-rank (n, b) of each item in each sample."""
    order, starts, members = _groups(values)
    sizes = np.add.reduceat(by_item[order], starts)
    return np.asarray((np.cumsum(sizes, axis=0) - (sizes - 1) / 2)[members], dtype=np.float64)


def _entropy(labels: Numbers, by_item: Numbers) -> Numbers:
    """Returns the entropy (b,) of the labels in each sample, in nats."""
    order, starts, _ = _groups(labels)
    sizes = np.add.reduceat(by_item[order], starts)
    total = sizes.sum(axis=0)
    logs = np.log(sizes, out=np.zeros_like(sizes), where=sizes > 0)
    return _positive(np.log(total) - (sizes * logs).sum(axis=0) / total, np.log(total))


def _positive(values: Numbers, scale: Numbers) -> Numbers:
    """Returns the values with what is rounding, beside their scale, as 0."""
    return np.where(values > 1e-12 * scale, values, 0.0)


def _ratio(above: Numbers, below: Numbers) -> Numbers:
    """Returns above / below, NaN where below is 0."""
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
