"""Looks a retrieval task over before it is believed: ids that exist, answers in their places, questions asked twice."""

import json
import re
import unicodedata
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from eval.spans import locate
from eval.tasks.beir import read_lines, read_qrels
from eval.tasks.chunking import QUESTIONS
from eval.tasks.retrieval import RetrievalTask

_WORD = re.compile(r"\w+")

TextOf = Callable[[str], str | None]
"""Gives the text of a document, None for one that is not there."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is to be said of a place in a task; a `problem` makes scores wrong, anything else is to be known."""

    where: str
    message: str
    problem: bool = True


def check_task(task: RetrievalTask, known: Collection[str], text_of: TextOf) -> list[Finding]:
    """Returns what is to be said of a task over documents of these ids, problems first.

    What makes a file unreadable is not among it: reading the task has raised that already.
    """
    lines = _lines(task)
    found = [
        *_unknown_documents(task, known),
        *_lost_answers(task, known, text_of, lines),
        *_repeated_questions(task, lines),
        *_left_out(task),
    ]
    return sorted(found, key=lambda finding: not finding.problem)


def _lines(task: RetrievalTask) -> Mapping[str, str]:
    """Maps the ids of queries to where they are asked."""
    name = QUESTIONS if task.documents_folder else "queries.jsonl"
    return {
        str(json.loads(line).get("_id")): f"{name}, line {number}" for number, line in read_lines(task.folder / name)
    }


def _unknown_documents(task: RetrievalTask, known: Collection[str]) -> list[Finding]:
    path = task.folder / "qrels" / f"{task.split}.tsv"
    if not path.is_file():
        return []
    judged = read_qrels(path)
    found = []
    for query_id, grades in judged.qrels.items():
        missing = [document for document in grades if document not in known]
        for document in missing:
            relevant = grades[document] > 0
            found.append(
                Finding(
                    f"qrels/{path.name}, query '{query_id}'",
                    f"the document '{document}' is not in the corpus"
                    + ("" if relevant else "; it is judged not relevant, which changes no score"),
                    relevant,
                )
            )
    return found


def _lost_answers(
    task: RetrievalTask, known: Collection[str], text_of: TextOf, lines: Mapping[str, str]
) -> list[Finding]:
    found = []
    for answer in task.answers:
        where = lines.get(answer.query_id, f"query '{answer.query_id}'")
        text = text_of(answer.document) if answer.document in known else None
        if text is None:
            if not task.qrels.get(answer.query_id, {}).get(answer.document):  # else it is told of the qrels
                found.append(Finding(where, f"its answer is in '{answer.document}', which is not in the corpus"))
            continue
        if task.qrels.get(answer.query_id, {}).get(answer.document, 0) <= 0:
            found.append(Finding(where, f"its answer is in '{answer.document}', which is not judged relevant"))
        for number, span in enumerate(answer.answers):
            start = answer.starts[number] if answer.starts else -1
            place = locate(text, span, start)
            if place is None:
                found.append(Finding(where, f"'{answer.document}' does not hold its answer '{_short(span)}'"))
            elif start >= 0 and place[0] != start:
                found.append(
                    Finding(
                        where,
                        f"its answer '{_short(span)}' stands at {place[0]} of '{answer.document}', not at {start}; "
                        "it is taken from there",
                        False,
                    )
                )
    return found


def _repeated_questions(task: RetrievalTask, lines: Mapping[str, str]) -> list[Finding]:
    first: dict[str, str] = {}
    found = []
    for query_id, text in {**task.queries, **task.unanswerable}.items():
        plain = _plain(text)
        if plain in first:
            earlier = first[plain]
            found.append(
                Finding(
                    lines.get(query_id, f"query '{query_id}'"),
                    f"'{_short(text)}' is asked by '{earlier}' already ({lines.get(earlier, '')}): it counts twice",
                )
            )
        else:
            first[plain] = query_id
    return found


def _left_out(task: RetrievalTask) -> list[Finding]:
    if not task.left_out:
        return []
    return [
        Finding(
            f"qrels/{task.split}.tsv",
            f"{len(task.left_out)} queries have no relevant document and are not scored, such as '{task.left_out[0]}'",
            False,
        )
    ]


def _plain(text: str) -> str:
    return " ".join(_WORD.findall(unicodedata.normalize("NFKC", text).casefold())) or text


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= 60 else f"{plain[:59]}…"


def folder_documents(task: RetrievalTask) -> tuple[Collection[str], TextOf]:
    """Returns the ids of the documents in a task's own folder, and what gives the texts of those with answers."""
    wanted = {answer.document for answer in task.answers}
    if task.documents_folder:
        folder = task.documents_folder
        names = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        return names, lambda name: names[name].read_text("utf-8", "replace") if name in names else None
    known: set[str] = set()
    texts: dict[str, str] = {}
    for _, line in read_lines(Path(task.folder) / "corpus.jsonl"):
        record = json.loads(line)
        key = str(record.get("_id"))
        known.add(key)
        if key in wanted:
            text, title = str(record.get("text") or "").strip(), str(record.get("title") or "").strip()
            texts[key] = text or title  # as the documents are ingested
    return known, texts.get
