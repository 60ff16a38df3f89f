"""Reference answers: what a judge holds an answer, or what was retrieved, against.

A folder's `references.jsonl` has lines {"_id": query id, "reference": text}. A query without one has the labelled spans
of `answers.jsonl`, each once, one a line. Where there is neither, metrics that need a reference are left out.
"""

import json
from collections.abc import Iterator, Mapping

from eval.tasks.retrieval import RetrievalTask
from rag.errors import UsageError

FILE = "references.jsonl"


def references_of(task: RetrievalTask) -> dict[str, str]:
    """Returns the reference answers by query, for those scored queries that have one.

    Raises UsageError for a malformed line, with its number, and for a query that the task does not know.
    """
    spans: dict[str, dict[str, None]] = {}
    for answer in task.answers:
        spans.setdefault(answer.query_id, {}).update(dict.fromkeys(answer.answers))
    references = {query: "\n".join(each) for query, each in spans.items()} | dict(_written(task))
    return {query: references[query] for query in task.queries if references.get(query, "").strip()}


def _written(task: RetrievalTask) -> Iterator[tuple[str, str]]:
    path = task.folder / FILE
    if not path.is_file():
        return
    known = {*task.queries, *task.unanswerable, *task.left_out}
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except ValueError:
                record = None
            if not isinstance(record, Mapping) or not isinstance(record.get("reference"), str) or "_id" not in record:
                raise UsageError(
                    f"{path}, line {number} is malformed: {line.strip()[:120]!r}. Each line must be a JSON object with "
                    f'"_id" and "reference".'
                )
            if str(record["_id"]) not in known:
                raise UsageError(f"{path}, line {number} names the query '{record['_id']}', which queries.jsonl lacks.")
            yield str(record["_id"]), record["reference"]
