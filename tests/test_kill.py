"""Kill -9 in the middle of an ingest: nothing acknowledged is lost, and nothing that was paid for is paid for again.

The killed process is the real command. A driver around it writes down every passage in the moment before it is handed
to an embedder, and can stop at a given place; the kill itself is a signal that no process can catch.
"""

import hashlib
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from ingest.targets import STORE_EVERY
from rag.cards import CANARY
from rag.library import Library
from rag.passages import passage_key
from ui.cli import run

ROOT = Path(__file__).parents[1]
SHARED = Path(__file__).parents[2] / "shared" / "documents"
EMBEDDERS = ("hash", "wordllama")
FILES = 240

DRIVER = """
import os, signal, sys
from ingest import targets
from rag.passages import passage_key

log, stop, *command = sys.argv[1:]
log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
load, measure = targets.load_embedder, targets.measure_noise

class Logged:
    def __init__(self, embedder):
        self._embedder = embedder
        self.spec = embedder.spec
        self.embed_queries = embedder.embed_queries

    def embed_passages(self, passages):
        lines = [f"{self.spec.fingerprint} {passage_key(passage).hex()}\\n" for passage in passages]
        os.write(log, "".join(lines).encode())
        return self._embedder.embed_passages(passages)

def stopping(*arguments):
    if stop == "finish":
        os.write(log, b"stopped\\n")
        signal.pause()
    return measure(*arguments)

targets.load_embedder = lambda *arguments: Logged(load(*arguments))
targets.measure_noise = stopping
from ui.cli import main
main(command)
"""

FINDER = """
import json, sys
from pathlib import Path
from rag.index import open_chroma
from rag.library import Library
from rag.lock import writer_lock
from rag.reader import Reader
from rag.settings import read_settings
home, *embedders = sys.argv[1:]
settings = read_settings(home)
library = Library(settings.home)
lost = []
with writer_lock(settings.home), open_chroma(library) as chroma:
    reader = Reader(library, settings, chroma)
    (corpus,) = library.corpora()
    done = {entry.source for entry in library.ledger.entries(corpus) if entry.status == "done"}
    for embedder in embedders:
        card = library.cards.find(corpus, embedder)
        first = {}
        for chunk, text, source in library.chunk_passages(corpus, card.chunker):
            first.setdefault(source, (chunk, text))
        lost += [f"{source}: no chunk" for source in done - first.keys()]
        for search, allowed in (("exact", 0), ("ann", len(first) // 50)):
            retriever = reader.open(corpus, embedder, "dense", search=search).retriever
            rankings = retriever.rank([text for _, text in first.values()], 200)
            missed = [
                f"{source}: not found under {embedder}, {search}"
                for (source, (chunk, _)), ranking in zip(first.items(), rankings, strict=True)
                if chunk not in {scored.chunk_id for scored in ranking}
            ]
            lost += missed if len(missed) > allowed else []
        ids, _ = library.vectors.of_index(corpus, card.chunker, card.fingerprint)
        if chroma.count(card) != len(ids):
            lost.append(f"Chroma holds {chroma.count(card)} of {len(ids)} chunks under {embedder}")
library.close()
print(json.dumps(lost))
"""
"""Looks every done document up by its own first passage, which nothing is nearer to.

Exact search must find all. Chroma must hold all; its approximate graph may miss one in fifty (its neighbours are chosen
at random, anew at each start), which is a matter of recall and not of the kill.
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A few hundred files of three sections each, no two alike."""
    made = tmp_path_factory.mktemp("many")
    for number in range(FILES):
        words = [hashlib.sha256(f"{number} {at}".encode()).hexdigest()[:8] for at in range(12)]
        sections = [f"## Part {at}\n\nThe note {' '.join(words[at * 4 : at * 4 + 4])} ends here." for at in range(3)]
        (made / f"note-{number:03}.md").write_text(f"# Note {number}\n\n" + "\n\n".join(sections), encoding="utf-8")
    return made


