"""Answer spans in whole documents, as Chroma's chunking evaluation is published: questions.jsonl and corpora/.

A line of questions.jsonl has "_id", "text", "corpus_id" (a file of corpora/ without its ending) and "spans", each with
"content", "start_index" and "end_index". Every chunker can be asked to cut the documents, so chunkers are ranked as
embedders are. https://github.com/brandonstarxel/chunking_evaluation
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.tasks.beir import ExpectedAnswer, identifier, json_object, malformed, read_lines
from eval.tasks.retrieval import RetrievalTask, digested, ignores_identical_ids
from rag.errors import UsageError

FAMILY = "spans"
QUESTIONS = "questions.jsonl"
DOCUMENTS = "corpora"

_EXPECTED = (
    'Each line must be a JSON object with "_id", "text", "corpus_id" and "spans", a list of objects with "content", '
    '"start_index" and "end_index".'
)


@dataclass(frozen=True, slots=True)
class _Question:
    id: str
    text: str
    document: str
    spans: tuple[str, ...]
    starts: tuple[int, ...]


def load_span_task(folder: Path, split: str = "test") -> RetrievalTask:
    """Reads a folder of questions and whole documents; a document is relevant to the questions with spans in it.

    The form knows no splits. Raises UsageError for a malformed line, an id that was used before, and a question about
    a document that is not there, each with its line.
    """
    documents = _documents(folder / DOCUMENTS)
    questions = _read(folder / QUESTIONS, documents)
    if not questions:
        raise UsageError(f"{folder / QUESTIONS} holds no questions. {_EXPECTED}")
    queries = {each.id: each.text for each in questions}
    qrels = {each.id: {each.document: 1} for each in questions}
    answers = tuple(ExpectedAnswer(each.id, each.document, each.spans, each.starts) for each in questions)
    task = RetrievalTask(
        name=folder.resolve().name,
        folder=folder,
        split=split,
        queries=queries,
        qrels=qrels,
        corpus=None,
        has_documents=True,
        kinds={each.id: Path(each.document).stem for each in questions},
        unanswerable={},
        left_out=(),
        answers=answers,
        digest="",
        ignore_identical_ids=ignores_identical_ids(folder),
        family=FAMILY,
        documents_folder=folder / DOCUMENTS,
    )
    return digested(task)


def _documents(folder: Path) -> Mapping[str, str]:
    """Maps the names of the documents without their endings to the files' own names."""
    found: dict[str, str] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.is_file() and not path.name.startswith("."):
            if path.stem in found:
                raise UsageError(f"{folder} holds both {found[path.stem]} and {path.name}. Keep one of them.")
            found[path.stem] = path.name
    if not found:
        raise UsageError(f"{folder} holds no documents. Put the files there that {QUESTIONS} asks about.")
    return found


def _read(path: Path, documents: Mapping[str, str]) -> list[_Question]:
    questions: dict[str, _Question] = {}
    for number, line in read_lines(path):
        record = json_object(path, number, line, _EXPECTED)
        question = _question(record, documents)
        if question is None:
            raise malformed(path, number, line, _EXPECTED)
        if record["corpus_id"] not in documents:
            known = ", ".join(sorted(documents))
            raise malformed(path, number, line, f"{DOCUMENTS}/ holds no '{record['corpus_id']}', only: {known}.")
        if question.id in questions:
            raise malformed(path, number, line, f"The id '{question.id}' was used before; ids must be unique.")
        questions[question.id] = question
    return list(questions.values())


def _question(record: Mapping[str, Any], documents: Mapping[str, str]) -> _Question | None:
    """Returns what a line holds, None where it is not as it must be."""
    key, text, corpus, spans = (record.get(name) for name in ("_id", "text", "corpus_id", "spans"))
    query_id = identifier(key)
    if query_id is None or not isinstance(text, str) or not text.strip() or not isinstance(corpus, str):
        return None
    spans = json.loads(spans) if isinstance(spans, str) else spans
    if not isinstance(spans, list) or not spans or not all(map(_is_span, spans)):
        return None
    return _Question(
        query_id,
        text,
        documents.get(corpus, corpus),
        tuple(span["content"] for span in spans),
        tuple(span["start_index"] for span in spans),
    )


def _is_span(span: Any) -> bool:
    return (
        isinstance(span, dict)
        and isinstance(span.get("content"), str)
        and bool(span["content"].strip())
        and type(span.get("start_index")) is int
        and type(span.get("end_index")) is int
    )
