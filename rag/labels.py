"""Judgements of passages: who found which passage how relevant to which question, kept in library.db.

A label names its passage by the document's source and by the passage's own text, never by a chunk's id: that changes
whenever the document does. So a label outlives a new version of its document, another chunker, and the document itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from sqlite3 import Connection
from statistics import median_low

from rag.database import Database
from rag.errors import UsageError, unknown_name
from rag.library import CORPUS_NAME
from rag.schema import content_id

GRADES = (0, 1, 2)
"""Not relevant, relevant, and highly relevant: the passage answers the question by itself."""

THUMB = 1
"""The grade of a thumb: whoever gives one has said no more than "relevant"."""

BY_HAND = ("thumb", "vote", "queue")
"""Where a person gives a label in the application: under an answer, in a comparison, in the queue."""

SYNTHETIC = "synthetic"
"""The origin of a label that nobody has given: its question was made from the passage that answers it."""

ORIGINS = (*BY_HAND, "import", SYNTHETIC)
"""Where a label is from: given by hand here, in a file or another library, or generated."""

MOST_QUESTION = 20_000

Judged = tuple[str, str, str]
"""What was judged: query id, source, and the passage's text, which is empty for the whole document."""


@dataclass(frozen=True, slots=True)
class LabelTask:
    """A labelled task of the library: a name and the corpus that its documents are in."""

    name: str
    corpus: str


@dataclass(frozen=True, slots=True)
class Query:
    """A question of a task; `kind` is free, but for `unanswerable`, whose answer the corpus does not hold."""

    id: str
    text: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Label:
    """One person's judgement of one passage; `start` is where it stood in its document when it was judged.

    `span` is the passage's text, "" where the whole document was judged; `user` is "" without a login, and of a
    synthetic label what has made it, in brackets; `time` is in UTC.
    """

    query: str
    source: str
    span: str
    start: int
    grade: int
    origin: str
    user: str
    time: str

    @property
    def judged(self) -> Judged:
        """What was judged, whoever did it."""
        return self.query, self.source, self.span


def task_name_of(corpus: str) -> str:
    """Returns the name of the task that labels made in the application go to."""
    return f"{corpus}-labels"


def plain_question(text: str) -> str:
    """Returns a question as it is kept: its words, joined by single spaces. Raises UsageError where there is none."""
    plain = " ".join(text.split())[:MOST_QUESTION]
    if not plain:
        raise UsageError("The question is empty. Say what the passage was judged for.")
    return plain


def query_id_of(question: str) -> str:
    """Returns the id of a question that came without one, the same in every library."""
    return f"q-{content_id(plain_question(question))[:12]}"


def consensus(labels: Iterable[Label]) -> dict[Judged, int]:
    """Returns one grade for whatever was judged: the median of all persons, of an even number the lower one.

    A synthetic label counts only where no person has said anything.

    >>> [consensus([Label("q", "a", "s", 0, grade, "", user, "") for user, grade in votes]) for votes in
    ...  ([("eve", 2)], [("eve", 2), ("bob", 0)], [("eve", 2), ("bob", 0), ("kim", 1)])]
    [{('q', 'a', 's'): 2}, {('q', 'a', 's'): 0}, {('q', 'a', 's'): 1}]
    """
    human: dict[Judged, list[int]] = {}
    synthetic: dict[Judged, list[int]] = {}
    for label in labels:
        (synthetic if label.origin == SYNTHETIC else human).setdefault(label.judged, []).append(label.grade)
    return {judged: median_low(given) for judged, given in {**synthetic, **human}.items()}


