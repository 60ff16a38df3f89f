"""What an embedder is: its entry in the table, the protocol, and the fingerprint that ties stored vectors to it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from rag.errors import RagError
from rag.schema import Vectors


@dataclass(frozen=True, slots=True)
class EmbedderSpec:
    """The facts about one embedder: an entry of `table.toml`, or of the user's `rag.toml`.

    `model` and `tokenizer` are read by the provider: a hub id, a folder, `package:path` for files shipped inside an
    installed package, or a vendor's name for it. `max_tokens` is what the model reads of a passage, 0 for no limit.
    `languages` are ISO 639-1 codes, or "any". `usd_per_million_tokens` is 0 for local models. `precision` is the least
    that vectors are computed in: a processor without bfloat16 computes in float32, which is nearer to the model, but
    int8 are other weights. `dimensions` are the widths that vectors may be cut to, where the model was trained for it
    (Matryoshka; Kusupati et al. 2022). `made_for` is retrieval, similarity, or general.

    What follows concerns vendors and servers: `base_url` in place of the vendor's own; `key`, the environment variable
    that holds the secret, "" for the provider's usual one; `batch`, the texts in one request, `requests_per_minute`,
    `tokens_per_minute` and `timeout` in seconds, 0 for the provider's own. `unconfirmed` names facts that no source
    was found for.
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
    dimensions: tuple[int, ...] = ()
    made_for: str = "retrieval"
    base_url: str = ""
    key: str = ""
    batch: int = 0
    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    timeout: float = 0.0
    unconfirmed: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """The 16 hexadecimal digits that change whenever a stored vector would.

        Price, licence, `query_prefix` and where the model is served are left out: they change no stored vector. Another
        model behind the same name is what the canary is for.
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


@runtime_checkable
class BilledEmbedder(Embedder, Protocol):
    """An embedder whose vendor counts the tokens, and perhaps charges for them."""

    @property
    def billed_tokens(self) -> int:
        """The tokens that the vendor has counted since this embedder was loaded, queries included."""
        ...


class UnfinishedError(RagError):
    """Some batches of a call were refused for good; `vectors` are the rows of those that were not, by position."""

    def __init__(self, message: str, vectors: Mapping[int, np.ndarray]) -> None:
        super().__init__(message)
        self.vectors = vectors


def unit_rows(vectors: np.ndarray) -> Vectors:
    """Scales each row to unit length and returns float32; a row of zeros stays as it is.

    >>> unit_rows(np.array([[3.0, 4.0]])).tolist() == [[np.float32(0.6), np.float32(0.8)]]
    True
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths == 0, 1, lengths), dtype=np.float32)
