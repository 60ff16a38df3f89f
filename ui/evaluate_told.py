"""What was written down of each query of an evaluation: its tasks, rows and documents, looked up."""

from collections.abc import Mapping
from typing import Any

from rag.errors import UsageError
from ui.evaluate_documents import Documents

Document = Mapping[str, Any]


def tone(right: bool | None) -> str:
    """Returns the class that colours what is right or wrong; none where that cannot be said."""
    return "" if right is None else "eva-right" if right else "eva-wrong"


def corpus_of(documents: Documents, task: Document, at: int) -> str | None:
    """Returns the corpus in which a row of a task searched, None where it searched none."""
    wanted = task["rows"][at]
    for facts in documents.results.get("provenance", {}).get("indexes", ()):
        keys = ("embedder", "retriever", "chunker")
        if facts.get("task") == task["task"] and all(facts.get(key) == wanted[key] for key in keys):
            corpus = facts.get("corpus")
            return corpus if isinstance(corpus, str) else None
    return None


def best_first(documents: Documents, task: Document) -> list[int]:
    """Returns the positions of a task's rows in the order of the leaderboard."""
    values = {
        (row["embedder"], row["retriever"], row["chunker"]): row["metrics"].get(task["metric"], {}).get("value")
        for row in documents.results["rows"]
        if row["task"] == task["task"]
    }

    def by_value(at: int) -> tuple[float, str, str]:
        row = task["rows"][at]
        value = values.get((row["embedder"], row["retriever"], row["chunker"]))
        return (float("inf") if value is None else -value, row["label"], row["chunker"] or "")

    return sorted(range(len(task["rows"])), key=by_value)


def task_at(documents: Documents, at: int) -> Document | None:
    """Returns what is told of a task, None where nothing was written down."""
    tasks = documents.queries.get("tasks", ())
    return tasks[at] if 0 <= at < len(tasks) else None


def find_query(documents: Documents, at: int, id_: str) -> tuple[Document, Document]:
    """Returns a task and one of its queries; raises UsageError where it is not told of."""
    task = task_at(documents, at)
    query = next((query for query in task["queries"] if query["id"] == id_), None) if task else None
    if task is None or query is None:
        raise UsageError("This query is not told of in the evaluation. Reload the page.")
    return task, query


def name_of(task: Document, document: str) -> str:
    """Returns a document's title, or its id where it has none."""
    return task["documents"].get(document, {}).get("title") or document


def shorten(text: str, most: int) -> str:
    """Returns a text with at most so many characters."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"
