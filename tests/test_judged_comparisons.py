"""Judged rows compared: only by queries that were judged under both, and in words."""

import pytest

from eval.context_metrics import ContextScore
from eval.judged_comparisons import compare_judged, judged_lines
from eval.rows import EvalRow


def row(name, values):
    score = ContextScore(values)
    return EvalRow("task", "retrieval", name, "dense", "whole", {}, {}, {}, "d", context={"ragas.Faithfulness": score})


def test_a_comparison_uses_pairs_judged_in_both_and_says_how_many():
    a = {f"q{at}": 0.9 for at in range(12)}
    b = {f"q{at}": 0.5 for at in range(10)} | {"q10": None, "q11": None, "q12": 1.0}
    [pair] = compare_judged([row("a", a), row("b", b)], seed=13)
    assert (pair.n, pair.only_a, pair.only_b) == (10, 2, 1)
    assert pair.difference == pytest.approx(0.4)
    assert pair.p == pair.p_holm == 2 / 2**10
    assert pair.verdict == "a is better"


def test_rows_without_a_common_query_are_not_compared():
    [pair] = compare_judged([row("a", {"q1": 1.0}), row("b", {"q1": None})], seed=13)
    assert (pair.n, pair.only_a, pair.only_b, pair.p, pair.verdict) == (0, 1, 0, None, "too few pairs to say")


def test_p_values_are_corrected_within_a_metric():
    rows = [row(name, {f"q{at}": value for at in range(10)}) for name, value in (("a", 0.9), ("b", 0.5), ("c", 0.1))]
    pairs = compare_judged(rows, seed=13)
    assert [pair.p_holm for pair in pairs] == [3 * pair.p for pair in pairs]


def test_what_is_separable_is_said_in_words():
    rows = [row(name, {f"q{at}": value for at in range(10)}) for name, value in (("a", 0.1), ("b", 0.5))]
    assert judged_lines(rows, seed=13) == [
        "Faithfulness: dense b is above dense a by 0.400 [0.400, 0.400] (p = 0.002, Holm; 10 queries judged under both)"
    ]
    alike = [rows[0], row("c", {f"q{at}": 0.1 for at in range(8)})]
    assert judged_lines(alike, 13) == ["Faithfulness: no two rows are separable (8 queries judged under both)"]
    assert judged_lines([], 13) == []
