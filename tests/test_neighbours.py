"""Neighbour chunks: whole spans of documents around hits."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag.neighbours import widen
from rag.reader import Reader
from rag.retrievers import look_up
from rag.schema import Scored


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two documents of many chunks each."""
    from ingest.pipeline import Ingest
    from rag.library import Library
    from rag.settings import read_settings

    folder = tmp_path_factory.mktemp("neighbours") / "docs"
    folder.mkdir()
    for name in ("one", "two"):
        sentences = (f"Sentence {number} of {name} tells a little about the rivers. " * 3 for number in range(30))
        (folder / f"{name}.md").write_text("# Rivers\n\n" + "\n\n".join(sentences))
    home = read_settings(tmp_path_factory.mktemp("library"))
    library = Library(home.home, create=True)
    Ingest(library, home, "c", ["hash"], "recursive-300-0").run([folder])
    yield library, home
    library.close()


def chunks_of(library):
    chunker = library.cards.all("c")[0].chunker
    return [chunk for document in library.documents("c") for chunk in library.document_chunks(document.id, chunker)]


def hits_of(library, chunks):
    return look_up(library, [Scored(chunk.id, 1.0 - rank / 100) for rank, chunk in enumerate(chunks)])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data(), before=st.integers(0, 3), after=st.integers(0, 3))
def test_spans_are_the_document_and_hold_each_hit_with_its_neighbours(made, data, before, after):
    library, _ = made
    chunks = chunks_of(library)
    chosen = data.draw(st.lists(st.sampled_from(chunks), max_size=8, unique_by=lambda chunk: chunk.id))
    hits = hits_of(library, chosen)
    spans = widen(library, hits, before, after)

    held = [hit.chunk.id for span in spans for hit in span.hits]
    assert sorted(held) == sorted(chunk.id for chunk in chosen)  # each hit once
    order = {chunk.id: rank for rank, chunk in enumerate(chosen)}
    assert [min(order[h.chunk.id] for h in span.hits) for span in spans] == sorted(
        order[span.hits[0].chunk.id] for span in spans
    )
    for span in spans:
        text = library.document(span.document_id).text
        assert text[span.start : span.end] == span.text
        siblings = [chunk for chunk in chunks if chunk.document_id == span.document_id]
        for hit in span.hits:
            place = siblings.index(hit.chunk)
            around = siblings[max(0, place - before) : place + after + 1]
            assert span.start <= around[0].start
            assert span.end >= around[-1].end
    for a, b in ((a, b) for a in spans for b in spans if a is not b and a.document_id == b.document_id):
        assert a.end <= b.start or b.end <= a.start  # nothing is said twice


def test_no_neighbours_leave_the_hits_as_they_are(made):
    library, _ = made
    chosen = chunks_of(library)[3:30:5]
    spans = widen(library, hits_of(library, chosen), 0, 0)
    assert [(span.start, span.end, span.text) for span in spans] == [(c.start, c.end, c.text) for c in chosen]


def test_hits_of_a_search_become_readable_context(made):
    library, home = made
    hits = Reader(library, home).open("c", "hash", "dense").retriever.retrieve("Sentence 7 of two", 1)
    (span,) = widen(library, hits, 1, 1)
    assert (span.source, span.title) == (hits[0].source, hits[0].title)
    assert hits[0].chunk.text in span.text
    assert len(span.text) > 2 * len(hits[0].chunk.text)
    assert span.heading == hits[0].chunk.heading


def test_what_was_deleted_since_is_left_out(ingest, docs):
    made = ingest(docs)
    hits = Reader(made.library, made.settings).open("c").retriever.retrieve("bread tea rivers", 5)
    made.library.delete("c", ["bread.txt"])
    assert {span.source for span in widen(made.library, hits, 1, 1)} == {"rivers.md", "sub/tea.txt"}
    assert widen(made.library, [], 1, 1) == []
