"""What a turn of a chat is: a question, what it was asked with, and all that came of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from rag.filters import Filter
from rag.schema import AnswerPart, Citation, Hit, Scored, Usage
from ui.turn_cost import Cost


@dataclass(frozen=True, slots=True)
class Choices:
    """What a turn is asked with; the embedder is None where only words are compared.

    `reranker` is "" for none, and `mmr`, the share of relevance in the choice of diverse chunks, 1 for no such choice.
    `llm` is the language model that writes the answer, None where sentences are quoted.
    """

    corpus: str
    embedder: str | None
    retriever: str
    k: int
    weight: float
    fusion: str
    filter: Filter = field(default_factory=Filter)
    reranker: str = ""
    mmr: float = 1.0
    llm: str | None = None


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
    `notice` says what the turn is waiting for, `error` why it failed. `legs` is all that each leg of a hybrid search
    has fetched, so that it can be fused anew; `searched_for` is the question as it was searched for, where it was
    rewritten.
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
    legs: Mapping[str, tuple[Scored, ...]] = field(default_factory=dict)
    searched_for: str = ""
    cost: Cost | None = None

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
    def usage(self) -> Usage | None:
        """What a language model has used for the answer, where one wrote it and says so."""
        return next((part.usage for part in reversed(self.parts) if part.usage), None)

    @property
    def running(self) -> bool:
        """Whether more is to come."""
        return self.state in (State.SEARCHING, State.ANSWERING)
