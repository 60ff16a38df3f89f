"""Cross-encoders of sentence-transformers, a folder or a hub id, run in torch."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rag.embedders.files import locate
from rag.embedders.hub import fetch_folder
from rag.embedders.torch import accelerator
from rag.errors import MissingDependencyError, RagError
from rag.rerankers.spec import RerankerSpec

FILES = ["*.json", "*.txt", "*.model", "*.safetensors"]
BATCH = 16


class CrossEncoderReranker:
    """Runs a model that reads a query and a passage together; torch is imported when the first query is scored."""

    billed_usd = 0.0

    def __init__(self, spec: RerankerSpec) -> None:
        self.spec = spec
        self._model: Any = None
        self._lock = threading.Lock()

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        """Scores each passage; raises MissingDependencyError where the model cannot be had."""
        if not passages:
            return []
        with self._lock:  # its tokenizer keeps its padding as state
            if self._model is None:
                self._model = self._load()
            scores = self._model.predict(
                [(query, text) for text in passages], batch_size=self.spec.batch or BATCH, show_progress_bar=False
            )
        if scores.ndim != 1:
            raise RagError(
                f"Reranker '{self.spec.name}' gives {scores.shape[1]} numbers for a passage, so it sorts texts into "
                "classes and ranks none. Name a cross-encoder with one output."
            )
        return [float(score) for score in scores]

    def _load(self) -> Any:
        folder = locate(self.spec.model) or fetch_folder(self.spec.model, self.spec.revision, FILES)
        if not (Path(folder) / "config.json").is_file():
            raise MissingDependencyError(f"There is no model in {folder}, which reranker '{self.spec.name}' names.")
        from sentence_transformers import CrossEncoder
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # it would draw over our own, and into pipes
        try:
            return CrossEncoder(
                str(folder),
                max_length=self.spec.max_tokens or None,
                local_files_only=True,
                device=accelerator() or "cpu",
            )
        except (OSError, ValueError) as error:
            raise MissingDependencyError(
                f"sentence-transformers cannot load the cross-encoder in {folder}: {error}"
            ) from error
