"""Clustering: the clusters are scikit-learn's, equal seeds give equal ones, silhouettes are taken where they exist."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score, v_measure_score

from eval.embedding_runner import evaluate_embedder, evaluate_words
from eval.tasks.clustering import find_clusters, score_clustering
from eval.tasks.registry import load_task
from labelled_folders import Cloud, clouds, write_labelled

LABELS = "abcd"


@pytest.fixture
def task(tmp_path):
    return load_task(write_labelled(tmp_path / "t", [("x", "a"), ("y", "b")], clouds(LABELS, 15)), family="clustering")


def test_scores_are_scikit_learn_s(task):
    embedder = Cloud(spread=0.9)
    row = evaluate_embedder(task, embedder, seed=13)
    vectors = embedder.embed_queries(list(task.items.values()))
    clusters = KMeans(len(LABELS), n_init=10, random_state=13).fit_predict(vectors)
    gold = list(task.gold.values())
    assert list(row.per_query["v_measure"].values()) == clusters.tolist()
    assert 0.2 < v_measure_score(gold, clusters) < 1
    for metric, grouping in (("silhouette", clusters), ("label_silhouette", gold)):
        values = list(row.per_query[metric].values())
        assert np.mean(values) == pytest.approx(silhouette_score(vectors, grouping, metric="cosine"), abs=1e-6)


def test_clear_clusters_are_found_whole(task):
    row = evaluate_embedder(task, Cloud(spread=0.05), seed=13)
    assert v_measure_score(list(task.gold.values()), list(row.per_query["v_measure"].values())) == pytest.approx(1)


def test_equal_seeds_give_equal_clusters():
    vectors = np.random.default_rng(1).standard_normal((3000, 16)).astype(np.float32)
    assert np.array_equal(find_clusters(vectors, 40, 13), find_clusters(vectors, 40, 13))


def test_a_constant_embedder_has_one_cluster_and_no_silhouette(task):
    row = evaluate_embedder(task, Cloud(constant=True), seed=13)
    assert set(row.per_query) == {"v_measure", "label_silhouette"}
    assert set(row.per_query["v_measure"].values()) == {0.0}


def test_big_sets_have_silhouettes_of_a_seeded_sample(task, monkeypatch):
    monkeypatch.setattr("eval.tasks.clustering.MOST_FOR_SILHOUETTE", 20)
    first, again, other = (score_clustering(task, Cloud().embed_queries, seed) for seed in (13, 13, 14))
    assert len(first["silhouette"]) == len(first["label_silhouette"]) == 20
    assert set(first["silhouette"]) == set(again["silhouette"]) != set(other["silhouette"])
    assert set(first["v_measure"]) == set(task.items)


def test_words_alone_have_a_row(task):
    row = evaluate_words(task, seed=13)
    assert row.label == "lexical"
    assert len(row.per_query["v_measure"]) == len(task.items)
