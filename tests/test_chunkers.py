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

from chunker_documents import document, documents
from ingest.chunkers import HeadingChunker, RecursiveChunker, WholeDocumentChunker, load_chunker
from rag.schema import Document, Heading

CUTTING = ("recursive-50-0", "recursive-50-49", "recursive-60-20", "heading-50-10", "heading-80-0")
NAMES = (
    *CUTTING,
    "whole",
    "sentence-1-0",
    "sentence-3-2",
    "sentence-5-1",
    "token-16-0-hash",
    "token-16-15-wordllama",
    "token-40-5-wordllama",
    "semantic-50-50-hash",
    "semantic-120-90-wordllama",
)


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
@example(document("这是" * 30 + "。\n\n" + "abc" * 13 + "\n" + "def " * 40), "recursive-80-60")  # no blanks first
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
@given(documents(), st.sampled_from(CUTTING))
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


@pytest.mark.parametrize("name", ["recursive", "sentence", "token-wordllama", "semantic-hash"])
@pytest.mark.parametrize("line", [".", ". ", '."', "\n\t", "x", "。", "word ", "- a\n"])
def test_a_long_line_of_anything_takes_time_that_grows_with_its_length(name: str, line: str) -> None:
    chunker = load_chunker(name)
    chunker.split(document("Loads what it needs. " * 100))
    started = time.process_time()
    chunker.split(document(line * (500_000 // len(line)) + "y"))
    assert time.process_time() - started < 10  # under one second; a quadratic one takes minutes


def test_langchain_is_imported_only_to_cut() -> None:
    code = "import sys, ingest.chunkers as c; c.load_chunker('recursive'); sys.exit('langchain_core' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
