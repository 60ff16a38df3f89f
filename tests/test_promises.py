"""Whatever is done to a folder and its library, in whatever order, every search finds exactly what it should.

A state machine changes files, ingests, backfills, removes, takes back and restarts, and holds the library after each
step against a model that is a dictionary: the texts that the last steps should have left in it.
"""

import shutil
import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from file_builders import write
from ingest import pipeline
from pipeline_results import ledger, statuses
from rag import chroma_check
from rag.embedders.registry import find_spec
from rag.health import examine
from rag.index import open_chroma
from rag.library import Library
from rag.passages import passage_key
from rag.reader import Reader
from rag.settings import Settings
from ui.ingesting import backfill, ingest_paths, remove_documents

CORPUS = "c"
HASH = find_spec("hash")
EMBEDDERS = {name: replace(HASH, name=name, model=name, dimension=n) for name, n in {"one": 512, "two": 384}.items()}
NAMES = [f"{letter}.{suffix}" for letter in "abcd" for suffix in ("md", "txt")]
BOILERPLATE = ["Printed on recycled paper.", "All rights are reserved.", "Subject to change without notice."]


def spell(number):
    """Returns a word that stands for a number, and that no stemmer shortens."""
    return "zq" + "".join("bdfgkmpvxz"[int(digit)] for digit in str(number))


