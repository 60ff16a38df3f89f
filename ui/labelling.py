"""Labelling without its face: thumbs on chunks, and the queue in which one question's passages are judged."""

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from eval.tasks.retrieval import UNANSWERABLE, load_retrieval_task
from rag.chats import ChatTable
from rag.embedders.registry import load_embedder
from rag.errors import RagError, UsageError
from rag.labels import SYNTHETIC, Label, LabelTable, LabelTask, plain_question, summarise, task_name_of
from rag.library import FILE, Library, StoredChunk
from rag.reader import Reader
from rag.schema import content_id
from rag.task_folders import FOLDER, folder_of, keep, write_folder
from rag.votes import VoteTable
from ui.embedder_states import EmbedderStates

POOL_DEPTH = 10
"""How many chunks of each embedder, and of BM25, are pooled for a question."""

AGREEMENT = 2
"""Persons whose equal grades settle a passage: nobody else is asked about it."""

DEMO_TASK = Path(__file__).parents[1] / "corpus" / "task"
"""The labelled task that comes with the demo corpus: questions to begin with."""


@dataclass(frozen=True, slots=True)
class Queue:
    """What is left to be judged for a question, in an order that tells nothing about who found it.

    `pooled` counts all that was found, `settled` what of it needs no judgement of this person any more; `failed` tells
    of embedders that could not search.
    """

    corpus: str
    question: str
    chunks: tuple[StoredChunk, ...]
    pooled: int
    settled: int
    failed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TaskState:
    """A task as a list shows it: its counts, how many passages are gone from the corpus, and where its folder is.

    `origins` counts the labels, one for each person who gave one, by where they are from.
    """

    task: LabelTask
    questions: int
    grades: Mapping[int, int]
    gone: int
    votes: int
    folder: Path
    origins: Mapping[str, int] = field(default_factory=dict)

    @property
    def synthetic(self) -> bool:
        """Whether all its labels were generated."""
        return set(self.origins) == {SYNTHETIC}

    @property
    def labels(self) -> int:
        """How many passages were judged."""
        return sum(self.grades.values())


