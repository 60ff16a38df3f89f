"""Token chunks: an embedder reads every passage whole."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chunker_documents import document, documents
from ingest.chunkers import load_chunker
from ingest.chunkers.tokens import LEAST_ROOM
from rag.embedders.registry import find_spec, load_embedder, table_specs
from rag.passages import passage
from rag.schema import Heading

PREFIXED = replace(find_spec("wordllama"), name="prefixed", max_tokens=64, passage_prefix="search_document: ")
SPECS = {**table_specs(), "prefixed": PREFIXED}
NAMES = ("token-16-2-hash", "token-prefixed", "token-32-31-prefixed", "token-64-8-minilm", "token-100-40-wordllama")

ENGLISH = " ".join(f"Sentence {number} says that retrieval needs a good embedder, and a task." for number in range(200))
CHINESE = "这是一个没有空格的句子，它有一点长，但是仍然可以读。" * 100
CODE = "\n".join(
    f"    result_{number} = compute_the_value(items[{number}:], key=lambda x: -x)" for number in range(300)
)
URLS = " ".join(f"https://example.com/a/very/long/path/{number}?query={'q' * 130}" for number in range(60))
LONG_TITLE = "The quick brown fox jumps over the lazy dog and keeps on running. " * 4


def lengths(chunker, source, name):
    """Returns for each chunk the tokens of its passage, and of what surrounds its text there."""
    chunks = chunker.split(source)
    embedder = load_embedder(name, SPECS)
    passages = [passage(source.title, chunk.heading, chunk.text) for chunk in chunks]
    around = [passage(source.title, chunk.heading, "") for chunk in chunks]
    return chunks, embedder.count_tokens(passages), embedder.count_tokens(around)


titles = st.sampled_from(["", "title", LONG_TITLE, "标题" * 150, "😀" * 40])


@settings(max_examples=150, deadline=None)
@given(documents(titles), st.sampled_from(NAMES))
def test_no_passage_is_longer_than_the_size(source, name):
    chunker = load_chunker(name, SPECS)
    _, size, _, embedder = chunker.name.split("-", 3)
    for chunk, tokens, around in zip(*lengths(chunker, source, embedder), strict=True):
        room = int(size) - around
        most = int(size) if room >= LEAST_ROOM else around + int(size) // 2  # the title alone is too long
        assert tokens <= most or len(chunk.text) == 1


@pytest.mark.parametrize("text", [ENGLISH, CHINESE, CODE, URLS, "x" * 5000, "😀" * 1000, "e\u0301" * 2000])
@pytest.mark.parametrize("name", ["token-minilm", "token-60-10-minilm", "token-wordllama", "token-prefixed"])
@pytest.mark.parametrize("title", ["Guide", LONG_TITLE[:150]])
def test_passages_fill_the_size_and_do_not_exceed_it(text, name, title):
    chunker = load_chunker(name, SPECS)
    _, size, _, embedder = chunker.name.split("-", 3)
    chunks, tokens, around = lengths(chunker, document(text, title=title), embedder)
    assert max(tokens) <= int(size)
    if text in (ENGLISH, CHINESE, CODE):
        full = [count - base for count, base in zip(tokens, around, strict=True)][:-2]  # the last two share the rest
        assert sum(full) >= 0.5 * len(full) * (int(size) - around[0])
    assert all(len(chunk.text) <= 8 * int(size) for chunk in chunks)


def test_cuts_at_sentences_and_repeats_whole_ones_within_the_overlap():
    chunks = load_chunker("token-100-24-minilm").split(document(ENGLISH))
    assert len(chunks) > 20
    assert all(chunk.text.startswith("Sentence") and chunk.text.endswith("task.") for chunk in chunks)
    count = load_embedder("minilm").count_tokens
    for before, after in pairwise(chunks):
        assert after.start < before.end
        assert count([ENGLISH[after.start : before.end]])[0] <= 24
    apart = load_chunker("token-100-0-minilm").split(document(ENGLISH))
    assert all(before.end < after.start for before, after in pairwise(apart))


def test_cuts_at_words_where_no_sentence_ends():
    text = "word another " * 500
    for chunk in load_chunker("token-64-8-wordllama").split(document(text)):
        assert text[chunk.start - 1 : chunk.start] in ("", " ") and text[chunk.end] == " "


def test_the_last_two_chunks_share_what_is_left():
    chunks = load_chunker("token-100-0-minilm").split(document(ENGLISH[:520]))
    assert len(chunks) == 2
    assert min(len(chunk.text) for chunk in chunks) > 150


def test_headings_and_pages_part_chunks():
    text = "# A\nOn a.\n# B\nOn b.\nOn the next page."
    source = document(text, (0, text.index("On the")), (Heading(0, 1, "A"), Heading(text.index("# B"), 2, "B")))
    chunks = load_chunker("token-minilm").split(source)
    assert [(chunk.heading, chunk.page, chunk.text) for chunk in chunks] == [
        ("A", 1, "# A\nOn a."),
        ("A > B", 1, "# B\nOn b."),
        ("A > B", 2, "On the next page."),
    ]


def test_a_title_longer_than_the_limit_does_not_stop_the_cutting():
    title = LONG_TITLE * 6  # over 256 tokens
    chunks, tokens, around = lengths(load_chunker("token-minilm"), document(ENGLISH, title=title), "minilm")
    assert around[0] > 256
    assert 256 // 4 < max(count - base for count, base in zip(tokens, around, strict=True)) <= 128
    assert chunks[-1].end == len(ENGLISH)
