import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eval.comparisons import compare
from eval.leaderboard import render, render_all, tie_letters, verdict
from eval.results import conclude
from eval.rows import EvalRow
from eval.tasks.retrieval import RetrievalTask
from eval.text_table import columns, shorten, table
from evaluated import SEED, all_families, retrieval_evaluated, sts_evaluated

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


def test_every_family_has_its_own_columns():
    text = render_all(all_families())
    heads = [line.split() for line in text.splitlines() if "[95 %]" in line]
    assert heads[0][:4] == ["#", "embedder", "retriever", "nDCG@10"]
    assert [head[:3] for head in heads[1:]] == [
        ["#", "embedder", name] for name in ("accuracy", "v_measure", "auroc", "cosine_spearman")
    ]
    assert max(map(len, text.splitlines())) <= 100


def test_several_tasks_end_with_the_ranks_and_the_reversals():
    text = render_all(all_families())
    table = text[text.index("Across tasks") :]
    assert re.search(r"^minilm +0\.745 #1 +0\.567 #3 +0\.844 #1 +0\.700 #2 +0\.948 #1$", table, re.MULTILINE)
    assert re.search(r"^hash +- +0\.917 #1 +- +- +-$", table, re.MULTILINE)
    words = " ".join(table.split())
    assert "1 pair changes places beyond chance (9 tests, Holm, 5 %)." in words
    assert "minilm is better than wordllama on topics (+0.736, p = 0.0018) and pairs" in words
    assert "; wordllama is better than minilm on moods" in words
    assert "Published sts figures" in words


def test_one_task_has_no_table_of_ranks():
    assert "Across" not in render_all(conclude([sts_evaluated()], SEED))


def test_that_nothing_is_reversed_is_said():
    tasks = [retrieval_evaluated(name) for name in ("one", "two")]
    words = " ".join(render_all(conclude(tasks, SEED)).split())
    assert "No order is reversed beyond chance" in words
    assert "Kendall's tau between the orders of one and two" in words or "Kendall's tau between the orders" in words


def test_tie_letters_are_shared_by_what_is_not_separable():
    results = conclude([retrieval_evaluated()], SEED)
    letters = tie_letters(results.tasks[0].compared)
    for pair in results.tasks[0].compared.compared:
        shared = bool(set(letters[pair.a]) & set(letters[pair.b]))
        assert shared == (pair.verdict not in ("a is better", "b is better"))


def test_failed_samples_are_counted_beside_their_metric():
    text = render_all(conclude([retrieval_evaluated()], SEED))
    assert re.search(r"ragas\.NonLLMContextRecall@10 +0\.500 \(39/40\)", text)
    assert "(scored/asked)" in text


def test_the_footnote_tells_label_sources_and_openings_of_a_hold_out():
    task, rows = retrieval_evaluated()
    facts = {"label_sources": {"human": 0.75, "synthetic": 0.25}, "holdout_openings": 3}
    marked = [replace(row, provenance={**row.provenance, **facts}) for row in rows]
    words = " ".join(render_all(conclude([(task, marked)], SEED)).split())
    assert "Labels: 75 % human, 25 % synthetic." in words
    assert "opened 3 times: its figures are no longer untouched" in words


def test_the_footnote_says_what_would_separate_the_first_two():
    words = " ".join(render_all(conclude([retrieval_evaluated()], SEED)).split())
    results = conclude([retrieval_evaluated()], SEED)
    compared = results.tasks[0].compared
    pair = compared.with_leader(compared.ranking[1])
    assert (
        f"About {pair.needed - pair.n:,} more queries like these would separate hybrid minilm from dense minilm"
        in words
    )
    assert f"show a difference of {pair.min_detectable:.3f} between the first two" in words


def test_wide_characters_count_twice():
    assert columns("中文 a") == 6
    lines = table(["name", "x"], [["中文", "1"], ["abcd", "2"]], elastic=(0,), left=1).splitlines()
    assert lines[1] == "中文  1" and lines[2] == "abcd  2"
    assert columns(shorten("中文" * 20, 11)) <= 11