class Killed:
    """Ingests into one library, again and again, and keeps account of what is embedded and what is stored."""

    def __init__(self, folder, work):
        self.folder = folder
        self.home = work / "home"
        self.log = work / "embedded.log"
        self.log.touch()

    def start(self, stop=""):
        choice = [word for name in EMBEDDERS for word in ("--embedder", name)]
        ingest = ["--home", str(self.home), "ingest", str(self.folder), "--corpus", "notes", *choice]
        command = [sys.executable, "-c", DRIVER, str(self.log), stop, *ingest]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def kill_when(self, reached, stop=""):
        """Starts an ingest and kills it as soon as `reached()` holds, which is looked at all the time."""
        already = len(self.embedded())
        process = self.start(stop)
        while not reached():
            assert process.poll() is None, f"it ended before the kill: {process.stderr.read()}"
        process.send_signal(signal.SIGKILL)
        process.stderr.close()
        assert process.wait(timeout=20) == -signal.SIGKILL
        return self.embedded()[already:]

    def finish(self):
        """Runs the same ingest to its end and returns what it embedded."""
        already = len(self.embedded())
        process = self.start()
        _, said = process.communicate(timeout=120)
        assert (process.returncode, "Traceback" in said) == (0, False), said
        return self.embedded()[already:]

    def embedded(self):
        """Everything that was ever handed to an embedder: (fingerprint, passage), canaries left out."""
        pairs = [tuple(line.split()) for line in self.log.read_text().splitlines() if line != "stopped"]
        return [pair for pair in pairs if pair[1] != passage_key(CANARY).hex()]

    def stored(self):
        """The vectors that are in the library, as another process sees them."""
        return {(fingerprint, key.hex()) for fingerprint, key in self.rows("SELECT fingerprint, passage FROM vectors")}

    def count(self, table):
        """How many rows a table has, 0 while there is no such table."""
        rows = self.rows(f"SELECT COUNT(*) FROM {table}")
        return rows[0][0] if rows else 0

    def rows(self, sql):
        if not (self.home / "library.db").exists():
            return []
        database = sqlite3.connect(self.home / "library.db", timeout=30)
        try:
            return database.execute(sql).fetchall()
        except sqlite3.OperationalError as error:
            assert "no such table" in str(error), error
            return []
        finally:
            database.close()


@pytest.fixture
def killed(folder, tmp_path):
    return Killed(folder, tmp_path)


def found_twice(home, copy_to=None):
    """Opens a library twice, each time in a new process, and asserts that all done documents are found each time."""
    if copy_to:
        home = shutil.copytree(home, copy_to)
    for _ in range(2):
        command = [sys.executable, "-c", FINDER, str(home), *EMBEDDERS]
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert ran.returncode == 0, ran.stderr
        assert json.loads(ran.stdout) == []


def whole(killed, capsys):
    """Asserts that the library holds every file under every embedder and that `rag doctor` is well."""
    library = Library(killed.home)
    entries = library.ledger.entries("notes")
    done = [entry.source for entry in entries if entry.status == "done"]
    cards = library.cards.all("notes")
    assert sorted(done) == sorted(library.sources("notes"))
    assert {card.embedder for card in cards} == set(EMBEDDERS)
    assert {card.documents for card in cards} == {len(done)}
    assert all(card.noise for card in cards), "without calibration nothing is ever abstained from"
    library.close()
    assert run(["--home", str(killed.home), "doctor"]) == 0, capsys.readouterr().out
    return entries


def never_twice(before, stored, after):
    """Asserts that a run after a kill embeds nothing that was stored, and again at most the slice in flight.

    The slice in flight was computed, or not, but never stored: nothing can tell, so it alone may be computed again.
    """
    assert max(Counter(after).values(), default=0) <= 1, "embedded twice in one run"
    assert stored.isdisjoint(after), "stored, and yet embedded again"
    in_flight = set(before) - stored
    assert len(in_flight) <= STORE_EVERY
    assert len({fingerprint for fingerprint, _ in in_flight}) <= 1
    assert set(before) & set(after) <= in_flight


