"""Static embedders: a text's vector is the mean of its tokens' vectors, so a table look-up replaces the network.

Read with NumPy alone: a query costs a fraction of a millisecond, and the process never waits for torch to load. Three
formats are understood: a safetensors file of one table with a tokenizer named beside it, a folder of model2vec
(github.com/MinishLab/model2vec), and one of sentence-transformers' `StaticEmbedding`; a folder may be a hub id. The
result equals those libraries' own over the same files, which the tests check.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from rag.embedders.files import locate
from rag.embedders.hub import fetch_folder
from rag.embedders.spec import EmbedderSpec, unit_rows
from rag.errors import MissingDependencyError, RagError
from rag.schema import Vectors

BATCH = 512

WEIGHTS, TOKENIZER = "model.safetensors", "tokenizer.json"
SUBFOLDERS = ("", "0_StaticEmbedding")
"""Where in a folder the two files are: model2vec and sentence-transformers, which gives each module its own."""

MODEL2VEC = "embeddings"
"""The name of the table that tells model2vec's format; `mapping` and `weights` beside it are one number a token."""


class StaticEmbedder:
    """Averages the token vectors of a table; `spec.tokenizer` names a `tokenizers` JSON file, "" that of the folder."""

    def __init__(self, spec: EmbedderSpec) -> None:
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        self.spec = spec
        weights, tokenizer = _files(spec)
        tensors = load_file(weights)
        table = _table(tensors)
        if table is None or table.ndim != 2 or table.shape[1] < spec.dimension:
            shapes = {name: tensor.shape for name, tensor in tensors.items()}
            raise RagError(
                f"Embedder '{spec.name}': {weights.name} holds {shapes}, but one table of at least {spec.dimension} "
                f"columns is needed. Correct `dimension` or `model` in its entry."
            )
        self._table = np.ascontiguousarray(table[:, : spec.dimension], dtype=np.float32)
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()  # `_embed` cuts the ids, so that any thread may count whole texts meanwhile
        unknown = getattr(self._tokenizer.model, "unk_token", None) if MODEL2VEC in tensors else None
        self._unknown = self._tokenizer.token_to_id(unknown) if unknown else None  # which model2vec leaves out

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
        return [max(1, len(ids)) for part in slices for ids in self._tokenize(part)]

    def _tokenize(self, texts: list[str]) -> list[list[int]]:
        """Returns the ids of the tokens of each text."""
        encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        if self._unknown is None:
            return [encoding.ids for encoding in encodings]
        return [[token for token in encoding.ids if token != self._unknown] for encoding in encodings]

    def _embed(self, texts: list[str]) -> Vectors:
        vectors = np.zeros((len(texts), self.spec.dimension), dtype=np.float32)
        longest = self.spec.max_tokens or None
        for first in range(0, len(texts), BATCH):
            for row, ids in enumerate(self._tokenize(texts[first : first + BATCH]), start=first):
                # A text without a token (an empty one) still gets a unit row: that of token 0.
                vectors[row] = self._table[ids[:longest] or [0]].mean(axis=0)
        return unit_rows(vectors)


def _files(spec: EmbedderSpec) -> tuple[Path, Path]:
    """Returns the files of the weights and of the tokenizer; raises MissingDependencyError where they are not there."""
    model = locate(spec.model)
    if model is not None and model.is_file():
        tokenizer = locate(spec.tokenizer) if spec.tokenizer else model.with_name(TOKENIZER)
        if tokenizer is not None and tokenizer.is_file():
            return model, tokenizer
        missing = f"no tokenizer at '{tokenizer or spec.tokenizer}'"
    else:
        wanted = [f"{folder}/{name}".lstrip("/") for folder in SUBFOLDERS for name in (WEIGHTS, TOKENIZER)]
        folder = model or fetch_folder(spec.model, spec.revision, wanted)
        for place in (folder / name for name in SUBFOLDERS):
            if (place / WEIGHTS).is_file() and (place / TOKENIZER).is_file():
                return place / WEIGHTS, place / TOKENIZER
        missing = f"no {WEIGHTS} with a {TOKENIZER} in '{spec.model}'"
    raise MissingDependencyError(f"Embedder '{spec.name}': {missing}. Correct its entry.")


def _table(tensors: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Returns one vector a token id, or None where the tensors are of no known format."""
    if MODEL2VEC not in tensors:
        return next(iter(tensors.values())) if len(tensors) == 1 else None
    table = tensors[MODEL2VEC]
    if "mapping" in tensors:  # a vocabulary quantised: tokens share vectors
        table = table[tensors["mapping"]]
    if "weights" in tensors:
        table = table.astype(np.float32) * tensors["weights"].astype(np.float32)[:, None]
    return table
