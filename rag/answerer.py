"""The extractive answerer: quotes the sentences that answer a question, each cited, or says that none does."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag.abstentions import ABSTENTION as ABSTENTION
from rag.abstentions import abstention
from rag.answerability import Answerability
from rag.embedders.spec import Embedder
from rag.schema import Answer, AnswerPart, Chunk, Citation, Hit, Turn, Vectors
from rag.sentences import one_line, sentence_spans
from rag.tokens import tokens

READ_HITS = 8
SENTENCES = 4

# What a sentence is worth; found on the demo task and on half of xQuAD by how often the quoted sentences hold the
# labelled answer (docs/answers.md). Words tell more than cosines once the right chunks are found; without an embedder
# they tell all.
COSINE = 0.2
WORDS_OF_SENTENCE = 0.3
WORDS_WITH_HEADING = 0.4
WORDS_OF_CHUNK = 0.3

HIT_RANK = 0.15  # of the first hit, falling to none at the last read

FULL_LENGTH = 80
"""UTF-8 bytes below which a sentence counts for less: "It depends." is near to many questions and answers none.

Scripts that say more with a character take more bytes for it.
"""

DIVERSITY = 0.35
"""What likeness to a sentence already taken costs (maximal marginal relevance, Carbonell and Goldstein, SIGIR 1998)."""

KEEP = 0.6
"""A sentence below this share of the best one's worth is not quoted."""

NO_ANSWER = re.compile(r"(?:sources?|quellen?|fuentes?|来源)\s*[:：]|.*[?？¿]$", re.IGNORECASE | re.DOTALL)
"""Lists of sources and questions: they hold a question's words and answer nothing."""


class Answerer(Protocol):
    """Makes an answer from what was retrieved."""

    def answer(self, query: str, hits: Sequence[Hit], history: Sequence[Turn] = ()) -> Iterator[AnswerPart]:
        """Streams an answer, with a citation for every sentence, or one part that abstains."""
        ...


@dataclass(frozen=True, slots=True)
class _Sentence:
    hit: Hit
    start: int
    end: int

    @property
    def text(self) -> str:
        return self.hit.chunk.text[self.start : self.end]


class ExtractiveAnswerer:
    """Quotes sentences of the best hits, chosen by likeness to the question and unlikeness to each other.

    Works without a language model and without a network. `embedder` is None for lexical retrieval: then words alone
    decide.
    """

    def __init__(self, embedder: Embedder | None, answerability: Answerability) -> None:
        self._embedder = embedder
        self._answerability = answerability

    def answer(self, query: str, hits: Sequence[Hit], history: Sequence[Turn] = ()) -> Iterator[AnswerPart]:
        """Streams one part for each quoted sentence; earlier turns are not needed for quoting."""
        sentences = _sentences(hits[:READ_HITS])
        if not sentences or not self._answerability.answers(query, hits):
            yield AnswerPart(abstention(query), abstained=True)
            return
        vectors = self._embedder.embed_passages([s.text for s in sentences]) if self._embedder else None
        for marker, index in enumerate(self._choose(query, sentences, vectors), start=1):
            yield _part(marker, sentences[index])

    def _choose(self, query: str, sentences: Sequence[_Sentence], vectors: Vectors | None) -> list[int]:
        """Returns the positions of the sentences to quote, best first."""
        worth = self._worth(query, sentences, vectors)
        chosen: list[int] = []
        while len(chosen) < min(SENTENCES, len(sentences)):
            gains = worth - DIVERSITY * worth.max() * _likeness(chosen, sentences, vectors)
            gains[chosen] = -np.inf
            best = int(np.argmax(gains))
            if chosen and (worth[best] < KEEP * worth[chosen[0]] or gains[best] <= 0):
                break
            chosen.append(best)
        return chosen

    def _worth(self, query: str, sentences: Sequence[_Sentence], vectors: Vectors | None) -> NDArray[np.float64]:
        """Returns how well each sentence answers the query, on a scale of this query's own."""
        weigh = self._answerability.weigher(query)
        worth = np.array(
            [
                WORDS_OF_SENTENCE * weigh(sentence.text)
                + WORDS_WITH_HEADING * weigh(f"{sentence.hit.title} {sentence.hit.chunk.heading} {sentence.text}")
                + WORDS_OF_CHUNK * weigh(sentence.hit.chunk.text)
                + HIT_RANK * (1 - (sentence.hit.rank - 1) / READ_HITS)
                for sentence in sentences
            ]
        )
        if self._embedder is not None and vectors is not None:
            cosines = vectors @ self._embedder.embed_queries([query])[0]
            worth += COSINE * np.clip(cosines / max(float(cosines.max()), 1e-6), 0, 1)
        lengths = np.array([len(sentence.text.encode()) for sentence in sentences])
        return np.asarray(worth * np.minimum(1, np.log(lengths) / math.log(FULL_LENGTH)))


def _sentences(hits: Sequence[Hit]) -> list[_Sentence]:
    """Collects the sentences of the hits; one that chunk overlap or boilerplate repeats is taken once.

    The rest of a sentence that began before its chunk is taken only where there is nothing else.
    """
    found: dict[str, _Sentence] = {}
    rests: dict[str, _Sentence] = {}
    for hit in hits:
        for start, end in sentence_spans(hit.chunk.text):
            sentence = _Sentence(hit, start, end)
            if not NO_ANSWER.match(sentence.text):
                (rests if _began_before(hit.chunk, start) else found).setdefault(one_line(sentence.text), sentence)
    return list((found or rests).values())


def _began_before(chunk: Chunk, start: int) -> bool:
    """Tells whether a sentence is the rest of one: chunks that overlap begin anywhere."""
    return chunk.start > 0 and not chunk.text[:start].strip() and chunk.text[start].islower()


def _likeness(chosen: Sequence[int], sentences: Sequence[_Sentence], vectors: Vectors | None) -> NDArray[np.float32]:
    """Returns for each sentence how much it is like the most similar one chosen so far, 0 to 1."""
    if not chosen:
        return np.zeros(len(sentences), dtype=np.float32)
    if vectors is not None:
        return np.asarray((vectors @ vectors[list(chosen)].T).max(axis=1))
    words = [set(tokens(sentence.text)) for sentence in sentences]
    shared = [max(len(w & words[c]) / max(1, len(w | words[c])) for c in chosen) for w in words]
    return np.array(shared, dtype=np.float32)


def _part(marker: int, sentence: _Sentence) -> AnswerPart:
    chunk = sentence.hit.chunk
    citation = Citation(
        marker=marker,
        chunk_id=chunk.id,
        document_id=chunk.document_id,
        source=sentence.hit.source,
        page=chunk.page,
        start=chunk.start + sentence.start,
        end=chunk.start + sentence.end,
        quote=sentence.text,
    )
    separator = "" if marker == 1 else " "
    return AnswerPart(f"{separator}{one_line(sentence.text)} [{marker}]", (citation,))


def whole(parts: Iterator[AnswerPart]) -> Answer:
    """Collects a streamed answer."""
    collected = list(parts)
    return Answer(
        text="".join(part.text for part in collected),
        citations=tuple(citation for part in collected for citation in part.citations),
        abstained=any(part.abstained for part in collected),
        usage=next((part.usage for part in reversed(collected) if part.usage), None),
        dropped_citations=sum(part.dropped for part in collected),
    )
