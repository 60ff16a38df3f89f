"""A task as evidence: the files beside an evaluation's results from which every figure of it can be computed again.

Retrieval: `queries.jsonl`, `qrels/test.tsv` (whatever the split) and, where there are any, `answers.jsonl`, in BEIR's
form; the other families: `items.jsonl` with text and label. `task.json` holds the rest. Texts of documents are not
needed, nor held.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eval.tasks.beir import read_answers, read_qrels, read_queries
from eval.tasks.json_lines import read_records
from eval.tasks.retrieval import RANKED, RetrievalTask, digested
from eval.tasks.task import Task
from rag.errors import RagError, UsageError

TASK_FILE = "task.json"


@dataclass(frozen=True, slots=True)
class EvidenceTask:
    """A task that retrieves nothing, as its evidence tells it: texts, labels as numbers, kinds."""

    name: str
    family: str
    folder: Path
    split: str
    digest: str
    items: Mapping[str, str] = field(default_factory=dict)
    gold: Mapping[str, float] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)


def evidence_files(task: Task) -> dict[str, str]:
    """Returns the contents of a task's files, by their paths in its folder."""
    facts: dict[str, Any] = {"name": task.name, "family": task.family, "split": task.split, "digest": task.digest}
    if not isinstance(task, RetrievalTask):
        gold, kinds = task.gold, task.kinds
        items = [
            {"_id": item, "text": text, "gold": gold.get(item), "kind": kinds.get(item, "")}
            for item, text in task.items.items()
        ]
        return {TASK_FILE: _document(facts), "items.jsonl": _lines(items)}
    facts |= {
        "corpus": task.corpus,
        "ignore_identical_ids": task.ignore_identical_ids,
        "left_out": list(task.left_out),
        "sources": dict(task.sources),
        "unanswerable": dict(task.unanswerable),
    }
    queries = [
        {"_id": query_id, "text": text, **({"metadata": {"kind": kind}} if (kind := task.kinds[query_id]) else {})}
        for query_id, text in task.queries.items()
    ]
    judged = "".join(
        f"{query_id}\t{document}\t{grade}\n" for query_id, of in task.qrels.items() for document, grade in of.items()
    )
    answers = [
        {"_id": each.query_id, "doc": each.document, "answers": each.answers, "starts": each.starts}
        for each in task.answers
    ]
    return {
        TASK_FILE: _document(facts),
        "queries.jsonl": _lines(queries),
        "qrels/test.tsv": "query-id\tcorpus-id\tscore\n" + judged,
        **({"answers.jsonl": _lines(answers)} if answers else {}),
    }


def read_evidence(folder: Path) -> Task:
    """Reads a task back; its digest is computed anew for retrieval. Raises RagError for files that cannot be read."""
    try:
        facts = json.loads((folder / TASK_FILE).read_text(encoding="utf-8"))
        named = {key: facts[key] for key in ("name", "family", "split")}
        if facts["family"] in RANKED:
            return _retrieval(folder, facts, named)
        records = [record.fields for record in read_records(folder / "items.jsonl", "The evidence of a task")]
        return EvidenceTask(
            **named,
            folder=folder,
            digest=facts["digest"],
            items={each["_id"]: each["text"] for each in records},
            gold={each["_id"]: each["gold"] for each in records if each["gold"] is not None},
            kinds={each["_id"]: each["kind"] for each in records},
        )
    except (OSError, ValueError, KeyError, TypeError, UsageError) as error:
        raise RagError(f"{folder} does not hold the evidence of a task: {error}") from error


def _retrieval(folder: Path, facts: Mapping[str, Any], named: Mapping[str, Any]) -> RetrievalTask:
    texts, kinds = read_queries(folder / "queries.jsonl")
    qrels = read_qrels(folder / "qrels" / "test.tsv").qrels
    task = RetrievalTask(
        **named,
        folder=folder,
        queries=texts,
        qrels={query_id: qrels[query_id] for query_id in texts},
        corpus=facts["corpus"],
        has_documents=False,
        kinds=kinds,
        unanswerable=facts["unanswerable"],
        left_out=tuple(facts["left_out"]),
        answers=tuple(read_answers(folder / "answers.jsonl", texts)),
        digest="",
        sources=facts["sources"],
        ignore_identical_ids=facts["ignore_identical_ids"],
    )
    return digested(task)


def _document(facts: Mapping[str, Any]) -> str:
    return json.dumps(facts, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def _lines(records: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
