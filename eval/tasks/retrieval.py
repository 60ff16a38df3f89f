"""Retrieval tasks in BEIR's format: queries, relevance judgements (qrels), and where the documents come from.

Documents are not read here: a folder either holds them in `corpus.jsonl`, or its `task.toml` names a corpus of the
library.
"""

import hashlib
import json
import tomllib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from eval.tasks.beir import (
    ExpectedAnswer,
    JudgedLines,
    json_object,
    line_of_document,
    malformed,
    read_answers,
    read_lines,
    read_qrels,
    read_queries,
)
from rag.errors import UsageError
from rag.schema import Qrels

UNANSWERABLE = "unanswerable"
"""The query kind whose answer the corpus does not hold: material for abstention, not for ranking."""

CUT_OUT = "synthetic-cloze"
"""The query kind of a sentence that was cut out of the document it is to find: what holds any of it is no hit."""

RANKED = ("retrieval", "spans")
"""The families whose rows are rankings of documents, to be scored against qrels."""

SOURCES: Mapping[str, str] = {
    "thumb": "human",
    "queue": "human",
    "import": "import",
    "vote": "vote",
    "synthetic": "synthetic",
}
"""What the origin of a label tells about where it is from: the strongest source first, the weakest last."""


@dataclass(frozen=True, slots=True)
class RetrievalTask:
    """Queries with relevance judgements; `name` is the folder's name.

    `queries`, `qrels` and `kinds` hold the scored queries only: those with at least one positive judgement in the
    split. `unanswerable` holds the texts of the others of that kind, `left_out` the ids of all that remain. `corpus`
    is None where the folder holds the documents itself; they are ingested from `documents_folder`, or where that is
    None from the folder. `sources` tells of each scored query where its labels are from, as far as labels.jsonl says:
    the weakest source of any. With `ignore_identical_ids` a document of a query's own id is no hit. `digest`
    identifies the scored queries and their judgements.
    """

    name: str
    folder: Path
    split: str
    queries: Mapping[str, str]
    qrels: Qrels
    corpus: str | None
    has_documents: bool
    kinds: Mapping[str, str]
    unanswerable: Mapping[str, str]
    left_out: tuple[str, ...]
    answers: tuple[ExpectedAnswer, ...]
    digest: str
    sources: Mapping[str, str] = field(default_factory=dict)
    ignore_identical_ids: bool = False
    family: str = "retrieval"
    documents_folder: Path | None = None

    @property
    def items(self) -> Mapping[str, str]:
        """The scored queries."""
        return self.queries

    @property
    def gold(self) -> Mapping[str, float]:
        """Nothing: what is relevant stands in `qrels`."""
        return {}

    @property
    def cut_out(self) -> tuple[str, ...]:
        """The queries that are sentences of the documents that they are to find."""
        return tuple(query_id for query_id, kind in self.kinds.items() if kind == CUT_OUT)

    @property
    def label_sources(self) -> Mapping[str, int]:
        """How many queries are labelled by whom; nothing where the folder does not say."""
        counts = Counter(self.sources.values())
        return {name: counts[name] for name in dict.fromkeys(SOURCES.values()) if counts[name]}


@dataclass(frozen=True, slots=True)
class Judgements:
    """All that a task folder says of a split, of scored queries or not; `corpus` is None where it names none."""

    queries: Mapping[str, str]
    kinds: Mapping[str, str]
    qrels: Qrels
    answers: tuple[ExpectedAnswer, ...]
    corpus: str | None


def read_judgements(folder: Path, split: str = "test") -> Judgements:
    """Reads a task folder without asking what of it can be scored; raises UsageError as `load_retrieval_task` does."""
    texts, kinds = read_queries(folder / "queries.jsonl")
    path = _qrels_file(folder, split)
    judged = read_qrels(path)
    _check_queries_exist(judged, texts, path)
    answers = read_answers(folder / "answers.jsonl", texts)
    named = (folder / "task.toml").is_file() and not (folder / "corpus.jsonl").is_file()
    corpus = _named_corpus(folder / "task.toml") if named else None
    return Judgements(texts, kinds, judged.qrels, tuple(answers), corpus)


def load_retrieval_task(folder: Path, split: str = "test") -> RetrievalTask:
    """Reads a task folder.

    Raises UsageError for a missing file or split, a malformed line (with its file, number and content), and a judgement
    or an answer for a query that does not exist.
    """
    texts, kinds = read_queries(folder / "queries.jsonl")
    path = _qrels_file(folder, split)
    judged = read_qrels(path)
    _check_queries_exist(judged, texts, path)
    scored = [query_id for query_id in texts if any(grade > 0 for grade in judged.qrels.get(query_id, {}).values())]
    if not scored:
        raise UsageError(
            f"No query of {folder} has a relevant document in split '{split}'. "
            f"Give at least one a grade above 0 in qrels/{split}.tsv."
        )
    queries = {query_id: texts[query_id] for query_id in scored}
    qrels = {query_id: judged.qrels[query_id] for query_id in scored}
    rest = [query_id for query_id in texts if query_id not in queries]
    answers = read_answers(folder / "answers.jsonl", texts)
    corpus, has_documents = _document_source(folder)
    task = RetrievalTask(
        name=folder.resolve().name,
        folder=folder,
        split=split,
        queries=queries,
        qrels=qrels,
        corpus=corpus,
        has_documents=has_documents,
        kinds={query_id: kinds[query_id] for query_id in scored},
        unanswerable={query_id: texts[query_id] for query_id in rest if kinds[query_id] == UNANSWERABLE},
        left_out=tuple(query_id for query_id in rest if kinds[query_id] != UNANSWERABLE),
        answers=tuple(answer for answer in answers if answer.query_id in queries),
        digest="",
        sources=read_sources(folder / "labels.jsonl", queries),
        ignore_identical_ids=ignores_identical_ids(folder),
    )
    return digested(task)


