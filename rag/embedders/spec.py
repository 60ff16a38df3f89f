"""What an embedder is: its entry in the table, the protocol, and the fingerprint that ties stored vectors to it."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rag.schema import Vectors


@dataclass(frozen=True, slots=True)
class EmbedderSpec:
    """The facts about one embedder: an entry of `table.toml`, or of the user's `rag.toml`.

    `model` and `tokenizer` are read by the provider: a hub id, a folder, or `package:path` for files shipped inside an
    installed package. `max_tokens` is what the model reads of a passage, 0 for no limit. `languages` are ISO 639-1
    codes, or "any". `usd_per_million_tokens` is 0 for local models.
    """

    name: str
    provider: str
    model: str
    revision: str
    dimension: int
    max_tokens: int
    query_prefix: str
    passage_prefix: str
    usd_per_million_tokens: float
    languages: tuple[str, ...]
    licence: str
    source: str
    precision: str = "float32"
    tokenizer: str = ""

    @property
    def fingerprint(self) -> str:
        """The 16 hexadecimal digits that change whenever a stored vector would.

        Price, licence and `query_prefix` are left out: they change no stored vector.
        """
        facts = {
            "provider": self.provider,
            "model": self.model,
            "tokenizer": self.tokenizer,
            "revision": self.revision,
            "dimension": self.dimension,
            "max_tokens": self.max_tokens,
            "passage_prefix": self.passage_prefix,
            "normalised": True,  # every embedder promises unit rows
            "precision": self.precision,
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


class Embedder(Protocol):
    """Turns queries and passages into vectors; two methods, because one with a flag costs quality silently.

    Both return float32 (n, dimension) with rows of unit length, in the order of the texts.
    """

    @property
    def spec(self) -> EmbedderSpec:
        """The facts about this embedder."""
        ...

    def embed_queries(self, queries: Sequence[str]) -> Vectors:
        """Embeds questions, with the embedder's query prefix."""
        ...

    def embed_passages(self, passages: Sequence[str]) -> Vectors:
        """Embeds passages, with the embedder's passage prefix."""
        ...

    def count_tokens(self, passages: Sequence[str]) -> list[int]:
        """Counts the tokens of each passage as the model would read it whole: with prefix and special tokens, uncut."""
        ...


def unit_rows(vectors: np.ndarray) -> Vectors:
    """Scales each row to unit length and returns float32; a row of zeros stays as it is.

    >>> unit_rows(np.array([[3.0, 4.0]])).tolist() == [[np.float32(0.6), np.float32(0.8)]]
    True
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths == 0, 1, lengths), dtype=np.float32)
