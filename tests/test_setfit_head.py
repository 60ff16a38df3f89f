"""SetFit: trains on the first of the probe's draws, gives equal scores twice, and says of others why they cannot."""

import importlib.util

import pytest

from eval.embedding_runner import evaluate_embedder
from eval.setfit_head import score_setfit, why_not_tunable
from eval.tasks.registry import load_task
from labelled_folders import write_labelled
from rag.embedders.registry import find_spec, load_embedder
from rag.errors import MissingDependencyError

TRAIN = [
    ("the bread rose in the oven", "food"),
    ("a spoon of sugar in the tea", "food"),
    ("soup with onions", "food"),
    ("the rocket left the launch pad", "space"),
    ("saturn has many moons", "space"),
    ("a comet passed the sun", "space"),
]
TEST = [("butter on toast", "food"), ("an orbit around mars", "space")]


@pytest.fixture
def task(tmp_path):
    return load_task(write_labelled(tmp_path / "t", TRAIN, TEST))


def test_only_local_models_with_whole_weights_can_be_tuned():
    assert why_not_tunable(find_spec("minilm")) == ""
    assert "no local sentence-transformers model" in why_not_tunable(find_spec("wordllama"))
    assert "8-bit" in why_not_tunable(find_spec("minilm-int8"))


def test_an_embedder_that_cannot_be_tuned_says_so_in_its_row(task):
    row = evaluate_embedder(task, load_embedder("hash"), seed=13, setfit=True)
    assert "setfit_accuracy" not in row.per_query
    assert row.provenance["setfit"].startswith("not tuned: hash")


def test_without_the_package_the_extra_is_named(task, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"\.\[setfit\]"):
        score_setfit(task, find_spec("minilm"), 13)


def test_a_tuned_model_classifies_and_prints_nothing(task, monkeypatch, capfd):
    pytest.importorskip("setfit")
    monkeypatch.setattr("eval.setfit_head.PAIRS_PER_TEXT", 4)
    first, again = (score_setfit(task, find_spec("minilm"), 13) for _ in range(2))
    assert first == again == {"1": 1.0, "2": 1.0}
    assert capfd.readouterr().out == ""
