"""What every row did with a single query: its first ten documents, the rank of each relevant one, and why it missed.

The report and the Evaluate tab show the same facts, which are plain dicts and lists, ready for JSON.
"""

import math
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from eval.metrics import trec_order
from eval.results import Results, TaskResults
from eval.rows import EvalRow
from eval.tasks.retrieval import RetrievalTask
from eval.tasks.task import Task
from eval.verdicts import labels_of

TextOf = Callable[[Task, str], tuple[str, str] | None]
"""Gives the title and the text of a task's document, None for one that the corpus does not hold."""

SHOWN = 10
LIMIT = 200
"""How many queries are told of a task: those on which its rows differ most."""

LOST_LIMIT = 50
"""How many are told besides of those that every row gets wrong, on which none differs from another."""

ALL_RIGHT, ALL_WRONG, DISAGREE = "all right", "all wrong", "disagree"
FOUND, LOW, LOWER = "found", "ranked 11-100", "ranked below 100"
BEYOND, NOT_IN_CORPUS = "beyond depth", "not in the corpus"

_RIGHT_FROM: Mapping[str, float] = {"retrieval": math.ulp(0.0), "classification": 0.5}
"""From which value of the main metric on an item is right; other families score all items together."""

_SNIPPET = 220
_TITLE = 120
_GOLD_SHOWN = 30
_SPACE = re.compile(r"\s+")


def query_details(
    results: Results,
    text_of: TextOf | None = None,
    *,
    limit: int | None = LIMIT,
    keep: Collection[str] = (),
) -> dict[str, Any]:
    """Returns for every task its rows and queries with what each row made of them.

    A query is right under a row with a relevant document among its first ten (a text, where it was classified so by
    half of the trials or more). Of each task the `limit` queries on which the rows differ most are told,
    some of those that all rows get wrong, and those in `keep`; all with None, and where few would be left out. `counts`
    covers every query. Lists named `values`, `ranks`, `misses`, `right` and `top` follow the order of `rows`, of which
    `ranking` gives the positions, best first. Without `text_of` documents have no text.
    """
    return {"tasks": [_task_details(each, text_of, limit, keep) for each in results.tasks]}


def _task_details(
    results: TaskResults, text_of: TextOf | None, limit: int | None, keep: Collection[str]
) -> dict[str, Any]:
    task, rows, metric = results.task, results.rows, results.compared.metric
    items, kinds, gold = task.items, task.kinds, task.gold
    values = {item: [row.per_query.get(metric, {}).get(item) for row in rows] for item in items}
    from_value = _RIGHT_FROM.get(task.family)
    right = {item: _right(of_rows, from_value) for item, of_rows in values.items()}
    verdicts = {item: _verdict(of_rows) for item, of_rows in right.items()}
    chosen = _choose(_spreads(task.family, values), verdicts, limit, keep)
    documents: dict[str, Any] = {}
    return {
        "task": task.name,
        "family": task.family,
        "metric": metric,
        "rows": [
            {"label": label, "embedder": row.embedder, "retriever": row.retriever, "chunker": row.chunker}
            for label, row in zip(labels_of(rows), rows, strict=True)
        ],
        "ranking": list(results.compared.ranking),
        "counts": dict(Counter(verdict for verdict in verdicts.values() if verdict)),
        "told": len(chosen),
        "of": len(values),
        "queries": [
            {
                "id": item,
                "text": items[item],
                "kind": kinds.get(item, ""),
                "label": gold.get(item),
                "values": [_rounded(value) for value in values[item]],
                "right": right[item],
                "verdict": verdicts[item],
                **(_rankings(task, rows, item, documents, text_of) if isinstance(task, RetrievalTask) else {}),
            }
            for item in chosen
        ],
        "documents": documents,
    }


def _right(values: Sequence[float | None], from_value: float | None) -> list[bool | None]:
    if from_value is None:
        return [None] * len(values)
    return [None if value is None else value >= from_value for value in values]


