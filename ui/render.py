"""The chat's HTML: answers with citation markers, and the evidence behind them. Pure functions from turns to strings.

Retrieved text is data. It is escaped here, before Gradio sanitises the whole once more and the page's policy forbids
loads from elsewhere. Each function returns one line that begins with a tag: Gradio's Markdown passes such a line
through as it is, so that Markdown inside a document stays text as well.
"""

import html
import re
import zlib
from collections.abc import Iterable, Sequence
from itertools import pairwise

from rag.cards import IndexCard
from rag.schema import HEADING_SEPARATOR, AnswerPart, Citation, Hit, Leg
from ui.conversation import ChatTurn, State

AROUND = 500
"""Characters of a long chunk that stay visible on either side of what is quoted."""
FOLD = 400
"""Characters that are worth folding away."""
MOST = 20_000
"""Characters of one folded stretch that reach the page; a chunk may be a whole book."""

UNSEEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def escaped(text: str) -> str:
    """Returns text as HTML that shows it literally, on one line; line breaks and tabs become character references."""
    shown = html.escape(UNSEEN.sub("\ufffd", text.replace("\r\n", "\n")))
    return shown.replace("\n", "&#10;").replace("\r", "&#10;").replace("\t", "&#9;")


# --- the conversation


def question_html(turn: ChatTurn) -> str:
    """Returns the question as a message."""
    return f'<div class="rag-question" dir="auto">{escaped(turn.question)}</div>'


def answer_html(turn: ChatTurn) -> str:
    """Returns the answer so far as a message: text with markers, what went wrong, and the chips."""
    pieces = []
    if turn.parts:
        text = "".join(_part_html(part, turn.number) for part in turn.parts)
        kind = "rag-text rag-abstained" if turn.abstained else "rag-text"
        pieces.append(f'<div class="{kind}" dir="auto">{text}</div>')
    if turn.abstained and turn.hits:
        pieces.append(
            '<div class="rag-hint">The nearest chunks are in the evidence, should you want to judge yourself.</div>'
        )
    if turn.running and not turn.parts:
        notice = turn.notice or ("Reading …" if turn.hits else "Searching …")
        pieces.append(f'<div class="rag-wait">{escaped(notice)}</div>')
    if turn.error:
        pieces.append(f'<div class="rag-error">{escaped(turn.error)}</div>')
    if turn.state is State.STOPPED:
        pieces.append('<div class="rag-hint">Stopped.</div>')
    if not turn.running:
        pieces.append(_chips_html(turn))
    return f'<div class="rag-answer">{"".join(pieces)}</div>'


def anchor(number: int, marker: int) -> str:
    """Returns the id of the quotation that a marker of a turn points to."""
    return f"evidence-{number}-{marker}"


def _part_html(part: AnswerPart, number: int) -> str:
    """Links the last `[n]` of each of the part's own citations; a "[1]" inside quoted text stays text."""
    places = [(part.text.rfind(f"[{citation.marker}]"), citation) for citation in part.citations]
    shown, position = [], 0
    for place, citation in sorted(places, key=lambda pair: pair[0]):
        if place < position:
            continue
        shown.append(escaped(part.text[position:place].removesuffix(" ")))
        shown.append(_marker_html(citation, number))
        position = place + len(f"[{citation.marker}]")
    shown.append(escaped(part.text[position:]))
    return "".join(shown)


def _marker_html(citation: Citation, number: int) -> str:
    where = citation.source + (f", page {citation.page}" if citation.page else "")
    return (
        f'<a class="rag-cite" href="#{anchor(number, citation.marker)}" title="{escaped(where)}">'
        f"<span>[</span>{citation.marker}<span>]</span></a>"
    )


def _chips_html(turn: ChatTurn) -> str:
    """Returns the line under an answer that says how it was found and how fast."""
    choices = turn.choices
    chips = [embedder_chip(choices.embedder)] if choices.embedder else []
    chips.append(f'<span class="rag-chip">{escaped(choices.retriever)}</span>')
    if turn.retrieval_seconds is not None:
        title = f"{len(turn.hits)} chunks retrieved in {_duration(turn.retrieval_seconds)}"
        if turn.seconds is not None:
            title += f"; answered after {_duration(turn.seconds)} in all"
        chips.append(f'<span class="rag-chip" title="{title}">{_duration(turn.retrieval_seconds)}</span>')
    details = [choices.corpus, f"k {choices.k}"]
    if choices.retriever == "hybrid":
        details.append(f"{choices.fusion}, dense weight {choices.weight:.2f}")
    if turn.seconds is not None:
        details.append(f"{_duration(turn.seconds)} in all")
    plain = "".join(f"<span>{escaped(detail)}</span>" for detail in details)
    return f'<div class="rag-chips">{"".join(chips)}<span class="rag-details">{plain}</span></div>'