class Promises(RuleBasedStateMachine):
    """`files` is what the folder holds, `held` what the library should: texts by name; `removed` stays away."""

    def __init__(self):
        super().__init__()
        self.work = Path(tempfile.mkdtemp(prefix="promises-"))
        self.folder = self.work / "docs"
        self.folder.mkdir()
        self.settings = Settings(self.work / "home", EMBEDDERS, ingest_with=("one",), embedder="one")
        self.stack = ExitStack()
        self.files, self.held = {}, {}
        self.removed = set()
        self.words = 0

    def teardown(self):
        self.stack.close()
        library = Library(self.settings.home)
        findings = examine(library, EMBEDDERS, is_writer=True)
        library.close()
        shutil.rmtree(self.work)
        assert [finding for finding in findings if not finding.well] == []

    @initialize(
        names=st.sets(st.sampled_from(NAMES), min_size=3, max_size=5),
        again=st.lists(st.sampled_from(BOILERPLATE), max_size=3),
    )
    def fill(self, names, again):
        """Begins with a few files in a library, so that each rule has something to work on."""
        self.open()
        for name in sorted(names):
            self.write(name, again)
        self.ingest()

    def open(self):
        self.library = Library(self.settings.home, create=True)
        self.stack.callback(self.library.close)
        self.chroma = self.stack.enter_context(open_chroma(self.library))
        self.reader = Reader(self.library, self.settings, self.chroma)

    # --- what happens to the files

    @rule(name=st.sampled_from(NAMES), boilerplate=st.lists(st.sampled_from(BOILERPLATE), max_size=3))
    def write(self, name, boilerplate):
        """Writes a file with a word of its own and with sections that others have as well."""
        self.words += 1
        parts = [f"The word is {spell(self.words)} in this file.", *boilerplate]
        if name.endswith(".md"):
            parts = ["# Notes\n\n" + parts[0], *(f"## Small print\n\n{part}" for part in parts[1:])]
        self.files[name] = "\n\n".join(parts)
        write(self.folder, name, self.files[name])

    @precondition(lambda self: self.files)
    @rule(data=st.data())
    def delete(self, data):
        name = data.draw(st.sampled_from(sorted(self.files)))
        del self.files[name]
        (self.folder / name).unlink()

    @precondition(lambda self: self.files)
    @rule(data=st.data(), letter=st.sampled_from("abcdef"))
    def rename(self, data, letter):
        """Gives a file another name, perhaps that of another file, which is gone then."""
        name = data.draw(st.sampled_from(sorted(self.files)))
        other = letter + Path(name).suffix
        (self.folder / name).rename(self.folder / other)
        self.files[other] = self.files.pop(name)

    # --- what happens to the library

    @rule()
    def ingest(self):
        report = ingest_paths(self.library, self.settings, [self.folder], CORPUS, chroma=self.chroma)
        known = self.held.keys() | self.removed
        self.removed &= self.files.keys()
        wanted = {name: text for name, text in self.files.items() if name not in self.removed}
        same = {name for name in wanted if self.held.get(name) == wanted[name]}
        told = dict.fromkeys(wanted, "done") | dict.fromkeys(same, "unchanged") | dict.fromkeys(self.removed, "skipped")
        gone = dict.fromkeys(known - self.files.keys(), "deleted")
        assert statuses(report) == told | gone
        self.held = wanted

    @precondition(lambda self: self.files)
    @rule(data=st.data())
    def ingest_one(self, data):
        """Gives a file by its own path, which takes it back where it was removed."""
        name = data.draw(st.sampled_from(sorted(self.files)))
        ingest_paths(self.library, self.settings, [self.folder / name], CORPUS, chroma=self.chroma)
        self.removed.discard(name)
        self.held[name] = self.files[name]

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def remove(self, data):
        names = data.draw(st.sets(st.sampled_from(sorted(self.held)), min_size=1, max_size=3))
        remove_documents(self.library, self.settings, CORPUS, sorted(names), self.chroma)
        self.removed |= names
        for name in names:
            del self.held[name]

    @precondition(lambda self: self.held)
    @rule()
    def backfill(self):
        backfill(self.library, self.settings, CORPUS, ["two"], chroma=self.chroma)

    @rule()
    def restart(self):
        self.stack.close()
        self.open()

    # --- what must hold at any time

    @invariant()
    def the_ledger_and_the_documents_agree(self):
        expected = dict.fromkeys(self.removed, "removed") | dict.fromkeys(self.held, "done")
        assert {source: status for source, (status, _) in ledger(self.library, CORPUS).items()} == expected
        assert {document.source: document.text for document in self.library.documents(CORPUS)} == self.held

    @invariant()
    def cards_and_vectors_are_those_of_the_documents(self):
        cards = self.library.cards.all(CORPUS)
        wanted = set()
        for card in cards:
            assert (card.documents, card.chunks) == (len(self.held), sum(map(count_chunks, self.held.values())))
            assert self.chroma.count(card) == card.chunks
            wanted |= {(card.fingerprint, passage_key(row[1])) for row in self.chunks(card)}
        assert set(self.library.database.query("SELECT fingerprint, passage FROM vectors")) == wanted
        assert len(wanted) == len(cards) * count_passages(self.held.values())
        assert [finding for finding in examine(self.library, EMBEDDERS, is_writer=False) if not finding.well] == []

    @invariant()
    def each_word_is_found_where_it_stands(self):
        if self.library.cards.all(CORPUS):
            retriever = self.reader.open(CORPUS, None, "lexical").retriever
            for word in map(spell, range(1, self.words + 1)):
                holding = [name for name, text in self.held.items() if word in text]
                assert [hit.source for hit in retriever.retrieve(word, 9)] == holding, word

    @invariant()
    def each_passage_finds_its_document_and_all_others(self):
        total = Counter({name: count_chunks(text) for name, text in self.held.items()})
        for card in self.library.cards.all(CORPUS):
            for search in ("exact", "ann"):
                retriever = self.reader.open(CORPUS, card.embedder, "dense", search=search).retriever
                for chunk, passage, _ in self.chunks(card):
                    hits = retriever.retrieve(passage, 1000)
                    assert Counter(hit.source for hit in hits) == total
                    assert chunk in {hit.chunk.id for hit in hits if hit.score > 0.999}

    def chunks(self, card):
        return list(self.library.chunk_passages(CORPUS, card.chunker))


def count_chunks(text):
    """Every section of a note is a chunk, and a plain text is one."""
    return max(1, text.count("# "))


def count_passages(texts):
    """Equal sections of two notes are one passage: they have the same title, heading and text."""
    notes = [text for text in texts if text.startswith("#")]
    small_print = {part for text in notes for part in text.split("## ")[1:]}
    return len(texts) + len({part.strip() for part in small_print})


@pytest.fixture(autouse=True)
def one_of_each(monkeypatch):
    """Lets one process parse and one examine Chroma, where more would only take more time."""
    monkeypatch.setattr(pipeline, "MOST_PARSERS", 1)
    monkeypatch.setattr(chroma_check, "OPENINGS", 1)


def test_promises():
    run_state_machine_as_test(Promises, settings=settings(max_examples=15, stateful_step_count=12))
