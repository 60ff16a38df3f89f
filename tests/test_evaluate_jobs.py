"""The application's evaluations over a real library: one at a time, cancelled, resumed, beside other work."""

import io
import json
import shutil
import threading
import time
import zipfile

import pytest

from evaluation_tasks import labelled_task, retrieval_task, sts_task
from file_builders import write
from rag.errors import LibraryLockedError, UsageError
from rag.library import Library
from rag.lock import writer_lock
from rag.settings import read_settings
from ui.evaluate_jobs import FILE, EvaluationJobs, EvaluationOrder
from ui.evaluate_progress import CellState
from ui.evaluate_store import EvaluationStore
from ui.evaluate_tasks import TaskShelf, Wanted
from ui.evaluate_thaw import thaw
from ui.holding import Holding
from ui.jobs import IngestJobs, JobRunningError, Kind, Order, State

BROKEN = """
[embedders.broken]
provider = "sentence-transformers"
model = "/nowhere/at/all"
revision = ""
dimension = 8
max_tokens = 16
query_prefix = ""
passage_prefix = ""
usd_per_million_tokens = 0.0
languages = ["en"]
licence = "none"
source = "https://example.com/"
"""


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "rag.toml").write_text(f'embedder = "hash"\n{BROKEN}')
    return folder


@pytest.fixture
def holding(home):
    settings = read_settings(home)
    library = Library(settings.home, create=True)
    held = Holding(library, settings)
    yield held
    held.close()
    library.close()


@pytest.fixture
def shelf(holding):
    return TaskShelf(holding.library)


@pytest.fixture
def store(holding):
    return EvaluationStore(holding.library)


@pytest.fixture
def jobs(holding, shelf, store):
    running = EvaluationJobs(holding, shelf, store, local=True)
    yield running
    running.close()


@pytest.fixture
def birds(shelf, tmp_path):
    """A BEIR task of twelve queries, on the shelf."""
    return Wanted(shelf.add_folder(retrieval_task(tmp_path / "birds")), "retrieval", "test")


def order(*tasks, embedders=("hash",), retrievers=("dense", "lexical"), ragas=False, **more):
    return EvaluationOrder(tasks, tuple(embedders), tuple(retrievers), ragas=ragas, **more)


def ended(jobs, seconds=60):
    """Waits for the evaluation and returns it."""
    until = time.monotonic() + seconds
    while jobs.running:
        assert time.monotonic() < until, jobs.last.progress.view()
        time.sleep(0.02)
    return jobs.last


def states(job):
    return [cell.state for cell in job.progress.view().cells]


@pytest.fixture
def slow(monkeypatch):
    """Holds the scoring of every row up until it is released, or cancelled."""
    from ui.retrieval_scoring import RetrievalScorer

    gate, begun = threading.Event(), threading.Event()
    row = RetrievalScorer.row

    def held(self, *arguments):
        begun.set()
        while not gate.wait(0.02):
            self._host.check()
        return row(self, *arguments)

    monkeypatch.setattr(RetrievalScorer, "row", held)
    gate.begun = begun
    yield gate
    gate.set()


# --- one evaluation


def test_an_evaluation_is_seen_while_it_runs_and_kept_when_it_has_ended(jobs, store, birds):
    job = jobs.start(order(birds, embedders=("hash", "wordllama"), retrievers=("dense", "lexical", "hybrid")))
    assert ended(jobs) is job and job.state is State.DONE, job.message
    view = job.progress.view()
    assert view.done == len(view.cells) == 5 and set(states(job)) == {CellState.DONE}
    assert all(cell.metric == "nDCG@10" and 0 < cell.value <= 1 for cell in view.cells)
    [saved] = store.all(local=True)
    assert (saved.id, saved.tasks, saved.rows) == (job.saved, ("birds",), 5)
    names = {path.name for path in saved.folder.iterdir()}
    assert {"results.json", "comparisons.json", "queries.json", "report.html", "runs"} <= names
    documents = store.open(saved.id, local=False)
    written = {
        (row["embedder"], row["retriever"]): row["metrics"]["nDCG@10"]["value"] for row in documents.results["rows"]
    }
    assert written == {(cell.embedder, cell.retriever): pytest.approx(cell.value) for cell in view.cells}
    assert [query["id"] for query in documents.queries["tasks"][0]["queries"]]


