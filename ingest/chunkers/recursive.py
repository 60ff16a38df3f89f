"""Cuts at paragraphs, lines, sentences, clauses or words, whichever come first within the size."""

from ingest.chunkers.cutter import DEFAULT_OVERLAP, DEFAULT_SIZE, Cutter
from ingest.chunkers.sections import HeadingPaths, between
from ingest.chunkers.spec import make_chunk
from rag.schema import Chunk, Document


class RecursiveChunker:
    """Cuts pages into chunks of at most `size` characters, at paragraphs, lines, sentences, clauses or words.

    A chunk repeats up to `overlap` characters of the one before, from the start of a sentence if one is in reach, but
    never from before a heading or another page.
    """

    def __init__(self, size: int = DEFAULT_SIZE, overlap: int = DEFAULT_OVERLAP) -> None:
        self._cutter = Cutter(size, overlap)
        self.name = f"recursive-{size}-{overlap}"

    def split(self, document: Document) -> list[Chunk]:
        """Cuts a document; see `Chunker`."""
        headings = HeadingPaths(document.headings)
        spans = (
            span
            for page in between(document.text, document.pages)
            for span in self._cutter.cut(document.text, page, headings.starts)
        )
        return [make_chunk(self.name, document, span, headings.path_at(span[0])) for span in spans]
