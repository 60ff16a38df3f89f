"""Cuts into windows of sentences."""

from collections.abc import Iterator

from ingest.chunkers.cutter import Cutter
from ingest.chunkers.sections import sections
from ingest.chunkers.sentence_spans import sentence_spans
from ingest.chunkers.spec import Span, make_chunk
from rag.errors import UsageError
from rag.schema import Chunk, Document

DEFAULT_SENTENCES = 5
DEFAULT_OVERLAP = 1
LONGEST_SENTENCE = 1000
"""Characters: more is a table or a text that lost its full stops, and is cut as `RecursiveChunker` cuts."""


class SentenceChunker:
    """Makes a chunk of every `size` sentences, of which `overlap` are repeated; headings and pages part them."""

    def __init__(self, size: int = DEFAULT_SENTENCES, overlap: int = DEFAULT_OVERLAP) -> None:
        if size < 1:
            raise UsageError(f"Chunks of {size} sentences hold nothing. Take 1 or more.")
        if not 0 <= overlap < size:
            raise UsageError(f"An overlap of {overlap} does not fit chunks of {size} sentences. Take 0 to {size - 1}.")
        self._size = size
        self._overlap = overlap
        self._cutter = Cutter(LONGEST_SENTENCE, 0)
        self.name = f"sentence-{size}-{overlap}"

    def split(self, document: Document) -> list[Chunk]:
        """Cuts a document; see `Chunker`."""
        return [
            make_chunk(self.name, document, window, path)
            for section, path in sections(document)
            for window in self._windows(list(self._sentences(document.text, section)))
        ]

    def _sentences(self, text: str, section: Span) -> Iterator[Span]:
        for sentence in sentence_spans(text, *section):
            yield from self._cutter.cut(text, sentence)

    def _windows(self, sentences: list[Span]) -> Iterator[Span]:
        for first in range(0, max(len(sentences) - self._overlap, 1), self._size - self._overlap):
            window = sentences[first : first + self._size]
            if window:
                yield window[0][0], window[-1][1]
