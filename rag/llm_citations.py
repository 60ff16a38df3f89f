"""Citations of a language model, checked while it writes: a marker that points to no given chunk never comes through.

A marker that does is tied to the sentence of its chunk that supports the claim before it best.
"""

import re
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from rag.answerability import Answerability
from rag.embedders.spec import Embedder
from rag.llm_prompt import NO_ANSWER, visible
from rag.schema import AnswerPart, Citation, Hit
from rag.sentences import MOST, sentence_spans
from rag.tokens import query_terms, tokens

# [1], [1, 2], [1-3], [^1], 【1†source】 and the like.
_NUMBERS = r"\d{1,4}(?:\s*(?:[,;、，–—-]|and|und)\s*\d{1,4})*"
MARKER = re.compile(
    rf"[ \t]*[\[【［]\s*\^?(?:passages?\s+|no\.\s*)?({_NUMBERS})(?:†[^\]】］\n]{{0,30}})?\s*[\]】］]", re.IGNORECASE
)

# What may be the beginning of a marker, or of NO_ANSWER, is held back until more has come.
_BEGUN = re.compile(
    r"(?:[ \t]+|[ \t]*[\[【［][\s\^\d,;、，–—a-z.-]{0,30}(?:†[^\]】］\n]{0,30})?"
    r"|[ \t]*N(?:O(?:_(?:A(?:N(?:S(?:W(?:E)?)?)?)?)?)?)?)$",
    re.IGNORECASE,
)

MOST_NUMBERS = 10
"""Chunks that one pair of brackets may name: [1-9999] is a mistake, and no citation."""

ENOUGH_TERMS = 2
"""Terms that make a claim; a shorter one is taken together with the sentence that it belongs to."""


class CitedText:
    """Reads a model's text as it comes, and passes it on in parts: text, and each verified marker with its citation.

    Numbers in brackets inside code are no markers; they are written with spaces, `row[ 1 ]`, so that every `[n]` of an
    answer is a citation. `refused` tells that the model has said NO_ANSWER, which does not come through either.
    """

    def __init__(self, hits: Mapping[int, Hit], support: "Support", question: str) -> None:
        self.text = ""
        self.cited = 0
        self.refused = False
        self._hits = hits
        self._support = support
        self._claim = question
        self._held = ""
        self._since = 0  # where in `text`, which has no markers, the claim of the next marker begins
        self._code = False

    def feed(self, text: str) -> Iterator[AnswerPart]:
        """Takes in what has come and yields what can be passed on."""
        self._held += visible(text)
        begun = _BEGUN.search(self._held)
        ready = self._held[: begun.start()] if begun else self._held
        if not self.text and not any(character.isalnum() for character in ready):
            return  # marks around NO_ANSWER
        self._held = self._held[len(ready) :]
        yield from self._read(ready)

    def rest(self) -> Iterator[AnswerPart]:
        """Yields what was held back, at the end of the answer."""
        ready, self._held = self._held.rstrip(), ""
        yield from self._read(ready)

    def _read(self, text: str) -> Iterator[AnswerPart]:
        if NO_ANSWER in text:
            self.refused = True
            text = re.sub(rf"[ \t*`\"]*{NO_ANSWER}[*`\"]*", "", text)
        position = 0
        for match in MARKER.finditer(text):
            yield from self._say(text[position : match.start()])
            position = match.end()
            if self._code:
                yield from self._say(match[0].replace("[", "[ ").replace("]", " ]"))
            else:
                yield from self._cite(match)
        yield from self._say(text[position:])

    def _say(self, text: str) -> Iterator[AnswerPart]:
        if not self.text:
            text = text.lstrip()
            if self.refused and not any(character.isalnum() for character in text):
                return  # the full stop behind NO_ANSWER
        if text:
            for _ in re.finditer(r"`+", text):
                self._code = not self._code
            self.text += text
            yield AnswerPart(text)

    def _cite(self, match: re.Match[str]) -> Iterator[AnswerPart]:
        """Yields a part for each number that points to a given chunk; the others are dropped and counted."""
        claim = self._take_claim()
        space = match[0][: len(match[0]) - len(match[0].lstrip())]
        for number in _numbers(match[1]):
            hit = self._hits.get(number)
            if hit is None:
                yield AnswerPart("", dropped=1)
                continue
            self.cited += 1
            yield AnswerPart(f"{space}[{number}]", (self._support.citation(number, hit, claim),))
            space = ""

    def _take_claim(self) -> str:
        """Returns the sentence that a marker stands for, or what of it came since the marker before."""
        new = _last_sentence(self.text[self._since :])
        self._since = len(self.text)
        if len(set(tokens(new))) >= ENOUGH_TERMS:
            self._claim = new
        elif new:
            self._claim = _last_sentence(self.text) or self._claim
        return self._claim


