"""A thousand files under a counting embedder: what changes is embedded, what is deleted leaves every byte of the disk.

They are much alike, as forms are: so much that Chroma's graph does not find many of them.
"""

from types import SimpleNamespace

import pytest

from counting import Counting
from file_builders import write
from pipeline_results import CHUNKER, statuses
from rag.bm25 import open_lexical
from rag.embedders import registry
from rag.health import examine
from rag.index import open_chroma
from rag.library import Library
from rag.reader import Reader
from rag.settings import Settings
from ui.ingesting import ingest_paths, remove_documents

FILES = 1_000
CORPUS = "c"
EVERY = {"dense", "hybrid", "lexical"}
NEIGHBOURS = 30
"""Enough for all passages whose own words fall together among the 512 numbers of the embedder."""
SMALL_PRINT = "All rights are reserved by the authors of this collection."


def word(number, part):
    """Returns a word that stands in one part of one file only, and that no stemmer shortens."""
    return "zq" + "".join("bdfgkmpvxz"[int(digit)] for digit in f"{number:04}{part}")


def sentence(number, part):
    return f"The part in question tells of {word(number, part)}."


def contents(number, edition=0):
    """Returns a file of two passages of its own and one that every tenth file has: a Markdown file, or a plain text."""
    last = edition or 2
    parts = [sentence(number, 1), sentence(number, last)]
    if number % 2:
        return "\n\n".join(parts)
    print_too = [f"## Legal\n\n{SMALL_PRINT}"] if number % 10 == 0 else []
    return "\n\n".join(["# Notes", parts[0], f"## More\n\n{parts[1]}", *print_too])


def name(number):
    return f"note-{number:04}.{'txt' if number % 2 else 'md'}"


@pytest.fixture(scope="module")
def thousand(tmp_path_factory):
    """The folder in its library, whose caches are up to date; each test changes files of its own."""
    work = tmp_path_factory.mktemp("thousand")
    folder, home = work / "docs", work / "home"
    for number in range(FILES):
        write(folder, name(number), contents(number))
    library = Library(home, create=True)
    settings = Settings(home, {"counting": Counting().spec}, ingest_with=("counting",), embedder="counting")

    def ingest():
        """Returns the report of a run, and the passages that it embedded."""
        embedder = Counting()
        registry._loaded[embedder.spec] = embedder
        report = ingest_paths(library, settings, [folder], CORPUS)
        return report, embedder.passages

    first = ingest()
    yield SimpleNamespace(folder=folder, home=home, library=library, settings=settings, ingest=ingest, first=first)
    library.close()
    del registry._loaded[Counting().spec]


def holders(home, text):
    """Returns the files of a library that hold a text, in any encoding that one of its parts may store it in."""
    encoded = [text.encode(encoding) for encoding in ("utf-8", "utf-16-le", "utf-32-le")]  # NumPy's strings are UTF-32
    files = [path for path in home.rglob("*") if path.is_file()]
    assert len(files) > 8
    return [path.name for path in files if any(part in path.read_bytes() for part in encoded)]


def finds(thousand, number, part, source):
    """Returns the kinds of search that find a document by a sentence that no other has."""
    kinds = set()
    reader = Reader(thousand.library, thousand.settings)
    for kind in EVERY:
        hits = reader.open(CORPUS, None, kind, search="exact").retriever.retrieve(sentence(number, part), NEIGHBOURS)
        kinds |= {kind for hit in hits if hit.source == source}
    return kinds


def caches_agree(thousand):
    """Asserts that Chroma and BM25 hold the chunks of the index and no other, and returns the ids of these chunks."""
    library = thousand.library
    (card,) = library.cards.all(CORPUS)
    ids, _ = library.vectors.of_index(CORPUS, CHUNKER, card.fingerprint)
    with open_chroma(library) as chroma:
        (collection,) = chroma._client.list_collections()
        assert sorted(collection.get(include=[])["ids"]) == ids
    assert open_lexical(library, CORPUS, CHUNKER).ids == ids
    return set(ids)


def test_boilerplate_is_embedded_once(thousand):
    report, passages = thousand.first
    assert report.counts()["done"] == FILES
    assert len(passages) == len(set(passages))
    assert sum(SMALL_PRINT in passage for passage in passages) == 1
    (card,) = report.cards
    assert card.chunks - len(passages) == FILES // 10 - 1 > 50


