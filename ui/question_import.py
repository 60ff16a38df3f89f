"""A table of questions and their sources becomes a labelled task: rows matched to documents, spans found in them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePath

from eval.spans import locate
from rag.errors import UsageError
from rag.labels import THUMB, Label, LabelTable, LabelTask, Query, plain_question, query_id_of
from rag.library import Library
from rag.schema import Document
from rag.task_folders import UNFIT, write_folder
from ui.question_files import Row, read_rows
from ui.source_matching import SourceMatcher

GRADE = re.compile(r"-?\d{1,4}(?:\.0+)?")
_SPLIT_NAME = re.compile(r"[^A-Za-z0-9]+")
_MOST_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Told:
    """What is to be said of a line of the table."""

    line: int
    message: str


@dataclass(frozen=True, slots=True)
class QuestionImport:
    """What came of a table; `problems` are of the lines that could not be used, `notes` of others.

    `task` is None where nothing was taken. `repeated` counts lines that say what an earlier one has said.
    """

    task: LabelTask | None
    questions: int
    labels: int
    repeated: int
    problems: tuple[Told, ...]
    notes: tuple[Told, ...]


class _ProblemError(Exception):
    """A line that cannot be used."""


def import_questions(
    library: Library, name: str, data: bytes, task: str | None = None, corpus: str | None = None, partial: bool = False
) -> QuestionImport:
    """Takes a table of questions and sources into a task of the library, which is named as the file.

    Each row says that a document, or a span or a page of it, answers a question. Where any row cannot be used nothing
    is taken, or with `partial` the others are. Raises UsageError as `read_rows` does and for a name that cannot be.
    """
    rows = read_rows(name, data)
    if not rows:
        raise UsageError(f"{name} holds the names of its columns and no rows. Add a row for each question.")
    wanted = LabelTask(task or task_name_of_file(name), library.corpus_or_only(corpus))
    reading = _Reading(library, wanted)
    for row in rows:
        reading.take(row)
    done = bool(reading.labels) and (partial or not reading.problems)
    if done:
        LabelTable(library.database).add(wanted, reading.queries.values(), reading.labels.values())
        write_folder(library, wanted.name)
    return QuestionImport(
        wanted if done else None,
        len(reading.queries),
        len(reading.labels),
        reading.repeated,
        tuple(reading.problems),
        tuple(reading.notes),
    )


def task_name_of_file(name: str) -> str:
    """Returns the name of the task that a file makes.

    >>> task_name_of_file("Fragen & Quellen (neu).csv"), task_name_of_file("质询.xlsx")
    ('Fragen-Quellen-neu', 'questions')
    """
    return _SPLIT_NAME.sub("-", PurePath(name).stem).strip("-")[:100] or "questions"


class _Reading:
    """Makes rows into questions and labels, and keeps what is to be said of them."""

    def __init__(self, library: Library, task: LabelTask) -> None:
        self.queries: dict[str, Query] = {}
        self.labels: dict[tuple[str, str, str], Label] = {}
        self.problems: list[Told] = []
        self.notes: list[Told] = []
        self.repeated = 0
        self._library = library
        self._matcher = SourceMatcher(library, task.corpus)
        self._sources = library.sources(task.corpus)
        self._lines: dict[tuple[str, str, str], int] = {}
        self._ids = {query.text: query.id for query in LabelTable(library.database).queries(task.name).values()}
        self._now = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._document: Document | None = None

    def take(self, row: Row) -> None:
        """Takes a row whole, or notes what is wrong with it."""
        try:
            if not row.question:
                raise _ProblemError("it has no question.")
            if not row.source:
                raise _ProblemError("it has no source.")
            grade = _grade(row.grade)
            question = plain_question(row.question)
            query = Query(self._ids.get(question) or query_id_of(question), question)
            labels = [self._label(query.id, source, row, grade) for source in self._match(row.source)]
            self._check(labels)
        except _ProblemError as problem:
            self.problems.append(Told(row.line, str(problem)))
            return
        self.queries[query.id] = query
        for label in labels:
            if self.labels.setdefault(label.judged, label) is not label:
                self.repeated += 1
            self._lines.setdefault(label.judged, row.line)

    def _match(self, cell: str) -> Iterator[str]:
        matches = self._matcher.match_all(cell)
        problems = [match.problem for match in matches if match.problem]
        if problems:
            raise _ProblemError(" ".join(problems))
        for match in matches:
            if UNFIT.intersection(match.source):
                raise _ProblemError(f"the name {match.source!r} holds a tab or a line break. Rename the document.")
            yield match.source

    def _label(self, query: str, source: str, row: Row, grade: int) -> Label:
        span, start = self._span(source, row)
        return Label(query, source, span, start, grade, "import", "", self._now)

    def _span(self, source: str, row: Row) -> tuple[str, int]:
        """Returns the text of the passage that a row names, and where it stands; "" and 0 for the whole document."""
        if not (row.span or row.answer or row.page):
            return "", 0
        document = self._read(source)
        first, last = _page(document, row.page) if row.page else (0, len(document.text))
        text = document.text[first:last]
        where = f"'{source}'" + (f", page {row.page}," if row.page else "")
        if row.span:
            found = locate(text, row.span)
            if found is None:
                raise _ProblemError(f"{where} does not hold the passage '{_short(row.span)}'. Copy it from there.")
            return text[slice(*found)], first + found[0]
        if row.answer:
            found = locate(text, row.answer)
            if found is not None:
                return text[slice(*found)], first + found[0]
            judged = "the page" if row.page else "the document"
            self.notes.append(
                Told(row.line, f"{where} does not hold the answer word for word: {judged} as a whole is relevant.")
            )
        return (text, first) if row.page else ("", 0)

    def _read(self, source: str) -> Document:
        if self._document is None or self._document.source != source:
            self._document = self._library.document(self._sources[source])
        if self._document is None:
            raise _ProblemError(f"'{source}' was removed meanwhile.")
        return self._document

    def _check(self, labels: Sequence[Label]) -> None:
        for label in labels:
            earlier = self.labels.get(label.judged)
            if earlier is not None and earlier.grade != label.grade:
                line = self._lines[label.judged]
                raise _ProblemError(f"line {line} gives the same passage the grade {earlier.grade}. Keep one of them.")


def _grade(text: str) -> int:
    if not text:
        return THUMB
    if not GRADE.fullmatch(text):
        raise _ProblemError(f"'{_short(text)}' is not a grade. Use 0 (not relevant), 1 or 2, or leave it empty.")
    return int(text.partition(".")[0])


def _page(document: Document, page: str) -> tuple[int, int]:
    """Returns where a page of a document begins and ends."""
    number = page.removesuffix(".0")
    if not document.pages:
        raise _ProblemError(f"'{document.source}' has no pages. Leave the page empty.")
    if not number.isdecimal() or not 1 <= int(number) <= len(document.pages):
        raise _ProblemError(f"'{document.source}' has the pages 1 to {len(document.pages)}, not '{_short(page)}'.")
    ends = (*document.pages[1:], len(document.text))
    return document.pages[int(number) - 1], ends[int(number) - 1]


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= _MOST_SHOWN else plain[: _MOST_SHOWN - 1] + "…"
