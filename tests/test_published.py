import csv
from pathlib import Path

import pytest
from scipy.stats import kendalltau

from eval.measures import MAIN_METRICS
from eval.published import BM25, beside_published, figures, models_of, published_ranks
from eval.results import conclude
from evaluated import MINILM, SEED, WORDLLAMA, all_families, classification_evaluated, retrieval_evaluated
from rag.settings import read_settings

SHARED = Path(__file__).parents[2] / "shared" / "data" / "published_figures.csv"


def test_every_figure_is_a_main_metric_of_a_model_of_the_tables(tmp_path):
    with (Path(__file__).parents[1] / "eval" / "published.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    known = {spec.model for spec in read_settings(tmp_path).embedders.values()} | {BM25}
    for line in lines:
        assert line["model"] in known, line
        assert line["metric"] == MAIN_METRICS[line["family"]]
        assert 0 < float(line["value_x100"]) < 100
        assert line["source"] and line["origin"]
    keys = [(line["model"], line["task"]) for line in lines]
    assert len(keys) == len(set(keys))


def test_figures_that_must_not_be_compared_are_left_out():
    there = {(figure.model, figure.task) for figure in figures()}
    assert ("sentence-transformers/all-mpnet-base-v2", "STS22") not in there  # a broken submission
    assert ("sentence-transformers/all-mpnet-base-v2", "STS17") in there
    assert not any("voyage" in model for model, _ in there)  # averages of 2 of 12 forums


@pytest.mark.shared
def test_figures_equal_those_that_were_collected():
    if not SHARED.exists():
        pytest.skip("the collected figures are not beside the checkout")
    with SHARED.open(newline="") as file:
        main = [line for line in csv.DictReader(file) if line["metric"] == MAIN_METRICS.get(line["family"])]
    collected = {(line["model"], line["task"]): float(line["value_x100"]) / 100 for line in main}
    ours = {(figure.model, figure.task): figure.value for figure in figures()}
    for task in ("SciFact", "STSBenchmark", "Banking77", "FiQA2018"):
        assert ours[MINILM, task] == pytest.approx(collected["all-MiniLM-L6-v2", task])
    assert ours["intfloat/e5-large-v2", "SCIDOCS"] == pytest.approx(collected["e5-large-v2", "SCIDOCS"])


def test_means_are_taken_over_the_tasks_that_all_have():
    found = published_ranks(
        {"a": MINILM, "b": "BAAI/bge-small-en-v1.5", "c": "minishlab/potion-retrieval-32M"}, "retrieval"
    )
    table = {(figure.model, figure.task): figure.value for figure in figures()}
    assert set(found.tasks) == {"ArguAna", "FiQA2018", "SCIDOCS", "TRECCOVID"}
    assert [each.embedder for each in found.ranks] == ["b", "a", "c"]
    mean = sum(table[MINILM, task] for task in found.tasks) / 4
    assert next(each for each in found.ranks if each.embedder == "a").value == pytest.approx(mean)
    assert [each.rank for each in found.ranks] == [1, 2, 3]


def test_an_embedder_is_matched_by_its_model_never_by_its_name():
    found = published_ranks({"all-MiniLM-L6-v2": "bag-of-words", "x": MINILM}, "sts")
    assert found.ranks == () and found.unknown == ("all-MiniLM-L6-v2", "x")


def test_an_average_counts_only_where_no_single_task_is_in_common():
    with_word_llama = published_ranks({"minilm": MINILM, "wordllama": WORDLLAMA}, "classification")
    assert len(with_word_llama.tasks) == 1 and "average" in with_word_llama.tasks[0]
    assert [round(each.value, 4) for each in with_word_llama.ranks] == [0.6305, 0.5821]
    alone = published_ranks({"minilm": MINILM, "potion": "minishlab/potion-base-8M"}, "classification")
    assert len(alone.tasks) == 12 and not any("average" in task for task in alone.tasks)


def test_who_has_too_little_is_left_out_and_named():
    models = {"minilm": MINILM, "large": "text-embedding-3-large", "wordllama": WORDLLAMA}
    found = published_ranks(models, "sts")
    assert found.unknown == ("wordllama",)  # only an average, which the vendor's model has not
    assert len(found.tasks) > 5
    assert found.sources == ("embeddings-benchmark/results@f4cc6c8",)


def test_the_order_on_your_data_stands_beside_the_published_one():
    [beside] = beside_published(conclude([retrieval_evaluated()], SEED))
    theirs = dict(zip(beside.embedders, beside.published_values, strict=True))
    assert theirs == {"minilm": 0.4132, "lexical": 0.3186, "wordllama": 0.2412}
    expected = kendalltau(beside.your_values, beside.published_values).statistic
    assert beside.tau == pytest.approx(expected)
    assert "says the same" in beside.sentence


def test_a_differing_order_is_said():
    [beside] = beside_published(conclude([classification_evaluated()], SEED))
    assert beside.embedders == ("hash", "wordllama", "minilm")
    assert beside.published_ranks == (None, 2, 1)
    assert beside.your_ranks == (None, 1, 2)
    assert beside.published.unknown == ("hash",)
    assert beside.tau is None  # two embedders have no tau worth a name
    assert beside.sentence.endswith("put minilm before wordllama; moods says wordllama before minilm.")


def test_families_without_published_figures_say_nothing():
    assert "anomaly" not in {beside.family for beside in beside_published(all_families())}


def test_quantised_weights_are_another_model():
    task, rows = retrieval_evaluated()
    facts = rows[0].provenance["index"] | {"precision": "int8"}
    rows[0].provenance["index"].update(facts)
    assert models_of(conclude([(task, rows[:1])], SEED))["minilm"] == ""