class Labelling:
    """Judges chunks by their ids and keeps the tasks' folders up to date."""

    def __init__(self, reader: Reader, states: EmbedderStates) -> None:
        self._reader = reader
        self._library = reader.library
        self._states = states
        self.table = LabelTable(self._library.database)

    # --- one chunk

    def judge(self, chunk_id: str, question: str, grade: int | None, origin: str, user: str) -> None:
        """Keeps what somebody thinks of a chunk, or with None takes it back."""
        corpus, stored = self._look_up(chunk_id)
        chunk, source = stored.chunk, stored.source
        if grade is None:
            task = self.table.undo(corpus, question, source, chunk.text, user)
        else:
            task = self.table.judge(corpus, question, source, chunk.text, chunk.start, grade, origin, user)
        write_folder(self._library, task)

    def grades(self, question: str, chunk_ids: Sequence[str], user: str) -> dict[str, int]:
        """Maps those of the chunks that a person has judged for a question to their grades."""
        if not question.strip():
            return {}
        found = self._library.chunks(list(chunk_ids))
        corpora = {corpus for corpus in map(self._corpus_of, {each.chunk.document_id for each in found.values()})}
        mine = {
            (label.source, label.span): label.grade
            for corpus in corpora
            if corpus
            for label in self.table.of_question(task_name_of(corpus), question)
            if label.user == user
        }
        places = {chunk_id: (stored.source, stored.chunk.text) for chunk_id, stored in found.items()}
        return {chunk_id: mine[place] for chunk_id, place in places.items() if place in mine}

    def _look_up(self, chunk_id: str) -> tuple[str, StoredChunk]:
        stored = self._library.chunks([chunk_id]).get(chunk_id)
        corpus = self._corpus_of(stored.chunk.document_id) if stored else None
        if stored is None or corpus is None:
            raise UsageError("This passage is not there any more: its document was changed or removed. Ask again.")
        return corpus, stored

    def _corpus_of(self, document_id: str) -> str | None:
        row = self._library.database.query("SELECT corpus FROM documents WHERE id = ?", (document_id,)).fetchone()
        return row[0] if row else None

    # --- the queue

    def queue(self, corpus: str, question: str, user: str) -> Queue:
        """Pools what every embedder and BM25 find for a question, without what needs no judgement any more.

        Pooling is TREC's: the best few of every contestant, so that none is scored on what only others were judged for.
        The order is the same whenever the question is asked. Raises UsageError where nothing can be searched.
        """
        question = plain_question(question)
        pooled, failed = self._pool(self._library.corpus_or_only(corpus), question)
        if not pooled and failed:
            raise UsageError(f"Nothing could be searched. {failed[0]}")
        order = sorted(pooled)
        random.Random(content_id(question)).shuffle(order)
        found = self._library.chunks(order)
        settled = _settled(self.table.of_question(task_name_of(corpus), question), user)
        chunks = [found[each] for each in order if each in found]
        left = tuple(each for each in chunks if (each.source, each.chunk.text) not in settled)
        return Queue(corpus, question, left, len(chunks), len(chunks) - len(left), tuple(failed))

    def _pool(self, corpus: str, question: str) -> tuple[set[str], list[str]]:
        pooled: set[str] = set()
        failed = []
        serving = [state.name for state in self._states.look(corpus) if state.serves]
        for embedder, retriever in (*((name, "dense") for name in serving), (None, "lexical")):
            try:
                if embedder:  # loaded outside of the reader, whose lock would hold up every other question meanwhile
                    load_embedder(embedder, self._reader.settings.embedders)
                opened = self._reader.open(corpus, embedder, retriever)
                pooled |= {scored.chunk_id for scored in opened.retriever.rank([question], POOL_DEPTH)[0]}
            except RagError as error:  # one vendor that does not answer must not keep the others from the pool
                failed.append(str(error))
        return pooled, failed

    # --- questions

    def questions(self, corpus: str) -> list[str]:
        """Returns the questions of the corpus's tasks that it can answer, each once, and those the demo came with."""
        tasks = self.table.tasks(corpus)
        queries = [query for task in tasks for query in self.table.queries(task.name).values()]
        texts = [query.text for query in queries if query.kind != UNANSWERABLE]
        return list(dict.fromkeys((*texts, *_demo_questions(corpus))))

    def next_question(self, corpus: str, user: str, seen: Sequence[str] = ()) -> str | None:
        """Returns the question of which this person has judged least, None where all were seen.

        Those that the person has asked in the chat come first, then the tasks'.
        """
        task = task_name_of(corpus)
        counts: dict[str, int] = {}
        texts = {query.id: query.text for query in self.table.queries(task).values()}
        for label in self.table.labels(task):
            if label.user == user:
                text = texts[label.query]
                counts[text] = counts.get(text, 0) + 1
        asked = map(plain_question, ChatTable(self._library.database).questions(user, corpus))
        left = [text for text in dict.fromkeys((*asked, *self.questions(corpus))) if text not in set(seen)]
        return min(left, key=lambda text: counts.get(text, 0), default=None)

    # --- tasks

    def delete(self, name: str) -> None:
        """Deletes a task with all its labels and its folder."""
        self.table.delete(self.table.task(name).name)
        write_folder(self._library, name)


def refresh_tasks(home: Path, folders: Sequence[Path]) -> None:
    """Brings those of the folders up to date that are tasks of the library at `home`.

    They may be behind: a process was killed between a label and its folder, or the corpus has changed since.
    """
    names = {folder.resolve().name for folder in folders if folder.resolve().parent == (home / FOLDER).resolve()}
    if not names or not (home / FILE).is_file():
        return
    library = Library(home)
    try:
        for name in sorted(names.intersection(task.name for task in LabelTable(library.database).tasks())):
            write_folder(library, name)
    finally:
        library.close()


def _settled(labels: Sequence[Label], user: str) -> set[tuple[str, str]]:
    """Returns the passages that this person has judged, or about which enough others agree."""
    given: dict[tuple[str, str], dict[str, int]] = {}
    for label in labels:
        if label.origin == SYNTHETIC:
            continue
        given.setdefault((label.source, label.span), {})[label.user] = label.grade
    return {
        place
        for place, grades in given.items()
        if user in grades or (len(grades) >= AGREEMENT and len(set(grades.values())) == 1)
    }


def _demo_questions(corpus: str) -> Iterator[str]:
    try:
        task = load_retrieval_task(DEMO_TASK)
    except UsageError:  # an installation without its checkout
        return
    if task.corpus == corpus:
        yield from task.queries.values()


def task_states(library: Library) -> list[TaskState]:
    """Returns every task with its counts, by name."""
    table, votes = LabelTable(library.database), VoteTable(library.database)
    states = []
    for task in table.tasks():
        labels = table.labels(task.name)
        own = task.name == task_name_of(task.corpus)
        states.append(
            TaskState(
                task,
                len(table.queries(task.name)),
                summarise(labels),
                keep(library, task.corpus, labels).gone,
                len(votes.votes(task.corpus)) if own else 0,
                folder_of(library.home, task.name),
                dict(sorted(Counter(label.origin for label in labels).items())),
            )
        )
    return states
