"""What a chunker is, and how it makes a chunk of a span."""

from bisect import bisect_right
from typing import Protocol

from rag.schema import Chunk, Document, content_id

Span = tuple[int, int]
"""Offsets (start, end) into a document's text."""


class Chunker(Protocol):
    """Cuts documents; its name says how and is part of every chunk's id and every index."""

    name: str

    def split(self, document: Document) -> list[Chunk]:
        """Returns the chunks in the order of their starts; together they cover every character that is not white."""


def make_chunk(chunker: str, document: Document, span: Span, heading: str) -> Chunk:
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
