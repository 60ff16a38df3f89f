"""Reduces words to their stems, by language and script, and stems to the letters that any keyboard has."""

import re
import threading
import unicodedata
from functools import cache
from typing import Any

_ALGORITHMS = {
    "ar": "arabic", "ca": "catalan", "cs": "czech", "da": "danish", "de": "german", "el": "greek", "en": "english",
    "eo": "esperanto", "es": "spanish", "et": "estonian", "eu": "basque", "fa": "persian", "fi": "finnish",
    "fr": "french", "ga": "irish", "hi": "hindi", "hu": "hungarian", "hy": "armenian", "id": "indonesian",
    "it": "italian", "lt": "lithuanian", "nb": "norwegian", "ne": "nepali", "nl": "dutch", "nn": "norwegian",
    "no": "norwegian", "pl": "polish", "pt": "portuguese", "ro": "romanian", "ru": "russian", "sr": "serbian",
    "sv": "swedish", "ta": "tamil", "tr": "turkish", "yi": "yiddish",
}  # fmt: skip

_CYRILLIC = "ru uk be bg mk sr kk ky mn tg"
_UNSPACED = "zh ja ko th lo my km"
_SCRIPTS = {
    "latin": ("\u0000-\u036f\u1e00-\u1eff", "en"),
    "greek": ("\u0370-\u03ff\u1f00-\u1fff", "el"),
    "cyrillic": ("\u0400-\u052f", "ru"),
    "armenian": ("\u0530-\u058f", "hy"),
    "hebrew": ("\u0590-\u05ff", ""),
    "arabic": ("\u0600-\u077f", "ar"),
    "devanagari": ("\u0900-\u097f", "hi"),
    "tamil": ("\u0b80-\u0bff", "ta"),
}
"""The letters of each script, and whose stems its words are given in a text of a language that has another script."""

_WRITTEN_IN = {
    **dict.fromkeys(_CYRILLIC.split(), ("cyrillic",)),
    "sr": ("cyrillic", "latin"),
    **dict.fromkeys(("ar", "fa", "ur", "ps", "ug"), ("arabic",)),
    **dict.fromkeys(("hi", "ne", "mr"), ("devanagari",)),
    **dict.fromkeys(_UNSPACED.split(), ()),
    **dict.fromkeys(["am", "bn", "gu", "ka", "kn", "ml", "pa", "si", "te"], ()),
    "": (), "el": ("greek",), "he": ("hebrew",), "yi": ("hebrew",), "hy": ("armenian",), "ta": ("tamil",),
}  # fmt: skip
"""The scripts of the languages that are not written in Latin letters."""

_LETTERS = str.maketrans({"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"})
_ACCENTS = re.compile("[\u0300-\u036f]")

_local = threading.local()


def stem(word: str, language: str = "") -> str:
    """Returns the stem of a word, in small letters, that stands in a text of a language, without accents.

    A word in letters that the language is not written in is some other language's: English, if they are Latin letters.
    Snowball's stems (snowballstem.org); a language without any keeps its words whole.

    >>> stem("häuser", "de"), stem("evaluaciones", "es"), stem("retrievers", "ru"), stem("книгами", "en")
    ('haus', 'evalu', 'retriev', 'книг')
    """
    script = _script(word)
    own = script in _WRITTEN_IN.get(language, ("latin",))
    algorithm = _ALGORITHMS.get(language if own else _SCRIPTS[script][1] if script else "")
    stemmed: str = _stemmer(algorithm).stemWord(word) if algorithm else word
    return _folded(stemmed, script)


def is_latin(language: str) -> bool:
    """Tells whether a language is written in Latin letters; unless they know better, most are."""
    return "latin" in _WRITTEN_IN.get(language, ("latin",))


def version() -> str:
    """Returns the version of the stemmers: another one may stem otherwise."""
    import Stemmer

    return str(Stemmer.version())


def _script(word: str) -> str:
    """Returns the script of a word's first letter; "" for one without stemmers."""
    if word.isascii():
        return "latin"
    match = _script_pattern().match(word)
    return match.lastgroup or "" if match else ""


@cache
def _script_pattern() -> re.Pattern[str]:
    return re.compile("|".join(f"(?P<{name}>[{letters}])" for name, (letters, _) in _SCRIPTS.items()))


def _folded(word: str, script: str) -> str:
    """Writes a word as people do who have no key for its accents; Cyrillic and Indic marks make other letters."""
    if word.isascii():
        return word
    if script == "cyrillic":
        return word.replace("ё", "е")
    if script in ("latin", "greek"):
        return _ACCENTS.sub("", unicodedata.normalize("NFD", word)).translate(_LETTERS)
    return word


def _stemmer(algorithm: str) -> Any:
    """Returns this thread's stemmer: PyStemmer's objects must not be shared between threads."""
    stemmers: dict[str, Any] = _local.__dict__
    if algorithm not in stemmers:
        import Stemmer

        stemmers[algorithm] = Stemmer.Stemmer(algorithm)
    return stemmers[algorithm]
