"""Neighbour chunks: hits widened by what stands before and after them, as whole spans of their documents."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rag.library import Library
from rag.schema import Hit


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a document around one or more hits; `document.text[start:end] == text`.

    `hits` are those that lie in it, best first; `page` is where it starts, None for formats without pages.
    """

    document_id: str
    source: str
    title: str
    start: int
    end: int
    page: int | None
    text: str
    hits: tuple[Hit, ...]

    @property
    def heading(self) -> str:
        """The heading above its best hit."""
        return self.hits[0].chunk.heading


@dataclass(frozen=True, slots=True)
class _Place:
    """A chunk of a document without its text."""

    id: str
    start: int
    end: int
    page: int | None


def widen(library: Library, hits: Sequence[Hit], before: int, after: int) -> list[Span]:
    """Widens each hit by so many chunks of its document, under the same chunker, and merges what overlaps or touches.

    Spans come in the order of their best hits. A document that was deleted since is left out.
    """
    by_document: dict[tuple[str, str], list[Hit]] = {}
    for hit in hits:
        by_document.setdefault((hit.chunk.document_id, _chunker(library, hit.chunk.id)), []).append(hit)
    spans = [
        span
        for (document_id, chunker), found in by_document.items()
        for span in _spans(library, document_id, chunker, found, before, after)
    ]
    order = {hit.chunk.id: place for place, hit in enumerate(hits)}
    return sorted(spans, key=lambda span: order[span.hits[0].chunk.id])


def _spans(
    library: Library, document_id: str, chunker: str, hits: Sequence[Hit], before: int, after: int
) -> Iterator[Span]:
    document = library.document(document_id)
    places = _places(library, document_id, chunker)
    number = {place.id: position for position, place in enumerate(places)}
    found = sorted((number[hit.chunk.id], rank) for rank, hit in enumerate(hits) if hit.chunk.id in number)
    if document is None:
        return
    runs: list[tuple[int, int, list[int]]] = []  # first chunk, last chunk, hits in it
    for position, rank in found:
        first, last = max(0, position - before), min(len(places) - 1, position + after)
        if runs and first <= runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], max(last, runs[-1][1]), [*runs[-1][2], rank])
        else:
            runs.append((first, last, [rank]))
    for first, last, ranks in runs:
        start, end = places[first].start, max(place.end for place in places[first : last + 1])
        yield Span(
            document_id=document_id,
            source=document.source,
            title=document.title,
            start=start,
            end=end,
            page=places[first].page,
            text=document.text[start:end],
            hits=tuple(hits[rank] for rank in sorted(ranks)),
        )


def _chunker(library: Library, chunk_id: str) -> str:
    row = library.database.query("SELECT chunker FROM chunks WHERE id = ?", (chunk_id,)).fetchone()
    return str(row[0]) if row else ""


def _places(library: Library, document_id: str, chunker: str) -> list[_Place]:
    rows = library.database.query(
        """SELECT id, start, "end", page FROM chunks WHERE document_id = ? AND chunker = ? ORDER BY start, "end" """,
        (document_id, chunker),
    )
    return [_Place(*row) for row in rows]
