"""Questions that a corpus can answer, made from the titles and headings of its documents; none that reads badly."""

import json
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rag.library import Library

MOST = 4
LOOKED_AT = 60
"""Documents whose headings are read."""
LEAST_TEXT = 200
"""Characters below a heading that are worth asking about."""

FORMS: Mapping[str, str] = {
    "en": "What does “{title}” say about {heading}?",
    "de": "Was steht in „{title}“ über {heading}?",
    "fr": "Que dit « {title} » sur le sujet « {heading} » ?",
    "es": "¿Qué dice «{title}» sobre {heading}?",
}
"""By language; a document in another one is not asked about."""

TITLE = re.compile(r"[^\W\d_][\w’'&,:()/+-]*(?: [\w’'&,:()/+-]+){0,8}")
HEADING = re.compile(r"[^\W\d_][\w’'-]*(?: [^\W\d_][\w’'-]*){0,4}")
SITE = re.compile(r" [-|–—] \w+$")
"""The name of a site behind a page's title."""
EMPTY_WORDS = re.compile(
    r"\b(?:introduction|overview|summary|conclusions?|references|contents|background|abstract|appendix|notes?|faq|index|"
    r"sources?|examples?|about|misc|other|general|further|reading|acknowledge?ments?|license|einleitung|überblick|"
    r"zusammenfassung|fazit|quellen|inhalt|anhang|literatur|beispiele?|introducción|resumen|conclusión|fuentes|"
    r"referencias|ejemplos?|résumé|sommaire|sources|annexe|chapter|section|part|kapitel|teil|step)\b",
    re.IGNORECASE,
)
"""Headings that say where one is, not what about."""
NO_SUBJECT = re.compile(
    r"^(?:how|why|what|when|where|who|which|is|are|do|does|can|should|using|use|make|wie|warum|was|wann|wo|wer|cómo|qué|"
    r"por|cuándo|comment|pourquoi|quand|before|after|from|for|with|without|in|on|at|to|by|vor|nach|von|für|mit|ohne|im|"
    r"zum|zur|antes|después|para|con|sin|avant|après|pour|avec|sans)\b|"
    r"\b(?:it|this|that|these|those|you|your|we|our|i|my|me|them|they|es|du|sie|ihr|wir|ich|tu|su|nous|vous)\b",
    re.IGNORECASE,
)
"""What a question would not take after "about": another question, an order, or a word for something said before."""


@dataclass(frozen=True, slots=True)
class _Section:
    title: str
    heading: str
    language: str


def examples(library: Library, corpus: str, most: int = MOST) -> list[str]:
    """Returns questions about sections of different documents, the same for each state of the corpus."""
    sections = list(_sections(library, corpus))
    random.Random(library.state_of(corpus)).shuffle(sections)
    asked: dict[str, str] = {}
    for section in sections:
        asked.setdefault(section.title, FORMS[section.language].format(title=section.title, heading=section.heading))
    return sorted(asked.values(), key=len)[:most]


def _sections(library: Library, corpus: str) -> Iterator[_Section]:
    rows = library.database.query(
        """SELECT title, text, headings, language FROM documents
           WHERE corpus = ? AND title != '' AND format != 'beir' ORDER BY id LIMIT ?""",
        (corpus, LOOKED_AT),
    )
    for full_title, text, headings, language in rows:
        title = SITE.sub("", full_title)
        if language not in FORMS or not is_title(title):
            continue
        found = json.loads(headings)
        ends = [start for start, _, _ in found[1:]] + [len(text)]
        for (start, _, heading), end in zip(found, ends, strict=False):
            below = text[start + len(heading) : end]
            if (
                heading.casefold() not in title.casefold()
                and len(below) >= LEAST_TEXT
                and is_subject(heading)
                and _is_spoken_of(heading, below)
            ):
                yield _Section(title, _inside(heading, text), language)


def is_title(title: str) -> bool:
    """Tells whether a title can stand in a question: a few words, no file's name, no sentence.

    >>> is_title("Bicycle repair"), is_title("report_final-2.docx"), is_title("1.2"), is_title("What is this?")
    (True, False, False, False)
    """
    return 4 <= len(title) <= 60 and TITLE.fullmatch(title) is not None and "_" not in title


def is_subject(heading: str) -> bool:
    """Tells whether a heading names what its section is about, so that one can ask about it.

    >>> [is_subject(each) for each in ("Disc brakes", "Introduction", "How it works", "3.1 Setup", "Test it")]
    [True, False, False, False, False]
    """
    return (
        4 <= len(heading) <= 40
        and HEADING.fullmatch(heading) is not None
        and EMPTY_WORDS.search(heading) is None
        and NO_SUBJECT.search(heading) is None
    )


def _is_spoken_of(heading: str, below: str) -> bool:
    """Tells whether the words of a heading return in the text below it: then it is a subject and no mere label."""
    words = [word for word in re.findall(r"\w+", heading.casefold()) if len(word) > 3]
    return bool(words) and all(word in below.casefold() for word in words)


def _inside(heading: str, text: str) -> str:
    """Returns a heading as it is written inside a sentence: in lower case where the document writes it so as well."""
    first = heading.split()[0]
    lower = first.lower()
    if first != lower and first[1:] == lower[1:] and re.search(rf"(?<![\w.]){re.escape(lower)}\b", text):
        return lower + heading[len(first) :]
    return heading
