"""A row of an evaluation: one embedder, or one retriever under it, on one task, with its scores item by item."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from eval.context_metrics import ContextScore
from eval.metrics import PerQuery
from rag.schema import Run

COST_FIELDS = ("embed_seconds", "query_ms_p50", "bytes_per_vector", "usd")


@dataclass(frozen=True, slots=True)
class EvalRow:
    """One row of the leaderboard: scores, costs, and the facts of what made them.

    `embedder` is None for lexical search, `retriever` and `chunker` for tasks that retrieve nothing, where `run` is
    empty. `per_query` holds, by metric and then by item (query, text or pair), what `eval.measures` makes one value of:
    a score, or what was put out for the item, such as its cluster. `task_digest` identifies the items and judgements
    that were used. `context` holds RAGAS' context metrics where they were asked for.
    """

    task: str
    family: str
    embedder: str | None
    retriever: str | None
    chunker: str | None
    run: Run
    per_query: PerQuery
    cost: Mapping[str, float | None]
    task_digest: str
    provenance: Mapping[str, Any] = field(default_factory=dict)
    context: Mapping[str, ContextScore] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The row's name in a sentence, such as `hybrid minilm`, `lexical`, or `minilm` where nothing is retrieved."""
        return " ".join(filter(None, (self.retriever, self.embedder)))
