"""Jobs over a real library: one at a time, stopped, resumed, and remembered when the application dies."""

import json
import sqlite3
import threading
import time

import pytest

from file_builders import write
from rag.errors import LibraryLockedError
from rag.library import Library
from rag.lock import writer_lock
from rag.settings import read_settings
from ui.holding import Holding
from ui.jobs import FILE, IngestJobs, JobRunningError, Kind, Order, State
from ui.uploads import upload_folder


@pytest.fixture
def holding(tmp_path):
    settings = read_settings(tmp_path / "home")
    library = Library(settings.home, create=True)
    held = Holding(library, settings)
    yield held
    held.close()
    library.close()


@pytest.fixture
def jobs(holding):
    running = IngestJobs(holding)
    yield running
    running.close()


def ended(jobs):
    """Waits for the job and returns it."""
    for _ in range(600):
        if not jobs.running:
            return jobs.last
        time.sleep(0.05)
    raise AssertionError("The job does not end.")


def order(folder, *embedders, corpus="c"):
    return Order(Kind.INGEST, corpus, paths=(str(folder),), embedders=embedders or ("hash",))


@pytest.fixture
def many(tmp_path):
    """A folder whose ingest says something many times."""
    folder = tmp_path / "many"
    for number in range(300):
        write(
            folder, f"note{number}.txt", f"Note {number} speaks of subject {number * 7919 % 1000} and of nothing else."
        )
    return folder


def test_an_ingest_is_seen_while_it_runs_and_when_it_has_ended(jobs, docs):
    write(docs, "empty.txt", "")
    job = jobs.start(order(docs))
    assert job is jobs.last
    assert ended(jobs) is job and job.state is State.DONE, job.message
    reading = job.meter.snapshot()
    assert (reading.counts["done"], reading.counts["skipped"]) == (3, 1)
    assert reading.items == reading.items_expected == 4
    assert reading.embedders["hash"].done == reading.embedders["hash"].expected > 0
    assert [outcome.source for outcome in reading.problems] == ["empty.txt"]
    assert job.report.counts()["done"] == 3


def test_a_second_job_is_refused_while_one_runs(jobs, many):
    jobs.start(order(many))
    with pytest.raises(JobRunningError, match="ingest of 'c' is still running"):
        jobs.start(order(many, corpus="other"))
    ended(jobs)
    jobs.start(order(many, corpus="other"))
    assert ended(jobs).state is State.DONE


def test_a_stopped_job_is_resumed_and_nothing_is_done_twice(jobs, holding, many):
    job = jobs.start(order(many))
    job.meter.stop()
    assert ended(jobs).state is State.STOPPED
    kept = len(holding.library.sources("c"))
    again = jobs.resume()
    assert ended(jobs) is again and again.state is State.DONE and again.order == job.order
    counts = again.meter.snapshot().counts
    assert counts["unchanged"] == kept and counts["unchanged"] + counts["done"] == 300
    assert len(holding.library.sources("c")) == 300


def test_an_error_is_told_and_the_next_job_works(jobs, docs):
    jobs.start(order(docs / "nowhere"))
    assert ended(jobs).state is State.FAILED and "nowhere" in jobs.last.message
    jobs.start(order(docs, "no-such-embedder"))
    assert ended(jobs).state is State.FAILED and "No embedder 'no-such-embedder'" in jobs.last.message
    jobs.start(order(docs))
    assert ended(jobs).state is State.DONE


def test_a_bug_is_told_in_one_line(jobs, docs, monkeypatch, caplog):
    monkeypatch.setattr("ui.jobs.ingest_paths", lambda *_: 1 / 0)
    jobs.start(order(docs))
    assert "Something broke inside: ZeroDivisionError" in ended(jobs).message
    assert "ZeroDivisionError" in caplog.text


def test_a_full_disk_is_told_as_in_the_terminal(jobs, docs, monkeypatch, caplog):
    def fill(*_):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("ui.jobs.ingest_paths", fill)
    jobs.start(order(docs))
    assert "could not be read or written: database or disk is full. Is the disk full" in ended(jobs).message
    assert "OperationalError" in caplog.text


