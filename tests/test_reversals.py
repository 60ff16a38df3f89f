from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats

from eval.comparisons import compare
from eval.results import conclude
from eval.reversals import contestants, kendall, rank_changes
from eval.rows import EvalRow
from eval.statistics import holm

GENERATOR = np.random.default_rng(12)


def row(task, embedder, values, family="retrieval", metric="nDCG@10", **changes):
    settings = {"retriever": "dense" if family == "retrieval" else None, "chunker": None, "run": {}, "cost": {}}
    settings |= {"task_digest": "1"} | changes
    per_query = {metric: {f"q{number:03}": float(value) for number, value in enumerate(values)}}
    return EvalRow(task=task, family=family, embedder=embedder, per_query=per_query, **settings)


def entered(task, means, family="retrieval", metric="nDCG@10", size=80):
    """Returns a task over its rows: one an embedder, scores around its mean."""
    rows = [row(task, name, mean + GENERATOR.normal(0, 0.1, size), family, metric) for name, mean in means.items()]
    facts = SimpleNamespace(name=task, family=family, gold={}, kinds={})
    return facts, compare(rows, seed=1)


SEARCH = entered("search", {"a": 0.7, "b": 0.5, "c": 0.3})
LABELS = entered("labels", {"a": 0.5, "b": 0.7, "c": 0.3}, "classification", "accuracy")


def test_ranks_agreement_and_reversal_of_two_tasks():
    changes = rank_changes([SEARCH, LABELS], seed=1)
    assert changes.contestants == ("a", "b", "c")
    assert [each.ranks for each in changes.tasks] == [{"a": 1, "b": 2, "c": 3}, {"b": 1, "a": 2, "c": 3}]
    [agreement] = changes.agreements
    assert agreement.tau == pytest.approx(scipy.stats.kendalltau([1, 2, 3], [2, 1, 3]).statistic)
    assert (agreement.ci_low, agreement.ci_high) == pytest.approx((1 / 3, 1 / 3))
    [reversal] = changes.reversals
    assert (reversal.a, reversal.task_a, reversal.b, reversal.task_b) == ("a", "search", "b", "labels")
    assert reversal.difference_a > 0.15
    assert reversal.difference_b > 0.15
    assert changes.families == changes.family_agreements == ()  # one task a family: nothing to add


def test_reversals_are_corrected_over_all_pairs_of_all_tasks():
    changes = rank_changes([SEARCH, LABELS], seed=1)
    raw = [pair.p for _, compared in (SEARCH, LABELS) for pair in compared.compared]
    assert changes.tested == 6
    assert {changes.reversals[0].p_holm_a, changes.reversals[0].p_holm_b} <= set(holm(raw))
    assert changes.reversals[0].p_holm_a > min(raw)


def test_no_reversal_is_claimed_that_chance_explains():
    values = GENERATOR.normal(0.5, 0.1, 80)
    rows = [row("close", "a", values), row("close", "b", np.roll(values, 1) + 0.001), row("close", "c", values - 0.2)]
    close = (SimpleNamespace(name="close", family="retrieval", gold={}), compare(rows, seed=1))
    changes = rank_changes([SEARCH, close], seed=1)
    assert changes.reversals == ()
    assert changes.agreements[0].ci_low < changes.agreements[0].ci_high  # the order of a and b is open


def test_orders_of_few_items_are_uncertain():
    few = entered("few", {"a": 0.52, "b": 0.5, "c": 0.48}, size=12)
    again = entered("again", {"a": 0.52, "b": 0.5, "c": 0.48}, size=12)
    [agreement] = rank_changes([few, again], seed=1).agreements
    assert agreement.ci_low < agreement.tau <= 1 or agreement.ci_high > agreement.tau
    assert agreement.ci_high - agreement.ci_low > 0.5


def test_families_rank_by_the_mean_rank_over_their_tasks():
    other = entered("other", {"c": 0.7, "a": 0.5, "b": 0.3})
    third = entered("third", {"a": 0.7, "c": 0.5, "b": 0.3})
    changes = rank_changes([SEARCH, other, third, LABELS], seed=1)
    search, labels = changes.families
    assert (search.name, search.metric) == ("retrieval", None)
    assert search.values == pytest.approx({"a": 4 / 3, "b": 8 / 3, "c": 2})
    assert search.ranks == {"a": 1, "c": 2, "b": 3}
    assert labels.ranks == {"b": 1, "a": 2, "c": 3}
    [agreement] = changes.family_agreements
    assert agreement.tau == pytest.approx(scipy.stats.kendalltau([1, 3, 2], [2, 1, 3]).statistic)


def test_like_is_compared_with_like():
    values = GENERATOR.normal(0.5, 0.1, 30)
    rows = [
        row("t", "a", values, chunker="large"),
        row("t", "a", values, chunker="small"),
        row("t", "b", values, chunker="small"),
        row("t", "b", values, retriever="hybrid", chunker="small"),
        row("t", None, values, retriever="lexical", chunker="small"),
        row("t", "random", values, chunker="small", provenance={"control": True}),
        row("t", "unscored", [], chunker="small"),
    ]
    assert contestants(compare(rows, seed=1)) == {"a": 1, "b": 2, "lexical": 4}


def test_two_families_of_one_folder_are_told_apart():
    changes = rank_changes([SEARCH, (LABELS[0].__class__(**{**vars(LABELS[0]), "name": "search"}), LABELS[1])], seed=1)
    assert [each.name for each in changes.tasks] == ["search (retrieval)", "search (classification)"]
    assert changes.reversals[0].task_b == "search (classification)"


def test_one_contestant_in_common_is_not_enough():
    alone = entered("alone", {"a": 0.5, "z": 0.4})
    assert rank_changes([SEARCH, alone], seed=1) is None
    assert rank_changes([SEARCH], seed=1) is None


def test_kendall_is_scipys_in_every_column_and_undefined_for_a_constant():
    a, b = (np.round(GENERATOR.normal(size=(6, 40)), 1) for _ in range(2))
    expected = [scipy.stats.kendalltau(x, y).statistic for x, y in zip(a.T, b.T, strict=True)]
    assert kendall(a, b) == pytest.approx(expected)
    assert np.isnan(kendall(np.ones((3, 1)), b[:3, :1])).all()


def test_an_undefined_value_ranks_last():
    gold = {f"q{number:03}": float(number) for number in range(30)}
    rows = [
        row("t", "constant", np.ones(30), "sts", "cosine_spearman"),
        row("t", "opposite", -np.arange(30), "sts", "cosine_spearman"),
    ]
    task = SimpleNamespace(name="t", family="sts", gold=gold, kinds={})
    search = entered("search", {"constant": 0.7, "opposite": 0.5})
    changes = rank_changes([(task, compare(rows, seed=1, gold=gold)), search], seed=1)
    assert changes.tasks[0].values == {"constant": None, "opposite": pytest.approx(-1)}
    assert changes.tasks[0].ranks == {"opposite": 1, "constant": 2}
    assert changes.agreements[0].tau == -1


def test_an_evaluation_of_several_tasks_tells_them_and_repeats_itself():
    evaluated = [(task, compared.rows) for task, compared in (SEARCH, LABELS)]
    results = conclude(evaluated, seed=13)
    assert len(results.reversals.reversals) == 1
    assert asdict(conclude(evaluated, seed=13).reversals) == asdict(results.reversals)
    assert conclude(evaluated[:1], seed=13).reversals is None
