"""Embedders that know nothing of a text, the controls of an evaluation: whatever ranks below them is broken."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from rag.embedders.registry import read_table
from rag.embedders.spec import EmbedderSpec, unit_rows
from rag.errors import unknown_name
from rag.schema import Vectors

TABLE = Path(__file__).with_name("controls.toml")
CONTROLS = ("constant", "random")


@cache
def control_specs() -> Mapping[str, EmbedderSpec]:
    """Returns the controls by name; they stand in no other table, so that nobody chooses one by mistake."""
    return {spec.name: spec for spec in read_table(TABLE)}


class ControlEmbedder:
    """Gives every text the same vector (`constant`), or one that only its hash decides (`random`).

    A query and a passage of the same words have different random vectors. Raises UsageError for another model.
    """

    def __init__(self, spec: EmbedderSpec) -> None:
        models: dict[str, Callable[[str], np.ndarray]] = {"constant": self._same, "random": self._hashed}
        if spec.model not in models:
            raise unknown_name("control", spec.model, models)
        self.spec = spec
        self._vector = models[spec.model]

    def embed_queries(self, queries: Sequence[str]) -> Vectors:
        """Embeds questions without reading them, (n, dimension)."""
        return self._embed("query", queries)

    def embed_passages(self, passages: Sequence[str]) -> Vectors:
        """Embeds passages without reading them, (n, dimension)."""
        return self._embed("passage", passages)

    def count_tokens(self, passages: Sequence[str]) -> list[int]:
        """Counts words."""
        return [len(re.findall(r"\w+", passage)) for passage in passages]

    def _embed(self, side: str, texts: Sequence[str]) -> Vectors:
        vectors = [self._vector(f"{side}\0{text}") for text in texts]
        return unit_rows(np.stack(vectors) if vectors else np.empty((0, self.spec.dimension)))

    def _same(self, text: str) -> np.ndarray:
        return np.ones(self.spec.dimension)

    def _hashed(self, text: str) -> np.ndarray:
        digest = hashlib.shake_256(text.encode("utf-8", "surrogatepass")).digest(4 * self.spec.dimension)
        return np.frombuffer(digest, dtype="<u4") / 2.0**31 - 1
