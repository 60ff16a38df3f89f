import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eval.comparisons import compare
from eval.leaderboard import render, verdict
from eval.results import conclude
from eval.rows import EvalRow
from eval.tasks.retrieval import RetrievalTask

METRICS = ("nDCG@10", "R@100", "RR@10", "AP", "P@5")
GENERATOR = np.random.default_rng(8)
BASE = GENERATOR.uniform(0.2, 0.6, 60)
CLOSE = GENERATOR.normal(0.2, 0.1, 60)


def make_task(kinds=("keyword", "typo"), size=60):
    ids = [f"q{number}" for number in range(size)]
    return RetrievalTask(
        name="toy",
        folder=Path("toy"),
        split="test",
        queries=dict.fromkeys(ids, "text"),
        qrels={query: {"d": 1} for query in ids},
        corpus=None,
        has_documents=True,
        kinds={query: kinds[at % len(kinds)] for at, query in enumerate(ids)},
        unanswerable={"u": "?"},
        left_out=("a", "b", "c"),
        answers=(),
        digest="1",
    )


def make_row(embedder, retriever, values, chunker="none"):
    per_query = {name: {f"q{at}": float(value) for at, value in enumerate(values)} for name in METRICS}
    return EvalRow("toy", "retrieval", embedder, retriever, chunker, {}, per_query, {"query_ms_p50": 12.34}, "1")


ROWS = [
    make_row(None, "lexical", BASE),
    make_row("minilm", "dense", BASE + CLOSE),
    make_row("minilm", "hybrid", BASE + CLOSE + GENERATOR.normal(0.01, 0.1, 60)),
]


def show(rows, task):
    return render(conclude([(task, rows)], seed=1).tasks[0], seed=1)


def test_the_table_ranks_rows_with_intervals_and_marks_ties():
    lines = show(ROWS, make_task()).splitlines()
    at = next(number for number, line in enumerate(lines) if "nDCG@10 [95 %]" in line)
    first, second, third = lines[at + 1 : at + 4]
    assert {tuple(first.split()[:3]), tuple(second.split()[1:4])} == {("1", "minilm", "hybrid"), ("2", "minilm", "dense")}  # fmt: skip  # noqa: E501
    assert second.startswith("=  2")
    assert third.split()[:3] == ["3", "-", "lexical"]
    assert f"{BASE.mean():.3f} [" in third
    assert "12.3" in third
    assert re.search(r"0\.\d{3} \[0\.\d{3}, 0\.\d{3}\]", first)


def test_the_verdict_names_the_leader_its_ties_and_the_p_value():
    compared = compare(ROWS, seed=1)
    pair = compared.with_leader(1)
    assert verdict(compared) == (
        f"hybrid minilm leads; dense minilm is not separable from it (p = {pair.p_holm:.2g}, Holm)."
    )


def test_several_ties_each_have_their_p_value():
    sentence = verdict(compare([*ROWS[1:], make_row("other", "dense", BASE + CLOSE)], seed=1))
    assert re.search(r"leads; dense \S+ \(p = .+, Holm\) and dense \S+ \(p = .+, Holm\) are not separable", sentence)


def test_a_clear_leader_is_called_better():
    sentence = verdict(compare(ROWS[:2], seed=1))
    assert sentence == "dense minilm leads and is better than every row it can be compared with (p < 0.001, Holm)."


def test_too_few_queries_are_said_to_be_too_few():
    rows = [make_row("a", "dense", BASE[:5]), make_row("b", "dense", BASE[:5] + 0.1)]
    assert "dense a is not separable from it (too few queries on which they differ)" in verdict(compare(rows, seed=1))


def test_one_row_is_not_compared():
    assert verdict(compare(ROWS[:1], seed=1)).startswith("lexical is the only row")


def test_rows_that_cannot_be_compared_are_no_ties():
    rows = [ROWS[0], replace(ROWS[1], task_digest="2")]
    assert "no other row can be compared" in verdict(compare(rows, seed=1))


def test_equal_names_are_told_apart_by_their_chunker():
    rows = [ROWS[1], make_row("minilm", "dense", BASE, chunker="sentences")]
    assert verdict(compare(rows, seed=1)).startswith("dense minilm (none) leads")


def test_the_footnote_counts_queries_and_names_the_seed():
    text = " ".join(show(ROWS, make_task()).split())
    assert "60 queries scored, 3 left out without a relevant document in this split, 1 unanswerable." in text
    assert "Seed 1." in text


def test_kinds_have_their_own_table_and_none_where_there_are_none():
    text = show(ROWS, make_task())
    assert "nDCG@10 by kind of query" in text
    assert "keyword (30)" in text
    assert f"{BASE[::2].mean():.3f}" in text
    assert "by kind" not in show(ROWS, make_task(kinds=("",)))


@pytest.mark.parametrize("size", [6, 60])
def test_nothing_is_wider_than_a_hundred_columns(size):
    name, chunker = "a-vendor/text-embedding-of-the-third-generation", "recursive-character-800"
    rows = [make_row(f"{name}-{kind}", "hybrid", BASE[:size], chunker) for kind in ("large", "small")]
    rows.append(make_row(None, "lexical", BASE[:size], chunker))
    kinds = tuple(f"a long kind of query {number}" for number in range(6))
    text = show(rows, make_task(kinds, size))
    assert max(map(len, text.splitlines())) <= 100
    assert all(re.search(rf"…\S*{kind}  hybrid", text) for kind in ("large", "small"))  # names differ at their ends
    assert all(f"{kind} (" in text for kind in kinds)
