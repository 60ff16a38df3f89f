"""Families that retrieve nothing, as the faces evaluate them: one row an embedder, one of words, vectors kept."""

from dataclasses import replace

import pytest

from eval.tasks.registry import load_task
from labelled_folders import clouds, write_labelled, write_lines
from rag.embedders import registry
from rag.library import Library
from rag.settings import read_settings
from recording import Recording
from ui.evaluating import Evaluation


@pytest.fixture
def library(tmp_path):
    library = Library(tmp_path / "home", create=True)
    yield library
    library.close()


@pytest.fixture
def evaluate(library):
    """Evaluates a task anew, whatever rows are stored, and returns the rows and what was said."""

    def run(task, embedders=("hash",), retrievers=()):
        said = []
        evaluation = Evaluation(library, read_settings(library.home), said.append, fresh=True)
        return evaluation.rows(task, list(embedders), list(retrievers)), said

    return run


@pytest.fixture
def labelled(tmp_path):
    train = [*clouds("ab", 12), ("a shared", "a")]
    return write_labelled(tmp_path / "letters", train, [*clouds("ab", 8, seed=5), ("a shared", "a")])


@pytest.fixture
def recording(monkeypatch):
    """Takes the place of the loaded bag of words."""
    embedder = Recording()
    registry.load_embedder("hash")  # what the recording one asks
    real = registry._loaded[embedder.spec]
    monkeypatch.setattr("recording.load_embedder", lambda name: real)
    monkeypatch.setitem(registry._loaded, embedder.spec, embedder)
    return embedder


@pytest.mark.parametrize("family", ["classification", "clustering", "anomaly"])
def test_there_is_a_row_for_each_embedder_and_one_for_words(evaluate, labelled, family):
    rows, said = evaluate(load_task(labelled, family=family), ["hash", "wordllama"])
    assert [(row.embedder, row.retriever, row.chunker) for row in rows] == [
        ("hash", None, None),
        ("wordllama", None, None),
        (None, "lexical", None),
    ]
    assert said.count("letters: 1 of 17 scored texts are also in train.jsonl") == 1


def test_pairs_of_sentences(evaluate, tmp_path):
    pairs = [{"sentence1": "a b", "sentence2": text, "score": score} for text, score in (("a b", 5), ("c", 0))]
    write_lines(tmp_path / "pairs" / "test.jsonl", pairs)
    [row] = evaluate(load_task(tmp_path / "pairs"), retrievers=["dense"])[0]
    assert (row.family, row.label) == ("sts", "hash")
    assert row.per_query["cosine_spearman"]["1"] > row.per_query["cosine_spearman"]["2"]


def test_vectors_are_computed_once_for_all_families(evaluate, labelled, recording):
    def embedded(family):
        recording.asked.clear()
        rows, _ = evaluate(load_task(labelled, family=family), retrievers=["dense"])
        return rows, set(recording.asked)

    first, texts = embedded("classification")
    again, timed = embedded("classification")
    assert len(texts) > len(timed) == 17  # only those that are embedded alone, to be timed
    clusters, of_clusters = embedded("clustering")
    assert of_clusters == timed
    assert first[0].per_query == again[0].per_query
    assert replace(first[0], cost={}) == replace(again[0], cost={})
    assert first[0].cost["embed_seconds"] == again[0].cost["embed_seconds"] > 0
    assert clusters[0].cost["usd"] == 0
