"""Runs a sentence-transformers model in torch: on a graphics processor, and where OpenVINO cannot run it."""

import importlib.util
import platform
import shutil
import threading
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from rag.embedders.batches import plan_batches
from rag.errors import MissingDependencyError

BATCH_TOKENS = 2048
"""Tokens of a batch on the processor, its padding included."""
BATCH_TOKENS_ACCELERATED = 65_536

COUNTED_AT_ONCE = 256
DEVICE_FILES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""What the drivers of NVIDIA, AMD and Windows' Linux make; looked for before torch is loaded only to be asked."""


class TorchModel:
    """A SentenceTransformer with the prefixes of our table, never with those of its own configuration."""

    def __init__(self, folder: Path, max_tokens: int, device: str = "cpu", half: bool = False) -> None:
        """Loads the model; raises MissingDependencyError where sentence-transformers cannot."""
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # it would draw over our own, and into pipes
        try:
            self._model = SentenceTransformer(str(folder), device=device, local_files_only=True)
        except (OSError, ValueError) as error:
            raise MissingDependencyError(f"sentence-transformers cannot load the model in {folder}: {error}") from error
        self._model = self._model.half() if half else self._model.float()
        if max_tokens:
            self._model.max_seq_length = max_tokens
        # The model's tokenizer keeps its padding settings as state, so two threads must not encode at once.
        self._lock = threading.Lock()
        self._count = _counter(self._model.tokenizer)
        self._batch_tokens = BATCH_TOKENS if device == "cpu" else BATCH_TOKENS_ACCELERATED
        self.backend = f"torch, {'float16' if half else 'float32'}" + ("" if device == "cpu" else f" on {device}")

    def vectors(self, texts: Sequence[str], prefix: str = "") -> np.ndarray:
        """Embeds texts, the prefix before each: float32 (n, width), of any length."""
        limit = self._model.max_seq_length
        lengths = [min(length, limit or length) for length in self.counts([prefix + text for text in texts])]
        parts = plan_batches(lengths, self._batch_tokens)
        vectors = np.zeros((len(texts), self._model.get_embedding_dimension() or 0), dtype=np.float32)
        for rows in parts:
            with self._lock:
                # The prefix goes in as `prompt` on every call, and an empty one is said as well: a model whose saved
                # prompts are named otherwise than sentence-transformers expects would silently be run without them.
                vectors[rows] = self._model.encode(
                    [texts[row] for row in rows], prompt=prefix, batch_size=len(rows), show_progress_bar=False
                )
        return vectors

    def trainable(self) -> Any:
        """Returns the SentenceTransformer itself, in float32 on its device, for what trains it."""
        return self._model.float()

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Counts the tokens of whole texts, special ones included; nothing is cut off."""
        slices = (list(texts[first : first + COUNTED_AT_ONCE]) for first in range(0, len(texts), COUNTED_AT_ONCE))
        return [length for part in slices for length in self._count(part)]


def accelerator() -> str:
    """Returns the torch device of this machine's graphics processor, "" where there is none; seldom loads torch."""
    if not _may_have_accelerator():
        return ""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else ""


def _may_have_accelerator() -> bool:
    """Tells, without loading torch, whether it might find a graphics processor."""
    try:
        if importlib.util.find_spec("torch") is None or version("torch").endswith("+cpu"):
            return False
    except PackageNotFoundError:
        return False
    if platform.system() == "Darwin":
        return platform.machine() == "arm64"
    return any(Path(file).exists() for file in DEVICE_FILES) or shutil.which("nvidia-smi") is not None


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
