"""What generators of questions share: a question, the passage that it was made from, and what cannot be one."""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

LEAST_WORDS = 3
MOST_CHARACTERS = 300
"""What a question must have: fewer words find anything, and a longer one is no question."""

COPIED = 8
"""A question that shares so many words in a row with its passage is a copy of it."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A question about a passage: document.text[start:start + len(span)] == span of the document of that source."""

    question: str
    source: str
    span: str
    start: int
    method: str


def normal(text: str) -> str:
    """Returns a question as it is compared: its words in small letters.

    >>> normal("What is  BM25?"), normal("what is bm25")
    ('what is bm25', 'what is bm25')
    """
    return " ".join(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


def words_of(text: str) -> list[str]:
    """Returns the words of a text in small letters."""
    return _WORD.findall(text.casefold())


def copies(question: str, passage: str) -> bool:
    """Tells whether a question repeats its passage word for word.

    >>> copies("Is a cosine the dot product of unit vectors and nothing else?",
    ...        "A cosine the dot product of unit vectors and nothing else.")
    True
    """
    asked, told = normal(question).split(), f" {normal(passage)} "
    return any(f" {' '.join(asked[at : at + COPIED])} " in told for at in range(len(asked) - COPIED + 1))


def choose(candidates: Iterable[Candidate], count: int, seed: int) -> list[Candidate]:
    """Returns so many candidates, spread evenly over methods and documents; the same ones for the same seed."""
    by_method: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        by_method.setdefault(candidate.method, []).append(candidate)
    turns = [_spread(by_method[method], seed) for method in sorted(by_method)]
    return [candidate for candidate, _ in zip(_in_turn(turns), range(count), strict=False)]


def _spread(candidates: Sequence[Candidate], seed: int) -> Iterator[Candidate]:
    """Yields candidates document by document in turn, in an order that only the seed decides."""
    by_source: dict[str, list[Candidate]] = {}
    for candidate in sorted(candidates, key=lambda each: _draw(seed, each.question, each.source)):
        by_source.setdefault(candidate.source, []).append(candidate)
    return _in_turn([iter(found) for found in by_source.values()])


def _in_turn(queues: Sequence[Iterator[Candidate]]) -> Iterator[Candidate]:
    left = list(queues)
    while left:
        going = []
        for queue in left:
            candidate = next(queue, None)
            if candidate is not None:
                yield candidate
                going.append(queue)
        left = going


def _draw(seed: int, *parts: str) -> bytes:
    return hashlib.sha256("\x1f".join((str(seed), *parts)).encode("utf-8", "surrogatepass")).digest()


class Sieve:
    """Lets through the candidates that can be asked, each question once, and counts the others by what they lack."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self.dropped: Counter[str] = Counter()
        self._seen = {normal(question) for question in known}

    def passes(self, candidate: Candidate, text: str) -> bool:
        """Tells whether a candidate can be asked about the document of that text."""
        reason = self.reason(candidate, text)
        if reason:
            self.dropped[reason] += 1
        else:
            self._seen.add(normal(candidate.question))
        return not reason

    def reason(self, candidate: Candidate, text: str) -> str:
        """Says why a candidate cannot be asked, "" where it can."""
        plain = normal(candidate.question)
        if not candidate.span.strip() or not text.startswith(candidate.span, candidate.start):
            return "its passage is not in the document"
        if plain in self._seen:
            return "asked already"
        if len(candidate.question) > MOST_CHARACTERS:
            return "too long"
        if not plain or (len(plain.split()) < LEAST_WORDS and candidate.question.isascii()):
            return "too short"
        return ""
