"""What the evaluation prepares by itself: the indexes of a task's documents, and what it cannot find."""

import json

import pytest

from eval.tasks.retrieval import load_retrieval_task
from rag.errors import RagError, UsageError
from rag.library import Library
from rag.settings import read_settings
from ui.evaluating import Evaluation, corpus_of

DOCUMENTS = {"d1": "herons fish at dawn", "d2": "owls hunt by night", "d3": "swifts sleep in flight"}


@pytest.fixture
def task_folder(tmp_path):
    folder = tmp_path / "birds"
    (folder / "qrels").mkdir(parents=True)
    records = [{"_id": key, "title": "", "text": text} for key, text in DOCUMENTS.items()]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    queries = [{"_id": "q1", "text": "who hunts by night"}, {"_id": "q2", "text": "asleep in flight"}]
    (folder / "queries.jsonl").write_text("".join(json.dumps(query) + "\n" for query in queries))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td2\t1\nq2\td3\t1\nq2\tlost\t1\n")
    return folder


@pytest.fixture
def evaluation(tmp_path):
    settings = read_settings(tmp_path / "home")
    library = Library(settings.home, create=True)
    said = []
    yield Evaluation(library, settings, said.append), library, said
    library.close()


def test_words_alone_need_no_model(evaluation, task_folder):
    evaluate, library, _ = evaluation
    [row] = evaluate.rows(load_retrieval_task(task_folder), [], ["lexical"], with_ragas=False)
    assert (row.embedder, row.retriever) == (None, "lexical")
    assert [card.embedder for card in library.cards.all()] == ["hash"]


def test_documents_are_indexed_once_and_again_only_for_a_new_embedder(evaluation, task_folder):
    evaluate, _, said = evaluation
    task = load_retrieval_task(task_folder)
    for embedders, indexed in ((["hash"], True), (["hash"], False), (["hash", "wordllama"], True)):
        said.clear()
        evaluate.rows(task, embedders, ["dense"], with_ragas=False)
        assert any("indexing its documents" in line for line in said) is indexed


def test_a_judged_document_that_the_corpus_lacks_is_told_and_costs_recall(evaluation, task_folder):
    evaluate, _, said = evaluation
    [row] = evaluate.rows(load_retrieval_task(task_folder), ["hash"], ["dense"])
    assert any("1 judged documents are not in the corpus, such as 'lost'" in line for line in said)
    assert row.per_query["R@100"] == {"q1": 1.0, "q2": 0.5}
    assert row.context["ragas.IDBasedContextRecall@10"].per_query == {"q1": 1.0, "q2": 0.5}


def test_chroma_is_measured_against_exact_search(evaluation, task_folder):
    evaluate, _, _ = evaluation
    [row] = evaluate.rows(load_retrieval_task(task_folder), ["hash"], ["dense"], with_ragas=False)
    assert row.cost["ann_recall@10"] == 1.0


def test_equal_documents_share_a_corpus_and_others_do_not(task_folder):
    first = corpus_of(task_folder)
    assert first.startswith("birds-")
    (task_folder / "queries.jsonl").write_text("")
    assert corpus_of(task_folder) == first
    (task_folder / "corpus.jsonl").write_text('{"_id": "d1", "text": "other"}\n')
    assert corpus_of(task_folder) != first


def test_a_task_over_a_corpus_that_is_not_there_says_how_to_make_it(evaluation, task_folder):
    evaluate, library, _ = evaluation
    (task_folder / "corpus.jsonl").unlink()
    (task_folder / "task.toml").write_text('family = "retrieval"\ncorpus = "aviary"\n')
    task = load_retrieval_task(task_folder)
    with pytest.raises(UsageError, match=r"No corpus 'aviary'.*to make it: rag ingest PATH --corpus aviary"):
        evaluate.rows(task, ["hash"], ["dense"])
    library.add_corpus("aviary")
    (task_folder.parent / "documents").mkdir()
    with pytest.raises(RagError, match=r"rag ingest .*/documents --corpus aviary --chunker heading"):
        evaluate.rows(task, ["hash"], ["dense"], chunker="heading")
