"""The answerer that has a language model write: streamed, every citation checked, the documents never obeyed."""

import re
from collections.abc import Iterator, Sequence

from rag.abstentions import abstention
from rag.answerability import Answerability
from rag.embedders.spec import Embedder
from rag.library import Library
from rag.llm import ChatModel, LlmError, Piece
from rag.llm_citations import CitedText, Support
from rag.llm_prompt import Prompt, build_prompt
from rag.schema import AnswerPart, Hit, Turn

REFUSAL = re.compile(
    r"\b(?:can(?:no|')t|cannot|could not|couldn't|unable to|not able to|do(?:es)? not|don't|doesn't)\s+"
    r"(?:\w+\s+){0,3}?(?:answer|find|contain|mention|provide|include|say|have (?:enough|any) information)"
    r"|\b(?:kann|können)\b.{0,40}\bnicht beantworte\w+|enthalten (?:keine|nicht)"
    r"|ne (?:peux|peut|contiennent|permettent)\b.{0,20}\bpas\b|no (?:puedo|contienen|se puede)\b"
    r"|无法回答|没有(?:提供|提到|包含)|答えられません|記載されていません",
    re.IGNORECASE,
)
"""How models say that they cannot answer, where they do not use the word they were given for it."""

SHORT = 400
"""Characters within which an answer without a citation may be a refusal."""


class LlmAnswerer:
    """Has a language model answer from the hits.

    A question that they do not seem to answer is not sent, unless the settings say `ask_anyway`: the abstention costs
    nothing. `embedder` is None for lexical retrieval.
    """

    def __init__(
        self, model: ChatModel, library: Library, answerability: Answerability, embedder: Embedder | None
    ) -> None:
        self._model = model
        self._library = library
        self._answerability = answerability
        self._support = Support(answerability, embedder)

    def answer(
        self, query: str, hits: Sequence[Hit], history: Sequence[Turn] = (), searched_for: str = ""
    ) -> Iterator[AnswerPart]:
        """Streams the answer; closing the generator ends the request at once, also before the first word.

        `searched_for` is what was searched where that is not the query itself, as after rewriting. Raises LlmError;
        what was written by then has been passed on.
        """
        settings = self._model.settings
        if not hits or not (settings.ask_anyway or self._answerability.answers(searched_for or query, hits)):
            yield AnswerPart(abstention(query), abstained=True)
            return
        room = settings.context_tokens - settings.max_tokens
        prompt = build_prompt(self._library, query, hits, history, room, self._model.count_tokens, settings.neighbours)
        yield from self._written(prompt, query)

    def _written(self, prompt: Prompt, query: str) -> Iterator[AnswerPart]:
        written = CitedText(prompt.hits, self._support, query)
        stream = self._model.stream(prompt.messages)
        begun, last = False, Piece()
        try:
            for piece in stream:
                if piece.text and not begun:
                    begun = True  # from here on it costs, though it be stopped
                    yield AnswerPart("", usage=self._model.estimated(prompt.messages, piece.text))
                last = piece
                parts = list(written.feed(piece.text)) if piece.text else []
                yield from parts or [AnswerPart("", notice=piece.notice)]
        except LlmError:
            yield from written.rest()
            yield AnswerPart("", usage=self._model.estimated(prompt.messages, written.text))
            raise
        finally:
            stream.close()
        yield from written.rest()
        if not written.text and not written.refused:
            raise LlmError(self._nothing(last.cut))
        if not written.text:
            yield AnswerPart(abstention(query), abstained=True, usage=last.usage)
        else:
            notice = f"The answer was cut at max_tokens = {self._model.settings.max_tokens}." if last.cut else ""
            yield AnswerPart("", abstained=_refuses(written), usage=last.usage, notice=notice)

    def _nothing(self, cut: bool) -> str:
        title = self._model.title
        if cut:
            return (
                f"{title} used all of max_tokens = {self._model.settings.max_tokens} before it wrote a word of its "
                f"answer. Set a larger `max_tokens` under [llm] in rag.toml."
            )
        return f"{title} wrote nothing. Ask again, or choose another model."


def _refuses(written: CitedText) -> bool:
    """Tells whether an answer only says that there is none; one that cites a chunk says more."""
    if written.cited:
        return False
    return written.refused or (len(written.text) < SHORT and REFUSAL.search(written.text) is not None)
