"""RAGAS' context metrics that need no language model, and the shape in which every RAGAS metric is reported."""

import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from eval.metrics import trec_order
from eval.ragas_gateway import NOT_A_NUMBER, score_without_judge
from rag.schema import Qrels, Run

CONTEXT_METRICS = (
    "ragas.IDBasedContextPrecision",
    "ragas.IDBasedContextRecall",
    "ragas.NonLLMContextRecall",
    "ragas.NonLLMContextPrecision",
)
"""The metrics by name, without their cut-off `@k`."""

_AT_ONCE = 32
"""Queries that are scored between two calls of `check`."""


@dataclass(frozen=True, slots=True)
class ContextScore:
    """One metric of RAGAS: its value for every query that was asked about, None where there is none.

    `reasons` say why, by query, where that is known. `repeats` holds the values of each time that a judge was asked,
    where it was asked; a query's value is their mean.
    """

    per_query: Mapping[str, float | None]
    reasons: Mapping[str, str] = field(default_factory=dict)
    repeats: tuple[Mapping[str, float | None], ...] = ()

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

    @property
    def nan(self) -> int:
        """The number of queries among the failed for which ragas gave NaN."""
        return sum(reason == NOT_A_NUMBER for reason in self.reasons.values())

    @property
    def spread(self) -> float | None:
        """The standard deviation of the mean from one time to the next, None unless the judge was asked repeatedly.

        The means are over the queries that were judged each time.
        """
        always = [query for query in self.per_query if all(times.get(query) is not None for times in self.repeats)]
        if len(self.repeats) < 2 or not always:
            return None
        return statistics.stdev(
            math.fsum(times[query] or 0.0 for query in always) / len(always) for times in self.repeats
        )


def score_contexts(
    qrels: Qrels, run: Run, text: Callable[[str], str], k: int = 10, check: Callable[[], None] = lambda: None
) -> dict[str, ContextScore]:
    """Scores the first k documents of every judged query against its relevant ones; names end in `@k`.

    The ID-based two compare sets of ids. The other two compare texts by Levenshtein similarity: recall counts a
    relevant text that some retrieved one resembles by more than 0.5; precision is the average precision of the
    retrieved texts that resemble a relevant one by 0.5 or more, and does not see what was missed. A query without
    retrieved documents fails where ragas fails on it. `check` is called every few queries, and may end it by raising.
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
    rows: list[list[float | None]] = []
    waiting = list(samples.values())
    for first in range(0, len(waiting), _AT_ONCE):
        check()
        rows += score_without_judge(waiting[first : first + _AT_ONCE])
    return {
        f"{name}@{k}": ContextScore({query_id: row[position] for query_id, row in zip(samples, rows, strict=True)})
        for position, name in enumerate(CONTEXT_METRICS)
    }
