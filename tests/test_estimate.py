"""The dry run: it says what the ingest then does, and neither writes nor sends anything."""

import hashlib
import json
import shutil
from dataclasses import replace

import pytest

from cli_contract import DRY_RUN, departures
from file_builders import write
from ingest.estimate import estimate_backfill, estimate_paths
from ingest.token_counting import TokenizerFile, load_counter
from paid import USD_PER_TOKEN, Billed, write_entry
from rag.cards import CANARY
from rag.database import MIGRATIONS
from rag.embedders import registry
from rag.embedders.registry import find_spec, load_embedder
from rag.errors import UsageError
from rag.library import Library
from rag.lock import writer_lock
from rag.settings import Settings, read_settings
from rag.spending import Account, Spending
from wire_server import WireServer, tokens

CHUNKER = "heading-800-100"


@pytest.fixture
def server():
    with WireServer() as server:
        yield server


def contents(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def dry(rag, home, *arguments):
    """Returns the printed document, held to its shape; the exit status must be 0."""
    done = rag("--home", home, "ingest", *arguments, "--dry-run", "--json")
    assert done.status == 0, done.err
    printed = json.loads(done.out)
    assert departures(printed, DRY_RUN) == []
    return printed


def by_embedder(printed):
    return {index["embedder"]: index for index in printed["indexes"]}


# --- nothing changes


def test_no_library_is_made_where_there_is_none(rag, docs, tmp_path):
    printed = dry(rag, tmp_path / "home", docs, "--embedder", "hash", "--embedder", "wordllama")
    assert not (tmp_path / "home").exists()
    assert printed["documents"] == {"done": 3, "unchanged": 0, "skipped": 0, "failed": 0, "deleted": 0}
    assert printed["chunks"] == 5
    assert {name: index["passages"] for name, index in by_embedder(printed).items()} == {"hash": 5, "wordllama": 5}
    assert rag("--home", tmp_path / "home", "ingest", "--backfill", "--embedder", "hash", "--dry-run").status == 1
    assert not (tmp_path / "home").exists()


def test_it_says_what_the_ingest_then_does_and_changes_no_byte(rag, docs, tmp_path):
    home = tmp_path / "home"
    rag("--home", home, "ingest", docs, "--embedder", "hash")
    write(docs, "rivers.md", (docs / "rivers.md").read_text().replace("It is cold.", "It is cold, and it floods."))
    write(docs, "new.txt", "Copper conducts heat.")
    write(docs, "twin.txt", "Copper conducts heat.")
    (docs / "bread.txt").unlink()
    (docs / "broken.pdf").write_bytes(b"%PDF-1.4\nno more than this")
    before = contents(home)
    with writer_lock(tmp_path / "other"):  # the one of this library is not asked for either
        guessed = rag(
            "--home", home, "ingest", docs, "--embedder", "hash", "--embedder", "wordllama", "--dry-run", "--json"
        )
    assert contents(home) == before
    assert guessed.status == 1
    assert "failed" in guessed.err
    done = rag("--home", home, "ingest", docs, "--embedder", "hash", "--embedder", "wordllama", "--json")
    guess, truth = json.loads(guessed.out), json.loads(done.out)
    assert (
        guess["documents"] == truth["documents"] == {"done": 4, "unchanged": 0, "skipped": 0, "failed": 1, "deleted": 1}
    )
    assert guess["files"] == truth["files"]
    for name, index in by_embedder(truth).items():
        assert by_embedder(guess)[name]["passages"] == index["embedded"] > 0
    assert by_embedder(dry_of(rag, home, docs))["hash"]["passages"] == 0


def dry_of(rag, home, docs):
    return json.loads(rag("--home", home, "ingest", docs, "--embedder", "hash", "--dry-run", "--json").out)


def test_it_works_while_the_library_is_being_written(rag, docs, tmp_path):
    home = tmp_path / "home"
    rag("--home", home, "ingest", docs, "--embedder", "hash")
    with writer_lock(home):
        assert dry(rag, home, docs, "--embedder", "hash")["documents"]["unchanged"] == 3


def test_what_a_killed_process_left_in_the_log_is_read_and_left_there(docs, ingest, rag, tmp_path):
    library = ingest(docs, home=tmp_path / "killed").library
    library.add_corpus("another")  # it is in the log now, and would be moved into the file by closing it
    home = tmp_path / "copy"
    shutil.copytree(library.home, home)
    assert (home / "library.db-wal").stat().st_size > 0
    before = contents(home)
    printed = dry(rag, home, docs, "--corpus", "c", "--embedder", "hash")
    assert printed["documents"]["unchanged"] == 3
    after = contents(home)
    del after["library.db-shm"], before["library.db-shm"]  # where locks are, not what is stored
    assert after == before


def test_a_library_of_an_older_version_is_not_brought_up_to_date(rag, docs, tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    with monkeypatch.context() as older:
        older.setattr("rag.database.MIGRATIONS", MIGRATIONS[:3])
        Library(home, create=True).close()
    before = contents(home)
    done = rag("--home", home, "ingest", docs, "--embedder", "hash", "--dry-run")
    assert done.status == 1
    assert "rag indexes" in done.err
    assert contents(home) == before
    assert rag("--home", home, "indexes").status == 0
    assert rag("--home", home, "ingest", docs, "--embedder", "hash", "--dry-run").status == 0


def test_wrong_requests(rag, docs, tmp_path):
    for arguments in ((docs, "--watch"), (docs, "--corpus", "a/b"), ("--backfill",), (docs, "--budget", "0")):
        done = rag("--home", tmp_path / "home", "ingest", *arguments, "--embedder", "hash", "--dry-run")
        assert done.status == (1 if arguments == ("--backfill",) else 2), done.err
    assert not (tmp_path / "home").exists()


# --- passages


def test_a_passage_is_counted_once_and_not_at_all_where_it_is_stored(docs, ingest, tmp_path, monkeypatch):
    monkeypatch.setattr("ingest.writing.GROUP_DOCUMENTS", 1)  # so that equal ones are in different groups
    made = ingest(docs)
    for name in ("one.txt", "two.txt"):
        write(docs, name, "Copper conducts heat.")
    write(docs, "three.txt", "Green tea is brewed at eighty degrees.")  # as it is in sub/tea.txt
    found = estimate_paths(made.library, made.settings, [docs], "c", ["hash"], CHUNKER)
    (index,) = found.indexes
    assert (index.chunks, index.passages, index.tokens) == (3, 1, 3)
    other = estimate_paths(made.library, made.settings, [docs], "elsewhere", ["hash"], CHUNKER)
    assert [(index.chunks, index.passages) for index in other.indexes] == [(8, 1)]


def test_a_changed_document_is_counted_under_every_index_that_has_it(docs, ingest):
    made = ingest(docs, embedders=["hash", "wordllama"])
    write(docs, "bread.txt", "Rye bread keeps for a week.")
    found = estimate_paths(made.library, made.settings, [docs], "c", ["hash"], CHUNKER)
    assert {index.embedder: index.passages for index in found.indexes} == {"hash": 1, "wordllama": 1}


def test_a_backfill(rag, docs, tmp_path):
    home = tmp_path / "home"
    rag("--home", home, "ingest", docs, "--corpus", "c", "--embedder", "hash")
    before = contents(home)
    printed = dry(rag, home, "--backfill", "--corpus", "c", "--embedder", "wordllama")
    assert contents(home) == before
    assert (printed["documents"]["done"], by_embedder(printed)["wordllama"]["passages"]) == (3, 5)
    assert dry(rag, home, "--backfill", "--corpus", "c", "--embedder", "hash")["documents"]["unchanged"] == 3


# --- tokens and money


def test_the_tokens_are_those_that_a_vendor_then_counts(rag, server, small_folder, tmp_path):
    home = tmp_path / "home"
    write_entry(home, server.url)
    write(tmp_path / "long", "long.txt", "All of it is one paragraph of many words. " * 60)
    command = (small_folder, tmp_path / "long", "--embedder", "wire", "--chunker", "whole")
    guess = by_embedder(dry(rag, home, *command))["wire"]
    assert server.requests == []
    assert not (home / "library.db").exists()

    done = rag("--home", home, "ingest", *command, "--json")
    truth = by_embedder(json.loads(done.out))["wire"]
    assert guess["exact"]
    assert guess["passages"] == truth["embedded"]
    sent = sum(tokens(text) for text in server.texts if text.startswith("passage: "))
    assert sent == round(truth["usd"] / USD_PER_TOKEN) < sum(map(tokens, server.texts))  # the rest calibrates
    assert guess["tokens"] == pytest.approx(sent, rel=0.02)
    assert guess["usd"] == pytest.approx(truth["usd"], rel=0.02)
    assert truth["spent"] == truth["usd"]
    queries = server.counted - sent
    assert guess["query_tokens"] == pytest.approx(queries, rel=0.25)  # about: counted with the prefix of passages
    assert max(map(tokens, server.texts)) <= 256  # the long one was cut, and counted as cut


def test_what_is_only_estimated_is_called_about(rag, server, docs, tmp_path):
    write_entry(tmp_path / "home", server.url, tokenizer="", usd=20.0)
    done = rag("--home", tmp_path / "home", "ingest", docs, "--embedder", "wire", "--dry-run")
    assert (done.status, server.requests) == (0, [])
    line = next(line for line in done.out.splitlines() if "wire" in line)
    assert line.count("about") == 2
    assert "unknown" in line  # how long it takes
    assert "Nothing was written and nothing was sent." in done.out


def test_a_vendor_without_a_key_can_be_estimated(rag, docs, tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("RAG_KEYS", str(tmp_path / "no-keys.toml"))
    write_entry(tmp_path / "home", "")
    index = by_embedder(dry(rag, tmp_path / "home", docs, "--embedder", "wire"))["wire"]
    assert index["usd"] == pytest.approx(index["tokens"] * USD_PER_TOKEN)
    assert index["seconds"] is None


def test_a_price_that_nobody_knows_is_unknown(docs, tmp_path, monkeypatch):
    embedder = Billed()
    embedder.spec = replace(embedder.spec, usd_per_million_tokens=0.0, unconfirmed=("usd_per_million_tokens",))
    monkeypatch.setitem(registry._loaded, embedder.spec, embedder)
    settings = Settings(tmp_path / "home", {"paid": embedder.spec})
    library = Library(tmp_path / "home", create=True)
    (index,) = estimate_paths(library, settings, [docs], "c", ["paid"], CHUNKER).indexes
    assert (index.usd, index.passages, embedder.calls) == (None, 5, [])


def test_more_than_the_budget_is_said_beforehand(rag, server, docs, tmp_path):
    write_entry(tmp_path / "home", server.url, settings="budget_usd = 0.02\n")
    done = rag("--home", tmp_path / "home", "ingest", docs, "--embedder", "wire", "--dry-run")
    assert "more than the budget of $0.0200" in done.err
    done = rag("--home", tmp_path / "home", "ingest", docs, "--embedder", "wire", "--dry-run", "--budget", "5")
    assert "budget" not in done.err


def test_cutting_by_a_vendors_embedder_is_not_estimated(rag, server, docs, tmp_path):
    write_entry(tmp_path / "home", server.url)
    done = rag(
        "--home", tmp_path / "home", "ingest", docs, "--embedder", "hash", "--chunker", "semantic-wire", "--dry-run"
    )
    assert (done.status, server.requests) == (2, [])
    assert "sends every sentence to 'wire'" in done.err


# --- seconds


def test_the_seconds_are_those_of_earlier_runs(docs, ingest, tmp_path):
    made = ingest(docs, corpus="old")
    library, fingerprint = made.library, find_spec("hash").fingerprint
    write(tmp_path / "more", "a.txt", "one two three four five six seven eight nine ten")

    def seconds():
        return estimate_paths(library, made.settings, [tmp_path / "more"], "c", ["hash"], CHUNKER).indexes[0].seconds

    assert seconds() < 1  # five passages are no history: it is timed now
    library.spending.add(Account("old", CHUNKER, fingerprint), Spending(95, 0, 400.0, 0.0))
    assert seconds() == pytest.approx(4.0, abs=0.1)  # by passages: 100 of them in 400 s
    library.spending.add(Account("old", CHUNKER, fingerprint), Spending(0, 800, 0.0, 0.0))
    assert seconds() == pytest.approx(5.0, abs=0.1)  # by tokens: 800 of them in 400 s


def test_a_vendor_is_not_asked_how_long_it_takes(docs, tmp_path, monkeypatch):
    embedder = Billed()
    monkeypatch.setitem(registry._loaded, embedder.spec, embedder)
    library = Library(tmp_path / "home", create=True)
    settings = Settings(tmp_path / "home", {"paid": embedder.spec})
    (index,) = estimate_paths(library, settings, [docs], "c", ["paid"], CHUNKER).indexes
    assert (index.seconds, embedder.calls) == (None, [])
    words = sum(embedder.count_tokens([CANARY]))
    assert index.tokens == index.usd > words


def test_nothing_to_do_takes_no_time_and_loads_nothing(docs, ingest, monkeypatch):
    made = ingest(docs)

    def refuse(*_):
        raise AssertionError("loaded")

    monkeypatch.setattr("ingest.estimate.load_embedder", refuse)
    monkeypatch.setattr("ingest.estimate.load_counter", refuse)
    (index,) = estimate_paths(made.library, read_settings(made.settings.home), [docs], "c", ["hash"], CHUNKER).indexes
    assert (index.chunks, index.tokens, index.seconds, index.usd) == (0, 0, 0.0, 0.0)
    (index,) = estimate_backfill(made.library, made.settings, "c", ["hash"], CHUNKER).indexes
    assert index.passages == 0


def test_a_model_is_counted_for_by_its_tokenizer_alone(small_folder):
    spec = find_spec("minilm")
    counter = load_counter(spec, {"minilm": spec})
    assert isinstance(counter, TokenizerFile)
    texts = [path.read_text(encoding="utf-8") for path in small_folder.rglob("*.*")] + ["", "word " * 400]
    assert counter.count_tokens(texts) == load_embedder("minilm").count_tokens(texts)


def test_a_model_that_is_neither_to_be_timed_nor_embedded_with_is_not_loaded(docs, tmp_path, monkeypatch):
    spec = find_spec("minilm")
    library = Library(tmp_path / "home", create=True)
    library.add_corpus("old")
    library.spending.add(Account("old", CHUNKER, spec.fingerprint), Spending(100, 1000, 10.0, 0.0))

    def refuse(*_):
        raise AssertionError("loaded")

    monkeypatch.setattr("ingest.estimate.load_embedder", refuse)
    settings = read_settings(tmp_path / "home")
    (index,) = estimate_paths(library, settings, [docs], "c", ["minilm"], CHUNKER).indexes
    assert index.seconds == pytest.approx(index.tokens / 100, abs=0.1)
    assert index.exact
    library.close()


def test_an_unknown_corpus_cannot_be_backfilled(rag, docs, tmp_path):
    rag("--home", tmp_path / "home", "ingest", docs, "--corpus", "c", "--embedder", "hash")
    done = rag("--home", tmp_path / "home", "ingest", "--backfill", "--corpus", "d", "--embedder", "hash", "--dry-run")
    assert done.status == 2
    with pytest.raises(UsageError):
        estimate_paths(Library(tmp_path / "home"), read_settings(tmp_path / "home"), [docs], "a/b", ["hash"], CHUNKER)
