"""Semantic chunks break where the embedder sees the subject change."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import paired_cosine_distances

from chunker_documents import document
from ingest.chunkers import load_chunker
from rag.embedders.registry import load_embedder
from rag.schema import Heading

CATS = (
    "The cat sleeps on the warm mat. A cat likes its mat and its milk. The warm cat drinks the milk of another cat. "
    "Milk makes the cat sleep on its mat. Every cat likes warm milk. A cat on a mat drinks the milk. "
)
MONEY = (
    "Banks raised interest rates again. Higher interest rates cost banks money. Rates of banks cost money again. "
    "Money in banks earns interest at higher rates. Banks lend money at rates. Interest on money is what banks earn. "
)


def _sentences(text):
    return [f"{sentence.rstrip('.')}." for sentence in text.strip().split(". ")]


@pytest.mark.parametrize("embedder", ["hash", "wordllama", "minilm"])
def test_breaks_where_the_subject_changes(embedder):
    text = (CATS + MONEY).strip()
    chunks = load_chunker(f"semantic-800-95-{embedder}").split(document(text))
    assert len(chunks) == 2  # one of eleven distances passes the 95th percentile
    starts = {text.index(sentence): place for place, sentence in enumerate(_sentences(text))}
    assert abs(starts[chunks[1].start] - 6) <= 1  # neighbours are embedded along, so that it may be seen one early


def test_breaks_are_the_distances_over_the_percentile():
    long = [  # no piece is too short to stand alone
        sentence[:-1] + " indeed" * 14 + "." for text in (CATS, MONEY, CATS) for sentence in _sentences(text)
    ]
    windows = [" ".join(long[max(0, n - 1) : n + 2]) for n in range(len(long))]
    vectors = load_embedder("wordllama").embed_passages(windows)
    distances = paired_cosine_distances(vectors[:-1], vectors[1:])
    breaks = {n + 1 for n in np.flatnonzero(distances > np.percentile(distances, 60))}
    chunks = load_chunker("semantic-5000-60-wordllama").split(document(" ".join(long)))
    starts = np.cumsum([0, *(len(sentence) + 1 for sentence in long)])
    assert [chunk.start for chunk in chunks] == [starts[place] for place in sorted({0} | breaks)]


def test_short_pieces_join_their_neighbours_and_long_ones_are_cut():
    text = " ".join(f"Word{n} other{n} thing{n}." for n in range(200))  # 25 characters each, all unlike
    chunks = load_chunker("semantic-400-10-hash").split(document(text))
    assert all(100 <= len(chunk.text) <= 400 for chunk in chunks)
    assert all(len(chunk.text) <= 60 for chunk in load_chunker("semantic-60-10-hash").split(document(text)))


def test_headings_and_pages_part_chunks_and_no_window_reaches_over_them():
    text = CATS + "\n# B\n" + MONEY + CATS
    b, page = text.index("# B"), text.rindex(CATS)
    source = document(text, (0, page), (Heading(b, 1, "B"),))
    chunks = load_chunker("semantic-800-99-hash").split(source)
    assert {0, b, page} <= {chunk.start for chunk in chunks}
    assert [chunk.page for chunk in chunks if chunk.start >= page] == [2] * sum(c.start >= page for c in chunks)


def test_nothing_to_compare_loads_no_embedder_and_breaks_nothing():
    assert load_chunker("semantic-hash").split(document("")) == []
    assert [chunk.text for chunk in load_chunker("semantic-hash").split(document(" One sentence. "))] == [
        "One sentence."
    ]


def test_equal_sentences_make_no_breaks():
    chunks = load_chunker("semantic-2000-50-wordllama").split(document("The very same sentence again. " * 40))
    assert len(chunks) == 1
