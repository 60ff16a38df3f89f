"""Rows of the nonsense controls (`rag.embedders.controls`), made in memory: the library stores nothing of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from eval.embedding_runner import evaluate_embedder, spec_facts
from eval.rows import EvalRow
from eval.runner import evaluate
from eval.tasks.retrieval import RetrievalTask
from eval.tasks.task import Task
from rag.embedders.controls import CONTROLS, control_specs
from rag.embedders.registry import load_embedder
from rag.embedders.spec import Embedder
from rag.schema import Scored


class ControlRetriever:
    """Dense retrieval under a control, ties broken pessimistically.

    Of chunks with equal scores those of documents that are relevant to the query come last. By their ids, as trec_eval
    breaks ties, a constant embedder would gain wherever relevant documents happen to have high ids.
    """

    name = "dense"

    def __init__(
        self, task: RetrievalTask, embedder: Embedder, passages: Mapping[str, str], documents: Mapping[str, str]
    ) -> None:
        self._chunks = sorted(passages, reverse=True)
        self._documents = [documents[chunk] for chunk in self._chunks]
        self._vectors = embedder.embed_passages([passages[chunk] for chunk in self._chunks])
        self._embedder = embedder
        self._relevant: dict[str, set[str]] = {}
        for query_id, text in task.queries.items():
            found = self._relevant.setdefault(text, set())  # two queries may have the same words
            found |= {document for document, grade in task.qrels[query_id].items() if grade > 0}

    def rank(self, queries: Sequence[str], k: int) -> list[list[Scored]]:
        """Returns for every query the k chunks of the highest cosine."""
        similar = self._embedder.embed_queries(queries) @ self._vectors.T
        return [self._rank(query, scores)[:k] for query, scores in zip(queries, similar, strict=True)]

    def _rank(self, query: str, scores: np.ndarray) -> list[Scored]:
        relevant = self._relevant.get(query, set())
        wanted = np.array([document in relevant for document in self._documents], dtype=bool)
        order = np.lexsort((wanted, -scores))
        # Scores fall strictly, for whoever sorts them again breaks ties by id.
        return [Scored(self._chunks[at], 1.0 - place / len(order)) for place, at in enumerate(order.tolist())]


def retrieval_controls(
    task: RetrievalTask,
    passages: Mapping[str, str],
    documents: Mapping[str, str],
    chunker: str,
    provenance: Mapping[str, Any],
    **spans: Any,
) -> list[EvalRow]:
    """Returns a row for each control over these chunks (passage and document by chunk id).

    `spans` are what `eval.runner.evaluate` takes to score spans.
    """
    rows = []
    for name in CONTROLS:
        embedder = load_embedder(name, control_specs())
        facts = {**provenance, "index": spec_facts(embedder.spec), "search": "exact", "control": True}
        retriever = ControlRetriever(task, embedder, passages, documents)
        rows.append(evaluate(task, retriever, documents, embedder=name, chunker=chunker, provenance=facts, **spans))
    return rows


def embedder_controls(task: Task, seed: int) -> list[EvalRow]:
    """Returns a row for each control on a task that retrieves nothing."""
    return [
        evaluate_embedder(task, load_embedder(name, control_specs()), seed=seed, provenance={"control": True})
        for name in CONTROLS
    ]
