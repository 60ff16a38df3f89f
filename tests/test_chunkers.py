"""What holds for every chunker on any text: exact offsets, nothing lost, nothing too long, pages and headings kept."""

import subprocess
import sys
import time
from bisect import bisect_right
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingest.chunkers import Chunker, HeadingChunker, RecursiveChunker, WholeDocumentChunker, load_chunker
from rag.errors import UsageError
from rag.schema import Document, Heading

NAMES = ("recursive-50-0", "recursive-50-49", "recursive-60-20", "heading-50-10", "heading-80-0", "whole")


def document(text: str, pages: tuple[int, ...] = (), headings: tuple[Heading, ...] = ()) -> Document:
    return Document("id", "corpus", "source", "title", text, "plain_text", "hash", pages, headings)


PIECES = ["word ", "a", "\n", "\n\n", " ", "ab. ", "。", "，", "句", "x" * 70, "\t", "\u0301", "\x1d", "same same "]
texts = st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=80).map("".join)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    text = draw(texts)
    inside = st.integers(0, max(0, len(text) - 1))
    pages = sorted(draw(st.sets(inside, max_size=5)) | {0}) if draw(st.booleans()) else []
    starts = sorted(draw(st.sets(inside, max_size=6))) if text else []
    headings = (Heading(start, draw(st.integers(1, 4)), f"H{start}") for start in starts)
    return document(text, tuple(pages), tuple(headings))


def expected_path(source: Document, offset: int) -> str:
    """The headings above an offset by the definition: the last of each level since the last of a smaller one."""
    path: dict[int, str] = {}
    for heading in source.headings:
        if heading.start <= offset:
            path = {level: text for level, text in path.items() if level < heading.level}
            path[heading.level] = heading.text
    return " > ".join(path[level] for level in sorted(path))


@settings(max_examples=300, deadline=None)
@given(documents(), st.sampled_from(NAMES))
@example(document("same same " * 40), "recursive-60-20")
@example(document("ab" * 200), "recursive-60-20")
def test_every_chunker_keeps_its_promises(source: Document, name: str) -> None:
    chunker = load_chunker(name)
    chunks = chunker.split(source)
    covered = set()
    for chunk in chunks:
        assert source.text[chunk.start : chunk.end] == chunk.text
        assert chunk.text and chunk.text == chunk.text.strip()
        assert chunk.document_id == source.id
        covered.update(range(chunk.start, chunk.end))
    assert covered >= {place for place, character in enumerate(source.text) if not character.isspace()}
    for before, after in pairwise(chunks):
        assert before.start < after.start and before.end < after.end
    assert len({chunk.id for chunk in chunks}) == len(chunks)
    assert chunker.split(source) == chunks == load_chunker(name).split(source)


@settings(max_examples=300, deadline=None)
@given(documents(), st.sampled_from(NAMES[:-1]))
def test_cutting_chunkers_respect_size_pages_and_headings(source: Document, name: str) -> None:
    kind, size, overlap = name.split("-")
    chunks = load_chunker(name).split(source)
    for chunk in chunks:
        assert len(chunk.text) <= int(size)
        if source.pages:
            page = bisect_right(source.pages, chunk.start)
            assert chunk.page == page == bisect_right(source.pages, chunk.end - 1)
        else:
            assert chunk.page is None
        if kind == "recursive":
            assert chunk.heading == expected_path(source, chunk.start)
    for before, after in pairwise(chunks):
        assert before.end - after.start <= int(overlap)


GUIDE = "preamble\n\n# A\n\n## B\n\nabout b\n\n# Empty\n\n# C\n\n" + "about c. " * 20 + "\n\n## D\n====\n\n## E\nlast"
HEADINGS = tuple(
    Heading(GUIDE.index(f"{'#' * level} {text}\n"), level, text)
    for level, text in [(1, "A"), (2, "B"), (1, "Empty"), (1, "C"), (2, "D"), (2, "E")]
)


def test_heading_chunker_cuts_at_headings_and_joins_bare_ones() -> None:
    chunks = HeadingChunker(80, 20).split(document(GUIDE, headings=HEADINGS))
    firsts = [(chunk.heading, chunk.text.split("\n")[0][:8]) for chunk in chunks if "about c" not in chunk.text[:9]]
    assert firsts == [("", "preamble"), ("A > B", "# A"), ("C", "# Empty"), ("C > E", "## D")]
    assert {chunk.heading for chunk in chunks if "about c" in chunk.text} == {"C"}