class Support:
    """Finds the sentence of a chunk that supports a claim best: by their words, else by their vectors.

    `embedder` is None where only words can be compared.
    """

    def __init__(self, answerability: Answerability, embedder: Embedder | None = None) -> None:
        self._answerability = answerability
        self._embedder = embedder

    def citation(self, number: int, hit: Hit, claim: str) -> Citation:
        """Returns the citation of a claim; a weak one where the chunk shares nothing with it."""
        chunk = hit.chunk
        spans = list(sentence_spans(chunk.text)) or [_beginning(chunk.text)]
        sentences = [chunk.text[start:end] for start, end in spans]
        weigh = self._weigher(claim)
        shares = [weigh(sentence) for sentence in sentences]
        weak = False
        if max(shares) > 0:
            best = max(range(len(spans)), key=lambda place: (shares[place], -len(sentences[place])))
        else:
            best, near = self._nearest(claim, sentences)
            weak = not near and weigh(f"{hit.title} {chunk.heading}") == 0
        start, end = spans[best]
        return Citation(
            marker=number,
            chunk_id=chunk.id,
            document_id=chunk.document_id,
            source=hit.source,
            page=chunk.page,
            start=chunk.start + start,
            end=chunk.start + end,
            quote=chunk.text[start:end],
            weak=weak,
        )

    def _weigher(self, claim: str) -> Callable[[str], float]:
        """Returns what tells how much a text shares with a claim: the IDF of the terms that both hold."""
        index = self._answerability.index
        weights = {terms: max(map(index.idf, terms)) for terms in sorted(query_terms(claim, index.languages))}

        def weigh(text: str) -> float:
            held = {term for language in index.languages for term in tokens(text, language)}
            return sum(weight for terms, weight in weights.items() if not held.isdisjoint(terms))

        return weigh

    def _nearest(self, claim: str, sentences: list[str]) -> tuple[int, bool]:
        """Returns the sentence nearest by vectors, and whether it is as near as what belongs together in this index.

        A claim in another language than its chunk shares no words with it.
        """
        scale = self._answerability.scale
        if self._embedder is None or not scale:
            return 0, False
        vectors = self._embedder.embed_passages([claim, *sentences])
        cosines = vectors[1:] @ vectors[0]
        best = int(np.argmax(cosines))
        return best, bool(cosines[best] >= sum(scale) / len(scale))


def _numbers(written: str) -> list[int]:
    """Reads "1, 3-5" as 1, 3, 4, 5; each once."""
    found: list[int] = []
    for first, last in re.findall(r"(\d+)(?:\s*[–—-]\s*(\d+))?", written):
        begin, end = int(first), int(last or first)
        found += range(begin, end + 1) if begin <= end < begin + MOST_NUMBERS else [begin, end]
    return list(dict.fromkeys(found))


def _last_sentence(text: str) -> str:
    line = next((line for line in reversed(text.splitlines()) if line.strip(" \t.,;:*-")), "")
    spans = list(sentence_spans(line))
    return line[slice(*spans[-1])] if spans else line.strip()


def _beginning(text: str) -> tuple[int, int]:
    """Returns the span of a text's beginning: what stands for a table or a code block that has no sentences."""
    start = len(text) - len(text.lstrip())
    end = len(text[: start + MOST].rstrip())
    return (start, end) if end > start else (0, len(text))
