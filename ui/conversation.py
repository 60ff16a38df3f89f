"""The chat without its face: conversations, and how a question becomes an answer under the choices of its turn."""

import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from rag.embedders.registry import load_embedder
from rag.errors import RagError
from rag.llm import ChatModel, added, load_llm
from rag.llm_answerer import LlmAnswerer
from rag.llm_rewriting import rewriting
from rag.llm_settings import chosen
from rag.reader import Opened, Reader
from rag.rewriting import Rewritten, rewrite
from rag.schema import AnswerPart, Turn, Usage
from ui.fusing import find
from ui.turn_cost import cost_of
from ui.turns import ChatTurn, Choices, State

__all__ = ["Chat", "ChatTurn", "Choices", "Conversation", "Keeper", "State"]

LOADING_IS_SLOW = 0.3
"""Seconds after which a model that is still loading is worth a word."""

log = logging.getLogger(__name__)

Result = TypeVar("Result")


@dataclass(slots=True)
class Conversation:
    """The turns of one chat, oldest first.

    `user` is whose it is, `None` before its page has told, and `shown` the number of the turn whose evidence was asked
    for, None for the latest. Where it is saved, `chat` is its id there and `saved` maps the numbers of turns to their
    rows, with the turns as they were stored; `unsaved` says why the latest could not be.
    """

    turns: list[ChatTurn] = field(default_factory=list)
    asked: int = 0
    user: str | None = None
    shown: int | None = None
    chat: str | None = None
    saved: dict[int, tuple[int, ChatTurn]] = field(default_factory=dict)
    unsaved: str = ""

    @property
    def running(self) -> bool:
        """Whether a turn has more to come."""
        return any(turn.running for turn in self.turns)

    def begin(self, question: str, choices: Choices) -> ChatTurn:
        """Adds a turn for a question, whose evidence is shown from now on."""
        self.asked += 1
        self.shown = None
        turn = ChatTurn(self.asked, question, choices)
        self.turns.append(turn)
        return turn

    def begin_again(self, turn: ChatTurn, choices: Choices) -> ChatTurn:
        """Puts a blank turn for the same question in the place of a finished one."""
        blank = ChatTurn(turn.number, turn.question, choices)
        self.turns = [blank if known.number == turn.number else known for known in self.turns]
        return blank

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
        """Forgets all turns; what is saved of them stays saved, and what comes next is another chat."""
        self.turns.clear()
        self.saved.clear()
        self.chat = self.shown = None
        self.unsaved = ""

    def turn(self, number: int | None) -> ChatTurn | None:
        """Returns the turn of that number, the latest for None; None where there is none."""
        if number is None:
            return self.turns[-1] if self.turns else None
        return next((turn for turn in self.turns if turn.number == number), None)

    def history(self, before: int | None = None) -> list[Turn]:
        """Returns the answered turns, or those before the turn of a number, as an answerer reads them."""
        earlier = [turn for turn in self.turns if before is None or turn.number < before]
        return [Turn(turn.question, turn.answer) for turn in earlier if turn.state is State.DONE]


class Keeper(Protocol):
    """Keeps conversations beyond the process."""

    def keep(self, conversation: Conversation) -> None:
        """Saves the finished turns of a conversation; where that fails the conversation says so."""
        ...


