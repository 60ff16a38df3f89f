"""Documents to chunks: where LangChain's splitter would cut, with offsets that are exact."""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

from rag.errors import UsageError, unknown_name
from rag.schema import HEADING_SEPARATOR, Chunk, Document, Heading, content_id

if TYPE_CHECKING:
    from langchain_text_splitters import RecursiveCharacterTextSplitter

DEFAULT_SIZE = 800
DEFAULT_OVERLAP = 100
MIN_SIZE = 50
"""The smallest size of a chunk, in characters, that still holds a thought."""

_SEPARATORS = [
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
_UNDERLINE = re.compile(r"[\s=-]*")  # of a setext heading

Span = tuple[int, int]
"""Offsets (start, end) into a document's text."""


class Chunker(Protocol):
    """Cuts documents; its name says how and is part of every chunk's id and every index."""

    name: str

    def split(self, document: Document) -> list[Chunk]:
        """Returns the chunks in the order of their starts; together they cover every character that is not white."""


class RecursiveChunker:
    """Cuts pages into chunks of at most `size` characters, at paragraphs, lines, sentences, clauses or words.

    A chunk repeats up to `overlap` characters of the one before, from the start of a sentence if one is in reach, but
    never from before a heading or another page.
    """

    def __init__(self, size: int = DEFAULT_SIZE, overlap: int = DEFAULT_OVERLAP) -> None:
        self._cutter = _Cutter(size, overlap)
        self.name = f"recursive-{size}-{overlap}"

    def split(self, document: Document) -> list[Chunk]:
        """Cuts a document; see `Chunker`."""
        headings = _HeadingPaths(document.headings)
        spans = (
            span
            for page in _between(document.text, document.pages)
            for span in self._cutter.cut(document.text, page, headings.starts)
        )
        return [_chunk(self.name, document, span, headings.path_at(span[0])) for span in spans]


class HeadingChunker:
    """Cuts at every heading and page, and sections longer than `size` characters as `RecursiveChunker` does."""

    def __init__(self, size: int = DEFAULT_SIZE, overlap: int = DEFAULT_OVERLAP) -> None:
        self._cutter = _Cutter(size, overlap)
        self.name = f"heading-{size}-{overlap}"

    def split(self, document: Document) -> list[Chunk]:
        """Cuts a document; see `Chunker`."""
        headings = _HeadingPaths(document.headings)
        chunks = []
        for section in _sections(document):
            path = headings.path_at(section[1] - 1)  # of the last heading, where bare headings were joined to it
            for span in self._cutter.cut(document.text, section, ()):
                chunks.append(_chunk(self.name, document, span, path))
        return chunks


class WholeDocumentChunker:
    """Makes each document one chunk, as retrieval benchmarks want it."""

    name = "whole"

    def split(self, document: Document) -> list[Chunk]:
        """Returns the whole text as one chunk; its page is known only where the document has one page."""
        span = _strip(document.text, 0, len(document.text))
        return [_chunk(self.name, document, span, "")] if span else []


def load_chunker(name: str) -> Chunker:
    """Returns the chunker of a name: "whole", "recursive", "heading", or with size and overlap "recursive-500-50".

    Raises UsageError for an unknown name, and for numbers that do not make sense.
    """
    if name == WholeDocumentChunker.name:
        return WholeDocumentChunker()
    known: dict[str, type[RecursiveChunker | HeadingChunker]] = {
        "recursive": RecursiveChunker,
        "heading": HeadingChunker,
    }
    kind, *numbers = name.split("-")
    if kind not in known or not (numbers == [] or (len(numbers) == 2 and all(map(_is_number, numbers)))):
        raise unknown_name("chunker", name, [*known, WholeDocumentChunker.name, "recursive-500-50", "heading-500-50"])
    return known[kind](*map(int, numbers))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


class _Cutter:
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
            separators=_SEPARATORS,
            is_separator_regex=True,
            keep_separator="end",
            strip_whitespace=False,
            chunk_size=min(longest, even + even // 8),  # some room, so that cuts at sentences fit
            chunk_overlap=0,
        )

    def cut(self, text: str, span: Span, barriers: Sequence[int]) -> list[Span]:
        """Returns the spans of the chunks in `span`; no overlap reaches back over one of the sorted `barriers`."""
        whole = _strip(text, *span)
        if whole is None:
            return []
        if whole[1] - whole[0] <= self._size:
            return [whole]
        chunks: list[Span] = []
        for start, end in self._pieces(text, whole):
            barrier = bisect_right(barriers, start)
            floor = max(whole[0], barriers[barrier - 1] if barrier else 0)
            start = self._overlap_start(text, floor, start)
            while chunks and chunks[-1][0] >= start:  # what the overlap holds entirely need not stand alone
                chunks.pop()
            chunks.append((start, end))
        return chunks

    def _pieces(self, text: str, span: Span) -> Iterator[Span]:
        """Yields spans without white space at their ends, of at most `size - overlap` characters, without overlap."""
        start = span[0]
        for piece in self._splitter(span[1] - span[0]).split_text(text[slice(*span)]):
            for part in self._hard_cut(text, start, start + len(piece)):
                stripped = _strip(text, *part)
                if stripped:
                    yield stripped
            start += len(piece)
        if start != span[1]:
            raise RuntimeError("langchain-text-splitters no longer keeps every character; its version must be pinned.")

    def _hard_cut(self, text: str, start: int, end: int) -> Iterator[Span]:
        """Yields a piece in parts of at most `size - overlap`, where it has no separator, not before an accent."""
        longest = self._size - self._overlap
        while end - start > longest:
            cut = start + longest
            while cut > start + longest // 2 and unicodedata.category(text[cut]).startswith("M"):
                cut -= 1
            cut = max(cut, start + 1)
            yield start, cut
            start = cut
        yield start, end

    def _overlap_start(self, text: str, floor: int, start: int) -> int:
        """Returns the earliest start of a sentence, or else of a word, at most `overlap` characters before `start`."""
        earliest = max(floor, start - self._overlap)
        if earliest == floor:
            return _first_place(text, earliest, start)
        for boundary in (_SENTENCE_ENDS, _BLANKS):
            found = boundary.search(text, earliest - 1, start)
            if found and found.end() < start:
                return found.end()
        return start if found else earliest  # no blank in reach: a script without blanks, or no words at all


def _first_place(text: str, start: int, end: int) -> int:
    """Returns the offset of the first character that is not white, at most `end`."""
    found = _PLACE.search(text, start, end)
    return found.start() if found else end


def _strip(text: str, start: int, end: int) -> Span | None:
    """Returns the span without white space at its ends, None where nothing is left."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return (start, end) if start < end else None


def _between(text: str, boundaries: Sequence[int]) -> list[Span]:
    """Returns the spans between sorted offsets, and before the first and after the last."""
    inside = [place for place in boundaries if 0 < place < len(text)]
    return [(start, end) for start, end in pairwise([0, *inside, len(text)]) if start < end]


def _sections(document: Document) -> list[Span]:
    """Returns the spans of sections; one that is only its heading line is joined to the next on its page."""
    headings = {heading.start for heading in document.headings}
    pages = set(document.pages)
    sections: list[Span] = []
    is_bare = False
    for start, end in _between(document.text, sorted(headings | pages)):
        if is_bare and start not in pages:
            sections[-1] = (sections[-1][0], end)
        else:
            sections.append((start, end))
        is_bare = start in headings and _is_one_line(document.text, start, end)
    return sections


def _is_one_line(text: str, start: int, end: int) -> bool:
    """Tells whether a span holds one line, and perhaps the underline of a setext heading."""
    line_end = text.find("\n", start, end)
    return line_end < 0 or _UNDERLINE.fullmatch(text, line_end, end) is not None


class _HeadingPaths:
    """The path of headings at any offset of a document."""

    def __init__(self, headings: Sequence[Heading]) -> None:
        self.starts = [heading.start for heading in headings]
        self._paths = [""]
        above: list[Heading] = []
        for heading in headings:
            while above and above[-1].level >= heading.level:
                above.pop()
            above.append(heading)
            self._paths.append(HEADING_SEPARATOR.join(part.text for part in above))

    def path_at(self, offset: int) -> str:
        """Returns the headings above an offset, outermost first; a heading is above its own first character."""
        return self._paths[bisect_right(self.starts, offset)]


def _chunk(chunker: str, document: Document, span: Span, heading: str) -> Chunk:
    """Builds a chunk; it has a page where all of it stands on that page."""
    start, end = span
    page = bisect_right(document.pages, start)
    is_on_one_page = page > 0 and page == bisect_right(document.pages, end - 1)
    return Chunk(
        id=content_id(document.id, chunker, str(start), str(end)),
        document_id=document.id,
        start=start,
        end=end,
        page=page if is_on_one_page else None,
        heading=heading,
        text=document.text[start:end],
    )
