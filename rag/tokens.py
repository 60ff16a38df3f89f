"""The terms that BM25 counts: the words of a text without its language's stop words, stemmed as that language stems."""

from collections.abc import Collection, Sequence
from functools import cache

from rag.segmentation import is_unspaced, pieces, words
from rag.stemming import is_latin, stem
from rag.stop_words import language_by_stop_words, stop_words

ANALYZER = "by-language-3"
"""Names this analysis; a lexical index built by another one is built anew."""

LONGEST = 80
"""Characters that are read of a word; a longer one is data, such as an encoded picture."""

_MOST_KNOWN = 200_000


def tokens(text: str, language: str = "") -> list[str]:
    """Splits a text into the terms that lexical search matches, in order, repeats kept.

    `language` is the ISO 639-1 code of the text; without it each script is read as its most common language.

    >>> tokens("Choosing the best embedders!")
    ['choos', 'best', 'embedd']
    >>> tokens("Welche Häuser?", "de"), tokens("中文检索 BM25", "zh")
    (['haus'], ['中文', '文检', '检索', '中', '文', '检', '索', 'bm25'])
    """
    known = _lexicon(language)
    terms: list[str] = []
    for word in words(text, language):
        if is_unspaced(word):
            terms.extend(_unspaced_terms(word))
        elif term := known[word]:
            terms.append(term)
    return terms


def query_terms(query: str, languages: Collection[str]) -> list[tuple[str, ...]]:
    """Returns for each word of a query, in order, the terms under which texts of the languages may hold it.

    What language a few words are in is uncertain, and a name may stand in texts of each; so a word is looked for as
    each of the languages stems it. Left out are the stop words of the language that the query is in, where they tell
    it, and else those of all the languages.

    >>> query_terms("Wie funktionieren die Retriever?", ("de", "en"))
    [('funktioni', 'funktionieren'), ('retriev',)]
    """
    asked_in = language_by_stop_words(words(query), languages)
    empty = frozenset().union(*map(stop_words, [asked_in] if asked_in else languages))
    found: list[tuple[str, ...]] = []
    readings = [words(query, language) for language in languages]
    for reading in zip(*readings, strict=True):
        if is_unspaced(reading[0]):
            found.extend((term,) for term in _unspaced_terms(reading[0]))
        elif reading[0] not in empty:
            terms = {_lexicon(language)[word] for language, word in zip(languages, reading, strict=True)} - {""}
            if terms:
                found.append(tuple(sorted(terms)))
    return found


class _Lexicon(dict[str, str]):
    """The terms of the words of one language that have been met, "" for a word that is none."""

    def __init__(self, language: str) -> None:
        self._language = language
        # Words in Latin letters among others are English more often than not.
        self._stop_words = stop_words(language) | (frozenset() if is_latin(language) else stop_words("en"))

    def __missing__(self, word: str) -> str:
        if len(self) >= _MOST_KNOWN:
            self.clear()
        term = "" if self._is_empty(word) else stem(word[:LONGEST], self._language)
        self[word] = term
        return term

    def _is_empty(self, word: str) -> bool:
        return word in self._stop_words or (len(word) == 1 and not word.isdigit())


@cache
def _lexicon(language: str) -> _Lexicon:
    return _Lexicon(language)


def _unspaced_terms(run: str) -> Sequence[str]:
    """Returns the terms of a run of characters; which of these languages it is in does not matter to its stop words."""
    return [piece for piece in pieces(run) if piece not in _unspaced_stop_words()]


@cache
def _unspaced_stop_words() -> frozenset[str]:
    return stop_words("zh") | stop_words("ja") | stop_words("ko")
