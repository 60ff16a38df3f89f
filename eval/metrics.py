"""Scores of a run for every query: ir_measures' names, trec_eval's arithmetic through pytrec_eval.

ir_measures: https://ir-measur.es; pytrec_eval: Van Gysel and de Rijke, SIGIR 2018. The gain of nDCG is linear.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

import ir_measures
import numpy as np

from rag.errors import RagError, UsageError, unknown_name
from rag.schema import Qrels, Run

RETRIEVAL_METRICS = ("nDCG@10", "R@100", "RR@10", "AP", "P@5")
"""The metrics of a retrieval task, the main one first."""

JUDGED = "Judged@10"
"""Share of the first ten documents that anybody judged: a low one says that labels were made for other retrievers."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")

PerQuery = dict[str, dict[str, float]]
"""Metric name -> query id -> value."""


def score(qrels: Qrels, run: Run, names: Iterable[str] = RETRIEVAL_METRICS) -> PerQuery:
    """Scores every judged query under every metric; a query for which the run has nothing gets 0.0.

    Documents are ranked as trec_eval ranks them: by score as float32, then by id, both descending. `RR@k` is
    trec_eval's reciprocal rank where `Success@k` is 1, because pytrec_eval knows no cut-off for it and the script that
    ir_measures would take instead breaks ties the other way round. Raises UsageError for a metric that is unknown or
    that pytrec_eval cannot compute, RagError for a score that is not a number and for an id that C cannot hold.
    """
    names = list(dict.fromkeys(names))
    parts = {name: _parts(name) for name in names}
    plain_qrels, plain_run = _plain_qrels(qrels), _plain_run(run, qrels)
    judged = {name: judged_at(qrels, run, cutoff) for name in names if (cutoff := _judged_cutoff(name))}
    measures = list(dict.fromkeys(measure for wanted in parts.values() for measure in wanted))
    values: dict[Any, dict[str, float]] = {measure: {} for measure in measures}
    for metric in ir_measures.pytrec_eval.iter_calc(measures, plain_qrels, plain_run):
        values[metric.measure][metric.query_id] = float(metric.value)
    return {
        name: judged[name]
        if name in judged
        else {query_id: math.prod(values[measure].get(query_id, 0.0) for measure in parts[name]) for query_id in qrels}
        for name in names
    }


def judged_at(qrels: Qrels, run: Run, k: int) -> dict[str, float]:
    """Returns for every query the share of its first k documents that are judged, 0.0 where the run has nothing."""
    shares = {}
    for query_id, grades in qrels.items():
        first = trec_order(run.get(query_id, {}))[:k]
        shares[query_id] = sum(document in grades for document in first) / len(first) if first else 0.0
    return shares


def attainable(qrels: Qrels, name: str) -> float:
    """Returns the highest mean of a metric that any run can reach under these judgements.

    P@5 cannot reach 1 where a query has one relevant document, nor R@10 where it has a hundred.
    """
    ideal = {
        query_id: {document: float(grade) for document, grade in grades.items() if grade > 0}
        for query_id, grades in qrels.items()
    }
    return fmean(score(qrels, ideal, [name])[name].values())


def trec_order(scores: Mapping[str, float]) -> list[str]:
    """Returns the documents of one query as trec_eval ranks them: score as float32, then id, both descending."""
    rounded = np.fromiter(scores.values(), np.float64, len(scores)).astype(np.float32).tolist()
    return [document for _, document in sorted(zip(rounded, scores, strict=True), reverse=True)]


def usable_id(identifier: str) -> bool:
    """Tells whether trec_eval's C code can hold an id: it stops reading at NUL and crashes on lone surrogates."""
    return "\0" not in identifier and _LONE_SURROGATE.search(identifier) is None


def _parts(name: str) -> Sequence[Any]:
    """Returns the measures of pytrec_eval whose product is the metric: one, or two for RR with a cut-off."""
    try:
        measure = ir_measures.parse_measure(name)
        measure.validate_params()
    except (ValueError, NameError, TypeError, AssertionError, AttributeError, KeyError) as error:
        raise unknown_name("metric", name, RETRIEVAL_METRICS) from error
    cutoff = measure.params.get("cutoff")
    if cutoff is not None and cutoff < 1:
        raise UsageError(f"Metric '{name}' has the cut-off {cutoff}. Use a whole number from 1.")
    if _judged_cutoff(name):
        return ()
    if measure.NAME == "RR" and cutoff is not None:
        others = {key: value for key, value in measure.params.items() if key != "cutoff"}
        return (ir_measures.RR(**others), ir_measures.Success(**others) @ cutoff)
    if not ir_measures.pytrec_eval.supports(measure):
        raise UsageError(
            f"Metric '{name}' is not one that trec_eval computes. Use for instance {RETRIEVAL_METRICS[0]}."
        )
    return (measure,)


def _judged_cutoff(name: str) -> int | None:
    head, _, cutoff = name.partition("@")
    return int(cutoff) if head == "Judged" and cutoff.isdecimal() else None


def _plain_qrels(qrels: Qrels) -> dict[str, dict[str, int]]:
    """Copies the judgements with Python's own int, the only type of grade that pytrec_eval takes."""
    plain = {
        query_id: {document: int(grade) for document, grade in grades.items()} for query_id, grades in qrels.items()
    }
    _check_ids(plain)
    return plain


def _plain_run(run: Run, qrels: Qrels) -> dict[str, dict[str, float]]:
    """Copies the judged queries of a run with Python's own float: pytrec_eval refuses numpy's, and ranks NaN anyhow."""
    plain = {
        query_id: {document: float(value) for document, value in run[query_id].items()}
        for query_id in qrels
        if query_id in run
    }
    _check_ids(plain)
    for query_id, scores in plain.items():
        for document, value in scores.items():
            if math.isnan(value):
                raise RagError(
                    f"Query '{query_id}': document '{document}' has no number for its score (NaN). "
                    "The retriever is at fault; rebuild its index."
                )
    return plain


def _check_ids(table: Mapping[str, Mapping[str, object]]) -> None:
    for identifier in {*table, *(document for row in table.values() for document in row)}:
        if not usable_id(identifier):
            raise RagError(
                f"The id {identifier!r} is not valid Unicode text, as names of files in a wrong encoding are not. "
                "Rename the document and ingest it again."
            )
