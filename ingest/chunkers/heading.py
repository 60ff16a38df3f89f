"""Cuts at headings and pages first."""

from ingest.chunkers.cutter import DEFAULT_OVERLAP, DEFAULT_SIZE, Cutter
from ingest.chunkers.sections import sections
from ingest.chunkers.spec import make_chunk
from rag.schema import Chunk, Document


class HeadingChunker:
    """Cuts at every heading and page, and sections longer than `size` characters as `RecursiveChunker` does."""

    def __init__(self, size: int = DEFAULT_SIZE, overlap: int = DEFAULT_OVERLAP) -> None:
        self._cutter = Cutter(size, overlap)
        self.name = f"heading-{size}-{overlap}"

    def split(self, document: Document) -> list[Chunk]:
        """Cuts a document; see `Chunker`."""
        return [
            make_chunk(self.name, document, span, path)
            for section, path in sections(document)
            for span in self._cutter.cut(document.text, section)
        ]
