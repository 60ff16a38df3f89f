"""Filters: what they mean, and that every retriever keeps to them and still finds k where there are k."""

import fnmatch
import json
import os
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from file_builders import make_pdf, write
from rag.errors import UsageError
from rag.filters import ChunkFacts, Filter
from rag.index import open_chroma
from rag.reader import KEPT_FILTERS, Reader
from rag.searches import ConfinedSearch, ExactSearch

YEARS = (2019, 2020, 2021, 2022)
SEARCHES = ("exact", "chroma")
OPTIONS = (
    {"retriever": "dense", "embedder": "hash"},
    {"retriever": "lexical"},
    {"retriever": "hybrid", "embedder": "hash"},
    {"retriever": "hybrid", "embedder": "hash", "mmr": 0.5},
)
FILTERS = (
    Filter(source="letters"),
    Filter(source="*.pdf"),
    Filter(type="markdown"),
    Filter(type=".MD"),
    Filter(page="2-3"),
    Filter(page="3-"),
    Filter(after="2021"),
    Filter(before="2020-07"),
    Filter(language="de"),
    Filter(source="letters/*1*", after="2020", before="2021"),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A library of letters from several years, German notes and a PDF; all of them speak of rivers."""
    from ingest.pipeline import Ingest
    from rag.library import Library
    from rag.settings import read_settings

    folder = tmp_path_factory.mktemp("filters") / "docs"
    for number in range(24):
        name = f"letters/{number}.txt"
        write(folder, name, f"The river rises in spring and floods the meadows. Letter {number} tells of the river.")
        moment = datetime(YEARS[number % 4], 6, 15, tzinfo=UTC).timestamp()
        os.utime(folder / name, (moment, moment))
    for number in range(5):
        text = f"# Notiz {number}\n\nDer Fluss steigt im Frühling und überschwemmt die Wiesen, sagt die Notiz {number}."
        write(folder, f"notizen/{number}.md", text)
    (folder / "guide.pdf").write_bytes(make_pdf([f"Page {page} about the river and its meadows." for page in range(5)]))
    settings = read_settings(tmp_path_factory.mktemp("library"))
    library = Library(settings.home, create=True)
    Ingest(library, settings, "rivers", ["hash"], "heading").run([folder])
    with open_chroma(library) as chroma:
        yield SimpleNamespace(library=library, settings=settings, chroma=chroma)
    library.close()


@pytest.fixture(scope="module")
def chunks(made):
    """All chunks with their documents."""
    card = made.library.cards.all("rivers")[0]
    return [
        (chunk, document)
        for document in made.library.documents("rivers")
        for chunk in made.library.document_chunks(document.id, card.chunker)
    ]


def meets(wanted, chunk, document):
    """What a filter means, one chunk at a time."""
    if wanted.source and not (
        fnmatch.fnmatch(document.source, wanted.source) or document.source.startswith(f"{wanted.source}/")
    ):
        return False
    if wanted.type and wanted.type not in (document.format, document.source.rsplit(".", 1)[1]):
        return False
    if wanted.pages and not (chunk.page and wanted.pages[0] <= chunk.page <= wanted.pages[1]):
        return False
    if wanted.language and document.language != wanted.language:
        return False
    first, last = f"{wanted.after}-01-01"[:10], f"{wanted.before}-12-31"[:10]
    if wanted.after and not document.date >= first:
        return False
    return not wanted.before or "" < document.date <= last


# --- retrievers


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(map(str, options.values())))
@pytest.mark.parametrize("wanted", FILTERS, ids=lambda wanted: wanted.words)
def test_a_filtered_search_finds_k_of_what_may_be_found(made, chunks, wanted, options, search):
    reader = Reader(made.library, made.settings, made.chroma if search == "chroma" else None)
    retriever = reader.open("rivers", filter=wanted, **options).retriever
    allowed = {chunk.id for chunk, document in chunks if meets(wanted, chunk, document)}
    assert 0 < len(allowed) < len(chunks)
    query = "river Fluss"
    for k in (1, 3, len(allowed), 500):
        found = [hit.chunk.id for hit in retriever.retrieve(query, k)]
        assert set(found) <= allowed
        assert len(found) == min(k, len(allowed))


@pytest.mark.parametrize("options", OPTIONS[:3], ids=lambda options: "-".join(map(str, options.values())))
def test_a_filtered_ranking_is_the_whole_one_without_the_others(made, chunks, options):
    wanted = Filter(source="letters", after="2020", before="2021")
    allowed = {chunk.id for chunk, document in chunks if meets(wanted, chunk, document)}
    reader = Reader(made.library, made.settings)
    whole = reader.open("rivers", **options).retriever.rank(["river in spring"], 500)[0]
    found = reader.open("rivers", filter=wanted, **options).retriever.rank(["river in spring"], 500)[0]
    assert {result.chunk_id for result in found} == allowed
    if options["retriever"] != "hybrid":  # whose ranks, and so whose scores, close up
        expected = [(r.chunk_id, pytest.approx(r.score, abs=1e-6)) for r in whole if r.chunk_id in allowed]
        assert [(r.chunk_id, r.score) for r in found] == expected


@pytest.mark.parametrize("not_many", [0, 10_000])
def test_chroma_and_the_exact_search_agree_under_a_filter(made, monkeypatch, not_many):
    monkeypatch.setattr(ConfinedSearch.__init__, "__defaults__", (not_many,))
    plain, approximate = Reader(made.library, made.settings), Reader(made.library, made.settings, made.chroma)
    for wanted in FILTERS:
        exact, found = (
            reader.open("rivers", "hash", "dense", filter=wanted).retriever.rank(["the river floods the meadows"], 4)[0]
            for reader in (plain, approximate)
        )
        assert [r.score for r in found] == pytest.approx([r.score for r in exact], abs=1e-5)


def test_an_empty_filter_is_none(made):
    reader = Reader(made.library, made.settings)
    opened = reader.open("rivers", "hash", "dense", filter=Filter())
    assert opened.filter is None
    assert len(opened.retriever.retrieve("river", 500)) > 30


def test_nothing_is_found_where_nothing_is_let_through(made):
    for search in SEARCHES:
        reader = Reader(made.library, made.settings, made.chroma if search == "chroma" else None)
        for options in OPTIONS:
            assert reader.open("rivers", filter=Filter(after="2100"), **options).retriever.retrieve("river", 5) == []


def test_an_answer_is_not_drawn_from_what_is_filtered_out(made):
    from rag.answerer import whole

    reader = Reader(made.library, made.settings)
    opened = reader.open("rivers", "hash", "hybrid", filter=Filter(source="letters/3.txt"))
    hits = opened.retriever.retrieve("What does letter 7 tell of?", 5)
    answer = whole(opened.answerer().answer("What does letter 7 tell of?", hits))
    assert {citation.source for citation in answer.citations} <= {"letters/3.txt"}
    assert {hit.source for hit in opened.answerability.index.rank("river", 9) and hits} == {"letters/3.txt"}


def test_masks_are_made_once_for_each_filter_and_state_and_few_are_kept(ingest, tmp_path, monkeypatch):
    calls = []
    mask = ChunkFacts.mask
    monkeypatch.setattr(ChunkFacts, "mask", lambda self, *rest: calls.append(rest) or mask(self, *rest))
    write(tmp_path / "docs", "a.txt", "A river of words.")
    made = ingest(tmp_path / "docs")
    reader = Reader(made.library, made.settings)

    def found(wanted):
        return [hit.source for hit in reader.open("c", "hash", "hybrid", filter=wanted).retriever.retrieve("river", 5)]

    assert found(Filter(type="txt")) == ["a.txt"]
    assert len(calls) == 2  # one for each leg
    assert found(Filter(type="txt")) == ["a.txt"]
    assert len(calls) == 2
    write(tmp_path / "docs", "b.txt", "Another river of words.")
    ingest(tmp_path / "docs")
    assert sorted(found(Filter(type="txt"))) == ["a.txt", "b.txt"]  # another state, another mask
    for number in range(3 * KEPT_FILTERS):
        found(Filter(source=f"*{number}*"))
    assert len(reader._confined) == KEPT_FILTERS


# --- a search that knows no filters


@given(st.integers(0, 2**32), st.integers(0, 40), st.integers(1, 12))
def test_a_confined_search_equals_brute_force(seed, many, k):
    chance = np.random.default_rng(seed)
    vectors = chance.normal(size=(40, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = [f"{number:02}" for number in range(40)]
    mask = np.zeros(40, dtype=bool)
    mask[chance.permutation(40)[:many]] = True
    allowed = frozenset(np.array(ids)[mask].tolist())
    queries = vectors[:3]
    whole = ExactSearch(ids, vectors)
    expected = [[pair for pair in ranking if pair[0] in allowed][:k] for ranking in whole(queries, 40)]
    confined = [ConfinedSearch(whole, allowed, 40, lambda: ExactSearch(ids, vectors, mask), n) for n in (0, 100)]
    for search in (whole.within(mask), *confined):
        for found, truth in zip(search(queries, k), expected, strict=True):
            assert [chunk_id for chunk_id, _ in found] == [chunk_id for chunk_id, _ in truth]
            np.testing.assert_allclose([s for _, s in found], [s for _, s in truth], atol=1e-5)


# --- what a person may write


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"page": "x"}, "'x' are no pages. Write 3, 3-7"),
        ({"page": "7-3"}, "'7-3' holds no page"),
        ({"page": "0"}, "'0' holds no page"),
        ({"page": "-"}, "'-' are no pages"),
        ({"after": "24"}, "after '24' is no date. Write 2024, 2024-03"),
        ({"before": "2024-13"}, "before '2024-13' is no date"),
        ({"before": "2024-02-30"}, "is no date"),
        ({"after": "2024-05", "before": "2024-03"}, "Nothing is dated after 2024-05 and before 2024-03"),
        ({"language": "german"}, "'german' is no language. Give its ISO 639-1 code"),
    ],
)
def test_nonsense_is_refused(wrong, told):
    with pytest.raises(UsageError, match=told):
        Filter(**wrong)


@pytest.mark.parametrize(
    ("unknown", "told"),
    [
        ({"type": "markdwn"}, "No document of type 'markdwn'. Did you mean 'markdown'"),
        ({"language": "fr"}, "No document in the language 'fr'"),
        ({"source": "letter/1.txt"}, "No document 'letter/1.txt'. Did you mean 'letters/1.txt'"),
    ],
)
def test_what_no_document_has_is_told_before_anything_is_searched(made, unknown, told):
    with pytest.raises(UsageError, match=told):
        Reader(made.library, made.settings).open("rivers", "hash", filter=Filter(**unknown))


def test_values_are_read_as_people_write_them():
    assert Filter(page=" 3 - 7 ").pages == (3, 7)
    assert Filter(page="3–7").pages == (3, 7)
    assert Filter(page="4").pages == (4, 4)
    assert Filter(page="-4").pages == (1, 4)
    assert Filter(type=".PDF").type == "pdf"
    assert Filter(language="zh-CN").language == "zh"
    assert Filter(after="2024", before="2024-03") == Filter(" ", " ", "", "2024 ", "2024-03")
    assert not Filter(source="  ")
    assert Filter(source="*.pdf", page="3-7", language="de").words == "*.pdf, pages 3-7, language de"


@given(st.text(max_size=12))
def test_no_text_does_worse_than_to_be_refused(text):
    for name in ("source", "type", "page", "after", "before", "language"):
        try:
            wanted = Filter(**{name: text})
        except UsageError:
            continue
        assert Filter(**{name: getattr(wanted, name)}) == wanted


@pytest.mark.parametrize("pattern", ["[", "[!", "*" * 50 + "a", "**/x", "a\\b", "("])
def test_a_strange_pattern_finds_nothing_and_breaks_nothing(made, pattern):
    reader = Reader(made.library, made.settings)
    if not set("*?[") & set(pattern):
        with pytest.raises(UsageError, match="No document"):
            reader.open("rivers", "hash", filter=Filter(source=pattern))
        return
    assert reader.open("rivers", "hash", "dense", filter=Filter(source=pattern)).retriever.retrieve("river", 3) == []


# --- the command line


def test_the_options_of_a_filter(rag, made):
    home = ("--home", made.settings.home)
    found = rag(*home, "search", "river", "--type", "pdf", "--page", "2-3", "--mmr", "0.5", "--json")
    assert found.status == 0
    document = json.loads(found.out)
    hits = document["hits"]
    assert (document["filter"], document["mmr"]) == ({"type": "pdf", "page": "2-3"}, 0.5)
    assert "reranker" not in document
    assert {hit["source"] for hit in hits} == {"guide.pdf"}
    assert {hit["page"] for hit in hits} == {2, 3}
    shown = rag(*home, "search", "river", "--type", "pdf").out
    assert shown.splitlines()[0].endswith("hybrid under hash, only type pdf")
    answer = rag(*home, "ask", "When does the river rise?", "--source", "letters/1*", "--json")
    assert all(hit["source"].startswith("letters/1") for hit in json.loads(answer.out)["hits"])
    wrong = rag(*home, "search", "river", "--page", "x")
    assert (wrong.status, wrong.out) == (2, "")
    assert "'x' are no pages" in wrong.err


# --- documents from before dates were kept


def test_documents_of_an_older_library_have_no_date_and_meet_no_wish_for_one(tmp_path, ingest):
    from rag.database import MIGRATIONS, Database

    write(tmp_path / "docs", "a.txt", "A river of words.")
    made = ingest(tmp_path / "docs")
    path = made.library.database.path
    with made.library.database.transaction() as connection:  # as migration 4 left it
        connection.execute("DROP INDEX documents_by_facts")
        connection.execute("ALTER TABLE documents DROP COLUMN date")
    adding = next(statements for statements in MIGRATIONS if "documents_by_facts" in statements)
    with made.library.database.transaction() as connection:
        for statement in adding.split(";\n"):
            connection.execute(statement)
    assert Database(path).query("SELECT date FROM documents").fetchall() == [("",)]
    reader = Reader(made.library, made.settings)
    assert len(reader.open("c", "hash").retriever.retrieve("river", 3)) == 1
    for wanted in (Filter(after="1900"), Filter(before="2100")):
        assert reader.open("c", "hash", filter=wanted).retriever.retrieve("river", 3) == []


def test_what_a_filter_asks_is_read_without_the_texts(made):
    plan = made.library.database.query(
        "EXPLAIN QUERY PLAN SELECT id, source, format, language, date FROM documents WHERE corpus = ? ORDER BY source",
        ("rivers",),
    ).fetchall()
    assert [row[3] for row in plan] == ["SEARCH documents USING COVERING INDEX documents_by_facts (corpus=?)"]


# --- while a corpus changes, and from several threads


def test_a_filter_keeps_to_what_is_loaded_while_a_corpus_is_ingested_into(tmp_path, ingest):
    write(tmp_path / "docs", "a.txt", "A river of words.")
    made = ingest(tmp_path / "docs")
    reader = Reader(made.library, made.settings)

    def found():
        opened = reader.open("c", "hash", "hybrid", filter=Filter(type="txt"))
        return sorted(hit.source for hit in opened.retriever.retrieve("river", 5))

    assert found() == ["a.txt"]
    with reader.holding("c"):
        write(tmp_path / "docs", "b.txt", "Another river of words.")
        ingest(tmp_path / "docs")
        assert found() == ["a.txt"]
        opened = reader.open("c", "hash", filter=Filter(source="a*"))  # a filter that was not asked before
        assert [hit.source for hit in opened.retriever.retrieve("river", 5)] == ["a.txt"]
    assert found() == ["a.txt", "b.txt"]


def test_filters_of_several_questions_at_once_are_not_mixed_up(made):
    from concurrent.futures import ThreadPoolExecutor

    reader = Reader(made.library, made.settings)

    def ask(number):
        wanted = f"letters/{number % 24}.txt"
        retriever = reader.open("rivers", "hash", "hybrid", filter=Filter(source=wanted)).retriever
        return {hit.source for hit in retriever.retrieve("river", 5)} == {wanted}

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(200)))
