"""The bag-of-words embedder: no model, no training, the floor of every comparison and the double of the tests."""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from rag.embedders.spec import EmbedderSpec, unit_rows
from rag.schema import Vectors

WORD = re.compile(r"\w+")


class HashEmbedder:
    """Hashes each word to a signed coordinate and adds 1 + log(count) there, so that shared words do rank first.

    The hashing trick of Weinberger et al., "Feature Hashing for Large Scale Multitask Learning" (ICML 2009).
    """

    def __init__(self, spec: EmbedderSpec) -> None:
        self.spec = spec

    def embed_queries(self, queries: Sequence[str]) -> Vectors:
        """Embeds questions as bags of words, (n, dimension)."""
        return self._embed(queries, self.spec.query_prefix)

    def embed_passages(self, passages: Sequence[str]) -> Vectors:
        """Embeds passages as bags of words, (n, dimension)."""
        return self._embed(passages, self.spec.passage_prefix)

    def count_tokens(self, passages: Sequence[str]) -> list[int]:
        """Counts words, with repeats; a text without a word counts as the one word "", as it is embedded."""
        return [len(_words(self.spec.passage_prefix + passage)) for passage in passages]

    def _embed(self, texts: Sequence[str], prefix: str) -> Vectors:
        vectors = np.zeros((len(texts), self.spec.dimension))
        for row, text in enumerate(texts):
            for word, count in Counter(_words(prefix + text)).items():
                coordinate, sign = _bucket(word, self.spec.dimension)
                vectors[row, coordinate] += sign * (1 + math.log(count))
            if not vectors[row].any():  # words that cancel each other out
                vectors[row, 0] = 1.0
        return unit_rows(vectors)


def _words(text: str) -> list[str]:
    """Returns the words of a text; one without a word has the one word "", so that it still gets a unit row."""
    return WORD.findall(text.lower()) or [""]


@lru_cache(maxsize=1 << 16)
def _bucket(word: str, dimension: int) -> tuple[int, int]:
    """Returns the coordinate and the sign that stand for a word, the same on every machine."""
    number = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "little")
    return number // 2 % dimension, 1 if number % 2 else -1