def test_what_is_read_back_is_what_was_found(jobs, store, birds, shelf, tmp_path):
    words = Wanted(shelf.add_folder(labelled_task(tmp_path / "trains")), "classification", "test")
    pairs = Wanted(shelf.add_folder(sts_task(tmp_path / "pairs")), "sts", "test")
    jobs.start(order(birds, words, pairs, embedders=("hash", "wordllama")))
    assert ended(jobs).state is State.DONE, jobs.last.message
    results = thaw(store.open(jobs.last.saved, local=False))
    assert [each.task.name for each in results.tasks] == ["birds", "trains", "pairs"]
    documents = store.open(jobs.last.saved, local=False)
    for each, compared in zip(results.tasks, documents.comparisons["tasks"], strict=True):
        assert len(each.compared.compared) == len(compared["pairs"])
        for pair, told in zip(each.compared.compared, compared["pairs"], strict=True):
            for name in ("difference", "p", "p_holm", "verdict", "wins", "needed"):
                assert getattr(pair, name) == told[name], name
        leader = each.rows[each.compared.ranking[0]]
        assert leader.embedder == compared["leader"]["embedder"]
    assert results.reversals is not None
    assert [each.name for each in results.reversals.tasks] == ["birds", "trains", "pairs"]


def test_the_same_folder_as_two_families_is_two_tasks(jobs, shelf, tmp_path):
    id_ = shelf.add_folder(labelled_task(tmp_path / "trains"))
    jobs.start(order(Wanted(id_, "classification", "test"), Wanted(id_, "clustering", "test")))
    assert ended(jobs).state is State.DONE, jobs.last.message
    assert jobs.last.tasks == ["trains.classification", "trains.clustering"]


def test_controls_rank_last(jobs, store, birds):
    jobs.start(order(birds, embedders=("hash",), retrievers=("dense",), controls=True))
    assert ended(jobs).state is State.DONE, jobs.last.message
    [task] = thaw(store.open(jobs.last.saved, local=False)).tasks
    ranked = [task.rows[at].embedder for at in task.compared.ranking]
    assert ranked[0] == "hash" and set(ranked[1:]) == {"constant", "random"}


# --- one at a time, cancelled, resumed


def test_a_second_evaluation_is_refused_while_one_runs(jobs, birds, slow):
    jobs.start(order(birds))
    with pytest.raises(JobRunningError, match="still running"):
        jobs.start(order(birds))
    slow.set()
    assert ended(jobs).state is State.DONE


def test_cancel_ends_it_within_seconds_and_what_was_scored_is_not_scored_again(jobs, store, birds, slow):
    job = jobs.start(order(birds, embedders=("hash", "wordllama")))
    slow.set()
    while job.progress.view().done < 1 and jobs.running:
        time.sleep(0.005)
    slow.clear()
    started = time.monotonic()
    jobs.stop()
    assert ended(jobs, 10).state is State.STOPPED and time.monotonic() - started < 5
    scored = states(job).count(CellState.DONE)
    assert 1 <= scored < len(states(job)) and store.all(local=True) == []
    slow.set()
    again = jobs.resume()
    assert ended(jobs) is again and again.state is State.DONE and again.order == job.order
    assert states(again).count(CellState.STORED) == scored
    assert len(store.all(local=True)) == 1


