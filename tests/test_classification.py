"""Classification in MTEB's protocol: the draws are MTEB's, the scores scikit-learn's, called here directly."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.neighbors import NearestCentroid

from eval.embedding_runner import embeds_as_queries, evaluate_embedder, evaluate_words
from eval.tasks.classification import EXPERIMENTS, SAMPLES_PER_LABEL, draw, score_classification
from eval.tasks.registry import load_task
from labelled_folders import Cloud, clouds, write_labelled
from rag.embedders.registry import find_spec, load_embedder, table_specs
from recording import Recording

SHARED = Path(__file__).parents[2] / "shared"
LABELS = "abc"


@pytest.fixture
def task(tmp_path):
    return load_task(write_labelled(tmp_path / "t", clouds(LABELS, 20), clouds(LABELS, 12, seed=8)))


def draws_of_mteb(labels):
    """The undersampling of mteb's AbsTaskClassification, as it stands there."""
    idxs, selected = None, []
    for _ in range(10):
        if idxs is None:
            idxs = list(range(len(labels)))
        rng_state = np.random.RandomState(42)
        rng_state.shuffle(idxs)
        label_counter, sampled_idxs = defaultdict(int), []
        for i in idxs:
            if label_counter[labels[i]] < 8:
                sampled_idxs.append(i)
                label_counter[labels[i]] += 1
        selected.append(sampled_idxs)
    return selected


def test_the_draws_are_mteb_s():
    labels = [label for _, label in clouds("abcdefg", 30)]
    assert draw(labels) == draws_of_mteb(labels)
    assert len({tuple(sample) for sample in draw(labels)}) == EXPERIMENTS


def test_the_mean_over_items_is_scikit_learn_s_mean_accuracy(task):
    embedder = Cloud(spread=2.0)
    texts = [each.text for each in task.train.values()]
    labels = np.array([each.label for each in task.train.values()])
    learned, scored = embedder.embed_queries(texts), embedder.embed_queries(list(task.items.values()))
    wanted = [each.label for each in task.test.values()]
    expected = {"accuracy": [], "centroid_accuracy": []}
    for sample in draws_of_mteb(labels):
        for metric, model in (("accuracy", LogisticRegression(max_iter=100)), ("centroid_accuracy", NearestCentroid())):
            said = model.fit(learned[sample], labels[sample]).predict(scored)
            expected[metric].append(accuracy_score(wanted, said))
    row = evaluate_embedder(task, embedder, seed=13)
    for metric, accuracies in expected.items():
        values = row.per_query[metric]
        assert list(values) == list(task.items)
        assert 0.4 < np.mean(accuracies) < 0.95
        assert np.mean(list(values.values())) == pytest.approx(np.mean(accuracies), abs=1e-12)


def test_nothing_is_embedded_that_no_experiment_learns_from(tmp_path):
    train = clouds("ab", 200)
    task = load_task(write_labelled(tmp_path / "t", train, clouds("ab", 5, seed=8)))
    embedder = Recording()
    score_classification(task, embedder.embed_queries)
    drawn = set().union(*draw([label for _, label in train]))
    assert len(embedder.asked) == len(drawn) + len(task.items)
    assert len(drawn) <= 2 * SAMPLES_PER_LABEL * EXPERIMENTS < len(train)


def test_a_label_that_was_never_learned_counts_as_wrong(tmp_path):
    test = [*clouds("ab", 4, seed=8), ("zebra 1", "zebra")]
    task = load_task(write_labelled(tmp_path / "t", clouds("ab", 10), test))
    row = evaluate_embedder(task, Cloud(spread=0.01), seed=13)
    assert [row.per_query["accuracy"][item] for item in task.items] == [1.0] * 8 + [0.0]


def test_a_constant_embedder_gains_nothing_from_the_order_of_the_classes(task):
    row = evaluate_embedder(task, Cloud(constant=True), seed=13)
    for metric in ("accuracy", "centroid_accuracy"):
        assert set(row.per_query[metric].values()) == {0.0}


def test_a_row_says_what_made_it_and_two_are_equal(task):
    row, again = (evaluate_embedder(task, load_embedder("hash"), seed=13) for _ in range(2))
    assert row.per_query == again.per_query
    assert row.provenance == again.provenance
    assert (row.task, row.family, row.embedder, row.retriever, row.chunker) == (
        "t",
        "classification",
        "hash",
        None,
        None,
    )
    assert (row.run, row.task_digest) == ({}, task.digest)
    assert row.cost["bytes_per_vector"] == 2048
    assert row.cost["query_ms_p50"] > 0
    assert row.provenance["protocol"]["samples_per_label"] == 8
    told = evaluate_embedder(task, load_embedder("hash"), seed=13, cost={"usd": 2.0}, provenance={"host": "h"})
    assert (told.cost["usd"], told.provenance["host"]) == (2.0, "h")


def test_words_alone_have_a_row(task):
    row = evaluate_words(task, seed=13)
    assert (row.label, row.embedder) == ("lexical", None)
    assert set(row.per_query) == {"accuracy", "centroid_accuracy"}
    assert np.mean(list(row.per_query["accuracy"].values())) == 1.0  # each text names its label


def test_words_of_scripts_without_spaces_count(tmp_path):
    train = [("水果很甜", "food"), ("苹果好吃", "food"), ("汽车很快", "cars"), ("卡车很大", "cars")]
    test = [("甜苹果", "food"), ("大汽车", "cars")]
    row = evaluate_words(load_task(write_labelled(tmp_path / "t", train, test)), seed=13)
    assert list(row.per_query["accuracy"].values()) == [1.0, 1.0]


def test_which_side_texts_are_embedded_on():
    sides = {name: embeds_as_queries(spec) for name, spec in table_specs().items()}
    assert sides["minilm"]
    assert sides["e5-base-v2"]
    assert not sides["bge-base-en-v1-5"]
    assert not sides["qwen3-embedding-600m"]
    assert find_spec("e5-base-v2").query_prefix == "query: "


@pytest.mark.shared
def test_banking77_under_minilm_gives_the_published_accuracy():
    folder = SHARED / "data/classification/banking77"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    task = load_task(folder)
    row = evaluate_embedder(task, load_embedder("minilm"), seed=13)
    assert np.mean(list(row.per_query["accuracy"].values())) == pytest.approx(0.8004, abs=0.01)
