"""Part of a task: the same kind of task over some of its items only, with a digest of its own."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from eval.tasks.retrieval import RetrievalTask, digested
from eval.tasks.task import Task
from rag.errors import UsageError

_BY_ITEM = ("queries", "qrels", "kinds", "sources", "test", "pairs")
"""What the records of the families hold by item."""


def subset(task: Task, kept: Collection[str], split: str) -> Task:
    """Returns a task that scores only the items kept, as a split of that name.

    What the others hold is left out wholly: their judgements, labels, kinds and answers. Raises UsageError where
    nothing is left.
    """
    chosen = frozenset(kept)
    if not any(item in chosen for item in task.items):
        raise UsageError(f"No item of {task.folder} is left in '{split}'. Choose another split, or other labels.")
    held: set[str] = {each.name for each in fields(task)} if is_dataclass(task) else set()
    changes: dict[str, Any] = {
        name: {item: value for item, value in getattr(task, name).items() if item in chosen}
        for name in _BY_ITEM
        if name in held and isinstance(getattr(task, name), Mapping)
    }
    if isinstance(task, RetrievalTask):
        changes["answers"] = tuple(answer for answer in task.answers if answer.query_id in chosen)
        changes["digest"] = digested(replace(task, **changes)).digest
    else:
        changes["digest"] = _digest_of(task, chosen)
    part: Task = replace(task, split=split, **changes)  # type: ignore[type-var]  # every task is a dataclass
    return part


def _digest_of(task: Task, chosen: Collection[str]) -> str:
    canonical = json.dumps({"of": task.digest, "items": sorted(set(task.items).intersection(chosen))})
    return hashlib.sha256(canonical.encode()).hexdigest()