class LabelTable:
    """The labelled tasks of a library. Every process may write here, the library's one writer or not."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- tasks

    def tasks(self, corpus: str | None = None) -> list[LabelTask]:
        """Returns the tasks of one corpus, or of all, by name."""
        rows = self._database.query("SELECT name, corpus FROM label_tasks ORDER BY name")
        return [LabelTask(*row) for row in rows if corpus in (None, row[1])]

    def task(self, name: str | None) -> LabelTask:
        """Returns the task of that name, with None the only one; raises UsageError where there is none, or many."""
        known = {task.name: task for task in self.tasks()}
        if name is None and len(known) == 1:
            return next(iter(known.values()))
        if name is None:
            listed = ", ".join(known) or "none yet; judge a passage in the application, or import a task"
            raise UsageError(f"Say which task to use with --task NAME. Known: {listed}.")
        if name not in known:
            raise unknown_name("task", name, known)
        return known[name]

    def delete(self, name: str) -> None:
        """Deletes a task with all its labels, from the disk as well."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM label_tasks WHERE name = ?", (name,))
        self._database.checkpoint()

    # --- reading

    def queries(self, task: str) -> dict[str, Query]:
        """Returns the questions of a task by id, ascending."""
        rows = self._database.query("SELECT id, text, kind FROM label_queries WHERE task = ? ORDER BY id", (task,))
        return {row[0]: Query(*row) for row in rows}

    def labels(self, task: str, query: str | None = None) -> list[Label]:
        """Returns the labels of a task, or of one of its questions, in the order of question, source and place."""
        where, values = ("task = ? AND query = ?", (task, query)) if query is not None else ("task = ?", (task,))
        rows = self._database.query(
            f"""SELECT query, source, span, start, grade, origin, user, time FROM labels WHERE {where}
                ORDER BY query, source, start, span, user""",
            values,
        )
        return [Label(*row) for row in rows]

    def count_of(self, corpus: str, sources: Sequence[str]) -> int:
        """Counts the labels that keep passages of any of a corpus's documents."""
        query = """SELECT COUNT(*) FROM labels l JOIN label_tasks t ON t.name = l.task
                   WHERE t.corpus = ? AND l.source = ? AND l.span != ''"""
        return sum(int(self._database.query(query, (corpus, source)).fetchone()[0]) for source in sources)

    def of_question(self, task: str, question: str) -> list[Label]:
        """Returns what was judged for a question, by whomever; nothing where it, or the task, is not there yet."""
        query = self._find(plain_question(question), task)
        return self.labels(task, query) if query else []

    def _find(self, question: str, task: str) -> str | None:
        sql = "SELECT id FROM label_queries WHERE task = ? AND text = ? ORDER BY id"
        row = self._database.query(sql, (task, question)).fetchone()
        return row[0] if row else None

    # --- writing

    def judge(
        self, corpus: str, question: str, source: str, span: str, start: int, grade: int, origin: str, user: str = ""
    ) -> str:
        """Keeps a person's judgement in the corpus's own task, in place of an earlier one; returns the task's name."""
        question, task = plain_question(question), task_name_of(corpus)
        self._check(grade, origin)
        with self._database.transaction() as connection:
            _insert_task(connection, LabelTask(task, corpus))
            query = self._find(question, task) or query_id_of(question)
            _insert_queries(connection, task, [Query(query, question)])
            _insert_labels(connection, task, [Label(query, source, span, start, grade, origin, user, _now())])
        return task

    def undo(self, corpus: str, question: str, source: str, span: str, user: str = "") -> str:
        """Takes a person's judgement back, and its question with it where nothing else is said of it."""
        question, task = plain_question(question), task_name_of(corpus)
        with self._database.transaction() as connection:
            query = self._find(question, task)
            connection.execute(
                "DELETE FROM labels WHERE task = ? AND query = ? AND source = ? AND span = ? AND user = ?",
                (task, query, source, span, user),
            )
            connection.execute(
                """DELETE FROM label_queries AS q WHERE task = ? AND id = ? AND kind = ''
                   AND NOT EXISTS (SELECT 1 FROM labels l WHERE l.task = q.task AND l.query = q.id)""",
                (task, query),
            )
        return task

    def add(self, task: LabelTask, queries: Iterable[Query], labels: Iterable[Label]) -> None:
        """Adds questions and labels to a task, as a whole or not at all; a label that is there already is replaced.

        Raises UsageError for a name that cannot be one, a task of that name over another corpus, and a grade or an
        origin that does not exist.
        """
        check_task_name(task.name)
        known = {each.name: each.corpus for each in self.tasks()}
        if known.get(task.name, task.corpus) != task.corpus:
            raise UsageError(
                f"The task '{task.name}' judges documents of '{known[task.name]}', not of '{task.corpus}'. "
                "Give the new one another name with --task NAME."
            )
        labels = list(labels)
        for label in labels:
            self._check(label.grade, label.origin, least=-10_000, most=10_000)  # BEIR's own grades are kept as they are
        with self._database.transaction() as connection:
            _insert_task(connection, task)
            _insert_queries(connection, task.name, queries)
            _insert_labels(connection, task.name, labels)

    def _check(self, grade: int, origin: str, least: int = GRADES[0], most: int = GRADES[-1]) -> None:
        if not least <= grade <= most:
            raise UsageError(f"The grade {grade} does not exist. Use one of {', '.join(map(str, GRADES))}.")
        if origin not in ORIGINS:
            raise unknown_name("origin", origin, ORIGINS)


def check_task_name(name: str) -> None:
    """Raises UsageError for a name that cannot be that of a task, which is the name of a folder too."""
    if len(name) > 120 or not CORPUS_NAME.fullmatch(name):
        raise UsageError(
            f"'{name}' cannot name a task: use up to 120 letters and digits, joined by single '.', '_' or '-'."
        )


def summarise(labels: Iterable[Label]) -> Mapping[int, int]:
    """Counts what was judged, by grade."""
    counts = dict.fromkeys(GRADES, 0)
    for grade in consensus(labels).values():
        key = min(max(grade, GRADES[0]), GRADES[-1])
        counts[key] += 1
    return counts


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _insert_task(connection: Connection, task: LabelTask) -> None:
    connection.execute("INSERT OR IGNORE INTO label_tasks VALUES (?, ?, ?)", (task.name, task.corpus, _now()))


def _insert_queries(connection: Connection, task: str, queries: Iterable[Query]) -> None:
    connection.executemany(
        "INSERT OR IGNORE INTO label_queries VALUES (?, ?, ?, ?)", ((task, q.id, q.text, q.kind) for q in queries)
    )


def _insert_labels(connection: Connection, task: str, labels: Iterable[Label]) -> None:
    connection.executemany(
        "INSERT OR REPLACE INTO labels VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        ((task, x.query, x.source, x.span, x.start, x.grade, x.origin, x.user, x.time) for x in labels),
    )
