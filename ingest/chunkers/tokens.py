"""Cuts by an embedder's own tokens, so that it reads every passage whole."""

import re
from collections.abc import Callable, Iterator

from ingest.chunkers.cutter import SEPARATORS, before_accents, first_place, overlap_start, strip
from ingest.chunkers.sections import sections
from ingest.chunkers.spec import Span, make_chunk
from rag.embedders.spec import Embedder, EmbedderSpec
from rag.errors import UsageError
from rag.passages import passage
from rag.schema import Chunk, Document

DEFAULT_SIZE = 256
"""Tokens of a passage for an embedder without a limit of its own."""
LARGEST_DEFAULT = 512
"""A model that reads thousands of tokens still finds a thought better than a chapter."""

MIN_SIZE = 16
LEAST_ROOM = 8
"""Tokens that title and headings must leave for the text; where they leave fewer, no cut could make the passage fit."""

LONGEST_TOKEN = 8
"""Characters that a token may stand for on average: to BERT a word without end is one token, to a reader no chunk."""

_BOUNDARIES = [re.compile(separator) for separator in SEPARATORS]


class TokenChunker:
    """Makes passages (prefix, title, headings, text, special tokens) of at most `size` tokens of one embedder.

    A chunk repeats at most `overlap` tokens of the one before, counted as a passage of their own; headings and pages
    part chunks. The one passage that can be longer is one whose title and headings alone leave less than `LEAST_ROOM`
    tokens: its text is cut to half the size. The embedder is loaded when the first document is split.
    """

    def __init__(
        self, spec: EmbedderSpec, load: Callable[[], Embedder], size: int | None = None, overlap: int | None = None
    ) -> None:
        size = min(spec.max_tokens or DEFAULT_SIZE, LARGEST_DEFAULT) if size is None else size
        overlap = size // 8 if overlap is None else overlap
        if size < MIN_SIZE:
            raise UsageError(f"A chunk size of {size} tokens is too small. Take {MIN_SIZE} or more.")
        if spec.max_tokens and size > spec.max_tokens:
            raise UsageError(
                f"The embedder '{spec.name}' reads {spec.max_tokens} tokens, chunks of {size} would be cut off. "
                f"Take {spec.max_tokens} or less."
            )
        if not 0 <= overlap < size:
            raise UsageError(f"An overlap of {overlap} does not fit chunks of {size} tokens. Take 0 to {size - 1}.")
        self._load = load
        self._size = size
        self._overlap = overlap
        self.name = f"token-{size}-{overlap}-{spec.name}"

    def split(self, document: Document) -> list[Chunk]:
        """Cuts a document; see `Chunker`."""
        embedder = self._load()
        chunks = []
        for section, path in sections(document):
            cut = _SectionCut(document, path, embedder, self._size, self._overlap)
            chunks += [make_chunk(self.name, document, span, path) for span in cut.spans(section)]
        return chunks


class _SectionCut:
    """Cuts one section from its beginning on, counting the tokens of each passage it might make.

    Counts of parts do not add up in every tokenizer, so each passage is counted as a whole before it is taken.
    """

    def __init__(self, document: Document, path: str, embedder: Embedder, size: int, overlap: int) -> None:
        self._text = document.text
        self._title = document.title
        self._path = path
        self._embedder = embedder
        self._longest = LONGEST_TOKEN * size
        self._around = self._count(passage(self._title, path, ""))
        room = size - self._around
        self._room = room if room >= LEAST_ROOM else size // 2
        self._overlap = min(overlap, self._room // 2)
        self._characters_per_token = 4.0  # of the last passage; a first guess

    def _count(self, text: str) -> int:
        return self._embedder.count_tokens([text])[0]

    def _tokens(self, start: int, end: int) -> int:
        """Counts what a span adds to the passage: all that is not title, heading, prefix or special token."""
        return self._count(passage(self._title, self._path, self._text[start:end].strip())) - self._around

    def _fits(self, start: int, end: int) -> bool:
        return self._tokens(start, end) <= self._room

    def spans(self, section: Span) -> Iterator[Span]:
        """Yields the spans of the chunks of a section."""
        whole = strip(self._text, *section)
        if whole is None:
            return
        (start, stop), done = whole, whole[0]
        while done < stop:
            end = self._end(start, stop)
            if end <= done:  # the overlap leaves no room for anything new
                start = first_place(self._text, done, stop)
                end = self._end(start, stop)
            yield start, end
            done = end
            start = self._next_start(start, end, stop)

    def _end(self, start: int, stop: int) -> int:
        """Returns where the chunk that begins at `start` ends: at the best boundary within what fits."""
        farthest = self._farthest(start, stop)
        if farthest == stop:
            return stop
        if stop - farthest < (farthest - start) // 2:  # the last two share what is left, with some room for a boundary
            farthest = min(farthest, start + (stop - start) * 5 // 8)
        end = self._boundary(start, farthest, stop)
        while end > start + 1 and not self._fits(start, end):
            end = self._boundary(start, start + (end - start) * 7 // 8, stop)
        return end

    def _farthest(self, start: int, stop: int) -> int:
        """Returns about the last offset up to which the text fits, found by proportion; at least one character on."""
        low, high = start, min(stop, start + self._longest) + 1  # `low` fits, `high` is not known to
        end = start + int(self._room * self._characters_per_token)
        for _ in range(8):
            end = min(max(end, low + 1), high - 1)
            if end <= low:
                break
            tokens = max(1, self._tokens(start, end))
            self._characters_per_token = (end - start) / tokens
            if tokens <= self._room:
                low = end
                if tokens > self._room - self._room // 16:
                    break
            else:
                high = end
            end = start + int(self._room * self._characters_per_token * 0.98)
        return max(low, start + 1)

    def _boundary(self, start: int, end: int, stop: int) -> int:
        """Returns the last place in the second half of a span where a paragraph, else a line, sentence... ends.

        Where there is none, a word that ends in the first half will do.
        """
        end = first_place(self._text, max(end, start + 1), stop)  # blanks cost no token, and the boundary wants them
        middle = start + (end - start) // 2
        for boundary, least in (*((each, middle) for each in _BOUNDARIES), (_BOUNDARIES[-1], start)):
            place = max((found.end() for found in boundary.finditer(self._text, least, end)), default=start)
            span = strip(self._text, start, place)
            if span:
                return span[1]
        cut = end if end == stop else before_accents(self._text, start, end)
        span = strip(self._text, start, cut)
        return span[1] if span else start + 1

    def _next_start(self, start: int, end: int, stop: int) -> int:
        """Returns where the next chunk starts: at a sentence or word within the overlap, else behind the chunk."""
        after = first_place(self._text, end, stop)
        characters = int(self._overlap * self._characters_per_token)
        while characters > 0:
            place = overlap_start(self._text, start, after, characters)
            if place <= start or place == after:
                break
            if self._count(self._text[place:end]) <= self._overlap:
                return place
            characters = min(characters, after - place) * 3 // 4
        return after
