"""The conversation's HTML: questions, answers with citation markers, and how each was found. Pure functions.

Retrieved text is data. It is escaped here, before Gradio sanitises the whole once more and the page's policy forbids
loads from elsewhere. Each function returns one line that begins with a tag: Gradio's Markdown passes such a line
through as it is, so that Markdown inside a document stays text as well.
"""

import html
import re
import zlib

from rag.cards import IndexCard
from rag.schema import AnswerPart, Citation
from ui.names import shown
from ui.turns import ChatTurn, State
from ui.words import count_text

UNSEEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202d\u202e\ud800-\udfff]")


def escaped(text: str) -> str:
    """Returns text as HTML that shows it literally, on one line; line breaks and tabs become character references."""
    shown = html.escape(UNSEEN.sub("\ufffd", text.replace("\r\n", "\n")))
    return shown.replace("\n", "&#10;").replace("\r", "&#10;").replace("\t", "&#9;")


# --- the conversation


def question_html(turn: ChatTurn) -> str:
    """Returns the question as a message."""
    return f'<div class="rag-question" dir="auto">{escaped(turn.question)}</div>'


def answer_html(turn: ChatTurn) -> str:
    """Returns the answer so far as a message: text with markers, what went wrong, the chips, and what can be done.

    Its id tells the page's script which turn it is.
    """
    pieces = []
    if turn.searched_for and turn.searched_for != turn.question:
        told = f"Searched for: <q>{escaped(turn.searched_for)}</q>"
        pieces.append(f'<div class="rag-searched" dir="auto">{told}</div>')
    pieces += _text_html(turn)
    if turn.error:
        pieces.append(f'<div class="rag-error" role="alert">{escaped(turn.error)}</div>')
    if turn.state is State.STOPPED:
        pieces.append('<div class="rag-hint">Stopped.</div>')
    if not turn.running:
        pieces.append(chips_html(turn))
        pieces.append(_actions_html(turn))
    kind = "rag-answer rag-running" if turn.running else "rag-answer"
    return f'<div class="{kind}" id="answer-{turn.number}">{"".join(pieces)}</div>'


def _text_html(turn: ChatTurn) -> list[str]:
    """Returns the answer's text, or what is waited for, with what a reader should know besides."""
    if turn.running and not turn.answer:
        notice = turn.notice or ("Reading …" if turn.hits else "Searching …")
        return [f'<div class="rag-wait" role="status">{escaped(notice)}</div>']
    pieces = []
    if turn.parts:
        text = "".join(_part_html(part, turn.number) for part in turn.parts)
        kind = "rag-text rag-abstained" if turn.abstained else "rag-text"
        pieces.append(f'<div class="{kind}" dir="auto">{text}</div>')
    if turn.abstained and turn.hits:
        pieces.append(
            '<div class="rag-hint">The nearest chunks are in the evidence, should you want to judge yourself.</div>'
        )
    hints = list(dict.fromkeys(part.notice for part in turn.parts if part.notice))
    dropped = sum(part.dropped for part in turn.parts)
    if dropped:
        hints.append(
            f"{count_text(dropped, 'marker')} pointed to no chunk and {'was' if dropped == 1 else 'were'} dropped."
        )
    return pieces + [f'<div class="rag-hint">{escaped(hint)}</div>' for hint in hints]


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
    kind = "rag-cite"
    if citation.weak:
        kind, where = "rag-cite rag-weak", f"{where} (shares no words with what is said)"
    return (
        f'<a class="{kind}" href="#{anchor(number, citation.marker)}" title="{shown(where)}">'
        f"<span>[</span>{citation.marker}<span>]</span></a>"
    )


def chips_html(turn: ChatTurn) -> str:
    """Returns the line under an answer that says how it was found, how fast, and what it cost."""
    choices = turn.choices
    chips = [embedder_chip(choices.embedder)] if choices.embedder else []
    chips.append(_chip(choices.retriever))
    if choices.reranker:
        chips.append(_chip(f"reranked by {choices.reranker}"))
    if choices.mmr < 1:
        chips.append(_chip(f"MMR {choices.mmr:.2f}", "Maximal marginal relevance: the share of relevance"))
    if choices.llm:
        chips.append(_chip(choices.llm, "The language model that wrote the answer"))
    if choices.filter:
        chips.append(_chip(choices.filter.words, "Only these documents were searched", "rag-filtered"))
    if turn.retrieval_seconds is not None:
        title = f"{len(turn.hits)} chunks retrieved in {duration_text(turn.retrieval_seconds)}"
        if turn.seconds is not None:
            title += f"; answered after {duration_text(turn.seconds)} in all"
        chips.append(_chip(duration_text(turn.retrieval_seconds), title))
    if turn.cost is not None and (turn.cost.usd is None or turn.cost.usd > 0):
        chips.append(_chip(cost_text(turn.cost.usd), turn.cost.words))
    details = [choices.corpus, f"k {choices.k}"]
    if choices.retriever == "hybrid":
        details.append(f"{choices.fusion}, dense weight {choices.weight:.2f}")
    if turn.seconds is not None:
        details.append(f"{duration_text(turn.seconds)} in all")
    plain = "".join(f"<span>{escaped(detail)}</span>" for detail in details)
    return f'<div class="rag-chips">{"".join(chips)}<span class="rag-details">{plain}</span></div>'


def _chip(text: str, title: str = "", kind: str = "") -> str:
    told = f' title="{escaped(title)}"' if title else ""
    return f'<span class="rag-chip{" " + kind if kind else ""}"{told}>{escaped(text)}</span>'


def _actions_html(turn: ChatTurn) -> str:
    """Returns what can be done with a finished turn; the page's script listens."""
    buttons = []
    if turn.answer and not turn.abstained:
        buttons.append(_action("copy", "Copy", "Copy the answer with its sources"))
    if turn.hits:
        buttons.append(_action("evidence", f"Evidence <i>{len(turn.hits)}</i>", "Show the chunks behind this answer"))
    buttons.append(_action("replay", "Replay under …", "Ask the same under another embedder or retriever and compare"))
    return f'<div class="rag-actions">{"".join(buttons)}</div>'


def _action(name: str, label: str, title: str) -> str:
    return f'<button type="button" class="rag-action rag-do-{name}" title="{title}">{label}</button>'


def cost_text(usd: float | None) -> str:
    """Returns dollars with as many digits as matter.

    >>> cost_text(None), cost_text(0.0), cost_text(0.00001), cost_text(0.00123), cost_text(1.5)
    ('price unknown', 'free', '<$0.0001', '$0.0012', '$1.50')
    """
    if usd is None:
        return "price unknown"
    if not usd:
        return "free"
    if usd < 0.0001:
        return "<$0.0001"
    return f"${usd:.4f}" if usd < 0.1 else f"${usd:.2f}"


def embedder_chip(name: str) -> str:
    """Returns an embedder's name with a dot in a colour of its own, so that a switch is seen at a glance."""
    hue = zlib.crc32(name.encode()) % 360
    return f'<span class="rag-chip rag-embedder" style="--hue:{hue}">{escaped(name)}</span>'


def duration_text(seconds: float) -> str:
    """Returns a short time in milliseconds, a longer one in seconds."""
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
