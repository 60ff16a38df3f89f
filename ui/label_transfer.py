"""Labelled tasks in and out of the library, as folders in BEIR's format."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eval.tasks.retrieval import Judgements, read_judgements
from rag.errors import RagError, UsageError
from rag.labels import Label, LabelTable, LabelTask, Query, task_name_of
from rag.library import Library
from rag.task_folders import corpus_lines, keep, task_files, write_folder
from rag.votes import Vote, VoteTable, vote_of

LABELS = "labels.jsonl"
VOTES = "votes.jsonl"


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import brought; `gone` counts what it judges and the corpus does not hold."""

    task: LabelTask
    questions: int
    labels: int
    gone: int


def export_task(library: Library, name: str | None, folder: Path, documents: bool) -> str:
    """Writes a task into a new or empty folder and returns its name; raises UsageError for one that holds something."""
    task = LabelTable(library.database).task(name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there already. Name a new folder.")
    try:
        (folder / "qrels").mkdir(parents=True)
        for path, content in task_files(library, task).items():
            (folder / path).write_text(content, encoding="utf-8", newline="\n")
        if documents:
            with (folder / "corpus.jsonl").open("w", encoding="utf-8", newline="\n") as file:
                file.writelines(corpus_lines(library, task.corpus))
    except OSError as error:
        raise RagError(f"{folder} could not be written: {error.strerror}.") from error
    return task.name


def import_task(library: Library, folder: Path, name: str | None, corpus: str | None, split: str) -> Imported:
    """Takes a folder's questions, labels and votes into the library, and writes the task's own folder.

    labels.jsonl, which an export of ours holds, says who judged which passage; of any other folder the qrels are taken
    as judgements of whole documents, and answers.jsonl's spans as their relevant passages. What the library has already
    stays, and a label for the same thing by the same person is replaced. Raises UsageError for a folder that is no
    task, and where nothing of what it judges is in the corpus: the corpus is most likely another one.
    """
    read = read_judgements(folder, split)
    task = LabelTask(name or folder.resolve().name, library.corpus_or_only(corpus or read.corpus))
    queries = [Query(query, text, read.kinds[query]) for query, text in read.queries.items()]
    labels = list(_own_labels(folder, read) if (folder / LABELS).is_file() else _beir_labels(library, task, read))
    kept = keep(library, task.corpus, labels)
    if labels and not kept.spans:
        raise UsageError(
            f"The corpus '{task.corpus}' holds none of the documents that {folder} judges, for instance "
            f"'{labels[0].source}'. Say which one does: --corpus NAME"
        )
    votes = list(_own_votes(folder, task.corpus))
    LabelTable(library.database).add(task, queries, labels)
    _add_votes(library, votes)
    write_folder(library, task.name)
    if votes:
        write_folder(library, task_name_of(task.corpus))
    return Imported(task, len(queries), len(labels), kept.gone)


def _beir_labels(library: Library, task: LabelTask, read: Judgements) -> Iterator[Label]:
    """Yields the judgements of a folder that is not ours: of documents, and of the passages that answer a question."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    for query, grades in read.qrels.items():
        for source, grade in grades.items():
            yield Label(query, source, "", 0, grade, "import", "", now)
    sources = library.sources(task.corpus)
    for answer in read.answers:
        grade = read.qrels.get(answer.query_id, {}).get(answer.document, 0)
        document = library.document(sources[answer.document]) if grade > 0 and answer.document in sources else None
        for number, span in enumerate(answer.answers if document else ()):
            start = answer.starts[number] if answer.starts else -1
            at = start if document and start >= 0 else (document.text.find(span) if document else -1)
            yield Label(answer.query_id, answer.document, span, max(0, at), grade, "import", "", now)


def _own_labels(folder: Path, read: Judgements) -> Iterator[Label]:
    for number, record in _records(folder / LABELS):
        try:
            label = Label(**record)
            _check(label, read)
        except (TypeError, ValueError) as error:
            raise _malformed(folder / LABELS, number) from error
        yield label


def _check(label: Label, read: Judgements) -> None:
    texts = (label.query, label.source, label.span, label.origin, label.user, label.time)
    numbers = (label.start, label.grade)
    is_right = all(isinstance(each, str) for each in texts) and all(type(each) is int for each in numbers)
    if not is_right or label.query not in read.queries:
        raise ValueError(label)


def _own_votes(folder: Path, corpus: str) -> Iterator[Vote]:
    if not (folder / VOTES).is_file():
        return
    for number, record in _records(folder / VOTES):
        try:
            yield vote_of({**record, "corpus": corpus})
        except (KeyError, TypeError, ValueError) as error:
            raise _malformed(folder / VOTES, number) from error


def _add_votes(library: Library, votes: list[Vote]) -> None:
    """Keeps the votes that are not there yet: an import that is repeated counts none twice."""
    table = VoteTable(library.database)
    for vote in votes:
        if vote not in table.votes(vote.corpus):
            table.add(vote)


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                try:
                    record = json.loads(line)
                except ValueError as error:
                    raise _malformed(path, number) from error
                if not isinstance(record, dict):
                    raise _malformed(path, number)
                yield number, record


def _malformed(path: Path, number: int) -> UsageError:
    return UsageError(
        f"{path}, line {number} is not as `rag labels export` writes it. Correct it, or delete the file and import the "
        "qrels alone."
    )