MOMENTS = {
    "at the first vectors": lambda killed: killed.count("vectors") > 0,
    "at the first documents": lambda killed: killed.count("documents") > 0,
    "when all is embedded": lambda killed: killed.count("vectors") >= 2 * 3 * FILES,
    "while Chroma is written": lambda killed: (killed.home / "chroma" / "open.pid").exists(),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_ingest_goes_on_where_it_was(killed, capsys, moment):
    before = killed.kill_when(lambda: MOMENTS[moment](killed))
    stored = killed.stored()
    after = killed.finish()

    never_twice(before, stored, after)
    assert set(before) | set(after) == killed.stored()
    assert len(killed.stored()) == 2 * 3 * FILES
    assert len(whole(killed, capsys)) == FILES


def test_what_was_acknowledged_is_found_before_and_after_going_on(killed, tmp_path, capsys):
    killed.kill_when(lambda: killed.count("ledger") > 0)
    assert 0 < killed.count("ledger") < FILES
    found_twice(killed.home, copy_to=tmp_path / "copy")
    killed.finish()
    found_twice(killed.home)
    whole(killed, capsys)


def test_killed_again_and_again(killed, capsys):
    runs, total = [], 0
    for wanted in (1, 500, 1100, 2 * 3 * FILES):
        stored = killed.stored()
        after = killed.kill_when(lambda wanted=wanted: killed.count("vectors") >= wanted)
        if runs:
            never_twice(runs[-1], stored, after)
        runs.append(after)
        total += len(after)
    stored = killed.stored()
    last = killed.finish()
    never_twice(runs[-1], stored, last)
    assert total + len(last) <= 2 * 3 * FILES + len(runs) * STORE_EVERY, "at most one slice was lost to each kill"
    assert len(whole(killed, capsys)) == FILES
    assert killed.finish() == [], "all is there, and yet something was embedded"
    found_twice(killed.home)


def test_a_changed_file_is_there_in_one_version_after_a_kill(killed, tmp_path, capsys):
    edited = shutil.copytree(killed.folder, tmp_path / "edited")
    killed.folder = edited
    killed.finish()
    old = killed.stored()
    for number in range(0, FILES, 3):
        path = edited / f"note-{number:03}.md"
        path.write_text(path.read_text().replace("Part 1", "Piece 1"), encoding="utf-8")
    (edited / "note-001.md").unlink()
    before = killed.kill_when(lambda: killed.stored() != old)
    stored = killed.stored()
    assert old <= stored, "a vector was dropped before its replacement was there"
    assert killed.count("documents") == len({row for row in killed.rows("SELECT source FROM documents")})
    after = killed.finish()
    never_twice(before, stored, after)
    assert set(before + after) & old == set()
    entries = whole(killed, capsys)
    assert len(entries) == FILES - 1
    library = Library(killed.home)
    texts = {document.source: document.text for document in library.documents("notes")}
    library.close()
    assert "Piece 1" in texts["note-000.md"]
    assert "Part 1" not in texts["note-000.md"]
    found_twice(killed.home)


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no test material at {SHARED}")
def test_real_documents(tmp_path, capsys):
    killed = Killed(SHARED, tmp_path)
    before = killed.kill_when(lambda: killed.count("vectors") > 1500)
    stored = killed.stored()
    after = killed.finish()
    never_twice(before, stored, after)
    entries = whole(killed, capsys)
    assert len(entries) > 50
    assert {entry.path for entry in entries} == {str(path) for path in SHARED.rglob("*") if path.is_file()}
    found_twice(killed.home)


def test_killed_in_the_last_moment(killed, capsys):
    """After the last commit and before the index cards: then there is nothing left to do but to count."""
    before = killed.kill_when(lambda: "stopped" in killed.log.read_text(), stop="finish")
    assert killed.count("ledger") == FILES
    assert set(before) == killed.stored()
    assert run(["--home", str(killed.home), "doctor"]) == 1
    assert "an ingest was interrupted" in capsys.readouterr().out
    assert killed.finish() == []
    whole(killed, capsys)
    found_twice(killed.home)
