import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.measures import MAIN_METRICS, MEAN, Mean, measure_of

METRICS = ["nDCG@10", "cosine_pearson", "cosine_spearman", "auroc", "v_measure"]


def sample(metric, size, seed):
    """Returns values with ties and their labels."""
    generator = np.random.default_rng(seed)
    if metric == "v_measure":
        return generator.integers(0, 5, size) * 1.0, generator.integers(0, 4, size) * 1.0
    if metric == "auroc":
        gold = (generator.random(size) < 0.4) * 1.0
        gold[:2] = [0, 1]
        return np.round(generator.normal(size=size) + gold, 1), gold
    gold = np.round(generator.normal(size=size), 1)
    return np.round(generator.normal(size=size) + gold, 1), gold


ORACLES = {
    "nDCG@10": lambda values, gold: values.mean(),
    "cosine_pearson": lambda values, gold: scipy.stats.pearsonr(values, gold).statistic,
    "cosine_spearman": lambda values, gold: scipy.stats.spearmanr(values, gold).statistic,
    "auroc": lambda values, gold: sklearn.metrics.roc_auc_score(gold, values),
    "v_measure": lambda values, gold: sklearn.metrics.v_measure_score(gold, values),
}


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("size", [6, 31, 200])
def test_values_are_those_of_scipy_and_scikit_learn(metric, size):
    values, gold = sample(metric, size, size)
    assert measure_of(metric).value(values, gold) == pytest.approx(ORACLES[metric](values, gold), abs=1e-12)


