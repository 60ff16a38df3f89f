"""Kills the real command again and again over one library, and holds what is left to what it had acknowledged."""

import hashlib
import json
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections import Counter
from pathlib import Path

from file_builders import write
from ingest.targets import LARGEST_SLICE
from rag.cards import CANARY
from rag.library import Library
from rag.passages import passage_key
from ui.cli import run

TESTS = Path(__file__).parent
EMBEDDERS = ("hash", "wordllama")
CORPUS = "notes"
PARTS = 3
"""Chunks of each note."""

SMALL_GROUPS = {"ingest.writing.GROUP_DOCUMENTS": 20}
FLUSHING = {
    "rag.index.HNSW": {"sync_threshold": 20, "batch_size": 10},
    "rag.index.BATCH": 30,
    "ingest.caches.FEED_CHUNKS": 40,
}
"""Lets Chroma write its graph with every few chunks, which it does with every thousand."""
EXAMINED = {"rag.chroma_check.CHEAPER_TO_REBUILD": 0}
"""Lets a store that was not closed be examined, however small it is, where it would be built anew unseen."""


def words(*seed):
    """Returns four words that stand nowhere else."""
    digest = hashlib.sha256(repr(seed).encode()).hexdigest()
    return " ".join(digest[at : at + 8] for at in range(0, 32, 8))


def note(number, edition=0):
    """Returns a note of three sections, no two alike; of another edition the second one differs."""
    sections = [
        f"## Part {part}\n\nThe note {words(number, part, edition if part == 1 else 0)} ends here."
        for part in range(PARTS)
    ]
    return f"# Note {number}\n\n" + "\n\n".join(sections)


def write_notes(folder, numbers, edition=0):
    for number in numbers:
        write(folder, f"note-{number:03}.md", note(number, edition))


def hash_of(data):
    return hashlib.sha256(data).hexdigest()


