"""Why two rows of a task cannot be compared fairly: a test between them would measure more than the embedders.

Facts that a row does not tell (`EvalRow.provenance`) are taken to be the same.
"""

from collections.abc import Mapping
from typing import Any

from eval.rows import EvalRow

_FACTS = {
    "split": "different splits",
    "corpus": "different documents were searched",
    "level": "scored at different levels",
    "depth": "retrieved to different depths",
    "label_sources": "labels of different sources",
    "label_pool": "labels of different pools",
    "protocol": "different protocols",
}
"""Keys of a row's provenance that must agree, with what is said where they do not."""


def why_not_comparable(a: EvalRow, b: EvalRow, metric: str) -> str | None:
    """Returns the reason why two rows of a task cannot be compared on a metric, None where they can."""
    for row in (a, b):
        if not row.per_query.get(metric):
            return f"{row.label} was not scored by {metric}"
    only_a = len(a.per_query[metric].keys() - b.per_query[metric].keys())
    only_b = len(b.per_query[metric].keys() - a.per_query[metric].keys())
    if only_a or only_b:
        items = "queries" if a.family == "retrieval" else "items"
        return f"different {items}: {only_a} only in {a.label}, {only_b} only in {b.label}"
    if a.task_digest != b.task_digest:
        return "different judgements or query texts of the task"
    for key, words in _FACTS.items():
        if key in a.provenance and key in b.provenance and _plain(a, key) != _plain(b, key):
            return f"{words}: {_told(a.provenance[key])} for {a.label}, {_told(b.provenance[key])} for {b.label}"
    return _cut_short(a, metric)


def _cut_short(row: EvalRow, metric: str) -> str | None:
    """Tells where rows hold fewer documents of a query than the metric looks at."""
    _, _, cutoff = metric.partition("@")
    depth = row.provenance.get("depth")
    if cutoff.isdecimal() and isinstance(depth, int) and depth < int(cutoff):
        return f"{metric} looks at more than the {depth} passages that were retrieved"
    return None


def _plain(row: EvalRow, key: str) -> Any:
    """Returns a fact so that two orders or containers of the same names are equal."""
    fact = row.provenance[key]
    if isinstance(fact, list | tuple | set | frozenset):
        return sorted(map(str, fact))
    return dict(fact) if isinstance(fact, Mapping) else fact


def _told(fact: Any) -> str:
    if isinstance(fact, Mapping):
        return ", ".join(f"{key} {value}" for key, value in sorted(fact.items()))
    return ", ".join(sorted(map(str, fact))) if isinstance(fact, list | tuple | set | frozenset) else str(fact)
