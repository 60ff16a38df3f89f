"""Anomaly detection: distances to the nearest normal texts, held against scikit-learn called directly."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.metrics.pairwise import cosine_distances

from eval.embedding_runner import evaluate_embedder, evaluate_words
from eval.tasks.anomaly import NEIGHBOURS
from eval.tasks.registry import load_task
from labelled_folders import Cloud, clouds, write_labelled


def auroc(row, task):
    return roc_auc_score(list(task.gold.values()), [row.per_query["auroc"][item] for item in task.items])


@pytest.fixture
def task(tmp_path):
    train = [*clouds(["ham"], 30), *clouds(["spam"], 10, seed=3)]
    test = [*clouds(["ham"], 20, seed=8), *clouds(["spam"], 10, seed=9)]
    return load_task(write_labelled(tmp_path / "t", train, test), family="anomaly")


def test_an_item_s_score_is_its_mean_distance_to_the_nearest_normal_texts(task):
    embedder = Cloud(spread=1.5)
    row = evaluate_embedder(task, embedder, seed=13)
    normal = embedder.embed_queries([each.text for each in task.train.values() if each.label == "ham"])
    distances = np.sort(cosine_distances(embedder.embed_queries(list(task.items.values())), normal), axis=1)
    expected = distances[:, :NEIGHBOURS].mean(axis=1)
    assert list(row.per_query["auroc"].values()) == pytest.approx(expected.tolist(), abs=1e-6)
    assert 0.5 < auroc(row, task) < 1


def test_anomalies_are_not_learned_from(task, tmp_path):
    ham_alone = [(each.text, each.label) for each in task.train.values() if each.label == "ham"]
    test = [(each.text, each.label) for each in task.test.values()]
    other = load_task(write_labelled(tmp_path / "u", ham_alone, test), family="anomaly")
    rows = [evaluate_embedder(one, Cloud(), seed=13).per_query for one in (task, other)]
    assert rows[0] == rows[1]


def test_clear_anomalies_are_all_above_the_normal_texts(task):
    assert auroc(evaluate_embedder(task, Cloud(spread=0.1), seed=13), task) == 1
    assert auroc(evaluate_words(task, seed=13), task) == 1


def test_a_constant_embedder_tells_nothing(task):
    assert auroc(evaluate_embedder(task, Cloud(constant=True), seed=13), task) == pytest.approx(0.5)


def test_fewer_normal_texts_than_neighbours(tmp_path):
    folder = write_labelled(tmp_path / "t", clouds(["ham"], 3), [*clouds(["ham"], 2, seed=8), ("spam 1", "spam")])
    task = load_task(folder, family="anomaly")
    assert auroc(evaluate_embedder(task, Cloud(spread=0.1), seed=13), task) == 1
