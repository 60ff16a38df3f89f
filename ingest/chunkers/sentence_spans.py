"""The sentences of a text in any script, for chunkers: each character that is not white is in exactly one of them.

`rag.sentences` finds sentences that are worth quoting and leaves the others out; here nothing may be left out.
"""

import re
from collections.abc import Iterator

from ingest.chunkers.cutter import first_place, strip
from ingest.chunkers.spec import Span
from rag.sentences import ABBREVIATION

# Each alternative takes a whole run at once and is tried at a run's beginning only: linear time on any text.
_ENDS = re.compile(
    r"""
      (?<![.!?…]) [.!?…]++ ["'”’»)\]]*+ (?=\s)             # Latin, Cyrillic, Greek, Hebrew, Korean
    | [。！？｡]++ [」』”’）"']*+                             # Chinese and Japanese, which put no blank behind
    | [।॥؟۔։።፧။។៕]++                                       # Indic, Arabic, Urdu, Armenian, Ethiopic, Burmese, Khmer
    | \n (?= [^\S\n]* (?: \n | \#{1,6}\s | [-*+•]\s | \d{1,3}[.)]\s | [|>] ) )   # before what stands on its own line
    | ^ \#{1,6} [^\S\n] [^\n]*+ \n                           # behind a heading
    """,
    re.VERBOSE | re.MULTILINE,
)
_WORD = re.compile(r"\w")
_LONGEST_ABBREVIATION = 12


def sentence_spans(text: str, start: int, end: int) -> Iterator[Span]:
    """Yields the span of each sentence between two offsets, in order, without the white space around it.

    Paragraphs, headings, list items and table rows end a sentence; Thai and Lao, which mark no ends, have no other.

    >>> text = "A first one, e.g. this. 第二句。第三句。"
    >>> [text[start:end] for start, end in sentence_spans(text, 0, len(text))]
    ['A first one, e.g. this.', '第二句。', '第三句。']
    """
    before: Span | None = None
    begin = seen = start
    has_word = False
    for match in _ENDS.finditer(text, start, end):
        if text[match.start()] in ".!?…" and not _is_end(text, begin, match.end(), end):
            continue
        has_word = has_word or _WORD.search(text, seen, match.end()) is not None
        seen = match.end()
        if has_word:  # else it is a rule, a row of stars or a bullet, and belongs to what follows
            if before:
                yield before
            before = strip(text, begin, seen)
            begin, has_word = seen, False
    rest = strip(text, begin, end)
    if before and rest and not _WORD.search(text, *rest):
        before, rest = (before[0], rest[1]), None
    yield from filter(None, (before, rest))


def _is_end(text: str, begin: int, end: int, stop: int) -> bool:
    """Tells whether a full stop ends a sentence: not behind an abbreviation, not before a small letter."""
    if ABBREVIATION.search(text, max(begin, end - _LONGEST_ABBREVIATION), end):
        return False
    after = first_place(text, end, stop)
    return after == stop or not text[after].islower()
