"""Embedders of sentence-transformers' models, a folder or a hub id: chooses what runs them on this machine.

OpenVINO on the processor, which is several times as fast there and starts without torch; torch in half precision on a
graphics processor; torch in float32 where OpenVINO cannot run the model, which is said once.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from rag.embedders.conversion import MODEL_FILES, PICKLED_FILES, NotConvertedError, Request, converted
from rag.embedders.files import locate
from rag.embedders.hub import fetch_folder
from rag.embedders.openvino import OpenVINOModel
from rag.embedders.spec import EmbedderSpec, unit_rows
from rag.embedders.torch import TorchModel, accelerator
from rag.errors import RagError
from rag.schema import Vectors

log = logging.getLogger(__name__)


class LocalModel(Protocol):
    """What runs a model; threads may share it. `backend` names it and the precision that it computes in."""

    backend: str

    def vectors(self, texts: Sequence[str], prefix: str = "") -> np.ndarray:
        """Embeds texts, the prefix before each: (n, width), of any length."""
        ...

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Counts the tokens of whole texts."""
        ...


class SentenceTransformerEmbedder:
    """Runs a model of sentence-transformers with the prefixes of our table, whatever runs it."""

    def __init__(self, spec: EmbedderSpec) -> None:
        self.spec = spec
        self._model = load_model(spec, model_folder(spec))

    @property
    def backend(self) -> str:
        """What computes the vectors, and in which precision."""
        return self._model.backend

    def embed_queries(self, queries: Sequence[str]) -> Vectors:
        """Embeds questions with the query prefix, (n, dimension)."""
        return self._embed(queries, self.spec.query_prefix)

    def embed_passages(self, passages: Sequence[str]) -> Vectors:
        """Embeds passages with the passage prefix, (n, dimension)."""
        return self._embed(passages, self.spec.passage_prefix)

    def count_tokens(self, passages: Sequence[str]) -> list[int]:
        """Counts tokens as the model's own tokenizer gives them when it cuts nothing off; threads may count at once."""
        return self._model.counts([self.spec.passage_prefix + passage for passage in passages])

    def _embed(self, texts: Sequence[str], prefix: str) -> Vectors:
        if not texts:
            return np.zeros((0, self.spec.dimension), dtype=np.float32)
        vectors = self._model.vectors(texts, prefix)
        if vectors.shape[1] < self.spec.dimension:
            raise RagError(
                f"Embedder '{self.spec.name}' gave vectors of {vectors.shape[1]} dimensions, its entry says "
                f"{self.spec.dimension}. Correct `dimension` in its entry."
            )
        if not np.isfinite(vectors).all():
            raise RagError(f"Embedder '{self.spec.name}' gave numbers that are not finite. Its model cannot be used.")
        return unit_rows(vectors[:, : self.spec.dimension])  # cut as Matryoshka models are meant to be


def model_folder(spec: EmbedderSpec) -> Path:
    """Returns where the files of an embedder's model are, downloaded where that is allowed.

    Raises MissingDependencyError where they cannot be had.
    """
    folder = locate(spec.model)
    if folder is not None:
        return folder
    folder = fetch_folder(spec.model, spec.revision, list(MODEL_FILES))
    if not any(folder.rglob("*.safetensors")):
        folder = fetch_folder(spec.model, spec.revision, list(PICKLED_FILES))
    return folder


def load_model(spec: EmbedderSpec, folder: Path) -> LocalModel:
    """Loads what runs a model fastest in no less than the asked-for precision.

    8-bit weights are another model than the one they were made of, so nothing takes their place: raises RagError where
    OpenVINO cannot run them here.
    """
    if spec.precision != "int8":
        device = accelerator()
        if device:
            return TorchModel(folder, spec.max_tokens, device, half=spec.precision == "bfloat16")
    try:
        return _in_openvino(spec, folder)
    except NotConvertedError as reason:
        if spec.precision == "int8":
            raise RagError(
                f"Embedder '{spec.name}' needs 8-bit weights, which cannot be had because {reason}. "
                f'Use an entry with precision = "bfloat16".'
            ) from reason
        log.warning("Embedder '%s' runs in torch, several times slower, because %s.", spec.name, reason)
        return TorchModel(folder, spec.max_tokens)


def _in_openvino(spec: EmbedderSpec, folder: Path) -> OpenVINOModel:
    """Converts a model where that is to be done, and loads it; raises NotConvertedError where either fails."""
    found = converted(Request(spec.name, str(folder), spec.precision))
    try:
        model = OpenVINOModel(found, spec.precision, spec.max_tokens)
    except (RuntimeError, OSError, ValueError) as error:  # OpenVINO's own errors are RuntimeErrors
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise NotConvertedError(f"the conversion in {found} cannot be read ({first})") from error
    if not model.pools_prefix and (spec.query_prefix or spec.passage_prefix):
        raise NotConvertedError("its pooling leaves the prefix out")
    return model
