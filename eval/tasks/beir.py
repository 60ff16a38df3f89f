"""The files of a BEIR task, read line by line, every complaint with its file and line: queries, qrels, answers.

Format: https://github.com/beir-cellar/beir/wiki/Load-your-custom-dataset. Of a file no more is held than what is kept
of it, however large it is. Windows line ends, a byte order mark and blank lines change nothing.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from eval.metrics import usable_id
from rag.errors import UsageError

_T = TypeVar("_T")
_GRADE = re.compile(r"-?\d{1,4}")  # pytrec_eval reads far larger grades as 0, or fails on them
_TREC_COLUMNS = 4


@dataclass(frozen=True, slots=True)
class ExpectedAnswer:
    """Verbatim spans of one document that answer a query; `starts` are their character offsets where they are known."""

    query_id: str
    document: str
    answers: tuple[str, ...]
    starts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class JudgedLines:
    """The judgements of a qrels file, and the line on which each query is first named."""

    qrels: Mapping[str, Mapping[str, int]]
    lines: Mapping[str, int]


def read_queries(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Returns the text and the kind of each query, in the file's order."""
    texts: dict[str, str] = {}
    kinds: dict[str, str] = {}
    expected = 'Each line must be a JSON object with "_id" and a "text" that is not empty.'
    for number, line in read_lines(path):
        record = json_object(path, number, line, expected)
        query_id, text, metadata = identifier(record.get("_id")), record.get("text"), record.get("metadata")
        if query_id is None or not isinstance(text, str) or not text.strip():
            raise malformed(path, number, line, expected)
        if query_id in texts:
            raise malformed(path, number, line, f"The id '{query_id}' was used before; ids must be unique.")
        texts[query_id] = text
        kind = metadata.get("kind") if isinstance(metadata, dict) else None
        kinds[query_id] = kind if isinstance(kind, str) else ""
    return texts, kinds


def read_qrels(path: Path) -> JudgedLines:
    """Reads judgements in BEIR's three columns under a header, or in TREC's four without one: query 0 document grade.

    Grades are whole numbers; 0 and below mean not relevant, as trec_eval has it.
    """
    qrels: dict[str, dict[str, int]] = {}
    first: dict[str, int] = {}
    rows = read_lines(path)
    header = next(rows, None)
    is_trec = header is not None and _trec_fields(header[1]) is not None
    if not is_trec and (header is None or _GRADE.fullmatch(header[1].split("\t")[-1].strip())):
        raise UsageError(f"{path} must start with the header line query-id<TAB>corpus-id<TAB>score. Add it.")
    for number, line in read_lines(path) if is_trec else rows:
        query_id, document, grade = _judgement(path, number, line, is_trec)
        first.setdefault(query_id, number)
        if qrels.setdefault(query_id, {}).setdefault(document, grade) != grade:
            raise malformed(path, number, line, "The same pair has another score further up. Keep one of them.")
    return JudgedLines(qrels, first)


def _judgement(path: Path, number: int, line: str, is_trec: bool) -> tuple[str, str, int]:
    fields = _trec_fields(line) if is_trec else tuple(line.split("\t"))
    if fields is None or len(fields) != 3 or not _GRADE.fullmatch(fields[2].strip()):
        remedy = (
            "The first line has TREC's four columns, so each must: query 0 document score."
            if is_trec
            else "Each line must be query-id<TAB>corpus-id<TAB>score with a whole number up to 9999."
        )
        if not is_trec and _trec_fields(line) is not None:
            remedy += " Four columns are TREC's; they are read where the file has no header line."
        raise malformed(path, number, line, remedy)
    if not all(map(identifier, fields[:2])):
        raise malformed(path, number, line, "Both ids must be text that is not empty.")
    return fields[0], fields[1], int(fields[2])


def _trec_fields(line: str) -> tuple[str, ...] | None:
    """Returns query, document and grade of a line of TREC's qrels, None for any other."""
    fields = line.split()
    is_beir = line.count("\t") == 2  # a document's name may hold a space
    if is_beir or len(fields) != _TREC_COLUMNS or not _GRADE.fullmatch(fields[3]):
        return None
    return fields[0], fields[2], fields[3]


def read_answers(path: Path, texts: Mapping[str, str]) -> list[ExpectedAnswer]:
    """Reads answers.jsonl, nothing where there is none; an answer for a query that is not in `texts` is an error."""
    if not path.is_file():
        return []
    expected = 'Each line must be a JSON object with "_id", "doc", "answers" (strings) and as many "starts", if any.'
    answers = []
    for number, line in read_lines(path):
        record = json_object(path, number, line, expected)
        query_id, document = identifier(record.get("_id")), identifier(record.get("doc"))
        spans, starts = _all(str, record.get("answers")), _all(int, record.get("starts", []))
        if query_id is None or document is None or spans is None or starts is None:
            raise malformed(path, number, line, expected)
        if starts and len(starts) != len(spans):
            raise malformed(path, number, line, expected)
        if query_id not in texts:
            raise malformed(path, number, line, f"queries.jsonl lacks '{query_id}'. Add it, or remove this line.")
        answers.append(ExpectedAnswer(query_id, document, spans, starts))
    return answers


def check_corpus(path: Path) -> int:
    """Counts the records of a corpus.jsonl; raises UsageError with the line for one that is malformed or used before.

    Of each record only its id is held.
    """
    seen: set[str] = set()
    expected = 'Each line must be a JSON object with "_id" and "text".'
    for number, line in read_lines(path):
        document = identifier(json_object(path, number, line, expected).get("_id"))
        if document is None:
            raise malformed(path, number, line, expected)
        if document in seen:
            raise malformed(path, number, line, f"The id '{document}' was used before; ids must be unique.")
        seen.add(document)
    return len(seen)


def line_of_document(path: Path, document: str) -> int | None:
    """Returns the line on which a qrels file first names a document, None where it does not."""
    for number, line in read_lines(path):
        trec = _trec_fields(line)
        if document in line.split("\t")[1:2] or (trec is not None and trec[1] == document):
            return number
    return None


# --- lines and what they hold


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yields line numbers, from 1, with the lines that are not blank, one at a time."""
    try:
        with path.open("rb") as file:  # as bytes: str.splitlines would also split at U+2028 inside a text
            for number, data in enumerate(file, start=1):
                try:
                    line = data.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                except UnicodeDecodeError as error:
                    raise UsageError(
                        f"{path}, line {number} is not UTF-8 ({error.reason} at byte {error.start} of the line). "
                        "Save the file as UTF-8."
                    ) from error
                if line.strip():
                    yield number, line
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist. A retrieval task needs it.") from None


def json_object(path: Path, number: int, line: str, expected: str) -> dict[str, Any]:
    """Reads a line as a JSON object."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise malformed(path, number, line, expected) from error
    if not isinstance(record, dict):
        raise malformed(path, number, line, expected)
    return record


def identifier(value: object) -> str | None:
    """Returns an id as a string, or None for what cannot be one."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value)
    return text if text.strip() and usable_id(text) else None


def malformed(path: Path, number: int, line: str, remedy: str) -> UsageError:
    """Returns the error for a line that is not as it must be."""
    shown = line if len(line) <= 120 else line[:117] + "..."
    return UsageError(f"{path}, line {number} is malformed: {shown!r}. {remedy}")


def _all(kind: type[_T], value: object) -> tuple[_T, ...] | None:
    """Returns a JSON list whose items are all of one kind, None for anything else."""
    if not isinstance(value, list) or not all(isinstance(item, kind) for item in value):
        return None
    return tuple(value)
