"""RAGAS' context metrics that need no language model: the only file that imports ragas, and only when it is called.

Three things are kept from leaving the machine: ragas' usage tracking, LangSmith's tracing (which would send every
compared text and hang without a network), and ragas' patching of a running event loop.
"""

import asyncio
import math
import os
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eval.metrics import trec_order
from rag.schema import Qrels, Run

CONTEXT_METRICS = (
    "ragas.IDBasedContextPrecision",
    "ragas.IDBasedContextRecall",
    "ragas.NonLLMContextRecall",
    "ragas.NonLLMContextPrecision",
)
"""The metrics by name, without their cut-off `@k`."""


@dataclass(frozen=True, slots=True)
class ContextScore:
    """One context metric: its value for every query, None where ragas gave none."""

    per_query: Mapping[str, float | None]

    @property
    def scored(self) -> tuple[float, ...]:
        """The values that ragas gave."""
        return tuple(value for value in self.per_query.values() if value is not None)

    @property
    def n(self) -> int:
        """The number of queries that ragas scored."""
        return len(self.scored)

    @property
    def failed(self) -> int:
        """The number of queries that it could not score; they are in no mean, and must be shown beside it."""
        return len(self.per_query) - self.n

    @property
    def value(self) -> float | None:
        """The mean over the scored queries, None where there is none."""
        return math.fsum(self.scored) / self.n if self.n else None


def score_contexts(qrels: Qrels, run: Run, text: Callable[[str], str], k: int = 10) -> dict[str, ContextScore]:
    """Scores the first k documents of every judged query against its relevant ones; names end in `@k`.

    The ID-based two compare sets of ids. The other two compare texts by Levenshtein similarity: recall counts a
    relevant text that some retrieved one resembles by more than 0.5; precision is the average precision of the
    retrieved texts that resemble a relevant one by 0.5 or more, and does not see what was missed. A query without
    retrieved documents fails where ragas fails on it.
    """
    samples = {}
    for query_id, grades in qrels.items():
        retrieved = trec_order(run.get(query_id, {}))[:k]
        relevant = [document for document, grade in grades.items() if grade > 0]
        samples[query_id] = {
            "retrieved_context_ids": retrieved,
            "reference_context_ids": relevant,
            "retrieved_contexts": [text(document) for document in retrieved],
            "reference_contexts": [text(document) for document in relevant],
        }
    rows = _in_own_thread(list(samples.values()))
    return {
        f"{name}@{k}": ContextScore({query_id: row[position] for query_id, row in zip(samples, rows, strict=True)})
        for position, name in enumerate(CONTEXT_METRICS)
    }


def _in_own_thread(samples: Sequence[Mapping[str, Any]]) -> list[list[float | None]]:
    """Runs the scoring in a thread of its own: a caller's event loop, such as a web server's, cannot run another."""
    rows: list[list[float | None]] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            rows.extend(_score_samples(samples))
        except BaseException as error:  # handed to the calling thread, which raises it
            errors.append(error)

    thread = threading.Thread(target=work, name="ragas")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return rows


def _score_samples(samples: Sequence[Mapping[str, Any]]) -> list[list[float | None]]:
    os.environ["RAGAS_DO_NOT_TRACK"] = "true"  # read once, when ragas is imported
    from langsmith import tracing_context

    with warnings.catch_warnings():
        # ragas 0.4 announces the move of its metrics, but has moved none of these four
        warnings.simplefilter("ignore", DeprecationWarning)
        from ragas import SingleTurnSample
        from ragas.metrics import (
            IDBasedContextPrecision,
            IDBasedContextRecall,
            NonLLMContextPrecisionWithReference,
            NonLLMContextRecall,
        )
    metrics = (
        IDBasedContextPrecision(),
        IDBasedContextRecall(),
        NonLLMContextRecall(),
        NonLLMContextPrecisionWithReference(),
    )

    async def score_all() -> list[list[float | None]]:
        turns = [SingleTurnSample(**sample) for sample in samples]
        return [[await _score_one(metric, turn) for metric in metrics] for turn in turns]

    with tracing_context(enabled=False):
        return asyncio.run(score_all())


async def _score_one(metric: Any, sample: Any) -> float | None:
    """Returns ragas' value, None where it gives NaN or stumbles over an empty list (max() of nothing)."""
    try:
        value = float(await metric.single_turn_ascore(sample))
    except ValueError:
        return None
    return None if math.isnan(value) else value
