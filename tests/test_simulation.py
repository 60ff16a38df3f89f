"""What the statistics promise, tried on made-up evaluations whose truth is known.

Scores are drawn as they look in practice: nDCG@10 is 0 or 1 for most queries, two systems find the same queries hard,
anomalies are few, and gold similarities come in steps.
"""

import math

import numpy as np
import pytest

from eval.comparisons import A_BETTER, B_BETTER, compare
from eval.measures import measure_of
from eval.resampling import leave_one_out, resample
from eval.rows import EvalRow
from eval.statistics import interval_of, inverted_bootstrap_test, sign_flip_test

DRAWS = 500
ALLOWANCE = 2 * math.sqrt(0.05 * 0.95 / DRAWS)
"""Two standard errors of a share of 5 % among 500: an exact test exceeds 5 % by more in one series out of forty."""


def search(generator, items, lead):
    """nDCG@10 of one relevant document a query, whose rank is log-normal around the query's difficulty."""
    difficulty = generator.normal(0.6, 1.2, items)

    def scores(lead):
        ranks = np.ceil(np.exp(difficulty - lead + generator.normal(0, 0.8, items)))
        return np.where(ranks <= 10, 1 / np.log2(1 + ranks), 0.0)

    return scores(0.0), scores(lead), np.empty(0)


def anomalies(generator, items, lead):
    """Anomaly scores of which every fifth is an anomaly's."""
    gold = (np.arange(items) % 5 == 0) * 1.0
    common = generator.normal(size=items)
    a, b = (gold * (1 + more) + common + 0.7 * generator.normal(size=items) for more in (0.0, lead))
    return a, b, gold


def similarities(generator, items, lead):
    """Cosines of pairs whose gold similarity is a multiple of 0.2 from 0 to 5."""
    truth, common = generator.normal(size=(2, items))
    gold = np.round(np.clip(2.5 + 1.2 * truth, 0, 5) * 5) / 5
    a, b = (truth + (0.6 - less) * common + 0.5 * generator.normal(size=items) for less in (0.0, lead))
    return a, b, gold


def clusters(generator, items, lead):
    """Clusters of which a good half of the items is in the right one; hard items are hard for both systems."""
    gold = generator.integers(0, 10, items)
    hard = generator.random(items)

    def assigned(lead):
        right = 0.5 * hard + 0.5 * generator.random(items) < 0.6 + lead
        return np.where(right, gold, generator.integers(0, 10, items)) * 1.0

    return assigned(0.0), assigned(lead), gold * 1.0


WORLDS = {
    "nDCG@10": (search, 0.4),
    "auroc": (anomalies, 0.6),
    "cosine_spearman": (similarities, 0.3),
    "cosine_pearson": (similarities, 0.3),
    "v_measure": (clusters, 0.1),
}


def true_difference(metric, items):
    """What the metric differs by in the long run; V-measure depends on how many items there are."""
    draw, lead = WORLDS[metric]
    measure = measure_of(metric)
    generator = np.random.default_rng(99)
    repeats, size = (400, items) if metric == "v_measure" else (1, 300_000)
    worlds = [draw(generator, size, lead) for _ in range(repeats)]
    return float(np.mean([measure.value(b, gold) - measure.value(a, gold) for a, b, gold in worlds]))


def found_difference(metric, items, lead, seed, resamples):
    measure = measure_of(metric)
    a, b, gold = WORLDS[metric][0](np.random.default_rng([seed, items]), items, lead)
    difference = measure.value(b, gold) - measure.value(a, gold)
    in_a, in_b = resample([(measure, a), (measure, b)], gold, seed, resamples)
    left_out = leave_one_out(measure, b, gold) - leave_one_out(measure, a, gold)
    return difference, in_b - in_a, left_out, measure.shares(b, a, gold)


@pytest.mark.parametrize("metric", WORLDS)
@pytest.mark.parametrize("items", [20, 100])
def test_equal_systems_are_told_apart_at_most_as_often_as_the_level_says(metric, items):
    false = 0
    for seed in range(DRAWS):
        if measure_of(metric).can_swap:
            a, b, gold = WORLDS[metric][0](np.random.default_rng([seed, items]), items, 0.0)
            p = sign_flip_test(measure_of(metric).shares(a, b, gold).tolist(), seed, permutations=399)
        else:
            difference, drawn, left_out, _ = found_difference(metric, items, 0.0, seed, 200)
            p = inverted_bootstrap_test(difference, drawn, left_out)
        false += p < 0.05
    assert false / DRAWS <= 0.05 + ALLOWANCE
    assert false / DRAWS >= 0.01  # a test that never finds anything would pass, too


@pytest.mark.parametrize("metric", WORLDS)
def test_a_known_difference_is_in_the_interval_as_often_as_it_says(metric):
    items = 100
    truth = true_difference(metric, items)
    covered = 0
    for seed in range(DRAWS):
        difference, drawn, left_out, _ = found_difference(metric, items, WORLDS[metric][1], seed, 300)
        interval = interval_of(measure_of(metric), difference, drawn, left_out)
        covered += interval.low <= truth <= interval.high
    assert 0.93 <= covered / DRAWS <= 0.97


@pytest.mark.parametrize(("items", "least"), [(10, 0.90), (30, 0.92)])
def test_intervals_of_means_hold_for_few_queries_too(items, least):
    truth = true_difference("nDCG@10", items)
    covered = 0
    for seed in range(DRAWS):
        difference, drawn, left_out, _ = found_difference("nDCG@10", items, 0.4, seed, 600)
        interval = interval_of(measure_of("nDCG@10"), difference, drawn, left_out)
        covered += interval.low <= truth <= interval.high
    assert least <= covered / DRAWS <= 0.97


def test_a_table_of_equal_systems_holds_the_level_as_a_whole():
    tables, wrong = 60, 0
    for seed in range(tables):
        generator = np.random.default_rng(seed)
        difficulty = generator.normal(0.6, 1.2, 50)
        rows = []
        for name in "abcde":
            ranks = np.ceil(np.exp(difficulty + generator.normal(0, 0.8, 50)))
            scores = np.where(ranks <= 10, 1 / np.log2(1 + ranks), 0.0)
            per_query = {"nDCG@10": {f"q{number:02}": float(score) for number, score in enumerate(scores)}}
            rows.append(EvalRow("toy", "retrieval", name, "dense", "none", {}, per_query, {}, "1"))
        verdicts = {pair.verdict for pair in compare(rows, seed).compared}
        wrong += bool(verdicts & {A_BETTER, B_BETTER})
    assert wrong / tables <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / tables)