def check_documents(task: RetrievalTask, known: Collection[str]) -> tuple[str, ...]:
    """Returns the judged documents that the corpus lacks, sorted; their queries can never be answered in full.

    Raises UsageError when the corpus holds none of them, since every score would then be 0 for a wrong reason.
    """
    judged = {document for grades in task.qrels.values() for document in grades}
    missing = judged.difference(known)
    if missing == judged:
        raise UsageError(
            f"The corpus holds none of the {len(judged)} documents that {task.folder} judges, for instance "
            f"'{min(judged)}'{_place(task, min(judged))}. Check that the documents' ids are those in "
            f"qrels/{task.split}.tsv."
        )
    return tuple(sorted(missing))


def missing_note(task: RetrievalTask, missing: Sequence[str]) -> str:
    """Says which judged documents the corpus lacks, and where the first of them is named."""
    first = missing[0]
    return (
        f"{task.name}: {len(missing)} judged documents are not in the corpus, such as '{first}'{_place(task, first)}; "
        "nothing can find them"
    )


def identical_ids_note(task: RetrievalTask, known: Collection[str]) -> str:
    """Says how many queries have the id of a document, and what is made of it; "" where none has."""
    count = sum(query_id in known for query_id in task.queries)
    if not count:
        return ""
    told = f"{task.name}: {count} of {len(task.queries)} queries have the id of a document"
    if task.ignore_identical_ids:
        return f"{told}, which is no hit of theirs (ignore_identical_ids)"
    return f"{told}. If the queries are documents themselves, say ignore_identical_ids = true in task.toml"


def digested(task: RetrievalTask) -> RetrievalTask:
    """Returns the task with the sha256 of its scored queries, their judgements, and what else its scores depend on.

    Where answers stand is among it for tasks of spans alone: it does not change what others are ranked by.
    """
    held: dict[str, object] = {
        "queries": dict(task.queries),
        "qrels": {key: dict(of) for key, of in task.qrels.items()},
    }
    if task.ignore_identical_ids:
        held["ignore_identical_ids"] = True
    if task.family == "spans":
        held["answers"] = [[each.query_id, each.document, each.answers, each.starts] for each in task.answers]
    canonical = json.dumps(held, sort_keys=True)
    return replace(task, digest=hashlib.sha256(canonical.encode()).hexdigest())


def read_sources(path: Path, queries: Collection[str]) -> dict[str, str]:
    """Returns for each query where its labels are from: the weakest source of any of them, by labels.jsonl.

    A label of grade 0 or below makes no query, and does not count. Nothing where the file is not there.
    """
    if not path.is_file():
        return {}
    order = list(dict.fromkeys(SOURCES.values()))
    found: dict[str, str] = {}
    for number, line in read_lines(path):
        expected = "Each line must be a label as `rag labels export` writes it."
        record = json_object(path, number, line, expected)
        query, origin, grade = record.get("query"), record.get("origin"), record.get("grade")
        if (
            not isinstance(query, str)
            or not isinstance(origin, str)
            or origin not in SOURCES
            or not isinstance(grade, int)
        ):
            raise malformed(path, number, line, expected)
        if query in queries and grade > 0:
            found[query] = max(found.get(query, order[0]), SOURCES[origin], key=order.index)
    return found


def ignores_identical_ids(folder: Path) -> bool:
    """Tells whether a task's settings say that a document of a query's own id is no hit.

    BEIR's `ignore_identical_ids`, which ArguAna and Quora need: their queries are documents of the corpus.
    """
    path = folder / "task.toml"
    value = _settings(path).get("ignore_identical_ids", False) if path.is_file() else False
    if not isinstance(value, bool):
        raise UsageError(f"{path}: ignore_identical_ids is {value!r}. Say true or false.")
    return value


def _place(task: RetrievalTask, document: str) -> str:
    path = task.folder / "qrels" / f"{task.split}.tsv"
    number = line_of_document(path, document) if path.is_file() else None
    return f" (qrels/{path.name}, line {number})" if number else ""


def _document_source(folder: Path) -> tuple[str | None, bool]:
    """Returns the named corpus and whether the folder holds the documents; its own documents come first."""
    if (folder / "corpus.jsonl").is_file():
        return None, True
    settings = folder / "task.toml"
    if not settings.is_file():
        raise UsageError(
            f"{folder} holds neither corpus.jsonl nor task.toml. "
            'Add the documents, or a task.toml with corpus = "NAME".'
        )
    return _named_corpus(settings), False


def _named_corpus(path: Path) -> str:
    corpus = _settings(path).get("corpus")
    if not isinstance(corpus, str) or not corpus:
        raise UsageError(f'{path} does not name a corpus. Add the line corpus = "NAME".')
    return corpus


def _settings(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}. Correct it.") from error


def _qrels_file(folder: Path, split: str) -> Path:
    splits = {path.stem: path for path in sorted((folder / "qrels").glob("*.tsv"))}
    if split not in splits:
        listed = ", ".join(splits) or "none"
        raise UsageError(f"{folder} has no split '{split}' (qrels/{split}.tsv). Splits that are there: {listed}.")
    return splits[split]


def _check_queries_exist(judged: JudgedLines, texts: Mapping[str, str], path: Path) -> None:
    unknown = [query_id for query_id in judged.lines if query_id not in texts]
    if unknown:
        raise UsageError(
            f"{path}, line {judged.lines[unknown[0]]}: {path.name} names {len(unknown)} queries that queries.jsonl "
            f"lacks, the first is '{unknown[0]}'. Add them to queries.jsonl or remove their lines."
        )