def test_what_a_killed_application_left_can_be_resumed(jobs, holding, shelf, store, birds):
    jobs.start(order(birds))
    assert ended(jobs).state is State.DONE
    assert not (holding.settings.home / FILE).exists()
    fields = {"tasks": [{"id": birds.id, "family": "retrieval", "split": "test"}], "embedders": ["hash"]}
    fields |= {"retrievers": ["dense", "lexical"], "chunkers": [], "controls": False, "ragas": False}
    (holding.settings.home / FILE).write_text(json.dumps(fields))
    next_one = EvaluationJobs(holding, shelf, store, local=True)
    assert next_one.last.state is State.INTERRUPTED and not next_one.running
    next_one.resume()
    assert ended(next_one).state is State.DONE
    assert set(states(next_one.last)) == {CellState.STORED}
    assert EvaluationJobs(holding, shelf, store, local=True).last is None


@pytest.mark.parametrize("text", ["", "[]", '{"tasks": 1}', '{"tasks": [{}]}', "\x00"])
def test_a_spoilt_note_of_an_evaluation_is_none(holding, shelf, store, text):
    (holding.settings.home / FILE).write_text(text)
    assert EvaluationJobs(holding, shelf, store, local=True).last is None


def test_closing_keeps_it_for_the_next_application(jobs, holding, shelf, store, birds, slow):
    jobs.start(order(birds))
    slow.begun.wait(30)
    jobs.close()
    assert jobs.last.state is State.STOPPED
    assert EvaluationJobs(holding, shelf, store, local=True).last.order == jobs.last.order


def test_what_names_nothing_known_is_refused_before_it_begins(jobs, birds):
    for wrong in (
        order(),
        order(birds, embedders=()),
        order(birds, embedders=("no-such",)),
        order(Wanted("folder//etc", "retrieval", "test")),
    ):
        with pytest.raises(UsageError):
            jobs.start(wrong)
    assert jobs.last is None


# --- what goes wrong


def test_an_embedder_that_fails_keeps_no_other_from_the_table(jobs, store, birds):
    jobs.start(order(birds, embedders=("broken", "hash")))
    assert ended(jobs).state is State.DONE, jobs.last.message
    failed = [cell for cell in jobs.last.progress.view().cells if cell.state is CellState.FAILED]
    assert [cell.embedder for cell in failed] == ["broken"] and "/nowhere/at/all" in failed[0].error
    [saved] = store.all(local=True)
    assert saved.rows == 2 and "/nowhere/at/all" in saved.notes[0]


def test_where_nothing_can_be_scored_it_says_why(jobs, store, birds):
    jobs.start(order(birds, embedders=("broken",), retrievers=("dense",)))
    assert ended(jobs).state is State.FAILED and "/nowhere/at/all" in jobs.last.message
    assert store.all(local=True) == []


def test_a_bug_is_told_in_one_line(jobs, birds, monkeypatch, caplog):
    monkeypatch.setattr("ui.evaluate_jobs.conclude", lambda *_: 1 / 0)
    jobs.start(order(birds))
    assert "Something broke inside: ZeroDivisionError" in ended(jobs).message
    assert "ZeroDivisionError" in caplog.text


# --- beside ingests, removals, questions and other processes


@pytest.fixture
def ingests(holding):
    running = IngestJobs(holding)
    yield running
    running.close()


def done(ingests):
    for _ in range(1500):
        if not ingests.running:
            return ingests.last
        time.sleep(0.02)
    raise AssertionError("The job does not end.")


def test_a_corpus_is_not_changed_while_it_is_evaluated(jobs, ingests, holding, birds, docs, slow):
    jobs.start(order(birds))
    slow.begun.wait(30)
    [corpus] = holding.library.corpora()
    with pytest.raises(JobRunningError, match="is being evaluated"):
        ingests.start(Order(Kind.INGEST, corpus, paths=(str(docs),), embedders=("hash",)))
    source = min(holding.library.sources(corpus))
    with pytest.raises(JobRunningError, match="is being evaluated"):
        ingests.start(Order(Kind.REMOVE, corpus, sources=(source,)))
    ingests.start(Order(Kind.INGEST, "other", paths=(str(docs),), embedders=("hash",)))  # which nobody evaluates
    assert done(ingests).state is State.DONE, ingests.last.message
    slow.set()
    assert ended(jobs).state is State.DONE, jobs.last.message
    ingests.start(Order(Kind.REMOVE, corpus, sources=(source,)))
    assert done(ingests).state is State.DONE and source not in holding.library.sources(corpus)


