"""Sentence similarity: cosines pair by pair, correlations by scipy, and files that cannot be scored."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics.pairwise import paired_cosine_distances

from eval.embedding_runner import evaluate_embedder, evaluate_words
from eval.tasks.registry import load_task
from eval.tasks.sts import load_sts_task
from labelled_folders import Cloud, write_lines
from rag.embedders.registry import load_embedder
from rag.errors import UsageError

SHARED = Path(__file__).parents[2] / "shared"

PAIRS = [
    {"sentence1": "A girl is styling her hair.", "sentence2": "A girl is brushing her hair.", "score": 2.5},
    {"sentence1": "A man plays the piano.", "sentence2": "A man is playing a piano.", "score": 5},
    {"sentence1": "The moon is far.", "sentence2": "A dog barks.", "score": -1.0},
]


@pytest.fixture
def folder(tmp_path):
    write_lines(tmp_path / "pairs" / "test.jsonl", PAIRS)
    return tmp_path / "pairs"


def test_items_and_gold(folder):
    task = load_task(folder)
    assert (task.family, task.name, task.split) == ("sts", "pairs", "test")
    assert task.items["3"] == "The moon is far. | A dog barks."
    assert task.gold == {"1": 2.5, "2": 5.0, "3": -1.0}


def test_cosines_are_scikit_learn_s(folder):
    task, embedder = load_task(folder), Cloud(spread=1.0)
    row = evaluate_embedder(task, embedder, seed=13)
    sides = [embedder.embed_queries([pair[side] for pair in PAIRS]) for side in ("sentence1", "sentence2")]
    expected = (1 - paired_cosine_distances(*sides)).tolist()
    for metric in ("cosine_spearman", "cosine_pearson"):
        assert list(row.per_query[metric].values()) == pytest.approx(expected, abs=1e-6)


def test_a_constant_embedder_finds_every_pair_equal(folder):
    row = evaluate_embedder(load_task(folder), Cloud(constant=True), seed=13)
    assert len(set(row.per_query["cosine_spearman"].values())) == 1


def test_words_alone_have_a_row(folder):
    values = evaluate_words(load_task(folder), seed=13).per_query["cosine_spearman"]
    assert values["1"] > 0.3
    assert 0 <= values["3"] < 0.1


def test_a_sentence_without_a_word_resembles_nothing(folder):
    write_lines(folder / "test.jsonl", [*PAIRS, PAIRS[0] | {"sentence2": "?!"}, PAIRS[0] | {"sentence1": "?!"}])
    task = load_task(folder)
    for row in (evaluate_words(task, seed=13), evaluate_embedder(task, load_embedder("hash"), seed=13)):
        assert [row.per_query["cosine_spearman"][item] for item in ("4", "5")] == pytest.approx([0, 0], abs=1e-6)


def test_the_digest_knows_sentences_and_scores(folder):
    before = load_task(folder).digest
    write_lines(folder / "test.jsonl", [*PAIRS[:2], PAIRS[2] | {"score": 0}])
    assert load_task(folder).digest != before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"score": "high"}, '"score" must be a number'),
        ({"score": True}, '"score" must be a number'),
        ({"score": float("inf")}, '"score" must be a number'),
        ({"score": 10**400}, '"score" must be a number'),
        ({"sentence1": ""}, '"sentence1" must be a text'),
        ({"sentence2": None}, '"sentence2" must be a text'),
        ({"_id": "1"}, "'1' was used before"),
    ],
)
def test_a_malformed_line_is_named(folder, change, said):
    write_lines(folder / "test.jsonl", [*PAIRS, PAIRS[0] | change])
    with pytest.raises(UsageError, match=r"test\.jsonl, line 4 is malformed") as error:
        load_sts_task(folder, "test")
    assert said in str(error.value)


def test_scores_that_rank_nothing_and_splits_that_are_not_there(folder):
    with pytest.raises(UsageError, match=r"no split 'dev' \(dev\.jsonl\).*test"):
        load_sts_task(folder, "dev")
    write_lines(folder / "test.jsonl", [pair | {"score": 3} for pair in PAIRS])
    with pytest.raises(UsageError, match="no two pairs differently"):
        load_sts_task(folder, "test")


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
lines = st.fixed_dictionaries({}, optional=dict.fromkeys(("sentence1", "sentence2", "score", "_id"), values))


@given(st.lists(lines | values, max_size=3))
def test_anything_is_read_or_refused_with_a_sentence(tmp_path_factory, records):
    folder = tmp_path_factory.mktemp("any")
    (folder / "test.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    try:
        task = load_sts_task(folder, "test")
    except UsageError as error:
        assert str(error)
    else:
        assert np.isfinite(list(task.gold.values())).all()


@pytest.mark.shared
def test_stsb_under_minilm_gives_the_published_correlation():
    folder = SHARED / "data/sts/stsb"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    task = load_task(folder)
    row = evaluate_embedder(task, load_embedder("minilm"), seed=13)
    cosines = [row.per_query["cosine_spearman"][item] for item in task.items]
    assert spearmanr(cosines, list(task.gold.values())).statistic == pytest.approx(0.8203, abs=0.002)
