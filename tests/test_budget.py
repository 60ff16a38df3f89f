"""The money of a run: it is never more than the budget, never forgotten, and nothing is paid twice."""

import json
import sqlite3
import subprocess
import sys
import time
from collections import Counter

import pytest

from file_builders import write
from ingest.budget import Budget
from ingest.pipeline import Ingest
from ingest.report import EndedEarlyError
from paid import USD_PER_TOKEN, Billed, Paid, write_entry
from rag.cards import CANARY, IndexCard
from rag.database import MIGRATIONS, Database
from rag.embedders import registry
from rag.library import Library
from rag.settings import Settings
from wire_server import Fault, WireServer, always, tokens

SENT = "passage: "


@pytest.fixture
def server():
    with WireServer() as server:
        yield server


@pytest.fixture
def notes(tmp_path):
    """Forty documents of one passage each."""
    for number in range(40):
        write(tmp_path / "notes", f"note-{number:02}.txt", f"This is note number {number} of a long series of notes.")
    return tmp_path / "notes"


@pytest.fixture
def paying(tmp_path, monkeypatch):
    """Runs the pipeline under an embedder that costs money; returns the library and the report, however it ended."""
    libraries = []

    def run(embedder, folder, budget=0.0, settings_budget=0.0):
        monkeypatch.setitem(registry._loaded, embedder.spec, embedder)
        settings = Settings(tmp_path / "home", {"paid": embedder.spec}, budget_usd=settings_budget)
        library = Library(tmp_path / "home", create=True)
        libraries.append(library)
        ingest = Ingest(library, settings, "c", ["paid"], "heading", budget=Budget(budget) if budget else None)
        return library, ingest.run([folder])

    yield run
    for library in libraries:
        library.close()


def shown(done):
    """Returns what `--json` says of the only index."""
    (index,) = json.loads(done.out)["indexes"]
    return index


# --- the budget


def test_a_run_ends_within_its_budget_and_the_next_one_goes_on(rag, server, notes, tmp_path):
    home = tmp_path / "home"
    write_entry(home, server.url)
    command = ("--home", home, "ingest", notes, "--embedder", "wire", "--json")
    whole = json.loads(rag(*command, "--dry-run").out)["indexes"][0]["usd"]

    budget = whole / 2
    done = rag(*command, "--budget", budget)
    assert done.status == 1
    (line,) = [line for line in done.err.splitlines() if line.startswith("rag:")]
    for part in ("spent", "left", "passages are missing", "Raise --budget", "nothing is paid twice"):
        assert part in line
    first = shown(done)
    assert 0.8 * budget < first["spent"] == first["usd"] <= budget
    assert first["embedded"] > 10

    done = rag(*command, "--budget", budget * 1.2)
    assert done.status == 0, done.err
    second = shown(done)
    assert second["chunks"] == 40
    assert first["embedded"] + second["embedded"] == 40
    assert second["usd"] == pytest.approx(first["spent"] + second["spent"])
    assert max(Counter(text for text in server.texts if text != SENT + CANARY).values()) == 1
    assert second["usd"] == pytest.approx(
        USD_PER_TOKEN * sum(tokens(text) for text in server.texts if text.startswith(SENT))
    )
    found = rag("--home", home, "search", "note number 7", "--embedder", "wire", "--retriever", "dense", "--json")
    assert json.loads(found.out)["hits"]


def test_a_budget_that_is_enough_is_not_noticed(rag, server, notes, tmp_path):
    write_entry(tmp_path / "home", server.url)
    command = ("--home", tmp_path / "home", "ingest", notes, "--embedder", "wire", "--json")
    whole = json.loads(rag(*command, "--dry-run").out)["indexes"][0]["usd"]
    done = rag(*command, "--budget", whole)
    assert done.status == 0, done.err
    assert shown(done)["spent"] == pytest.approx(whole)


def test_not_even_the_canary_is_sent_where_it_is_too_dear(rag, server, notes, tmp_path):
    write_entry(tmp_path / "home", server.url, settings="budget_usd = 0.001\n")
    done = rag("--home", tmp_path / "home", "ingest", notes, "--embedder", "wire")
    assert (done.status, server.requests) == (1, [])
    assert "budget of $0.0010" in done.err


def test_the_option_comes_before_the_settings(paying, notes):
    with pytest.raises(EndedEarlyError):
        paying(Paid(), notes, settings_budget=40.0)
    library, report = paying(Paid(), notes, budget=1000.0, settings_budget=40.0)
    assert report.counts()["done"] == 40
    assert library.cards.all("c")[0].usd > 400


