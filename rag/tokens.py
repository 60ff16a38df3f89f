"""The terms that BM25 counts: lower-cased, without English stop words, stemmed; scripts without spaces as bigrams."""

import re
import threading
import unicodedata
from typing import Any

# Lucene's EnglishAnalyzer list, plus the words that make a sentence a question: they tell nothing about its answer.
_STOP_WORDS = (
    "a an and are as at be but by for if in into is it no not of on or such that the their then there these they this "
    "to was will with what which who whom whose how when where why do does did should would could can may i my me we "
    "our you your am has have had"
)
STOP_WORDS = frozenset(_STOP_WORDS.split())

# Scripts written without spaces between words: Han, Hiragana, Katakana, Hangul, Thai, Lao, Khmer, Myanmar.
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
WORD = re.compile(rf"[{UNSPACED}]+|[^\W{UNSPACED}]+")
IS_UNSPACED = re.compile(rf"[{UNSPACED}]")

ANALYZER = "snowball-english-bigram-2"
"""Names this analysis; a lexical index built by another one is built anew."""

_local = threading.local()


def tokens(text: str) -> list[str]:
    """Splits a text into the terms that lexical search matches, in order, repeats kept.

    >>> tokens("Choosing the best embedders!")
    ['choos', 'best', 'embedd']
    >>> tokens("中文检索 BM25")
    ['中文', '文检', '检索', 'bm25']
    """
    words: list[str] = []
    for word in WORD.findall(unicodedata.normalize("NFKC", text).lower()):
        if IS_UNSPACED.match(word):
            words.extend([word] if len(word) == 1 else [word[i : i + 2] for i in range(len(word) - 1)])
        elif len(word) > 1 and word not in STOP_WORDS:
            words.append(word)
    stemmed: list[str] = _stemmer().stemWords(words)
    return stemmed


def _stemmer() -> Any:
    """Returns this thread's stemmer: PyStemmer's objects must not be shared between threads."""
    if not hasattr(_local, "stemmer"):
        import Stemmer

        _local.stemmer = Stemmer.Stemmer("english")
    return _local.stemmer
