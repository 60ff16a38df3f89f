"""Embedders that sentence-transformers runs: any model folder, or a hub id where downloads are allowed."""

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from rag.embedders.files import locate
from rag.embedders.spec import EmbedderSpec
from rag.errors import MissingDependencyError, RagError
from rag.schema import Vectors

BATCH_TOKENS = 2048
"""Tokens of a batch, its padding included: eight passages of MiniLM's limit, or fifty short ones."""

COUNTED_AT_ONCE = 256


class SentenceTransformerEmbedder:
    """Runs a SentenceTransformer with the prefixes of our table, never with those of the model's own configuration."""

    def __init__(self, spec: EmbedderSpec) -> None:
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # it would draw over our own, and into pipes
        self.spec = spec
        path = locate(spec.model)
        try:
            self._model = SentenceTransformer(
                str(path) if path else spec.model,
                revision=None if path else spec.revision or None,
                local_files_only=path is not None,
                truncate_dim=spec.dimension,
            )
        except OSError as error:
            raise MissingDependencyError(
                f"Embedder '{spec.name}': the model '{spec.model}' is neither a folder here nor downloaded yet, and "
                f"downloads are off. Allow them once with HF_HUB_OFFLINE=0, or name a folder in its entry. ({error})"
            ) from error
        if spec.max_tokens:
            self._model.max_seq_length = spec.max_tokens
        # The model's tokenizer keeps its padding settings as state, so two threads must not encode at once.
        self._lock = threading.Lock()
        self._count = _counter(self._model.tokenizer)

    def embed_queries(self, queries: Sequence[str]) -> Vectors:
        """Embeds questions with the query prefix, (n, dimension)."""
        return self._embed(queries, self.spec.query_prefix)

    def embed_passages(self, passages: Sequence[str]) -> Vectors:
        """Embeds passages with the passage prefix, (n, dimension)."""
        return self._embed(passages, self.spec.passage_prefix)

    def count_tokens(self, passages: Sequence[str]) -> list[int]:
        """Counts tokens as the model's own tokenizer gives them when it cuts nothing off; threads may count at once."""
        return self._lengths([self.spec.passage_prefix + passage for passage in passages])

    def _lengths(self, texts: Sequence[str]) -> list[int]:
        slices = (list(texts[first : first + COUNTED_AT_ONCE]) for first in range(0, len(texts), COUNTED_AT_ONCE))
        return [length for part in slices for length in self._count(part)]

    def _embed(self, texts: Sequence[str], prefix: str) -> Vectors:
        vectors = np.zeros((len(texts), self.spec.dimension), dtype=np.float32)
        for rows in self._batches([prefix + text for text in texts]):
            vectors[rows] = self._encode([texts[row] for row in rows], prefix)
        return vectors

    def _batches(self, texts: Sequence[str]) -> Iterator[list[int]]:
        """Yields the rows of each batch, longest texts first: equal lengths together leave least to pad."""
        longest = self._model.max_seq_length
        lengths = [min(length, longest or length) for length in self._lengths(texts)]
        rows: list[int] = []
        for row in sorted(range(len(texts)), key=lambda row: -lengths[row]):
            if rows and (len(rows) + 1) * lengths[rows[0]] > BATCH_TOKENS:
                yield rows
                rows = []
            rows.append(row)
        if rows:
            yield rows

    def _encode(self, texts: list[str], prefix: str) -> Vectors:
        with self._lock:
            # The prefix goes in as `prompt` on every call, and an empty one is said as well: a model whose saved
            # prompts are named otherwise than sentence-transformers expects would silently be run without them.
            vectors = self._model.encode(
                texts, prompt=prefix, batch_size=len(texts), normalize_embeddings=True, show_progress_bar=False
            )
        if vectors.shape[1] != self.spec.dimension:
            raise RagError(
                f"Embedder '{self.spec.name}' gave vectors of {vectors.shape[1]} dimensions, its entry says "
                f"{self.spec.dimension}. Correct `dimension` in its entry."
            )
        return np.asarray(vectors, dtype=np.float32)


def _counter(tokenizer: Any) -> Callable[[list[str]], list[int]]:
    """Returns what counts the tokens of whole texts: an own copy of a fast tokenizer that neither cuts nor pads.

    A tokenizer written in Python keeps no such state and is used as it is.
    """
    fast = getattr(tokenizer, "backend_tokenizer", tokenizer)
    if not hasattr(fast, "encode_batch_fast"):
        encode = getattr(tokenizer, "encode", None) or tokenizer.tokenize
        return lambda texts: [len(encode(text)) for text in texts]
    uncut = type(fast).from_str(fast.to_str())
    uncut.no_truncation()
    uncut.no_padding()
    special = fast is not tokenizer  # a bare one belongs to a static model, which reads no special tokens
    return lambda texts: [len(found) for found in uncut.encode_batch_fast(texts, add_special_tokens=special)]
