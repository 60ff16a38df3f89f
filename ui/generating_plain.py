"""Questions made from documents without a language model: definitions, sentences cut out of their place, headings.

All of them use the documents' own words. Which of them may be believed is measured in docs/labels.md: headings ask with
words that stand in the very passage, so that the embedder that only counts words comes out first.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from rag.schema import Document
from rag.sentences import sentence_spans
from rag.tokens import tokens
from ui.generated import Candidate, normal, words_of

LEAST_SECTION, MOST_SECTION = 120, 4_000
"""Characters of a section that its heading may ask for."""

COMMON_HEADINGS = (
    "abstract acknowledgements acknowledgments appendix background bibliography changelog conclusion conclusions "
    "contents discussion examples faq further reading glossary history installation introduction licence license "
    "literature links more methods motivation notes overview preface questions references requirements results "
    "further see also setup sources status summary table of contents todo usage what next "
    "anhang einleitung fazit inhalt literatur quellen übersicht zusammenfassung "
    "conclusiones fuentes introducción referencias resumen"
)
"""Words of headings that say nothing of their section; a heading of these alone is not asked for."""

CLOZE = "cloze"

LEAST_CLOZE, MOST_CLOZE = 8, 40
"""Words of a sentence that becomes a query."""

LEAST_DOCUMENT = 2_000
"""Characters of a document that sentences are cut out of: some of its chunks must be left to be found."""

_NUMBER = re.compile(r"^[\d.)(§\s]+")


LEAST_DEFINITION = 40
"""Characters of a sentence that defines anything."""


@dataclass(frozen=True, slots=True)
class Definition:
    """How sentences of a language define a term, and how one asks for it; the article goes into the question."""

    sentence: re.Pattern[str]
    question: str


def _definition(verbs: str, question: str, articles: str) -> Definition:
    term = r"(?P<term>[^\W\d_][\w+@'’./-]*(?:[ -][\w+@'’./-]+){0,4}?)"
    return Definition(re.compile(rf"^(?:(?P<article>{articles})\s+)?{term}\s+(?:{verbs})\s+\w"), question)


DEFINITIONS: Mapping[str, Definition] = {
    "en": _definition("is an?|is the|means|denotes|refers to|stands for", "What is {}?", "An?"),
    "de": _definition("ist eine?|ist die|ist der|ist das|bezeichnet|bedeutet", "Was ist {}?", "Eine?"),
    "es": _definition("es una?|es el|es la|significa", "¿Qué es {}?", "Una?"),
    "fr": _definition("est une?|est le|est la|désigne", "Que signifie {} ?", "Une?"),
    "it": _definition("è una?|è uno|è il|è la", "Che cos'è {}?", "Una?|Uno"),
}
"""A definite article before the term is left aside: "The name is a promise" says of a thing what it is like."""

_NO_TERM = (
    "a an another any both each either every he here how it its neither no none one other our she some such that "
    "the their there these they this those two we what when where which who why you your if so as but and or because "
    "but not only also then result reason question answer problem point idea example first second third last next "
    "at by for from in of on to under with without "
    "bei für in mit nach ohne von zu das der die dies diese dieser dieses er es hier sie was wer wie wo man dort "
    "esa ese eso esta este esto él ella que quien aquí "
    "ce cela cette ceci il elle on qui que c'est "
    "questo questa ciò chi che"
)
"""Words that a term does not begin with: what they stand for was said before."""


def headings(documents: Iterable[Document]) -> list[Candidate]:
    """Returns the headings that occur once in all documents, each asking for the text below it."""
    found: list[Candidate] = []
    counts: Counter[str] = Counter()
    for document in documents:
        counts.update(normal(heading.text) for heading in document.headings)
        found += _sections(document)
    return [candidate for candidate in found if counts[normal(candidate.question)] == 1]


def _sections(document: Document) -> Iterator[Candidate]:
    text = document.text
    ends = [*(heading.start for heading in document.headings[1:]), len(text)]
    for heading, end in zip(document.headings, ends, strict=False):  # a document without headings has one end
        line = text.find("\n", heading.start)
        start = line + 1 if 0 <= line < end else end
        body = text[start:end].rstrip().lstrip("=-~ \t\n")  # the line below a setext heading goes with it
        begin = text.find(body, start) if body else end
        question = " ".join(_NUMBER.sub("", heading.text).split())
        says = set(
            tokens(
                " ".join(word for word in words_of(question) if word not in COMMON_HEADINGS.split()), document.language
            )
        )
        if (
            len(says) < 2
            or not LEAST_SECTION <= len(body) <= MOST_SECTION
            or normal(question) == normal(document.title)
        ):
            continue
        yield Candidate(question, document.source, body, begin, "headings")


def definitions(documents: Iterable[Document]) -> list[Candidate]:
    """Returns a question for each term that exactly one sentence of all documents defines."""
    found: dict[str, list[Candidate]] = {}
    for document in documents:
        definition = DEFINITIONS.get(document.language or "en")
        for start, end in sentence_spans(document.text) if definition else ():
            sentence = document.text[start:end]
            term = _term(definition, sentence) if definition and len(sentence) >= LEAST_DEFINITION else ""
            if definition and term:
                candidate = Candidate(definition.question.format(term), document.source, sentence, start, "definitions")
                found.setdefault(normal(term), []).append(candidate)
    return [candidates[0] for candidates in found.values() if len(candidates) == 1]


def _term(definition: Definition, sentence: str) -> str:
    match = definition.sentence.match(sentence)
    term = match["term"].strip(" .'’") if match else ""
    parts = words_of(term)
    no_term = _NO_TERM.split()
    if match is None or not parts or parts[0] in no_term or parts[-1] in no_term or len(term) < 3:
        return ""
    return f"{match['article'].lower()} {term}" if match["article"] else term


def cloze(documents: Iterable[Document]) -> list[Candidate]:
    """Returns sentences that ask for the document that they were cut out of.

    The inverse cloze task of Lee, Chang and Toutanova (ACL 2019): what stood around a sentence is to be found by it.
    The sentence itself stays in the index; `eval.runner.evaluate` leaves out the chunks that hold any of it.
    """
    return [candidate for document in documents for candidate in _cuttings(document)]


def _cuttings(document: Document) -> Iterator[Candidate]:
    if len(document.text) < LEAST_DOCUMENT:
        return
    for start, end in sentence_spans(document.text):
        sentence = document.text[start:end]
        if "|" not in sentence and LEAST_CLOZE <= len(sentence.split()) <= MOST_CLOZE:  # a row of a table is none
            yield Candidate(" ".join(sentence.split()), document.source, sentence, start, CLOZE)


PLAIN: Mapping[str, Callable[[Iterable[Document]], list[Candidate]]] = {
    "definitions": definitions,
    CLOZE: cloze,
    "headings": headings,
}
"""The generators by the names of their methods."""

TRUSTED = ("definitions", CLOZE)
"""The methods that rank embedders as the labels of the demo task do; docs/labels.md has the figures."""
