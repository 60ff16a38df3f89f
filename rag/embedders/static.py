"""Static embedders: a text's vector is the mean of its tokens' vectors, so a table look-up replaces the network.

Read with NumPy alone: a query costs a fraction of a millisecond, and the process never waits for torch to load. The
result equals sentence-transformers' `StaticEmbedding` over the same files, which the tests check.
"""

from collections.abc import Sequence

import numpy as np

from rag.embedders.files import locate
from rag.embedders.spec import EmbedderSpec, unit_rows
from rag.errors import MissingDependencyError, RagError
from rag.schema import Vectors

BATCH = 512


class StaticEmbedder:
    """Averages the token vectors of a safetensors table; `spec.tokenizer` names a `tokenizers` JSON file."""

    def __init__(self, spec: EmbedderSpec) -> None:
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        self.spec = spec
        weights, tokenizer = locate(spec.model), locate(spec.tokenizer)
        if weights is None or tokenizer is None:
            raise MissingDependencyError(
                f"Embedder '{spec.name}': no file at '{spec.model}' or '{spec.tokenizer}'. Correct its entry."
            )
        tables = list(load_file(weights).values())
        if len(tables) != 1 or tables[0].ndim != 2 or tables[0].shape[1] < spec.dimension:
            raise RagError(
                f"Embedder '{spec.name}': {weights.name} holds {[t.shape for t in tables]}, but one table of at least "
                f"{spec.dimension} columns is needed. Correct `dimension` or `model` in its entry."
            )
        self._table = np.ascontiguousarray(tables[0][:, : spec.dimension], dtype=np.float32)
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()  # `_embed` cuts the ids, so that any thread may count whole texts meanwhile

    def embed_queries(self, queries: Sequence[str]) -> Vectors:
        """Embeds questions, (n, dimension)."""
        return self._embed([self.spec.query_prefix + query for query in queries])

    def embed_passages(self, passages: Sequence[str]) -> Vectors:
        """Embeds passages, (n, dimension)."""
        return self._embed([self.spec.passage_prefix + passage for passage in passages])

    def count_tokens(self, passages: Sequence[str]) -> list[int]:
        """Counts tokens; there are no special ones, and a text without a token counts as the one that stands for it."""
        prefixed = [self.spec.passage_prefix + passage for passage in passages]
        slices = (prefixed[first : first + BATCH] for first in range(0, len(prefixed), BATCH))
        return [
            max(1, len(encoding))
            for part in slices
            for encoding in self._tokenizer.encode_batch_fast(part, add_special_tokens=False)
        ]

    def _embed(self, texts: list[str]) -> Vectors:
        vectors = np.zeros((len(texts), self.spec.dimension), dtype=np.float32)
        longest = self.spec.max_tokens or None
        for first in range(0, len(texts), BATCH):
            encodings = self._tokenizer.encode_batch_fast(texts[first : first + BATCH], add_special_tokens=False)
            for row, encoding in enumerate(encodings, start=first):
                # A text without a token (an empty one) still gets a unit row: that of token 0.
                vectors[row] = self._table[encoding.ids[:longest] or [0]].mean(axis=0)
        return unit_rows(vectors)
