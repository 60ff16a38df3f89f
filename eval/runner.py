"""Runs a task's queries through one retriever, folds chunks to documents, and scores the run."""

import time
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any, Protocol

import numpy as np

from eval.metrics import JUDGED, RETRIEVAL_METRICS, score, trec_order
from eval.rows import COST_FIELDS, EvalRow
from eval.tasks.retrieval import RetrievalTask
from rag.errors import RagError
from rag.schema import Scored

DEPTH = 1000
"""How many chunks are asked for, trec_eval's customary depth."""

_TIMED_QUERIES = 50
_TIMED_DEPTH = 10


class Ranker(Protocol):
    """What evaluation needs of a retriever: chunk rankings, best first, ties broken by score and id descending."""

    @property
    def name(self) -> str:
        """The retriever's name: dense, lexical or hybrid."""
        ...

    def rank(self, queries: Sequence[str], k: int) -> list[list[Scored]]:
        """Returns for every query at most k chunks."""
        ...


def evaluate(
    task: RetrievalTask,
    retriever: Ranker,
    documents: Mapping[str, str],
    *,
    embedder: str | None,
    chunker: str,
    cost: Mapping[str, float | None] | None = None,
    provenance: Mapping[str, Any] | None = None,
    metrics: Sequence[str] = RETRIEVAL_METRICS,
    depth: int = DEPTH,
    batch: int = 256,
) -> EvalRow:
    """Evaluates one retriever on one task.

    `documents` gives each chunk's document by the name that the qrels use. `depth` chunks are asked for; where a
    document has several chunks, fewer documents than that are ranked. No document is left out for having its query's
    id (BEIR's `ignore_identical_ids`). `cost` is what is known of the index; the time of a query is measured here.
    Raises RagError for a chunk that is not in `documents` and for a retriever that does not answer every query.
    """
    rankings = _rank_all(task.queries, retriever, depth, batch)
    run = {query_id: fold_to_documents(hits, documents) for query_id, hits in rankings}
    known_cost = {name: None for name in COST_FIELDS} | dict(cost or {})
    return EvalRow(
        task=task.name,
        family="retrieval",
        embedder=embedder,
        retriever=retriever.name,
        chunker=chunker,
        run=run,
        per_query=score(task.qrels, run, (*metrics, JUDGED)),
        cost=known_cost | {"query_ms_p50": _median_query_ms(list(task.queries.values()), retriever)},
        task_digest=task.digest,
        provenance={"depth": depth, **(provenance or {})},
    )


def fold_to_documents(hits: Sequence[Scored], documents: Mapping[str, str]) -> dict[str, float]:
    """Gives each document the score of its best chunk, in the order in which trec_eval ranks documents.

    Of equal scores the later ones are lowered by the least that float32 can tell, so that every tool which reads the
    run ranks as we do: ir_measures takes its RR@10 from a script that breaks ties the other way than trec_eval.
    """
    best: dict[str, float] = {}
    for hit in hits:
        document = documents.get(hit.chunk_id)
        if document is None:
            raise RagError(
                f"The retriever found chunk '{hit.chunk_id}', which belongs to no known document. Rebuild the index."
            )
        value = float(hit.score)
        if document not in best or value > best[document]:
            best[document] = value
    return _without_ties({document: best[document] for document in trec_order(best)})


def _without_ties(ranking: Mapping[str, float]) -> dict[str, float]:
    """Returns a ranking, best first, with scores that fall strictly as float32."""
    strict: dict[str, float] = {}
    last = np.float32(np.inf)
    for document, value in ranking.items():
        last = min(np.float32(value), np.nextafter(last, np.float32(-np.inf)))
        strict[document] = float(last)
    return strict


def _rank_all(
    queries: Mapping[str, str], retriever: Ranker, depth: int, batch: int
) -> Iterator[tuple[str, list[Scored]]]:
    """Yields query id and ranking, a batch at a time: the chunks of all queries at once would fill the memory."""
    ids, texts = list(queries), list(queries.values())
    for start in range(0, len(texts), batch):
        asked = texts[start : start + batch]
        answered = retriever.rank(asked, depth)
        if len(answered) != len(asked):
            raise RagError(
                f"Retriever '{retriever.name}' gave {len(answered)} rankings for {len(asked)} queries. "
                "It must give one for each, empty where it found nothing."
            )
        yield from zip(ids[start : start + batch], answered, strict=True)


def _median_query_ms(queries: Sequence[str], retriever: Ranker) -> float:
    """Measures single queries, one after the other, as a person asks them; the first one is asked twice to warm up."""
    retriever.rank(queries[:1], _TIMED_DEPTH)
    milliseconds = []
    for query in queries[:_TIMED_QUERIES]:
        start = time.perf_counter()
        retriever.rank([query], _TIMED_DEPTH)
        milliseconds.append((time.perf_counter() - start) * 1000)
    return median(milliseconds)