def test_heading_chunker_does_not_join_over_a_page() -> None:
    text = "# A\n# B\ntext"
    source = document(text, (0, 4), (Heading(0, 1, "A"), Heading(4, 1, "B")))
    assert [(chunk.page, chunk.heading, chunk.text) for chunk in HeadingChunker().split(source)] == [
        (1, "A", "# A"),
        (2, "B", "# B\ntext"),
    ]


def test_overlap_starts_at_a_sentence_and_stays_behind_headings() -> None:
    sentences = " ".join(f"This is the sentence with number {number}." for number in range(40))
    chunks = RecursiveChunker(200, 60).split(document(sentences))
    assert all(chunk.text.startswith("This") and chunk.text.endswith(".") for chunk in chunks)
    assert all(after.start < before.end for before, after in pairwise(chunks))
    place = chunks[1].end + 1  # where the text of the third chunk that is no overlap starts
    headed = RecursiveChunker(200, 60).split(document(sentences, headings=(Heading(place, 1, "H"),)))
    assert chunks[2].start < place and headed[2].start == place and headed[2].heading == "H"


def test_hard_cuts_keep_accents_with_their_letters() -> None:
    chunks = RecursiveChunker(51, 0).split(document("e\u0301" * 500))
    assert all(chunk.text.startswith("e") and chunk.text.endswith("\u0301") for chunk in chunks)


def test_cuts_prefer_paragraphs_then_full_stops_of_chinese() -> None:
    paragraphs = "\n\n".join(["one two three four five six seven eight"] * 8)
    assert {chunk.text for chunk in RecursiveChunker(50, 0).split(document(paragraphs))} == {paragraphs[:39]}
    chinese = "这是第一个句子，它有一点长。" * 30
    assert all(chunk.text.endswith("。") for chunk in RecursiveChunker(100, 20).split(document(chinese)))


def test_whole_document_is_one_chunk() -> None:
    (chunk,) = WholeDocumentChunker().split(document("  a\nb \n", (0, 4), (Heading(2, 1, "a"),)))
    assert (chunk.text, chunk.heading, chunk.page) == ("a\nb", "", None)
    (chunk,) = WholeDocumentChunker().split(document("one page", (0,)))
    assert chunk.page == 1


def test_ids_name_document_chunker_and_span() -> None:
    source = document("words " * 40)
    first, second = RecursiveChunker(60, 0).split(source), RecursiveChunker(60, 10).split(source)
    other = RecursiveChunker(60, 0).split(replace(source, id="other"))
    assert len({chunks[0].id for chunks in (first, second, other)}) == 3


@pytest.mark.parametrize(
    ("name", "kind", "full_name"),
    [
        ("recursive", RecursiveChunker, "recursive-800-100"),
        ("recursive-500-50", RecursiveChunker, "recursive-500-50"),
        ("heading", HeadingChunker, "heading-800-100"),
        ("heading-50-0", HeadingChunker, "heading-50-0"),
        ("whole", WholeDocumentChunker, "whole"),
    ],
)
def test_load_chunker(name: str, kind: type, full_name: str) -> None:
    chunker: Chunker = load_chunker(name)
    assert type(chunker) is kind
    assert chunker.name == full_name
    assert load_chunker(chunker.name).name == full_name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("recursiv", "Did you mean 'recursive'"),
        ("", "No chunker ''"),
        ("recursive-500", "recursive-500-50"),
        ("recursive-a-b", "No chunker"),
        ("recursive--5-1", "No chunker"),
        ("heading-500-50-5", "No chunker"),
        ("whole-500-50", "No chunker"),
        ("recursive-100-100", "overlap of 100"),
        ("heading-49-0", "size of 49"),
    ],
)
def test_wrong_names_and_numbers(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_chunker(name)


@pytest.mark.parametrize("name", ["recursive", "heading"])
@pytest.mark.parametrize("line", ["The quick brown fox jumps over the dog. ", "句子没有空格", "a ", "x"])
def test_ten_megabytes_take_seconds(name: str, line: str) -> None:
    text = (line * (10_000_000 // len(line)))[:10_000_000]
    marks = tuple(range(0, len(text), 500))
    source = document(text, marks[::4], tuple(Heading(start, 1 + start % 3, "h") for start in marks))
    started = time.process_time()
    chunks = load_chunker(name).split(source)
    assert time.process_time() - started < 20  # two to five seconds on a laptop
    assert chunks[-1].end >= len(text) - 1


def test_langchain_is_imported_only_to_cut() -> None:
    code = "import sys, ingest.chunkers as c; c.load_chunker('recursive'); sys.exit('langchain_core' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