def embedder_chip(name: str) -> str:
    """Returns an embedder's name with a dot in a colour of its own, so that a switch is seen at a glance."""
    hue = zlib.crc32(name.encode()) % 360
    return f'<span class="rag-chip rag-embedder" style="--hue:{hue}">{escaped(name)}</span>'


def _duration(seconds: float) -> str:
    if seconds < 0.0995:
        return f"{seconds * 1000:.1f} ms" if seconds < 0.00995 else f"{seconds * 1000:.0f} ms"
    return f"{seconds * 1000:.0f} ms" if seconds < 0.9995 else f"{seconds:.1f} s"


def status_html(card: IndexCard, documents: int, retriever: str) -> str:
    """Returns what is searched, in a few words; an index that lacks some of the corpus's documents says so."""
    lines = [f"<b>{card.chunks:,} chunks</b> of {card.documents:,} documents"]
    if retriever == "lexical":
        lines.append("searched by their words (BM25)")
    else:
        lines.append(f"embedded by {escaped(card.embedder)} <i>({card.dimension}-d)</i>")
        if card.documents < documents:
            remedy = f"rag ingest PATH --corpus {card.corpus} --embedder {card.embedder}"
            covered = f"covers {card.documents:,} of {documents:,} documents"
            lines.append(f'<em title="{escaped(remedy)}">{covered}</em>')
    return f'<div class="rag-status">{"".join(f"<span>{line}</span>" for line in lines)}</div>'


# --- the evidence


def evidence_html(turn: ChatTurn | None) -> str:
    """Returns the panel of a turn: a card for each hit, those that the answer quotes first and open."""
    if turn is None or (turn.state in (State.SEARCHING, State.STOPPED, State.FAILED) and not turn.hits):
        return (
            '<div class="rag-evidence"><div class="rag-empty"><b>Evidence</b>'
            "The chunks behind an answer appear here, what it quotes marked in their text.</div></div>"
        )
    quoted = {citation.chunk_id for citation in turn.citations}
    first = [hit for hit in turn.hits if hit.chunk.id in quoted]
    others = [hit for hit in turn.hits if hit.chunk.id not in quoted]
    best = _best_scores(turn.hits)
    pieces = [f'<div class="rag-for" dir="auto">{escaped(turn.question)}</div>']
    if first:
        pieces.append(f'<div class="rag-group">Quoted<span>{len(first)}</span></div>')
        pieces += [_card_html(hit, turn, best, opened=True) for hit in first]
    if others:
        title = "Also found" if first else "Found"
        pieces.append(f'<div class="rag-group">{title}<span>{len(others)}</span></div>')
        pieces += [_card_html(hit, turn, best, opened=False) for hit in others]
    if not turn.hits:
        pieces.append('<div class="rag-empty">Nothing was found for this question.</div>')
    return f'<div class="rag-evidence">{"".join(pieces)}</div>'


def _best_scores(hits: Iterable[Hit]) -> dict[str, float]:
    best: dict[str, float] = {}
    for hit in hits:
        for name, leg in hit.legs.items():
            best[name] = max(best.get(name, 0.0), leg.score)
    return best


def _card_html(hit: Hit, turn: ChatTurn, best: dict[str, float], opened: bool) -> str:
    citations = [citation for citation in turn.citations if citation.chunk_id == hit.chunk.id]
    folder, _, name = hit.source.rpartition("/")
    path = f'<span class="rag-folder">{escaped(folder)}/</span>' if folder else ""
    page = f'<span class="rag-page">page {hit.chunk.page}</span>' if hit.chunk.page else ""
    headings = "".join(f"<span>{escaped(each)}</span>" for each in hit.chunk.heading.split(HEADING_SEPARATOR) if each)
    preview = " ".join(hit.chunk.text.split())[:220]
    return (
        f'<details class="rag-card{" rag-quoted" if citations else ""}"{" open" if opened else ""}>'
        f'<summary><span class="rag-head"><span class="rag-rank">{hit.rank}</span>'
        f'<span class="rag-source" title="{escaped(hit.source)}">{path}<b>{escaped(name)}</b></span>{page}</span>'
        + (f'<span class="rag-headings" dir="auto">{headings}</span>' if headings else "")
        + f'<span class="rag-legs">{_legs_html(hit, turn.choices.retriever, best)}</span>'
        + f'<span class="rag-preview" dir="auto">{escaped(preview)}</span></summary>'
        + f'<div class="rag-chunk" dir="auto">{chunk_html(hit, citations, turn.number)}</div>'
        + _open_html(hit)
        + "</details>"
    )