class Killed:
    """A folder, the library that it is ingested into, and an account of what is embedded and what is stored.

    `changes` are constants that hold in all processes.
    """

    def __init__(self, folder, work, changes=None):
        self.folder = folder
        self.home = work / "home"
        self.changes = SMALL_GROUPS | (changes or {})
        self.kills = 0
        self.acknowledged = {}
        self._log = work / "embedded.log"
        self._log.touch()
        self._work = work

    # --- processes

    def ingest(self, *embedders):
        """Returns the command that ingests the folder."""
        choice = [word for name in embedders or EMBEDDERS for word in ("--embedder", name)]
        return ["ingest", str(self.folder), "--corpus", CORPUS, *choice]

    def start(self, command=None, stop=""):
        driver = [sys.executable, str(TESTS / "kill_driver.py"), str(self._log), stop, json.dumps(self.changes)]
        return subprocess.Popen(
            [*driver, "--home", str(self.home), *(command or self.ingest())],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def kill_when(self, reached, then=None, command=None, stop=""):
        """Starts a command and kills it once `reached()` holds, and after it `then()`; both are asked incessantly.

        Returns what was handed to embedders. What the library acknowledges once `reached()` holds must not be lost.
        """
        already = len(self.embedded())
        process = self.start(command, stop)
        self._wait(process, reached)
        self.acknowledged = self.done()
        self._wait(process, then or (lambda: True))
        self._kill(process)
        return self.embedded()[already:]

    def kill_after(self, seconds, command=None):
        """Starts a command, kills it so long after it began to write, and tells whether it was still running."""
        process = self.start(command)
        self._wait(process, (self.home / "writer.json").exists)
        self.acknowledged = self.done()
        time.sleep(seconds)
        if process.poll() is not None:
            process.communicate()
            return False
        self._kill(process)
        return True

    def _wait(self, process, reached):
        while not reached():
            assert process.poll() is None, f"it ended before the kill: {process.stderr.read()}"

    def _kill(self, process):
        process.send_signal(signal.SIGKILL)
        process.stderr.close()
        assert process.wait(timeout=20) == -signal.SIGKILL
        self.kills += 1

    def finish(self, command=None):
        """Runs a command to its end and returns what it embedded."""
        already = len(self.embedded())
        process = self.start(command)
        _, said = process.communicate(timeout=240)
        assert (process.returncode, "Traceback" in said) == (0, False), said
        return self.embedded()[already:]

    # --- what is there

    def embedded(self):
        """Everything that was ever handed to an embedder: (fingerprint, passage), canaries left out."""
        pairs = [tuple(line.split()) for line in self._log.read_text().splitlines() if line != "stopped"]
        return [pair for pair in pairs if pair[1] != passage_key(CANARY).hex()]

    def has_stopped(self):
        return "stopped" in self._log.read_text()

    def stored(self):
        """The vectors that are in the library, as another process sees them."""
        return {(fingerprint, key.hex()) for fingerprint, key in self.rows("SELECT fingerprint, passage FROM vectors")}

    def done(self):
        """The sources that the ledger calls done, with the hashes of their contents."""
        return dict(self.rows("SELECT source, content_hash FROM ledger WHERE status = 'done'"))

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

    def contents(self):
        """The sources that the folder holds now, with the hashes of their contents; archives opened."""
        held = {}
        for path in self.folder.rglob("*"):
            if path.suffix == ".zip":
                with zipfile.ZipFile(path) as archive:
                    held |= {f"{path.name}/{name}": hash_of(archive.read(name)) for name in archive.namelist()}
            elif path.is_file():
                held[path.relative_to(self.folder).as_posix()] = hash_of(path.read_bytes())
        return held

    # --- what is asserted

    def open_thrice(self, removed=(), lacking=()):
        """Opens the library in three processes and asserts that nothing acknowledged is lost.

        Each document is there once, in a version that the folder had before the kill or has now, and is found by all
        searches; gone is only what has left the folder or is one of the `removed`. Under the embedders that are
        `lacking`, which are being filled, it need not be found yet.
        """
        script = [sys.executable, str(TESTS / "kill_openings.py"), str(self.home), json.dumps(self.changes)]
        ran = subprocess.run(script, capture_output=True, text=True, timeout=240)
        openings = [json.loads(line) for line in ran.stdout.splitlines()]
        assert len(openings) == 3, ran.stderr
        held = self.contents()
        for opening in openings:
            assert "crashed" not in opening, f"{opening}\n{ran.stderr}"
            assert opening["problems"] == []
            done = opening["done"]
            for source, content_hash in self.acknowledged.items():
                allowed = {content_hash, held.get(source), *([None] if source in removed else [])}
                assert done.get(source) in allowed, f"{source} was lost"
            new = {source: content_hash for source, content_hash in done.items() if source not in self.acknowledged}
            assert new.items() <= held.items()
            for embedder, sources in opening["found"].items():
                assert set(sources) <= set(done)
                assert embedder in lacking or set(sources) == set(done), f"not all are found under {embedder}"
        return openings[0]

    def whole(self, capsys, removed=()):
        """Asserts that the library holds the folder but for the `removed`, and that `rag doctor` is well."""
        assert self.done() == {source: value for source, value in self.contents().items() if source not in removed}
        library = Library(self.home)
        sources, cards = library.sources(CORPUS), library.cards.all(CORPUS)
        library.close()
        assert sources.keys() == self.done().keys()
        assert {card.embedder for card in cards} == set(EMBEDDERS)
        assert {card.documents for card in cards} == {len(sources)}
        assert all(card.noise for card in cards), "without calibration nothing is ever abstained from"
        assert run(["--home", str(self.home), "doctor"]) == 0, capsys.readouterr().out
        capsys.readouterr()
        self.acknowledged = self.done()
        self.open_thrice()


def never_twice(before, stored, after):
    """Asserts that a run after a kill embeds nothing that was stored, and again at most the slice in flight.

    The slice in flight was computed, or not, but never stored: nothing can tell, so it alone may be computed again.
    """
    assert max(Counter(after).values(), default=0) <= 1, "embedded twice in one run"
    assert stored.isdisjoint(after), "stored, and yet embedded again"
    in_flight = set(before) - stored
    assert len(in_flight) <= LARGEST_SLICE
    assert len({fingerprint for fingerprint, _ in in_flight}) <= 1
    assert set(before) & set(after) <= in_flight
