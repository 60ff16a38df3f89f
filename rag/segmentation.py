"""Splits a text of any script into its words, lower-cased and in one spelling; runs of scripts without spaces whole."""

import re
import unicodedata
from functools import cache

UNSPACED = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ece\u1000-\u1049\u1050-\u109f\u1780-\u17d3\u3005\u3007\u3040-\u30fa\u30fc-\u30ff"
    "\u3105-\u312f\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Letters of scripts that do not set words apart reliably: Thai, Lao, Burmese, Khmer, Kana, Bopomofo, Han, Hangul."""

_HAN = re.compile("[\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_IS_UNSPACED = re.compile(rf"[{UNSPACED}]")

# Vowel points and tatweel, which Hebrew and Arabic writers leave out as they like, and soft hyphens.
_OPTIONAL = re.compile(
    "[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u00ad]"
)

# Letters that writers of a language exchange: Turkish knows two letters I, Arabic and Persian keyboards differ.
_TURKISH_CAPITALS = str.maketrans("Iİ", "ıi")
_PERSIAN_LETTERS = str.maketrans("يكى", "یکی")
_TURKIC, _PERSIAN = ("tr", "az"), ("fa", "ur", "ps")


def words(text: str, language: str = "") -> list[str]:
    """Returns the words of a text in order; `language` decides what small letters its capitals have.

    >>> words("Straße: DON'T stop 中文检索")
    ['straße', 'don', 't', 'stop', '中文检索']
    >>> words("ISPARTA", "tr"), words("كِتَابـــي")
    (['ısparta'], ['كتابي'])
    """
    if not text.isascii():
        text = _OPTIONAL.sub("", unicodedata.normalize("NFKC", text))
    if language in _TURKIC:
        text = text.translate(_TURKISH_CAPITALS)
    elif language in _PERSIAN:
        text = text.translate(_PERSIAN_LETTERS)
    found: list[str] = _pattern().findall(text.lower())
    return found


def is_unspaced(word: str) -> bool:
    """Tells whether a word, as `words` returns it, is a run of a script without reliable spaces."""
    return word >= "\u0e01" and _IS_UNSPACED.match(word) is not None


def pieces(run: str) -> list[str]:
    """Returns what stands for the words of such a run: all pairs of neighbouring characters, and each Han character.

    Pairs do about as well as a dictionary (Nie et al., "On the use of words and n-grams for Chinese information
    retrieval", IRAL 2000). A Han character is often a word by itself; a letter of the other scripts is not.

    >>> pieces("检索词"), pieces("テスト"), pieces("水")
    (['检索', '索词', '检', '索', '词'], ['テス', 'スト'], ['水'])
    """
    if len(run) == 1:
        return [run]
    return [run[start : start + 2] for start in range(len(run) - 1)] + _HAN.findall(run)


@cache
def _pattern() -> re.Pattern[str]:
    """Returns the pattern of a word.

    A mark that combines with the letter before it belongs to the word: without the vowel signs of Hindi or Tamil, which
    are such marks, every word would fall to pieces.
    """
    marks = "".join(
        chr(code)
        for code in range(0x300, 0xAC00)
        if unicodedata.category(chr(code)) in ("Mn", "Mc") and not 0x20D0 <= code <= 0x20FF
    )
    marks = re.sub(rf"[{UNSPACED}]", "", marks)
    return re.compile(rf"[{UNSPACED}]+|(?:[^\W{UNSPACED}])(?:[^\W{UNSPACED}]|[{marks}])*")
