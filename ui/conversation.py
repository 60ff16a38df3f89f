"""The chat without its face: conversations, and how a question becomes an answer under the choices of its turn."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TypeVar

from rag.embedders.registry import load_embedder
from rag.errors import RagError
from rag.reader import Reader
from rag.schema import AnswerPart, Citation, Hit, Turn

LOADING_IS_SLOW = 0.3
"""Seconds after which a model that is still loading is worth a word."""

log = logging.getLogger(__name__)

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Choices:
    """What a turn is asked with; the embedder is None where only words are compared."""

    corpus: str
    embedder: str | None
    retriever: str
    k: int
    weight: float
    fusion: str


class State(Enum):
    """How far a turn has come."""

    SEARCHING = "searching"
    ANSWERING = "answering"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ChatTurn:
    """One question with all that came of it, so that its evidence can be shown again.

    `number` is unique within the conversation, also after it was cleared. `retrieval_seconds` is the search alone,
    `seconds` the time from the question to the last word, with any waiting for the model.
    `notice` says what the turn is waiting for, `error` why it failed.
    """

    number: int
    question: str
    choices: Choices
    state: State = State.SEARCHING
    notice: str = ""
    parts: tuple[AnswerPart, ...] = ()
    hits: tuple[Hit, ...] = ()
    retrieval_seconds: float | None = None
    seconds: float | None = None
    error: str = ""

    @property
    def answer(self) -> str:
        """The answer's text as far as it is written."""
        return "".join(part.text for part in self.parts)

    @property
    def citations(self) -> tuple[Citation, ...]:
        """The citations of all parts, in their order."""
        return tuple(citation for part in self.parts for citation in part.citations)

    @property
    def abstained(self) -> bool:
        """Whether the answerer found that the documents hold no answer."""
        return any(part.abstained for part in self.parts)

    @property
    def running(self) -> bool:
        """Whether more is to come."""
        return self.state in (State.SEARCHING, State.ANSWERING)


@dataclass(slots=True)
class Conversation:
    """The turns of one chat, oldest first."""

    turns: list[ChatTurn] = field(default_factory=list)
    asked: int = 0

    @property
    def running(self) -> bool:
        """Whether a turn has more to come."""
        return any(turn.running for turn in self.turns)

    def begin(self, question: str, choices: Choices) -> ChatTurn:
        """Adds a turn for a question."""
        self.asked += 1
        turn = ChatTurn(self.asked, question, choices)
        self.turns.append(turn)
        return turn

    def update(self, turn: ChatTurn) -> bool:
        """Takes over a turn's next state, unless it was stopped or cleared away meanwhile; tells whether it did."""
        for position, known in enumerate(self.turns):
            if known.number == turn.number and known.running:
                self.turns[position] = turn
                return True
        return False

    def stop(self) -> None:
        """Ends the running turn where it stands; what is written of its answer stays."""
        for turn in self.turns:
            self.update(replace(turn, state=State.STOPPED, notice=""))

    def clear(self) -> None:
        """Forgets all turns."""
        self.turns.clear()

    def history(self) -> list[Turn]:
        """Returns the answered turns as an answerer reads them."""
        return [Turn(turn.question, turn.answer) for turn in self.turns if turn.state is State.DONE]


class Chat:
    """Answers the questions of any number of conversations through one shared reader."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    def ask(self, conversation: Conversation, question: str, choices: Choices) -> Iterator[ChatTurn]:
        """Asks a question and yields its turn each time there is more of it; errors end as a turn that tells them."""
        history = conversation.history()
        turn = conversation.begin(question.strip(), choices)
        started = time.perf_counter()
        try:
            yield turn
            for step in self._steps(turn, history, started):
                turn = step
                if not conversation.update(turn):
                    return
                yield turn
        except GeneratorExit:  # nobody listens any more: a turn left running would bar the next question
            conversation.update(replace(turn, state=State.STOPPED, notice=""))
            raise
        except RagError as error:
            failed = replace(turn, error=str(error))
        except Exception as error:
            # The one place where a bug or a broken disk must not freeze the page: it is told and logged.
            log.exception("A turn failed.")
            failed = replace(turn, error=f"Something broke inside: {type(error).__name__}. The terminal tells more.")
        else:
            return
        failed = replace(failed, state=State.FAILED, notice="", seconds=time.perf_counter() - started)
        if conversation.update(failed):
            yield failed

    def _steps(self, turn: ChatTurn, history: Sequence[Turn], started: float) -> Iterator[ChatTurn]:
        choices = turn.choices
        name = choices.embedder
        if name is not None:
            library = self.reader.library
            # Says what is missing before a model loads.
            library.cards.find(library.corpus_or_only(choices.corpus), name)
            # Loaded outside of the reader, whose lock would hold up every other conversation meanwhile.
            loading = _in_background(lambda: load_embedder(name, self.reader.settings.embedders))
            if not wait([loading], timeout=LOADING_IS_SLOW).done:
                yield replace(turn, notice=f"Loading {name} …")
            loading.result()
        opened = self.reader.open(
            corpus=choices.corpus,
            embedder=name,
            retriever=choices.retriever,
            fusion=choices.fusion,
            weight=choices.weight,
        )
        before = time.perf_counter()
        hits = tuple(opened.retriever.retrieve(turn.question, choices.k))
        took = time.perf_counter() - before
        turn = replace(turn, state=State.ANSWERING, hits=hits, retrieval_seconds=took)
        yield turn
        for part in opened.answerer().answer(turn.question, hits, history):
            turn = replace(turn, parts=(*turn.parts, part))
            yield turn
        yield replace(turn, state=State.DONE, seconds=time.perf_counter() - started)

    def warm_up(self) -> None:
        """Opens what the first question will most likely need; an error is left for that question to tell."""
        reader = self.reader
        try:
            cards = reader.library.cards.all(reader.library.corpus_or_only(None))
            name = next((card.embedder for card in cards if card.embedder == reader.settings.embedder), None)
            name = name or (cards[0].embedder if cards else None)
            if name is not None:
                load_embedder(name, reader.settings.embedders)
                reader.open(embedder=name).retriever.retrieve("warm up", 1)
        except RagError as error:
            log.info("Nothing was loaded ahead: %s", error)


def _in_background(work: Callable[[], Result]) -> "Future[Result]":
    """Starts work on a thread that does not keep the process alive."""
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="load embedder", daemon=True).start()
    return future
