"""A document as HTML, opened at a chunk: its text around there, with pages and headings as landmarks."""

from bisect import bisect_left, bisect_right
from itertools import pairwise

from ingest.languages import language_name
from ingest.parsing import format_label
from rag.catalogue import Place
from rag.schema import Document, Heading
from ui.names import shown
from ui.render import escaped
from ui.words import count_text

AROUND = 12_000
"""Characters of text on either side of where it is opened; more is fetched by its buttons."""
STEP = 18_000
"""Characters that a button moves the window by: some of what was seen stays."""
MOST_LANDMARKS = 400


def document_html(document: Document, place: Place | None, at: int | None = None) -> str:
    """Returns the reader's content; `at` is the offset to show, by default that of the chunk."""
    centre = at if at is not None else (place.start if place else 0)
    first, last = _window(document.text, centre)
    return (
        f'<header class="doc-head"><div class="doc-title"><h2 dir="auto">{shown(document.title or document.source)}'
        f"</h2><p>{_facts(document)}</p></div>{_chunk_bar(document, place)}"
        '<button type="button" class="lib-icon" data-action="close" aria-label="Close">&#215;</button></header>'
        f'<div class="doc-body">{_landmarks_html(document, first, centre)}'
        f'<div class="doc-text" tabindex="0" aria-label="Text of the document">'
        f"{_move_html(document, first, 'Earlier') if first else ''}"
        f'<div class="doc-flow" dir="auto">{text_html(document, place, first, last, at)}</div>'
        f"{_move_html(document, last, 'Later') if last < len(document.text) else ''}</div></div>"
    )


def _facts(document: Document) -> str:
    told = [shown(document.source), escaped(format_label(document.format))]
    if document.pages:
        told.append(count_text(len(document.pages), "page"))
    if document.language:
        told.append(language_name(document.language))
    told.append(count_text(len(document.text), "character"))
    return " · ".join(told)


def _window(text: str, centre: int) -> tuple[int, int]:
    """Returns the stretch of text to show, from the start of a line to the end of one where lines are short enough."""
    centre = max(0, min(centre, len(text)))
    first, last = max(0, centre - AROUND), min(len(text), centre + AROUND)
    if first:
        first = text.find("\n", first, first + 500) + 1 or first
    if last < len(text):
        last = text.rfind("\n", last - 500, last) + 1 or last
    return first, last


def _chunk_bar(document: Document, place: Place | None) -> str:
    if place is None:
        return ""
    return (
        '<div class="doc-chunks" role="group" aria-label="Chunks">'
        f"{_step_html(document, place.before, 'Previous chunk', '&#8593;')}"
        f"<span>chunk {place.number:,} of {place.total:,}</span>"
        f"{_step_html(document, place.after, 'Next chunk', '&#8595;')}</div>"
    )


def _step_html(document: Document, chunk_id: str | None, label: str, sign: str) -> str:
    state = f'data-document="{document.id}" data-chunk="{chunk_id}"' if chunk_id else "disabled"
    return (
        f'<button type="button" class="lib-icon" id="doc-{label.split()[0].lower()}" {state} aria-label="{label}" '
        f'title="{label}">{sign}</button>'
    )


def _move_html(document: Document, edge: int, label: str) -> str:
    at = max(0, edge - STEP + AROUND) if label == "Earlier" else edge + STEP - AROUND
    return (
        f'<button type="button" class="lib-button doc-move" data-document="{document.id}" data-at="{at}" '
        f'data-block="{"end" if label == "Earlier" else "start"}">{label} text</button>'
    )


# --- landmarks


def _landmarks_html(document: Document, first: int, centre: int) -> str:
    """Returns the list beside the text: headings where there are any, else pages; of very many those around here."""
    marks = [(heading.start, heading.level, heading.text) for heading in document.headings]
    if not marks and len(document.pages) > 1:
        marks = [(start, 1, f"Page {number}") for number, start in enumerate(document.pages, start=1)]
    if not marks:
        return ""
    here = bisect_right([start for start, _, _ in marks], centre) - 1
    begin = max(0, min(here - MOST_LANDMARKS // 2, len(marks) - MOST_LANDMARKS))
    top = min(level for _, level, _ in marks)
    items = "".join(
        f'<li style="--level:{min(level - top, 4)}"><button type="button" data-document="{document.id}" '
        f'data-at="{start}"{" aria-current=true" if number == here else ""} dir="auto">{shown(text)}</button></li>'
        for number, (start, level, text) in enumerate(marks[begin : begin + MOST_LANDMARKS], start=begin)
    )
    return f'<nav class="doc-marks" aria-label="Landmarks" data-first="{first}"><ol>{items}</ol></nav>'


# --- text


def text_html(document: Document, place: Place | None, first: int, last: int, at: int | None = None) -> str:
    """Returns document.text[first:last] with the chunk marked, headings in bold and a line where a page begins.

    Without the labels of pages, the text content is exactly that stretch.
    """
    text = document.text
    begin, end = (place.start, place.end) if place else (0, 0)
    headings = _lines_of(document, first, last)
    pages = {start: number for number, start in enumerate(document.pages, start=1) if first <= start < last}
    cuts = {first, last, *pages, *(edge for span in headings for edge in span)}
    cuts |= {edge for edge in (begin, end, at if at is not None else first) if first < edge < last}
    starts = [start for start, _ in headings]
    pieces = []
    for left, right in pairwise(sorted(cuts)):
        if left in pages:
            pieces.append(f'<span class="doc-page" data-page="Page {pages[left]}"></span>')
        inside = bisect_right(starts, left) - 1
        in_heading = inside >= 0 and left < headings[inside][1]
        in_chunk = begin <= left < end
        kinds = ("doc-heading " if in_heading else "") + ("doc-chunk" if in_chunk else "")
        anchor = ' id="doc-at"' if left == at else (' id="doc-chunk"' if in_chunk and left == max(begin, first) else "")
        tag = "mark" if in_chunk else "span"
        attribute = f' class="{kinds.strip()}"' if kinds else ""
        pieces.append(f"<{tag}{attribute}{anchor}>{escaped(text[left:right])}</{tag}>")
    return "".join(pieces)


def _lines_of(document: Document, first: int, last: int) -> list[tuple[int, int]]:
    """Returns the spans of the lines that are headings, within the window, without overlap."""
    headings: list[Heading] = list(document.headings)
    starts = [heading.start for heading in headings]
    spans: list[tuple[int, int]] = []
    for heading in headings[bisect_left(starts, first) : bisect_left(starts, last)]:
        stop = document.text.find("\n", heading.start + 1, last)
        stop = last if stop < 0 else stop
        if not spans or spans[-1][1] <= heading.start < stop:
            spans.append((heading.start, stop))
    return spans