def test_what_a_run_that_ended_early_has_committed_is_found(paying, notes, monkeypatch):
    monkeypatch.setattr("ingest.writing.GROUP_DOCUMENTS", 5)
    embedder = Paid()
    with pytest.raises(EndedEarlyError, match="does not reach further") as ended:
        paying(embedder, notes, budget=200.0)
    report = ended.value.report
    (card,) = report.cards
    assert report.counts()["done"] == card.documents == card.chunks > 5
    assert 150 < card.usd == report.spent_for[card.chunker, card.fingerprint] <= 200
    again = Paid()
    library, report = paying(again, notes)
    assert report.counts() == {
        "done": 40 - card.documents,
        "unchanged": card.documents,
        "skipped": 0,
        "failed": 0,
        "deleted": 0,
    }
    assert sorted(embedder.passages + again.passages) == sorted({*embedder.passages, *again.passages})
    assert library.cards.all("c")[0].noise


def test_embedders_that_cost_nothing_know_no_budget(rag, docs, tmp_path):
    done = rag("--home", tmp_path / "home", "ingest", docs, "--embedder", "hash", "--budget", "0.000001", "--json")
    assert done.status == 0
    assert (shown(done)["usd"], shown(done)["spent"]) == (0.0, 0.0)


def test_a_budget_needs_prices(rag, server, docs, tmp_path):
    write_entry(tmp_path / "home", server.url, usd=0.0)
    path = tmp_path / "home" / "rag.toml"
    path.write_text(path.read_text() + 'unconfirmed = ["usd_per_million_tokens"]\n')
    done = rag("--home", tmp_path / "home", "ingest", docs, "--embedder", "wire", "--budget", "1")
    assert (done.status, server.requests) == (2, [])
    assert "What 'wire' costs is not known" in done.err
    write_entry(tmp_path / "home", server.url)
    command = ("ingest", docs, "--embedder", "hash", "--chunker", "semantic-wire", "--budget", "1")
    done = rag("--home", tmp_path / "home", *command)
    assert (done.status, server.requests) == (2, [])
    assert "pays 'wire' for every sentence" in done.err


def test_a_budget_must_be_some_money(rag, docs, tmp_path):
    assert rag("--home", tmp_path / "home", "ingest", docs, "--budget", "0").status == 2
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "rag.toml").write_text("budget_usd = -1.0")
    assert rag("--home", tmp_path / "home", "ingest", docs).status == 2
    assert rag("--home", tmp_path / "other", "ingest", docs, "--budget", "1", "--watch").status == 2


# --- the account


def test_the_vendors_own_count_is_what_is_paid(paying, notes):
    embedder = Billed()
    library, report = paying(embedder, notes)
    (card,) = library.cards.all("c")
    words = sum(embedder.count_tokens([*embedder.passages, CANARY]))
    assert card.usd == 2 * words == report.spent_for[card.chunker, card.fingerprint]  # queries are not in it


@pytest.mark.parametrize("kind", [Paid, Billed])
def test_a_run_that_is_broken_off_has_not_forgotten_what_it_paid(paying, notes, kind, monkeypatch):
    monkeypatch.setattr("ingest.targets.FIRST_SLICE", 8)
    monkeypatch.setattr("ingest.targets.LARGEST_SLICE", 8)
    embedder = kind(fail_after=20)
    with pytest.raises(KeyboardInterrupt):
        paying(embedder, notes)
    library = Library(notes.parent / "home")
    (card,) = library.cards.all("c")
    paid = sum(embedder.count_tokens([*embedder.passages, CANARY]))
    assert (card.embedded, card.documents) == (16, 0)
    if kind is Paid:
        assert card.usd == paid
    else:
        assert card.usd > 2 * paid  # the vendor has counted the slice that was lost, too
    library.close()
    rest = kind()
    library, _ = paying(rest, notes)
    assert set(rest.passages).isdisjoint(embedder.passages)
    assert library.cards.all("c")[0].usd > card.usd


