"""Cuts text into spans of so many characters, where LangChain's splitter would cut, with offsets that are exact."""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ingest.chunkers.spec import Span
from rag.errors import UsageError

if TYPE_CHECKING:
    from langchain_text_splitters import RecursiveCharacterTextSplitter

DEFAULT_SIZE = 800
DEFAULT_OVERLAP = 100
MIN_SIZE = 50
"""The smallest size of a chunk, in characters, that still holds a thought."""

SEPARATORS = [
    r"\n[ \t]*\n\s*",  # paragraphs
    r"\n",
    r"[.!?…][\"'”’)\]]*\s+|[。！？｡][」』”’）]*",  # sentences
    r"[;:,]\s+|[，、；：]",  # clauses
    r"\s+",
]
"""Where to cut, best first; each stays at the end of the piece before it."""

_SENTENCE_ENDS = re.compile(r"\n\s*|[.!?…][\"'”’)\]]*\s+|[。！？｡][」』”’）]*")
_BLANKS = re.compile(r"\s+")
_PLACE = re.compile(r"\S")


class Cutter:
    """Cuts a span of text into spans of at most `size` characters.

    The text is first cut without overlap into pieces of at most `size - overlap`: LangChain's splitter, told to strip
    nothing, returns pieces that are the text when joined, so that their offsets are sums of lengths and never searched
    for. Each piece is then lengthened backwards by the overlap.
    """

    def __init__(self, size: int, overlap: int) -> None:
        if size < MIN_SIZE:
            raise UsageError(f"A chunk size of {size} characters is too small. Take {MIN_SIZE} or more.")
        if not 0 <= overlap < size:
            raise UsageError(f"An overlap of {overlap} does not fit chunks of {size} characters. Take 0 to {size - 1}.")
        self._size = size
        self._overlap = overlap

    def _splitter(self, length: int) -> "RecursiveCharacterTextSplitter":
        """Returns a splitter whose pieces of a text of this length come out about equal.

        Filling each piece to the brim would leave a last one of a line or two, which says little and ranks badly.
        """
        from langchain_text_splitters import RecursiveCharacterTextSplitter

        longest = self._size - self._overlap
        even = -(-length // -(-length // longest))  # a text of n full pieces and a rest: n + 1 equal ones
        return RecursiveCharacterTextSplitter(
            separators=SEPARATORS,
            is_separator_regex=True,
            keep_separator="end",
            strip_whitespace=False,
            chunk_size=min(longest, even + even // 8),  # some room, so that cuts at sentences fit
            chunk_overlap=0,
        )

    def cut(self, text: str, span: Span, barriers: Sequence[int] = ()) -> list[Span]:
        """Returns the spans of the chunks in `span`; no overlap reaches back over one of the sorted `barriers`."""
        whole = strip(text, *span)
        if whole is None:
            return []
        if whole[1] - whole[0] <= self._size:
            return [whole]
        chunks: list[Span] = []
        for start, end in self._pieces(text, whole):
            barrier = bisect_right(barriers, start)
            floor = max(whole[0], barriers[barrier - 1] if barrier else 0)
            start = overlap_start(text, floor, start, self._overlap)
            while chunks and chunks[-1][0] >= start:  # what the overlap holds entirely need not stand alone
                chunks.pop()
            chunks.append((start, end))
        return chunks

    def _pieces(self, text: str, span: Span) -> Iterator[Span]:
        """Yields spans without white space at their ends, of at most `size - overlap` characters, without overlap."""
        start = span[0]
        for piece in self._splitter(span[1] - span[0]).split_text(text[slice(*span)]):
            for part in self._hard_cut(text, start, start + len(piece)):
                stripped = strip(text, *part)
                if stripped:
                    yield stripped
            start += len(piece)
        if start != span[1]:
            raise RuntimeError("langchain-text-splitters no longer keeps every character; its version must be pinned.")

    def _hard_cut(self, text: str, start: int, end: int) -> Iterator[Span]:
        """Yields a piece in parts of at most `size - overlap`, where it has no separator."""
        longest = self._size - self._overlap
        while end - start > longest:
            cut = before_accents(text, start, start + longest)
            yield start, cut
            start = cut
        yield start, end


def before_accents(text: str, start: int, cut: int) -> int:
    """Moves a cut backwards, at most to the middle, so that it parts no accent from its letter."""
    least = start + max(1, (cut - start) // 2)
    while cut > least and unicodedata.category(text[cut]).startswith("M"):
        cut -= 1
    return cut


def overlap_start(text: str, floor: int, start: int, overlap: int) -> int:
    """Returns the earliest start of a sentence, or else of a word, at most `overlap` characters before `start`."""
    earliest = max(floor, start - overlap)
    if earliest == floor:
        return first_place(text, earliest, start)
    for boundary in (_SENTENCE_ENDS, _BLANKS):
        found = boundary.search(text, earliest - 1, start)
        if found and found.end() < start:
            return first_place(text, found.end(), start)
    return start if found else earliest  # no blank in reach: a script without blanks, or no words at all


def first_place(text: str, start: int, end: int) -> int:
    """Returns the offset of the first character that is not white, at most `end`."""
    found = _PLACE.search(text, start, end)
    return found.start() if found else end


def strip(text: str, start: int, end: int) -> Span | None:
    """Returns the span without white space at its ends, None where nothing is left."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return (start, end) if start < end else None
