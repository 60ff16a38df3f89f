"""Retrieval tasks in BEIR's format: queries, relevance judgements (qrels), and where the documents come from.

Format: https://github.com/beir-cellar/beir/wiki/Load-your-custom-dataset. Documents are not read here: a folder either
holds them in `corpus.jsonl`, or its `task.toml` names a corpus of the library.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from eval.metrics import usable_id
from rag.errors import UsageError
from rag.schema import Qrels

UNANSWERABLE = "unanswerable"
"""The query kind whose answer the corpus does not hold: material for abstention, not for ranking."""

_T = TypeVar("_T")
_GRADE = re.compile(r"-?\d{1,4}")  # pytrec_eval reads far larger grades as 0, or fails on them


@dataclass(frozen=True, slots=True)
class ExpectedAnswer:
    """Verbatim spans of one document that answer a query; `starts` are their character offsets where they are known."""

    query_id: str
    document: str
    answers: tuple[str, ...]
    starts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class RetrievalTask:
    """Queries with relevance judgements; `name` is the folder's name.

    `queries`, `qrels` and `kinds` hold the scored queries only: those with at least one positive judgement in the
    split. `unanswerable` holds the texts of the others of that kind, `left_out` the ids of all that remain. `corpus`
    is None where the folder holds the documents itself. `digest` identifies the scored queries and their judgements.
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

    @property
    def family(self) -> str:
        """The task family."""
        return "retrieval"

    @property
    def items(self) -> Mapping[str, str]:
        """The scored queries."""
        return self.queries

    @property
    def gold(self) -> Mapping[str, float]:
        """Nothing: what is relevant stands in `qrels`."""
        return {}


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
    texts, kinds = _read_queries(folder / "queries.jsonl")
    qrels = _read_qrels(_qrels_file(folder, split))
    _check_queries_exist(qrels, texts, f"qrels/{split}.tsv")
    answers = _read_answers(folder / "answers.jsonl", texts)
    corpus = _named_corpus(folder / "task.toml") if (folder / "task.toml").is_file() else None
    return Judgements(texts, kinds, qrels, tuple(answers), corpus)


def load_retrieval_task(folder: Path, split: str = "test") -> RetrievalTask:
    """Reads a task folder.

    Raises UsageError for a missing file or split, a malformed line (with its file, number and content), and a judgement
    or an answer for a query that does not exist.
    """
    texts, kinds = _read_queries(folder / "queries.jsonl")
    judgements = _read_qrels(_qrels_file(folder, split))
    _check_queries_exist(judgements, texts, f"qrels/{split}.tsv")
    scored = [query_id for query_id in texts if any(grade > 0 for grade in judgements.get(query_id, {}).values())]
    if not scored:
        raise UsageError(
            f"No query of {folder} has a relevant document in split '{split}'. "
            f"Give at least one a grade above 0 in qrels/{split}.tsv."
        )
    queries = {query_id: texts[query_id] for query_id in scored}
    qrels = {query_id: judgements[query_id] for query_id in scored}
    rest = [query_id for query_id in texts if query_id not in queries]
    answers = _read_answers(folder / "answers.jsonl", texts)
    corpus, has_documents = _document_source(folder)
    return RetrievalTask(
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
        digest=_digest(queries, qrels),
    )


def check_documents(task: RetrievalTask, known: Collection[str]) -> tuple[str, ...]:
    """Returns the judged documents that the corpus lacks, sorted; their queries can never be answered in full.

    Raises UsageError when the corpus holds none of them, since every score would then be 0 for a wrong reason.
    """
    judged = {document for grades in task.qrels.values() for document in grades}
    missing = judged.difference(known)
    if missing == judged:
        raise UsageError(
            f"The corpus holds none of the {len(judged)} documents that {task.folder} judges, for instance "
            f"'{min(judged)}'. Check that the documents' ids are those in qrels/{task.split}.tsv."
        )
    return tuple(sorted(missing))


