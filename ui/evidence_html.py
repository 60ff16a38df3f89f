"""The evidence column's HTML: a card for each hit, what the answer quotes marked in its text. Pure functions.

Retrieved text is data, escaped as in `ui.render`; each function returns one line that begins with a tag.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from rag.schema import HEADING_SEPARATOR, Citation, Hit, Leg
from ui.fusing import Fused
from ui.names import shown
from ui.render import anchor, escaped
from ui.turns import ChatTurn, State
from ui.words import count_text

AROUND = 500
"""Characters of a long chunk that stay visible on either side of what is quoted."""
FOLD = 400
"""Characters that are worth folding away."""
MOST = 20_000
"""Characters of one folded stretch that reach the page; a chunk may be a whole book."""

EMPTY = (
    '<div class="rag-evidence"><div class="rag-empty"><b>Evidence</b>'
    "The chunks behind an answer appear here, what it quotes marked in their text.</div></div>"
)


def evidence_html(turn: ChatTurn | None, place: tuple[int, int] = (1, 1), fused: Fused | None = None) -> str:
    """Returns the panel of a turn: a card for each hit, those that the answer quotes first and open.

    `place` is the turn's place among the questions of the conversation. With `fused` the cards stand in their order
    under another weight, each with what it has gained or lost.
    """
    if turn is None or (turn.state in (State.SEARCHING, State.STOPPED, State.FAILED) and not turn.hits):
        return EMPTY
    pieces = [_head_html(turn, *place)]
    pieces += _fused_html(turn, fused) if fused is not None else _groups_html(turn)
    if not turn.hits:
        pieces.append('<div class="rag-empty">Nothing was found for this question.</div>')
    return f'<div class="rag-evidence">{"".join(pieces)}</div>'


def _head_html(turn: ChatTurn, number: int, of: int) -> str:
    """Returns the question, and which of the conversation it is; the page's script marks that turn by its id."""
    told = f"Question {number} of {of}" if of > 1 else "Your question"
    latest = " · the latest" if number == of > 1 else ""
    return (
        f'<div class="rag-place" id="shown-{turn.number}">{told}{latest}</div>'
        f'<div class="rag-for" dir="auto">{escaped(turn.question)}</div>'
    )


def _groups_html(turn: ChatTurn) -> list[str]:
    quoted = {citation.chunk_id for citation in turn.citations}
    first = [hit for hit in turn.hits if hit.chunk.id in quoted]
    others = [hit for hit in turn.hits if hit.chunk.id not in quoted]
    best = _best_scores(turn.hits)
    pieces = []
    if first:
        pieces.append(f'<div class="rag-group">Quoted<span>{len(first)}</span></div>')
        pieces += [_card_html(hit, turn, best, opened=True) for hit in first]
    if others:
        title = "Also found" if first else "Found"
        pieces.append(f'<div class="rag-group">{title}<span>{len(others)}</span></div>')
        pieces += [_card_html(hit, turn, best, opened=False) for hit in others]
    return pieces


def _fused_html(turn: ChatTurn, fused: Fused) -> list[str]:
    """Returns the cards by their new ranks, closed so that all moves are seen at once, and the chunks that dropped out.

    The answer is still of the old ranks: it is made anew by a click.
    """
    moved = sum(1 for move in fused.moves.values() if move != 0)
    told = f"{count_text(moved, 'chunk')} moved" if moved else "Nothing moved"
    choices = turn.choices
    was = f"{_fusion_text(choices.fusion)}, dense weight {choices.weight:.2f}"
    pieces = [
        f'<div class="rag-fused" role="status"><b>{_fusion_text(fused.fusion)}, dense weight {fused.weight:.2f}</b>'
        f"<span>{told}. The answer is of {was}.</span>"
        '<button type="button" class="rag-again">Answer again</button></div>'
    ]
    best = _best_scores([*fused.hits, *fused.gone])
    pieces += [_card_html(hit, turn, best, opened=False, move=_move_html(hit, fused.moves)) for hit in fused.hits]
    if fused.gone:
        pieces.append(f'<div class="rag-group">Not among them any more<span>{len(fused.gone)}</span></div>')
        gone = '<span class="rag-move rag-lost" title="dropped out">out</span>'
        pieces += [_card_html(hit, turn, best, opened=False, move=gone) for hit in fused.gone]
    return pieces


def _fusion_text(fusion: str) -> str:
    return {"rrf": "RRF", "weighted": "Weighted scores"}.get(fusion, escaped(fusion))


def _move_html(hit: Hit, moves: Mapping[str, int | None]) -> str:
    move = moves.get(hit.chunk.id, 0)
    if move is None:
        return '<span class="rag-move rag-gained" title="was not among the hits">new</span>'
    return move_html(hit.rank + move, hit.rank)


def move_html(before: int, after: int) -> str:
    """Returns by how many ranks a chunk rose or fell, as +2 or -1; nothing where it stayed."""
    if before == after:
        return ""
    kind, sign = ("rag-gained", "+") if after < before else ("rag-lost", "−")
    return f'<span class="rag-move {kind}" title="was rank {before}">{sign}{abs(before - after)}</span>'


# --- a card


def _best_scores(hits: Iterable[Hit]) -> dict[str, float]:
    best: dict[str, float] = {}
    for hit in hits:
        for name, leg in hit.legs.items():
            best[name] = max(best.get(name, 0.0), leg.score)
    return best


def _card_html(hit: Hit, turn: ChatTurn, best: dict[str, float], opened: bool, move: str = "") -> str:
    citations = [citation for citation in turn.citations if citation.chunk_id == hit.chunk.id]
    page = f'<span class="rag-page">page {hit.chunk.page}</span>' if hit.chunk.page else ""
    headings = "".join(f"<span>{shown(each)}</span>" for each in hit.chunk.heading.split(HEADING_SEPARATOR) if each)
    preview = " ".join(hit.chunk.text.split())[:220]
    return (
        f'<details class="rag-card{" rag-quoted" if citations else ""}"{" open" if opened else ""}>'
        f'<summary><span class="rag-head"><span class="rag-rank">{hit.rank}</span>{move}'
        f"{source_html(hit.source)}{page}</span>"
        + (f'<span class="rag-headings" dir="auto">{headings}</span>' if headings else "")
        + f'<span class="rag-legs">{_legs_html(hit, turn.choices.retriever, best)}</span>'
        + f'<span class="rag-preview" dir="auto">{escaped(preview)}</span></summary>'
        + f'<div class="rag-chunk" dir="auto">{chunk_html(hit, citations, turn.number)}</div>'
        + _open_html(hit)
        + "</details>"
    )


def source_html(source: str) -> str:
    """Returns a document's path, its folder less prominent than its name."""
    folder, _, name = source.rpartition("/")
    path = f'<span class="rag-folder">{shown(folder)}/</span>' if folder else ""
    return f'<span class="rag-source" title="{shown(source)}">{path}<b>{shown(name)}</b></span>'


def _open_html(hit: Hit) -> str:
    """Returns the link that opens the hit's document at its chunk; the page's script keeps the conversation open."""
    chunk = hit.chunk
    href = f"?document={escaped(chunk.document_id)}&amp;chunk={escaped(chunk.id)}"
    return f'<a class="rag-open" href="{href}">Open in document</a>'


def _legs_html(hit: Hit, retriever: str, best: dict[str, float]) -> str:
    names = dict.fromkeys(("dense", "lexical") if retriever == "hybrid" else ())
    names.update(dict.fromkeys(hit.legs))
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


# --- a chunk's text


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
