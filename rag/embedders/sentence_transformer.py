"""Embedders that sentence-transformers runs: any model folder, or a hub id where downloads are allowed."""

import threading
from collections.abc import Sequence

import numpy as np

from rag.embedders.files import locate
from rag.embedders.spec import EmbedderSpec
from rag.errors import MissingDependencyError, RagError
from rag.schema import Vectors

# Small batches waste less on padding: 2,769 against 2,290 tokens per CPU-second with MiniLM at 8 and 32 on two cores.
BATCH = 8


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
        # The tokenizer keeps its padding settings as state, so two threads must not encode at once.
        self._lock = threading.Lock()

    def embed_queries(self, queries: Sequence[str]) -> Vectors:
        """Embeds questions with the query prefix, (n, dimension)."""
        return self._embed(queries, self.spec.query_prefix)

    def embed_passages(self, passages: Sequence[str]) -> Vectors:
        """Embeds passages with the passage prefix, (n, dimension)."""
        return self._embed(passages, self.spec.passage_prefix)

    def _embed(self, texts: Sequence[str], prefix: str) -> Vectors:
        if not texts:
            return np.zeros((0, self.spec.dimension), dtype=np.float32)
        with self._lock:
            # The prefix goes in as `prompt` on every call, and an empty one is said as well: a model whose saved
            # prompts are named otherwise than sentence-transformers expects would silently be run without them.
            vectors = self._model.encode(
                list(texts), prompt=prefix, batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False
            )
        if vectors.shape[1] != self.spec.dimension:
            raise RagError(
                f"Embedder '{self.spec.name}' gave vectors of {vectors.shape[1]} dimensions, its entry says "
                f"{self.spec.dimension}. Correct `dimension` in its entry."
            )
        return np.asarray(vectors, dtype=np.float32)
