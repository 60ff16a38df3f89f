"""Runs a converted model on this machine's processor: OpenVINO, tokenizers and NumPy are all that is imported.

A batch runs on one thread, and as many batches at once as there are threads: threads that share a batch wait for each
other at every layer (docs/decisions/0010).
"""

import json
import os
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from rag.embedders.batches import padded, plan_batches
from rag.offline import without_openvino_telemetry

MODEL, WEIGHTS, TOKENIZER, RECORD = "model.xml", "model.bin", "tokenizer.json", "conversion.json"
"""The files of a converted model; the last one says how it was made."""
COMPILED = "compiled"
"""The folder in it for what OpenVINO makes of the model on this very processor, so that the next start is fast."""

BATCH_TOKENS = 1024
"""Tokens of a batch, its padding included: what a thread works on then stays in its caches."""
MULTIPLE = 8
"""Batches are as wide as a multiple of so many tokens: OpenVINO prepares itself for each shape that it has not met."""
MOST_STREAMS = 16
"""Batches that run at once; with more threads than that, several share a batch."""
TOKENIZED_AT_ONCE = 256


class OpenVINOModel:
    """A converted model; threads may share it.

    One text is embedded beside a running call of many, so that a question does not wait for an ingest.
    """

    def __init__(self, folder: Path, precision: str, max_tokens: int = 0, cache: bool = True) -> None:
        """Reads the model that a conversion has left in `folder`; raises RuntimeError where its files are damaged.

        `max_tokens` is how much it reads of a text, 0 for as much as it was made for.
        """
        from tokenizers import Tokenizer

        without_openvino_telemetry()
        import openvino

        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        limits = [limit for limit in (max_tokens or record["max_tokens"], record["positions"]) if limit]
        if limits:
            self._tokenizer.enable_truncation(min(limits))
        self._tokenizer_file = folder / TOKENIZER
        self._padding = int(record["padding"])
        self.width = int(record["width"])
        self.pools_prefix = bool(record["pools_prefix"])

        core = openvino.Core()
        has_bfloat16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        computed = "bf16" if precision != "float32" and has_bfloat16 else "f32"
        threads = usable_threads()
        self._streams = min(threads, MOST_STREAMS)
        settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": computed,
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": self._streams,
            "ENABLE_CPU_PINNING": False,  # two processes would be pinned to the same cores
        }
        if cache:
            settings["CACHE_DIR"] = str(folder / COMPILED)
        compiled = core.compile_model(folder / MODEL, "CPU", settings)
        self._single = compiled.create_infer_request()
        self._single_lock = threading.Lock()
        self._queue: Any = openvino.AsyncInferQueue(compiled, self._streams)
        self._queue.set_callback(_keep_output)
        self._queue_lock = threading.Lock()
        self.backend = f"OpenVINO, int8 and {computed}" if precision == "int8" else f"OpenVINO, {computed}"

    def vectors(self, texts: Sequence[str], prefix: str = "") -> np.ndarray:
        """Embeds texts, the prefix before each: float32 (n, width), of any length."""
        tokens = self._tokenize([prefix + text for text in texts])
        vectors = np.zeros((len(texts), self.width), dtype=np.float32)
        if len(tokens) == 1:
            with self._single_lock:
                # copied: a graph keeps the memory of an input that is shared, and writes that of others into it
                self._single.start_async(_inputs(tokens, self._padding), share_inputs=False)
                self._single.wait()
                vectors[0] = self._single.get_output_tensor(0).data[0]
            return vectors
        with self._queue_lock:
            for rows in plan_batches([len(ids) for ids in tokens], self._batch_tokens(tokens), MULTIPLE):
                self._queue.start_async(_inputs([tokens[row] for row in rows], self._padding), (vectors, rows))
            self._queue.wait_all()
        return vectors

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Counts the tokens of whole texts, special ones included; nothing is cut off."""
        return [len(found) for part in _slices(texts) for found in self._counting.encode_batch_fast(part)]

    @cached_property
    def _counting(self) -> Any:
        """A copy of the tokenizer that cuts nothing: to change the other one would not be safe among threads."""
        from tokenizers import Tokenizer

        return Tokenizer.from_file(str(self._tokenizer_file))

    def _tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Returns the ids of each text, cut at the model's limit; a text always has at least one."""
        return [
            found.ids or [self._padding] for part in _slices(texts) for found in self._tokenizer.encode_batch_fast(part)
        ]

    def _batch_tokens(self, tokens: Sequence[Sequence[int]]) -> int:
        """Returns the limit of a batch: a small call is divided among all the threads."""
        share = sum(map(len, tokens)) // self._streams
        return max(1, min(BATCH_TOKENS, share))


def usable_threads() -> int:
    """Returns how many threads this process may use: OMP_NUM_THREADS, within the processors it may run on."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(int(asked), processors) if asked.isdigit() and int(asked) > 0 else processors


def _slices(texts: Sequence[str]) -> list[list[str]]:
    """Divides texts into lists that are tokenized at once."""
    return [list(texts[first : first + TOKENIZED_AT_ONCE]) for first in range(0, len(texts), TOKENIZED_AT_ONCE)]


def _inputs(tokens: Sequence[Sequence[int]], padding: int) -> dict[str, np.ndarray]:
    """Makes lists of ids into the model's two inputs, int64 (n, width), padded on the right."""
    longest = max(map(len, tokens))
    width = longest if len(tokens) == 1 else padded(longest, MULTIPLE)
    ids = np.full((len(tokens), width), padding, dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, found in enumerate(tokens):
        ids[row, : len(found)] = found
        mask[row, : len(found)] = 1
    return {"input_ids": ids, "attention_mask": mask}


def _keep_output(request: Any, place: tuple[np.ndarray, list[int]]) -> None:
    """Copies what a finished batch gave into the rows of its call."""
    vectors, rows = place
    vectors[rows] = request.get_output_tensor(0).data
