"""The extractive answerer: quotes the sentences that answer a question, each cited, or says that none does."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rag.answerability import Answerability
from rag.embedders.spec import Embedder
from rag.schema import Answer, AnswerPart, Citation, Hit, Turn, Vectors
from rag.sentences import one_line, sentence_spans
from rag.tokens import tokens

READ_HITS = 6
SENTENCES = 4
DENSE_SHARE = 0.6
"""How much of a sentence's score is cosine; the rest is the share of the question's words that it holds."""
RANK_SHARE = 0.15
"""What a sentence of the first hit gains over one of the last read."""
DIVERSITY = 0.35
"""What likeness to a sentence already taken costs (maximal marginal relevance, Carbonell and Goldstein, SIGIR 1998)."""
KEEP = 0.62
"""A sentence below this share of the best one's score is not quoted."""

ABSTENTION = "The documents do not seem to answer this question."


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
            yield AnswerPart(ABSTENTION, abstained=True)
            return
        vectors = self._embedder.embed_passages([s.text for s in sentences]) if self._embedder else None
        for marker, index in enumerate(self._choose(query, sentences, vectors), start=1):
            yield _part(marker, sentences[index])

    def _choose(self, query: str, sentences: Sequence[_Sentence], vectors: Vectors | None) -> list[int]:
        """Returns the positions of the sentences to quote, best first."""
        terms = set(tokens(query))
        scores = np.array([_shared(terms, sentence.text) for sentence in sentences])
        if self._embedder is not None and vectors is not None:
            cosines = vectors @ self._embedder.embed_queries([query])[0]
            top = max(float(cosines.max()), 1e-6)
            scores = DENSE_SHARE * np.clip(cosines / top, 0, 1) + (1 - DENSE_SHARE) * scores
        ranks = np.array([sentence.hit.rank for sentence in sentences])
        scores = scores + RANK_SHARE * (1 - (ranks - 1) / READ_HITS)

        chosen: list[int] = []
        while len(chosen) < min(SENTENCES, len(sentences)):
            gains = scores - DIVERSITY * _likeness(chosen, sentences, vectors)
            gains[chosen] = -np.inf
            best = int(np.argmax(gains))
            if chosen and (scores[best] < KEEP * scores.max() or gains[best] <= 0):
                break
            chosen.append(best)
        return chosen


def _sentences(hits: Sequence[Hit]) -> list[_Sentence]:
    """Collects the sentences of the hits; one that chunk overlap or boilerplate repeats is taken once."""
    found: dict[str, _Sentence] = {}
    for hit in hits:
        for start, end in sentence_spans(hit.chunk.text):
            sentence = _Sentence(hit, start, end)
            if not sentence.text.endswith("?"):  # a question answers none
                found.setdefault(one_line(sentence.text), sentence)
    return list(found.values())


def _shared(terms: set[str], text: str) -> float:
    """Returns the share of the question's terms that a text holds."""
    return len(terms & set(tokens(text))) / len(terms) if terms else 0.0


def _likeness(chosen: Sequence[int], sentences: Sequence[_Sentence], vectors: Vectors | None) -> np.ndarray:
    """Returns for each sentence how much it is like the most similar one chosen so far, 0 to 1."""
    if not chosen:
        return np.zeros(len(sentences))
    if vectors is not None:
        likeness: np.ndarray = (vectors @ vectors[list(chosen)].T).max(axis=1)
        return likeness
    words = [set(tokens(sentence.text)) for sentence in sentences]
    return np.array([max(len(w & words[c]) / max(1, len(w | words[c])) for c in chosen) for w in words])


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
    )