class Chat:
    """Answers the questions of any number of conversations through one shared reader."""

    def __init__(self, reader: Reader, keeper: Keeper | None = None) -> None:
        self.reader = reader
        self.keeper = keeper

    def ask(self, conversation: Conversation, question: str, choices: Choices) -> Iterator[ChatTurn]:
        """Asks a question and yields its turn each time there is more of it; errors end as a turn that tells them."""
        yield from self._run(conversation, conversation.begin(question.strip(), choices))

    def ask_again(self, conversation: Conversation, turn: ChatTurn, choices: Choices) -> Iterator[ChatTurn]:
        """Asks the question of a turn under other choices; the new answer takes the place of the old one."""
        yield from self._run(conversation, conversation.begin_again(turn, choices))

    def stop(self, conversation: Conversation) -> None:
        """Ends the running turn where it stands, and keeps what there is of it."""
        conversation.stop()
        self.keep(conversation)

    def keep(self, conversation: Conversation) -> None:
        """Saves what is finished, where conversations are saved at all."""
        if self.keeper is not None:
            self.keeper.keep(conversation)

    def _run(self, conversation: Conversation, turn: ChatTurn) -> Iterator[ChatTurn]:
        history = conversation.history(before=turn.number)
        started = time.perf_counter()
        try:
            yield turn
            for step in self._steps(turn, history, started):
                turn = step if step.running else self._priced(step)
                if not conversation.update(turn):
                    return
                yield turn
        except GeneratorExit:  # nobody listens any more: a turn left running would bar the next question
            if conversation.update(replace(turn, state=State.STOPPED, notice="")):
                self.keep(conversation)
            raise
        except RagError as error:
            failed = replace(turn, error=str(error))
        except Exception as error:
            # The one place where a bug or a broken disk must not freeze the page: it is told and logged.
            log.exception("A turn failed.")
            failed = replace(turn, error=f"Something broke inside: {type(error).__name__}. The terminal tells more.")
        else:
            self.keep(conversation)
            return
        failed = replace(failed, state=State.FAILED, notice="", seconds=time.perf_counter() - started)
        if conversation.update(failed):
            self.keep(conversation)
            yield failed

    def _priced(self, turn: ChatTurn) -> ChatTurn:
        specs = self.reader.settings.embedders
        spec = specs.get(turn.choices.embedder) if turn.choices.embedder else None
        return replace(turn, cost=cost_of(turn.searched_for or turn.question, spec, turn.usage))

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
        model = None
        if choices.llm:
            model = load_llm(chosen(self.reader.settings.llm, choices.llm))
            connecting = _in_background(model.load)
            if not wait([connecting], timeout=LOADING_IS_SLOW).done:
                yield replace(turn, notice=f"Loading {choices.llm} …")
            connecting.result()  # a missing key or package is told before anything is searched
        opened = self.reader.open(
            corpus=choices.corpus,
            embedder=name,
            retriever=choices.retriever,
            fusion=choices.fusion,
            weight=choices.weight,
            filter=choices.filter,
            reranker=choices.reranker,
            mmr=choices.mmr,
        )
        rewritten, usage = yield from _rewritten(turn, history, model)
        if rewritten.reason:
            turn = replace(turn, searched_for=rewritten.text)
        before = time.perf_counter()
        hits, legs = find(opened.retriever, rewritten.text, choices.k, choices.weight, choices.fusion)
        took = time.perf_counter() - before
        turn = replace(turn, state=State.ANSWERING, hits=hits, legs=legs, retrieval_seconds=took)
        yield turn
        with closing(self._parts(turn, history, opened, model)) as parts:
            for part in parts:
                if part.usage:
                    part = replace(part, usage=added(usage, part.usage))
                if part.notice:
                    turn = replace(turn, notice=part.notice)
                if part != AnswerPart("", notice=part.notice):  # neither a sign of life nor a wait that will be over
                    turn = replace(turn, parts=(*turn.parts, part))
                yield turn  # also without news: whoever listens may have stopped
        if usage and turn.usage is None:
            turn = replace(turn, parts=(*turn.parts, AnswerPart("", usage=usage)))
        yield replace(turn, state=State.DONE, notice="", seconds=time.perf_counter() - started)

    def _parts(
        self, turn: ChatTurn, history: Sequence[Turn], opened: Opened, model: ChatModel | None
    ) -> Generator[AnswerPart, None, None]:
        """Streams the answer: quoted sentences, or what the language model writes."""
        if model is None:
            yield from opened.answerer().answer(turn.searched_for or turn.question, turn.hits, history)
            return
        answerer = LlmAnswerer(model, self.reader.library, opened.answerability, opened.embedder)
        yield from answerer.answer(turn.question, turn.hits, history, turn.searched_for)

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


def _rewritten(
    turn: ChatTurn, history: Sequence[Turn], model: ChatModel | None
) -> Generator[ChatTurn, None, tuple[Rewritten, Usage | None]]:
    """Completes a question that leans on the turns before it; returns it, and what a language model has used for it."""
    if model is None:
        return rewrite(turn.question, history), None
    with closing(rewriting(model, turn.question, history)) as steps:
        while True:
            try:
                next(steps)
            except StopIteration as done:
                found: tuple[Rewritten, Usage | None] = done.value
                return found
            yield replace(turn, notice="Completing the question …")


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