def _verdict(right: Sequence[bool | None]) -> str:
    known = [each for each in right if each is not None]
    if not known:
        return ""
    return ALL_RIGHT if all(known) else DISAGREE if any(known) else ALL_WRONG


def _choose(
    spreads: Mapping[str, float], verdicts: Mapping[str, str], limit: int | None, keep: Collection[str]
) -> list[str]:
    """Returns the items to tell, those on which the rows differ most first."""
    order = sorted(spreads, key=lambda item: (-spreads[item], item))
    if limit is None or len(order) <= limit + LOST_LIMIT:
        return order
    lost = [item for item in order[limit:] if verdicts[item] == ALL_WRONG][:LOST_LIMIT]
    wanted = {*order[:limit], *lost, *keep}
    return [item for item in order if item in wanted]


def _spreads(family: str, values: Mapping[str, Sequence[float | None]]) -> dict[str, float]:
    """Tells how far the rows are apart on each item: of outputs on scales of their own (cosines) by their ranks.

    Numbers of clusters are names, on which rows are neither near nor far.
    """
    if family == "clustering":
        return dict.fromkeys(values, 0.0)
    columns = list(zip(*values.values(), strict=True))
    if family not in _RIGHT_FROM:
        columns = [_ranked(column) for column in columns]
    spreads = {}
    for item, of_rows in zip(values, zip(*columns, strict=True), strict=True):
        known = [value for value in of_rows if value is not None]
        spreads[item] = max(known) - min(known) if known else 0.0
    return spreads


def _ranked(column: Sequence[float | None]) -> tuple[float | None, ...]:
    """Returns the share of a row's outputs that lie below each."""
    order = sorted(value for value in column if value is not None)
    return tuple(None if value is None else bisect_left(order, value) / len(order) for value in column)


def _rankings(
    task: RetrievalTask, rows: Sequence[EvalRow], query: str, documents: dict[str, Any], text_of: TextOf | None
) -> dict[str, Any]:
    """Returns the first documents of every row, and where each has the relevant ones; notes their texts."""
    orders = [trec_order(row.run.get(query, {})) for row in rows]
    ranks = [{document: rank for rank, document in enumerate(order, start=1)} for order in orders]
    grades = task.qrels[query]
    relevant = sorted((document for document in grades if grades[document] > 0), key=lambda id_: (-grades[id_], id_))
    for document in (*relevant[:_GOLD_SHOWN], *(document for order in orders for document in order[:SHOWN])):
        if document not in documents:
            documents[document] = _document(task, document, text_of)
    return {
        "relevant": len(relevant),
        "gold": [
            {
                "id": document,
                "grade": grades[document],
                "ranks": [of_row.get(document) for of_row in ranks],
                "misses": [_miss(of_row.get(document), documents[document]) for of_row in ranks],
            }
            for document in relevant[:_GOLD_SHOWN]
        ],
        "top": [order[:SHOWN] for order in orders],
    }


def _miss(rank: int | None, document: Mapping[str, Any]) -> str:
    """Says why a relevant document is not among a row's first ten; `found` where it is."""
    if rank is None:
        return NOT_IN_CORPUS if document.get("missing") else BEYOND
    return FOUND if rank <= SHOWN else LOW if rank <= 100 else LOWER


def _document(task: Task, document: str, text_of: TextOf | None) -> dict[str, Any]:
    if text_of is None:
        return {"title": "", "snippet": ""}
    found = text_of(task, document)
    if found is None:
        return {"title": "", "snippet": "", "missing": True}
    title, text = found
    return {"title": _cut(title, _TITLE), "snippet": _cut(_without_title(text[: 8 * _SNIPPET], title), _SNIPPET)}


def _without_title(text: str, title: str) -> str:
    """Returns a text without the title that it begins with, as documents with a heading do."""
    start = text.lstrip("#=*_ \n\t\ufeff")
    return start[len(title) :].lstrip("#=*_ \n\t") if title and start.startswith(title) else text


def _cut(text: str, length: int) -> str:
    """Returns the beginning of a text on one line."""
    line = _SPACE.sub(" ", text[: 4 * length]).strip()
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def _rounded(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, 4)
