"""Calibrates abstention for each index: how high the best cosine gets for queries that mean nothing to the corpus.

Cosines of different embedders do not share a scale, so no fixed threshold serves two of them. Each index therefore
stores what its own embedder gives for word salads, made of words that the corpus does hold but never together.
"""

import random
from collections.abc import Sequence

import numpy as np

from rag.cards import IndexCard
from rag.embedders.spec import Embedder
from rag.library import Library

SOURCES = 2_000
"""Chunks that words are drawn from, at most."""
SALADS = 100
WORDS = 7
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
BLOCK = 10_000


def measure_noise(library: Library, card: IndexCard, embedder: Embedder) -> tuple[float, ...]:
    """Returns the quantiles above of the best cosine over seeded word salads; empty for an index without chunks.

    Words are drawn from some chunks, evenly spread, and vectors are read in blocks, so that memory is bounded.
    """
    salads = word_salads(library.some_passages(card.corpus, card.chunker, SOURCES), card.fingerprint)
    if not salads:
        return ()
    queries = embedder.embed_queries(salads)
    best = np.full(SALADS, -np.inf, dtype=np.float32)
    for _, vectors in library.vectors.blocks(card.corpus, card.chunker, card.fingerprint, BLOCK):
        best = np.maximum(best, (queries @ vectors.T).max(axis=1))
    return tuple(round(float(value), 6) for value in np.quantile(best, QUANTILES)) if np.isfinite(best).all() else ()


def word_salads(texts: Sequence[str], seed: str) -> list[str]:
    """Returns queries of longer words drawn from the texts, the same for the same seed; none where there are no words.

    >>> [len(salad.split()) for salad in word_salads(["a tale of rivers"], "seed")[:2]], word_salads(["a b c"], "seed")
    ([7, 7], [])
    """
    words = [[word for word in text.split() if len(word) > 3] for text in texts]
    words = [choices for choices in words if choices]
    if not words:
        return []
    chance = random.Random(seed)
    return [" ".join(chance.choice(chance.choice(words)) for _ in range(WORDS)) for _ in range(SALADS)]