def test_one_changed_file_costs_its_changed_passages(thousand):
    number = 100
    write(thousand.folder, name(number), contents(number, edition=3))
    report, passages = thousand.ingest()
    assert len(passages) == 1
    assert word(number, 3) in passages[0]
    assert report.embedded == {"counting": 1}
    assert [source for source, status in statuses(report).items() if status == "done"] == [name(number)]
    assert finds(thousand, number, 3, name(number)) == EVERY
    assert word(number, 2) not in open_lexical(thousand.library, CORPUS, CHUNKER)._engine.vocabulary
    assert holders(thousand.home, word(number, 2)) == []
    caches_agree(thousand)


@pytest.mark.parametrize("number", [200, 201], ids=["Markdown", "plain text"])
@pytest.mark.parametrize("by_hand", [False, True], ids=["deleted", "removed by hand"])
def test_one_deleted_file_leaves_every_search_and_every_byte(thousand, number, by_hand):
    number += 100 * by_hand
    words = [word(number, part) for part in (1, 2)]
    library = thousand.library
    assert finds(thousand, number, 1, name(number)) == EVERY
    assert any(path.startswith("library.db") for path in holders(thousand.home, words[0]))
    ids = {chunk for chunk, _, source in library.chunk_passages(CORPUS, CHUNKER) if source == name(number)}
    before = caches_agree(thousand)
    assert ids < before

    if by_hand:
        remove_documents(library, thousand.settings, CORPUS, [name(number)])
    else:
        (thousand.folder / name(number)).unlink()
        report, passages = thousand.ingest()
        assert (statuses(report)[name(number)], passages) == ("deleted", [])

    assert finds(thousand, number, 1, name(number)) == finds(thousand, number, 2, name(number)) == set()
    assert caches_agree(thousand) == before - ids
    assert not set(words) & set(open_lexical(library, CORPUS, CHUNKER)._engine.vocabulary)
    for text in words:
        assert holders(thousand.home, text) == []


@pytest.mark.parametrize("number", [400, 401], ids=["Markdown", "plain text"])
def test_one_renamed_file_is_embedded_under_its_new_name_for_nothing(thousand, number):
    new = name(number).replace("note", "renamed")
    (thousand.folder / name(number)).rename(thousand.folder / new)
    report, passages = thousand.ingest()
    assert passages == []
    told = statuses(report)
    assert {source: told[source] for source in told if told[source] in ("done", "deleted")} == {
        name(number): "deleted",
        new: "done",
    }
    assert finds(thousand, number, 1, new) == EVERY
    assert holders(thousand.home, name(number)) == []
    caches_agree(thousand)


def test_nothing_of_it_comes_back_when_the_library_is_opened_anew(thousand):
    """What closing writes, the log of the database and the files of Chroma, holds no deleted word either."""
    number = 500
    (thousand.folder / name(number)).unlink()
    thousand.ingest()
    other = Library(thousand.home)
    findings = examine(other, thousand.settings.embedders, is_writer=True)
    other.close()
    assert [finding for finding in findings if not finding.well] == []
    assert holders(thousand.home, word(number, 1)) == holders(thousand.home, word(number, 2)) == []


def test_a_graph_that_loses_passages_is_not_asked_by_itself(thousand):
    lost = 0
    with open_chroma(thousand.library) as chroma:
        reader = Reader(thousand.library, thousand.settings, chroma)
        usual, graph = (reader.open(CORPUS, None, "dense", search=search).retriever for search in (None, "ann"))
        for number in range(600, 700):
            assert name(number) in {hit.source for hit in usual.retrieve(sentence(number, 1), NEIGHBOURS)}
            lost += name(number) not in {hit.source for hit in graph.retrieve(sentence(number, 1), NEIGHBOURS)}
    assert lost > 10, "the graph is better than thought: are these files still an example of what it loses?"
    findings = {f.subject: f for f in examine(thousand.library, thousand.settings.embedders, is_writer=True)}
    assert findings["chroma"].well
    assert "lose much of c / counting, where all vectors are compared" in findings["chroma"].detail