def test_an_evaluation_waits_for_an_ingest_and_neither_waits_for_ever(jobs, ingests, holding, birds, tmp_path):
    for number in range(150):
        write(tmp_path / "many", f"note{number}.txt", f"Note {number} speaks of {number * 7919 % 1000} and of no more.")
    ingests.start(Order(Kind.INGEST, "many", paths=(str(tmp_path / "many"),), embedders=("hash",)))
    jobs.start(order(birds))
    assert ended(jobs).state is State.DONE, jobs.last.message
    assert done(ingests).state is State.DONE, ingests.last.message
    assert len(holding.library.sources("many")) == 150


def test_cancel_ends_the_wait_for_an_ingest(jobs, holding, birds):
    with holding.writing("elsewhere", lambda: False):
        jobs.start(order(birds))
        while "indexing" not in jobs.last.progress.view().said and jobs.running:
            time.sleep(0.01)
        jobs.stop()
        assert ended(jobs, 10).state is State.STOPPED
    jobs.resume()
    assert ended(jobs).state is State.DONE


def test_questions_are_answered_while_an_evaluation_runs(jobs, ingests, holding, birds, docs, slow):
    ingests.start(Order(Kind.INGEST, "c", paths=(str(docs),), embedders=("hash",)))
    assert done(ingests).state is State.DONE
    jobs.start(order(birds))
    slow.begun.wait(30)
    hits = holding.reader.open(corpus="c", embedder="hash").retriever.retrieve("How long is the Nile?", 1)
    assert hits[0].source == "rivers.md"
    slow.set()
    assert ended(jobs).state is State.DONE


def test_what_is_indexed_is_evaluated_beside_another_writer(jobs, holding, birds):
    jobs.start(order(birds))
    assert ended(jobs).state is State.DONE
    holding.close()
    shutil.rmtree(holding.settings.home / "runs" / "cells")
    with writer_lock(holding.settings.home):
        holding.use = Holding(holding.library, holding.settings).use
        jobs.start(order(birds))
        assert ended(jobs).state is State.DONE, jobs.last.message
        assert holding.chroma is None
    with pytest.raises(LibraryLockedError), writer_lock(holding.settings.home), writer_lock(holding.settings.home):
        pass


# --- what is kept


def test_saved_evaluations_are_packed_and_deleted(jobs, store, birds):
    jobs.start(order(birds))
    id_ = ended(jobs).saved
    packed = store.packed(id_, local=False)
    names = zipfile.ZipFile(io.BytesIO(packed)).namelist()
    assert f"{id_}/results.json" in names and f"{id_}/report.html" in names
    assert any(name.endswith(".trec") for name in names)
    store.delete(id_, local=False)
    assert store.all(local=True) == []
    for wrong in (id_, "..", "../..", "", ".hidden", "folder//etc", "a/b"):
        with pytest.raises(UsageError):
            store.delete(wrong, local=True)


def test_a_folder_of_the_command_line_is_opened_with_its_queries(rag, store, home, holding, tmp_path, birds):
    out = tmp_path / "out"
    run = rag(
        "--home",
        home,
        "eval",
        tmp_path / "birds",
        "--embedder",
        "hash",
        "--retriever",
        "lexical",
        "--no-ragas",
        "--out",
        out,
    )
    assert run.status == 0, run.err
    id_ = store.add_folder(out)
    documents = store.open(id_, local=True)
    assert [each.id for each in store.all(local=True)] == [id_] and store.all(local=False) == []
    [task] = documents.queries["tasks"]
    assert task["of"] == 12 and task["queries"][0]["gold"]
    with pytest.raises(UsageError):
        store.open(id_, local=False)
    store.delete(id_, local=True)
    assert store.all(local=True) == [] and (out / "results.json").is_file()
    with pytest.raises(UsageError, match="holds no results"):
        store.add_folder(tmp_path)