def test_backfill_embeds_what_another_embedder_lacks(jobs, holding, docs):
    jobs.start(order(docs))
    ended(jobs)
    jobs.start(Order(Kind.BACKFILL, "c", embedders=("wordllama",)))
    assert ended(jobs).state is State.DONE, jobs.last.message
    cards = {card.embedder: (card.documents, card.chunks) for card in holding.library.cards.all("c")}
    assert cards["wordllama"] == cards["hash"] and cards["hash"][0] == 3


def test_removal_takes_the_uploaded_copy_and_its_empty_folder(jobs, holding):
    folder = upload_folder(holding.settings.home, "c")
    write(folder, "deep/er/tea.txt", "Green tea is brewed at eighty degrees.")
    write(folder, "bread.txt", "Sourdough rests overnight.")
    jobs.start(order(folder))
    ended(jobs)
    jobs.start(Order(Kind.REMOVE, "c", sources=("deep/er/tea.txt",)))
    assert ended(jobs).state is State.DONE, jobs.last.message
    assert sorted(holding.library.sources("c")) == ["bread.txt"]
    assert [path.name for path in folder.iterdir()] == ["bread.txt"]


def test_what_a_killed_application_left_can_be_resumed(jobs, holding, docs):
    jobs.start(order(docs))
    ended(jobs)
    assert not (holding.settings.home / FILE).exists()
    written = {
        "kind": "ingest",
        "corpus": "c",
        "paths": [str(docs)],
        "embedders": ["hash"],
        "chunker": None,
        "sources": [],
    }
    (holding.settings.home / FILE).write_text(json.dumps(written))
    next_one = IngestJobs(holding)
    assert next_one.last.state is State.INTERRUPTED and not next_one.running
    next_one.resume()
    assert ended(next_one).state is State.DONE
    assert next_one.last.meter.snapshot().counts["unchanged"] == 3
    assert IngestJobs(holding).last is None


@pytest.mark.parametrize("text", ["", "[]", '{"kind": "ingest"}', '{"kind": "nonsense", "corpus": "c"}', "\x00"])
def test_a_spoilt_note_of_a_job_is_no_job(holding, text):
    (holding.settings.home / FILE).write_text(text)
    assert IngestJobs(holding).last is None


def test_closing_stops_the_job_but_keeps_it_for_the_next_application(jobs, holding, many):
    jobs.start(order(many))
    jobs.close()
    assert not jobs.running
    if jobs.last.state is State.STOPPED:  # and not already through
        assert IngestJobs(holding).last.order == jobs.last.order


def test_the_lock_is_taken_by_the_first_job_and_kept(jobs, holding, docs):
    home = holding.settings.home
    with writer_lock(home):  # nothing is held yet
        pass
    jobs.start(order(docs))
    assert ended(jobs).state is State.DONE
    assert holding.reader.chroma is holding.chroma is not None
    with pytest.raises(LibraryLockedError), writer_lock(home):
        pass
    holding.close()
    with writer_lock(home):
        pass


def test_a_job_beside_another_writer_fails_with_its_name(jobs, holding, docs):
    with writer_lock(holding.settings.home):
        jobs.start(order(docs))
        job = ended(jobs)
    assert job.state is State.FAILED and "is being written by process" in job.message
    jobs.resume()
    assert ended(jobs).state is State.DONE


def test_questions_are_answered_while_a_job_runs(jobs, holding, docs, many):
    jobs.start(order(docs))
    ended(jobs)
    job = jobs.start(order(many, corpus="big"))
    hits = holding.reader.open(corpus="c", embedder="hash").retriever.retrieve("How long is the Nile?", 1)
    assert hits[0].source == "rivers.md"
    assert ended(jobs) is job


def test_starting_from_many_threads_starts_one(jobs, docs):
    refused = []

    def start():
        try:
            jobs.start(order(docs))
        except JobRunningError:
            refused.append(1)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ended(jobs).number == 8 - len(refused)
