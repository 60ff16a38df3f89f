"""Calibrates abstention for each index: what cosines its embedder gives for what the corpus holds and what it does not.

Cosines of different embedders do not share a scale, so no fixed threshold serves two of them. Each index therefore
stores the ends of its own: how near sentences of other fields are to its passages on average, and how near a sentence
of the corpus is to the passage nearest to it. It also stores what word salads get, which are made of words that the
corpus does hold but never together.
"""

import random
from collections.abc import Sequence

import numpy as np

from rag.cards import IndexCard
from rag.embedders.spec import Embedder
from rag.library import Library
from rag.sentences import sentence_spans

SOURCES = 2_000
"""Chunks that words are drawn from, at most."""
SALADS = 100
WORDS = 7
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
BLOCK = 10_000

SAMPLE, SENTENCES = 500, 60
"""Chunks that sentences are compared with, and how many of those give a sentence, at most."""
SHORTEST, LONGEST = 40, 250
"""UTF-8 bytes and characters of a sentence that is about as long as a question."""

STRANGE = (
    "How long should a soft-boiled egg cook?", "Which team won the cup final last year?",
    "How do I get a coffee stain out of a shirt?", "Who composed the opera about the barber?",
    "Which plants grow well in the shade?", "What are the symptoms of a cold?", "How do I change a flat tyre?",
    "What is the tallest mountain of the continent?", "How much does a ticket to the zoo cost?",
    "Which king ruled after the revolution?", "How do I train a puppy to sit?", "Why is the sea salty?",
    "How is cheese made from milk?", "What should I pack for a week of hiking?", "How do I knit a scarf?",
    "How many players are on a volleyball team?",
)  # fmt: skip
"""Questions of many fields; a corpus may hold one or two of them."""


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


def measure_scale(library: Library, card: IndexCard, embedder: Embedder) -> tuple[float, ...]:
    """Returns the mean cosine of the strange questions and the median best one of the corpus's own sentences.

    Empty for an index that has no sentences. The same chunks are read whatever order they came in.
    """
    ids, vectors = library.vectors.of_chunks(card.fingerprint, library.some_chunks(card.corpus, card.chunker, SAMPLE))
    stored = library.chunks(ids)
    own = own_sentences([stored[key].chunk.text for key in ids if key in stored])
    if not own:
        return ()
    cosines = embedder.embed_queries([*STRANGE, *own]) @ vectors.T
    strange, familiar = cosines[: len(STRANGE)].mean(), np.median(cosines[len(STRANGE) :].max(axis=1))
    return round(float(strange), 6), round(float(familiar), 6)


def own_sentences(texts: Sequence[str]) -> list[str]:
    """Returns one sentence about as long as a question of each of some texts, evenly spread; of some there is none."""
    chosen = texts[:: -(-len(texts) // SENTENCES)] if texts else []
    return [sentence for sentence in map(_middle_sentence, chosen) if sentence]


def _middle_sentence(text: str) -> str:
    """Returns of those sentences that are about as long as a question the one in the middle; "" where there is none."""
    sentences = [text[start:end] for start, end in sentence_spans(text)]
    fit = [sentence for sentence in sentences if len(sentence.encode()) >= SHORTEST and len(sentence) <= LONGEST]
    return fit[len(fit) // 2] if fit else ""