def _digest(queries: Mapping[str, str], qrels: Qrels) -> str:
    canonical = json.dumps({"queries": dict(queries), "qrels": qrels}, sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


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


def _named_corpus(settings: Path) -> str:
    try:
        corpus = tomllib.loads(settings.read_text(encoding="utf-8")).get("corpus")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{settings} is not TOML: {error}. Correct it.") from error
    if not isinstance(corpus, str) or not corpus:
        raise UsageError(f'{settings} does not name a corpus. Add the line corpus = "NAME".')
    return corpus


def _qrels_file(folder: Path, split: str) -> Path:
    splits = {path.stem: path for path in sorted((folder / "qrels").glob("*.tsv"))}
    if split not in splits:
        listed = ", ".join(splits) or "none"
        raise UsageError(f"{folder} has no split '{split}' (qrels/{split}.tsv). Splits that are there: {listed}.")
    return splits[split]


def _check_queries_exist(query_ids: Collection[str], texts: Mapping[str, str], file: str) -> None:
    unknown = sorted(set(query_ids).difference(texts))
    if unknown:
        raise UsageError(
            f"{file} names {len(unknown)} queries that queries.jsonl lacks, the first is '{unknown[0]}'. "
            "Add them to queries.jsonl or remove their lines."
        )


def _read_queries(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Returns the text and the kind of each query, in the file's order."""
    texts: dict[str, str] = {}
    kinds: dict[str, str] = {}
    expected = 'Each line must be a JSON object with "_id" and a "text" that is not empty.'
    for number, line in _lines(path):
        record = _json_object(path, number, line, expected)
        query_id, text, metadata = _identifier(record.get("_id")), record.get("text"), record.get("metadata")
        if query_id is None or not isinstance(text, str) or not text.strip():
            raise _malformed(path, number, line, expected)
        if query_id in texts:
            raise _malformed(path, number, line, f"The id '{query_id}' was used before; ids must be unique.")
        texts[query_id] = text
        kind = metadata.get("kind") if isinstance(metadata, dict) else None
        kinds[query_id] = kind if isinstance(kind, str) else ""
    return texts, kinds


def _read_qrels(path: Path) -> dict[str, dict[str, int]]:
    qrels: dict[str, dict[str, int]] = {}
    lines = _lines(path)
    header = next(lines, None)
    if header is None or _GRADE.fullmatch(header[1].split("\t")[-1].strip()):
        raise UsageError(f"{path} must start with the header line query-id<TAB>corpus-id<TAB>score. Add it.")
    for number, line in lines:
        fields = line.split("\t")
        if len(fields) != 3 or not _GRADE.fullmatch(fields[2].strip()) or not all(map(_identifier, fields[:2])):
            raise _malformed(
                path, number, line, "Each line must be query-id<TAB>corpus-id<TAB>score with a whole number up to 9999."
            )
        query_id, document, grade = fields[0], fields[1], int(fields[2])
        if qrels.setdefault(query_id, {}).setdefault(document, grade) != grade:
            raise _malformed(path, number, line, "The same pair has another score further up. Keep one of them.")
    return qrels


def _read_answers(path: Path, texts: Mapping[str, str]) -> list[ExpectedAnswer]:
    if not path.is_file():
        return []
    expected = 'Each line must be a JSON object with "_id", "doc", "answers" (strings) and as many "starts", if any.'
    answers = []
    for number, line in _lines(path):
        record = _json_object(path, number, line, expected)
        query_id, document = _identifier(record.get("_id")), _identifier(record.get("doc"))
        spans, starts = _all(str, record.get("answers")), _all(int, record.get("starts", []))
        if query_id is None or document is None or spans is None or starts is None:
            raise _malformed(path, number, line, expected)
        if starts and len(starts) != len(spans):
            raise _malformed(path, number, line, expected)
        answers.append(ExpectedAnswer(query_id, document, spans, starts))
    _check_queries_exist({answer.query_id for answer in answers}, texts, path.name)
    return answers


def _all(kind: type[_T], value: object) -> tuple[_T, ...] | None:
    """Returns a JSON list whose items are all of one kind, None for anything else."""
    if not isinstance(value, list) or not all(isinstance(item, kind) for item in value):
        return None
    return tuple(value)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yields line numbers, from 1, with the lines that are not blank."""
    try:
        with path.open(encoding="utf-8-sig") as file:  # not str.splitlines, which also splits at U+2028 inside a text
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line.rstrip("\n")
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist. A retrieval task needs it.") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 ({error.reason} at byte {error.start}). Save it as UTF-8.") from error


def _json_object(path: Path, number: int, line: str, expected: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise _malformed(path, number, line, expected) from error
    if not isinstance(record, dict):
        raise _malformed(path, number, line, expected)
    return record


def _identifier(value: object) -> str | None:
    """Returns an id as a string, or None for what cannot be one."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value)
    return text if text.strip() and usable_id(text) else None


def _malformed(path: Path, number: int, line: str, remedy: str) -> UsageError:
    shown = line if len(line) <= 120 else line[:117] + "..."
    return UsageError(f"{path}, line {number} is malformed: {shown!r}. {remedy}")
