"""Runs a task's queries through one retriever, folds chunks to documents, and scores the run."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median
from typing import Any, Protocol

import numpy as np

from eval.metrics import JUDGED, RETRIEVAL_METRICS, score, trec_order
from eval.rows import COST_FIELDS, EvalRow
from eval.spans import NEEDED, GoldenSpans, Place, score_spans
from eval.tasks.retrieval import RetrievalTask
from rag.errors import RagError
from rag.schema import Scored

DEPTH = 1000
"""How many chunks are asked for, trec_eval's customary depth."""

_TIMED_QUERIES = 50
_TIMED_DEPTH = 10


PlacesOf = Callable[[Sequence[str]], Mapping[str, tuple[int, int]]]
"""Gives the start and the end of chunks in their documents, by chunk id."""


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
    golden: GoldenSpans | None = None,
    places_of: PlacesOf | None = None,
    timed: Ranker | None = None,
) -> EvalRow:
    """Evaluates one retriever on one task.

    `documents` gives each chunk's document by the name that the qrels use. `depth` chunks are asked for; where a
    document has several chunks, fewer documents than that are ranked. A document of its query's own id is left out
    where the task says so. `cost` is what is known of the index; the time of a query is measured here, with `timed`
    where the retriever itself remembers queries. With `golden` and `places_of` the first chunks of each query are
    scored against the spans that answer it, too, and chunks with any of what a query was cut out of are no hits.
    Raises RagError for a chunk that is not in `documents` and for a retriever that does not answer every query.
    """
    run: dict[str, dict[str, float]] = {}
    first: dict[str, list[Scored]] = {}
    for query_id, hits in _rank_all(task.queries, retriever, depth, batch):
        own = query_id if task.ignore_identical_ids else None
        kept = hits if own is None else [hit for hit in hits if documents.get(hit.chunk_id) != own]
        if golden and places_of and query_id in golden.cut:
            kept = _without_cutting(kept, golden.cut[query_id], documents, places_of)
        run[query_id] = fold_to_documents(kept, documents)
        first[query_id] = kept[:NEEDED] if golden and query_id in golden.places else []
    scores = score(task.qrels, run, (*metrics, JUDGED))
    facts: dict[str, Any] = {"depth": depth, **(provenance or {})}
    if task.label_sources:
        facts["label_sources"] = dict(task.label_sources)
    if golden and golden.places and places_of:
        scores |= score_spans(golden.places, _place_all(first, documents, places_of))
        facts["answers_not_found"] = golden.lost
    known_cost = {name: None for name in COST_FIELDS} | dict(cost or {})
    return EvalRow(
        task=task.name,
        family=task.family,
        embedder=embedder,
        retriever=retriever.name,
        chunker=chunker,
        run=run,
        per_query=scores,
        cost=known_cost | {"query_ms_p50": _median_query_ms(list(task.queries.values()), timed or retriever)},
        task_digest=task.digest,
        provenance=facts,
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


def _without_cutting(
    hits: Sequence[Scored], cut: Sequence[Place], documents: Mapping[str, str], places_of: PlacesOf
) -> list[Scored]:
    """Leaves out the chunks that hold any of what was cut out."""
    touched = {place.document for place in cut}
    near = [hit.chunk_id for hit in hits if documents.get(hit.chunk_id) in touched]
    places = {chunk: Place(documents[chunk], *found) for chunk, found in places_of(near).items()}
    gone = {chunk for chunk, place in places.items() if any(place.meets(other) for other in cut)}
    return [hit for hit in hits if hit.chunk_id not in gone]


def _place_all(
    rankings: Mapping[str, Sequence[Scored]], documents: Mapping[str, str], places_of: PlacesOf
) -> dict[str, list[Place]]:
    """Returns where the chunks of each query stand, best first."""
    placed = {}
    for query_id, hits in rankings.items():
        if hits:
            ids = [hit.chunk_id for hit in hits]
            places = places_of(ids)
            placed[query_id] = [Place(documents[chunk], *places[chunk]) for chunk in ids]
    return placed


def _median_query_ms(queries: Sequence[str], retriever: Ranker) -> float:
    """Measures single queries, one after the other, as a person asks them; the first one is asked twice to warm up."""
    retriever.rank(queries[:1], _TIMED_DEPTH)
    milliseconds = []
    for query in queries[:_TIMED_QUERIES]:
        start = time.perf_counter()
        retriever.rank([query], _TIMED_DEPTH)
        milliseconds.append((time.perf_counter() - start) * 1000)
    return median(milliseconds)
