"""The language of a document, and which documents an embedder was not trained to read."""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from rag.embedders.spec import EmbedderSpec

SAMPLE = 250
"""Characters read at each of three places of a long text: its beginning, its middle and its end."""

LEAST_BYTES = 20
"""UTF-8 bytes of letters that tell a language: a script that says more with a letter also takes more bytes for it."""

LEAST_CONFIDENCE = 0.7

# What the model tells apart and ISO 639-1 does not: their confidences are added up.
_MACROLANGUAGES = {
    "arz": "ar", "ary": "ar", "fuv": "ff", "grc": "el", "gug": "gn", "hbo": "he", "kik": "ki", "sdh": "ku",
    "uzs": "uz", "wuu": "zh", "yue": "zh",
}  # fmt: skip

_NAMES = {
    "af": "Afrikaans", "ar": "Arabic", "az": "Azerbaijani", "be": "Belarusian", "bg": "Bulgarian", "bn": "Bengali",
    "bs": "Bosnian", "ca": "Catalan", "cs": "Czech", "cy": "Welsh", "da": "Danish", "de": "German", "el": "Greek",
    "en": "English", "es": "Spanish", "et": "Estonian", "eu": "Basque", "fa": "Persian", "fi": "Finnish",
    "fr": "French", "ga": "Irish", "gl": "Galician", "gu": "Gujarati", "he": "Hebrew", "hi": "Hindi",
    "hr": "Croatian", "hu": "Hungarian", "hy": "Armenian", "id": "Indonesian", "is": "Icelandic", "it": "Italian",
    "ja": "Japanese", "ka": "Georgian", "kk": "Kazakh", "km": "Khmer", "kn": "Kannada", "ko": "Korean",
    "la": "Latin", "lb": "Luxembourgish", "lo": "Lao", "lt": "Lithuanian", "lv": "Latvian", "mk": "Macedonian",
    "ml": "Malayalam", "mn": "Mongolian", "mr": "Marathi", "ms": "Malay", "mt": "Maltese", "my": "Burmese",
    "ne": "Nepali", "nl": "Dutch", "nn": "Norwegian Nynorsk", "no": "Norwegian", "pa": "Punjabi", "pl": "Polish",
    "ps": "Pashto", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "si": "Sinhala", "sk": "Slovak",
    "sl": "Slovenian", "sq": "Albanian", "sr": "Serbian", "sv": "Swedish", "sw": "Swahili", "ta": "Tamil",
    "te": "Telugu", "th": "Thai", "tl": "Tagalog", "tr": "Turkish", "uk": "Ukrainian", "ur": "Urdu", "uz": "Uzbek",
    "vi": "Vietnamese", "xh": "Xhosa", "yo": "Yoruba", "zh": "Chinese", "zu": "Zulu",
}  # fmt: skip


def detect_language(text: str) -> str:
    """Returns the ISO 639-1 code of most of a text, "" where it cannot be told: too short, no letters, no confidence.

    py3langid's naive Bayes over byte n-grams (Lui and Baldwin, "langid.py", ACL 2012), about a millisecond a text.
    """
    sample = " ".join(" ".join(_samples(text)).split())
    if sum(len(character.encode("utf-8", "ignore")) for character in sample if character.isalpha()) < LEAST_BYTES:
        return ""
    confidences: Counter[str] = Counter()
    for label, confidence in _identifier().rank(sample):
        confidences[_MACROLANGUAGES.get(label, label)] += confidence
    code, confidence = confidences.most_common(1)[0]
    return code if confidence >= LEAST_CONFIDENCE and len(code) == 2 else ""


def _samples(text: str) -> Iterator[str]:
    """Yields the whole of a short text, else its beginning, middle and end."""
    if len(text) <= 3 * SAMPLE:
        yield text
        return
    middle = (len(text) - SAMPLE) // 2
    for start in (0, middle, len(text) - SAMPLE):
        yield text[start : start + SAMPLE]


_loading = threading.Lock()


def _identifier() -> Any:
    """Returns the model, which takes half a second to load, once for all threads."""
    with _loading:
        return _load()


@cache
def _load() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def language_name(code: str) -> str:
    """Returns the English name of a common language, else its code.

    >>> language_name("de"), language_name("xx")
    ('German', 'xx')
    """
    return _NAMES.get(code, code)


def unread_languages(counts: Mapping[str, int], spec: EmbedderSpec) -> dict[str, int]:
    """Returns those counts of documents by language whose language an embedder does not list, most documents first.

    An embedder that lists "any" reads all; a document whose language is unknown ("") counts as read.
    """
    if "any" in spec.languages:
        return {}
    unread = {code: count for code, count in counts.items() if count and code and code not in spec.languages}
    return dict(sorted(unread.items(), key=lambda item: (-item[1], item[0])))