def _open_html(hit: Hit) -> str:
    """Returns the link that opens the hit's document at its chunk; the page's script keeps the conversation open."""
    chunk = hit.chunk
    return f'<a class="rag-open" href="?document={chunk.document_id}&amp;chunk={chunk.id}">Open in document</a>'


def _legs_html(hit: Hit, retriever: str, best: dict[str, float]) -> str:
    names = ("dense", "lexical") if retriever == "hybrid" else tuple(hit.legs)
    return "".join(_leg_html(name, hit.legs.get(name), best.get(name, 0.0)) for name in names)


def _leg_html(name: str, leg: Leg | None, best: float) -> str:
    """Returns a leg's rank and score over a bar as long as the score is, of the best one shown."""
    if leg is None:
        return f'<span class="rag-leg rag-none" title="{name} did not find this chunk"><i>{name}</i> –</span>'
    share = max(0.0, min(1.0, leg.score / best)) if best > 0 else 0.0
    score = f"{leg.score:.2f}" if abs(leg.score) < 10 else f"{leg.score:.1f}"
    return (
        f'<span class="rag-leg rag-{name}" style="--share:{share * 100:.0f}%" '
        f'title="{name}: rank {leg.rank}, score {leg.score:.4f}"><i>{name}</i> #{leg.rank} <b>{score}</b></span>'
    )


def chunk_html(hit: Hit, citations: Sequence[Citation], number: int) -> str:
    """Returns a chunk's text with its quotations marked, and what is far from them folded away.

    Each mark holds exactly `document.text[start:end]` of its citation, or several marks do together where citations
    overlap; its number is painted by the style sheet and is no part of the text.
    """
    text, origin = hit.chunk.text, hit.chunk.start
    spans = [(max(0, c.start - origin), min(len(text), c.end - origin), c.marker) for c in citations]
    spans = sorted(span for span in spans if span[0] < span[1])
    first, last = _window(text, spans)
    return _folded(text[:first], "before") + _marked(text, first, last, spans, number) + _folded(text[last:], "after")


def _window(text: str, spans: Sequence[tuple[int, int, int]]) -> tuple[int, int]:
    """Returns the stretch that stays visible: the quotations and their surroundings, cut between words."""
    begin = min((start for start, _, _ in spans), default=0) - AROUND
    end = max((stop for _, stop, _ in spans), default=AROUND) + AROUND
    first = 0 if begin <= FOLD else text.find(" ", begin, begin + 60) + 1 or begin
    last = len(text) if end >= len(text) - FOLD else text.rfind(" ", end - 60, end) + 1 or end
    return first, last


def _folded(text: str, side: str) -> str:
    if not text:
        return ""
    shown, rest = (text[-MOST:], len(text) - MOST) if side == "before" else (text[:MOST], len(text) - MOST)
    cut = f'<span class="rag-cut">{rest:,} more characters are not shown</span>' if rest > 0 else ""
    body = cut + escaped(shown) if side == "before" else escaped(shown) + cut
    return f'<details class="rag-fold"><summary>{len(text):,} characters {side}</summary>{body}</details>'


def _marked(text: str, first: int, last: int, spans: Sequence[tuple[int, int, int]], number: int) -> str:
    """Returns text[first:last] with the spans marked; the first piece of a span carries its anchor and number."""
    cuts = sorted({first, last, *(edge for start, stop, _ in spans for edge in (start, stop))})
    pieces = []
    for begin, end in pairwise(cuts):
        piece = escaped(text[begin:end])
        covering = [marker for start, stop, marker in spans if start <= begin and end <= stop]
        opening = [marker for start, _, marker in spans if start == begin and marker in covering]
        if opening:
            label = ",".join(map(str, opening))
            anchors = "".join(f'<a id="{anchor(number, marker)}"></a>' for marker in opening)
            pieces.append(f"{anchors}<mark style=\"--marker:'{label}'\">{piece}</mark>")
        elif covering:
            pieces.append(f'<mark class="rag-goes-on">{piece}</mark>')
        else:
            pieces.append(piece)
    return "".join(pieces)