def test_a_killed_run_has_not_forgotten_what_it_paid(server, tmp_path):
    for number in range(150):
        write(tmp_path / "notes", f"note-{number:03}.txt", f"This is note number {number} of a long series of notes.")
    home, came = tmp_path / "home", []
    write_entry(home, server.url)

    def is_late(texts):
        came.extend(texts)
        return len(came) > 70

    server.fail(always(delay=60, when=is_late))
    command = [
        sys.executable,
        "-m",
        "ui.cli",
        "--home",
        str(home),
        "ingest",
        str(tmp_path / "notes"),
        "--embedder",
        "wire",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(came) <= 70:
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    library = Library(home)
    (card,) = library.cards.all()
    assert card.embedded == 64  # the first slice
    assert card.usd == pytest.approx(USD_PER_TOKEN * sum(map(tokens, server.answered)))
    library.close()


def test_what_older_cards_have_spent_is_carried_over(tmp_path, monkeypatch):
    with monkeypatch.context() as older:
        older.setattr("rag.database.MIGRATIONS", MIGRATIONS[:3])
        Database(tmp_path / "library.db").close()
    spec = Paid().spec
    card = {**_fields(IndexCard.blank("c", "heading", spec)), "embedded": 7, "seconds": 1.5, "usd": 0.25}
    with sqlite3.connect(tmp_path / "library.db") as connection:
        connection.execute("INSERT INTO corpora VALUES ('c', 0, '')")
        values = ("c", "heading", spec.fingerprint, json.dumps(card), b"")
        connection.execute("INSERT INTO index_cards VALUES (?, ?, ?, ?, ?)", values)
    connection.close()
    library = Library(tmp_path)
    (found,) = library.cards.all()
    assert (found.embedded, found.seconds, found.usd) == (7, 1.5, 0.25)
    library.close()


def _fields(card):
    return {name: getattr(card, name) for name in card.__slots__}


# --- vendors that refuse


def test_a_passage_that_a_vendor_refuses_costs_its_own_document_only(rag, server, notes, tmp_path):
    write(notes, "bad.txt", "A poisonous passage that no vendor takes.")
    write_entry(tmp_path / "home", server.url)
    refusal = {"error": {"message": "this input is not allowed"}}
    server.fail(always(status=400, body=refusal, when=lambda texts: any("poisonous" in text for text in texts)))
    command = ("--home", tmp_path / "home", "ingest", notes, "--embedder", "wire", "--json")
    done = rag(*command)
    assert done.status == 1
    printed = json.loads(done.out)
    assert printed["documents"] == {"done": 40, "unchanged": 0, "skipped": 0, "failed": 1, "deleted": 0}
    (line,) = [line for line in done.err.splitlines() if "bad.txt" in line]
    assert "A poisonous passage" in line
    assert "not allowed" in line

    done = rag(*command)  # still refused: nothing else is asked for
    assert (done.status, json.loads(done.out)["documents"]["unchanged"]) == (1, 40)
    server.faults.clear()
    done = rag(*command)
    assert (done.status, json.loads(done.out)["documents"]["done"]) == (0, 1)
    answered = Counter(text for text in server.answered if text.startswith(SENT) and CANARY not in text)
    assert len(answered) == 41
    assert set(answered.values()) == {1}


def test_a_vendor_that_takes_nothing_any_more_ends_the_run(rag, server, notes, tmp_path, monkeypatch):
    monkeypatch.setattr("ingest.writing.GROUP_DOCUMENTS", 10)
    write_entry(tmp_path / "home", server.url)
    refused = Fault(status=401, body={"error": {"message": "no such key"}}, times=99)
    seen = []

    def is_late(texts):
        seen.extend(texts)
        return len(seen) > 25

    refused.when = is_late
    server.fail(refused)
    command = ("--home", tmp_path / "home", "ingest", notes, "--embedder", "wire", "--json")
    done = rag(*command)
    assert done.status == 1
    assert [line for line in done.err.splitlines() if line.startswith("rag:")]
    printed = json.loads(done.out)
    assert printed["documents"]["failed"] == 0
    assert printed["documents"]["done"] == printed["indexes"][0]["chunks"] == 20
    server.faults.clear()
    done = rag(*command)
    assert (done.status, json.loads(done.out)["documents"]["done"]) == (0, 20)
    answered = Counter(text for text in server.answered if text.startswith(SENT) and CANARY not in text)
    assert set(answered.values()) == {1}


def test_a_key_that_is_refused_at_once_is_one_line(rag, server, docs, tmp_path):
    write_entry(tmp_path / "home", server.url)
    server.fail(always(status=401, body={"error": {"message": "no such key"}}))
    done = rag("--home", tmp_path / "home", "ingest", docs, "--embedder", "wire")
    assert done.status == 1
    assert len([line for line in done.err.splitlines() if line.startswith("rag:")]) == 1
    assert "failed" not in done.err


def test_calibration_that_is_refused_is_made_up_for_by_the_next_run(rag, server, docs, tmp_path):
    write_entry(tmp_path / "home", server.url)
    is_query = Fault(status=401, body={"error": {"message": "no such key"}}, times=9)
    is_query.when = lambda texts: not texts[0].startswith(SENT)
    server.fail(is_query)
    command = ("--home", tmp_path / "home", "ingest", docs, "--embedder", "wire", "--json")
    done = rag(*command)
    assert (done.status, shown(done)["chunks"]) == (1, 5)
    server.faults.clear()
    done = rag(*command)
    assert (done.status, shown(done)["embedded"]) == (0, 0)
    library = Library(tmp_path / "home")
    assert library.cards.all()[0].noise
    library.close()
