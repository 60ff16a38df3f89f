"""Cuts nothing."""

from ingest.chunkers.cutter import strip
from ingest.chunkers.spec import make_chunk
from rag.schema import Chunk, Document


class WholeDocumentChunker:
    """Makes each document one chunk, as retrieval benchmarks want it."""

    name = "whole"

    def split(self, document: Document) -> list[Chunk]:
        """Returns the whole text as one chunk; its page is known only where the document has one page."""
        span = strip(document.text, 0, len(document.text))
        return [make_chunk(self.name, document, span, "")] if span else []