@pytest.mark.parametrize("metric", METRICS)
@given(size=st.integers(4, 40), seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_the_value_of_a_sample_is_that_of_its_items_written_out(metric, size, seed):
    values, gold = sample(metric, size, seed)
    generator = np.random.default_rng(seed)
    counts = np.stack([np.bincount(generator.integers(0, size, size), minlength=size) for _ in range(6)])
    found = measure_of(metric).resampled(values, gold, counts.astype(np.float64))
    for row, value in zip(counts, found, strict=True):
        written_out = measure_of(metric).value(np.repeat(values, row), np.repeat(gold, row))
        assert value == pytest.approx(written_out, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("metric", ["cosine_pearson", "cosine_spearman"])
def test_the_correlation_of_a_constant_is_undefined(metric):
    gold, constant = np.arange(5.0), np.ones(5)
    assert np.isnan(measure_of(metric).value(constant, gold))
    assert np.isnan(measure_of(metric).resampled(constant, gold, np.ones((1, 5)))).all()
    assert np.isnan(measure_of(metric).resampled(gold, gold, np.array([[5.0, 0, 0, 0, 0]]))).all()


def test_the_area_of_one_class_is_undefined_and_that_of_a_constant_a_half():
    auroc, gold = measure_of("auroc"), np.array([0.0, 1, 0, 1])
    assert np.isnan(auroc.value(np.arange(4.0), np.ones(4)))
    assert np.isnan(auroc.resampled(np.arange(4.0), gold, np.array([[2.0, 0, 2, 0]]))).all()
    assert auroc.value(np.zeros(4), gold) == 0.5
    assert auroc.resampled(np.zeros(4), gold, np.ones((1, 4))).tolist() == [0.5]


def test_v_measure_knows_clusters_by_their_items_not_by_their_numbers():
    v_measure, gold = measure_of("v_measure"), np.array([0.0, 0, 1, 1, 2])
    assert v_measure.value(np.array([7.0, 7, 3, 3, 0]), gold) == 1
    assert v_measure.resampled(np.array([7.0, 7, 3, 3, 0]), gold, np.ones((1, 5))).tolist() == [1]
    assert v_measure.value(np.zeros(5), gold) == 0
    assert v_measure.resampled(np.zeros(5), gold, np.array([[1.0] * 5, [5.0, 0, 0, 0, 0]])).tolist() == [0, 1]


def swapped(a, b, swap):
    return np.where(swap, b, a), np.where(swap, a, b)


@given(seed=st.integers(0, 10_000), size=st.integers(5, 40))
@settings(max_examples=40, deadline=None)
def test_flipping_shares_of_an_area_is_swapping_ranks(seed, size):
    a, gold = sample("auroc", size, seed)
    b = sample("auroc", size, seed + 1)[0] + gold
    generator = np.random.default_rng(seed)
    swap = generator.random(size) < 0.5
    shares = measure_of("auroc").shares(a, b, gold)
    ranks = scipy.stats.rankdata(a), scipy.stats.rankdata(b)
    x, y = swapped(*ranks, swap)
    expected = sklearn.metrics.roc_auc_score(gold, x) - sklearn.metrics.roc_auc_score(gold, y)
    assert (shares * np.where(swap, -1, 1)).mean() == pytest.approx(expected, abs=1e-12)


@given(seed=st.integers(0, 10_000), size=st.integers(5, 40))
@settings(max_examples=40, deadline=None)
def test_flipping_shares_of_a_rank_correlation_is_swapping_ranks_and_ranking_anew(seed, size):
    generator = np.random.default_rng(seed)
    gold = np.round(generator.normal(size=size), 1)
    a, b = generator.normal(size=size) + gold, generator.normal(size=size)
    swap = generator.random(size) < 0.5
    ranks, labels = (scipy.stats.rankdata(a), scipy.stats.rankdata(b)), scipy.stats.rankdata(gold)
    x, y = (scipy.stats.rankdata(side) for side in swapped(*ranks, swap))
    scale = ranks[0].std() * labels.std()
    expected = (np.cov(x, labels, ddof=0)[0, 1] - np.cov(y, labels, ddof=0)[0, 1]) / scale
    shares = measure_of("cosine_spearman").shares(a, b, gold)
    assert (shares * np.where(swap, -1, 1)).mean() == pytest.approx(expected, abs=1e-12)
    unswapped = measure_of("cosine_spearman").value(a, gold) - measure_of("cosine_spearman").value(b, gold)
    assert shares.mean() == pytest.approx(unswapped, abs=1e-12)


def test_flipping_shares_of_a_correlation_is_about_swapping_standardised_values():
    generator = np.random.default_rng(3)
    gold = generator.normal(size=400)
    a, b = gold + generator.normal(size=400), 5 + 3 * gold + generator.normal(size=400)
    pearson = measure_of("cosine_pearson")
    shares = pearson.shares(a, b, gold)
    assert shares.mean() == pytest.approx(pearson.value(a, gold) - pearson.value(b, gold), abs=1e-12)
    scales = (scipy.stats.zscore(a), scipy.stats.zscore(b))
    for _ in range(20):
        swap = generator.random(400) < 0.5
        x, y = swapped(*scales, swap)
        expected = pearson.value(x, gold) - pearson.value(y, gold)
        assert (shares * np.where(swap, -1, 1)).mean() == pytest.approx(expected, abs=3e-3)


@pytest.mark.parametrize("metric", ["nDCG@10", "cosine_pearson", "cosine_spearman", "auroc"])
def test_shares_change_their_sign_with_the_order_of_the_systems(metric):
    a, gold = sample(metric, 30, 1)
    b = sample(metric, 30, 2)[0]
    measure = measure_of(metric)
    assert measure.shares(a, b, gold) == pytest.approx(-measure.shares(b, a, gold))
    assert measure.shares(a, a, gold) == pytest.approx(np.zeros(30))


def test_shares_of_agreeing_clusters_add_up_and_do_not_know_numbers():
    values, gold = sample("v_measure", 60, 1)
    other = sample("v_measure", 60, 2)[0]
    v_measure = measure_of("v_measure")
    shares = v_measure.shares(values, other, gold)
    assert shares.mean() == pytest.approx(v_measure.value(values, gold) - v_measure.value(other, gold), abs=1e-12)
    assert v_measure.shares(values, (values + 2) % 5, gold) == pytest.approx(np.zeros(60), abs=1e-12)
    assert v_measure.shares(gold, np.zeros(60), gold).mean() == pytest.approx(1)
    assert v_measure.shares(np.ones(5), np.zeros(5), np.ones(5)).tolist() == [0] * 5
    assert not v_measure.can_swap


def test_every_family_has_a_main_metric_and_unknown_metrics_are_means():
    assert {"retrieval", "classification", "clustering", "anomaly", "sts", "spans"} == set(MAIN_METRICS)
    assert measure_of("ragas.Faithfulness") is MEAN
    assert isinstance(measure_of("accuracy"), Mean)
