"""Whether the figures of a task may be quoted as they stand, and if not, why."""

from collections.abc import Iterable
from typing import Any

from eval.rows import EvalRow
from eval.tasks.task import Task

FEWEST = 10
"""Items below which an interval says next to nothing."""


def why_not_citable(task: Task, rows: Iterable[EvalRow]) -> list[str]:
    """Returns what stands against quoting the figures of a task, nothing where they may be quoted."""
    reasons = []
    if len(task.items) < FEWEST:
        reasons.append(f"only {len(task.items)} labelled items, fewer than {FEWEST}")
    sources = list(getattr(task, "sources", {}).values())
    synthetic = sources.count("synthetic")
    if synthetic and synthetic == len(task.items):
        reasons.append("all labels are synthetic: nobody has judged anything")
    elif synthetic:
        reasons.append(f"{synthetic} of {len(task.items)} items have synthetic labels (--labels human leaves them out)")
    openings = max((int(row.provenance.get("holdout_openings", 0)) for row in rows), default=0)
    if openings > 1:
        reasons.append(f"the hold-out was opened {openings} times: its figures are no longer untouched")
    return reasons


def citable_document(task: Task, rows: Iterable[EvalRow]) -> dict[str, Any]:
    """Returns what results.json tells of it."""
    reasons = why_not_citable(task, rows)
    return {"citable": not reasons, "reasons": reasons}
