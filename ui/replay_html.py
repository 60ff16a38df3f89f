"""A replay as HTML: two answers side by side, and which chunks both found, or only one. Pure functions."""

from collections.abc import Sequence

from rag.schema import Citation, Hit
from ui.evidence_html import move_html, source_html
from ui.names import shown
from ui.render import chips_html, escaped
from ui.replay import PERSISTENCE, Comparison, Shared
from ui.turns import ChatTurn

PREVIEW = 160
"""Characters of a chunk that are shown."""


def replay_html(before: ChatTurn, after: ChatTurn, found: Comparison, request: str) -> str:
    """Returns the comparison; `request` tells the page's script that it is the one it waits for."""
    pieces = [] if after.error else [_figures_html(found)]
    pieces.append(
        f'<div class="rag-two">{_side_html("As it was answered", before)}{_side_html("Replayed", after)}</div>'
    )
    if not after.error:
        pieces.append(_chunks_html(found))
    return f'<div class="rag-replayed" id="replay-{escaped(request)}">{"".join(pieces)}</div>'


def _figures_html(found: Comparison) -> str:
    figures = [
        (str(len(found.shared)), "shared", "Chunks that both have found"),
        (str(len(found.only_before)), "only before", "Chunks that only the first one has found"),
        (str(len(found.only_after)), "only replayed", "Chunks that only the replay has found"),
        (f"{found.overlap * 100:.0f} %", "overlap", "The share of the chunks found that both hold"),
        (
            f"{found.rbo:.2f}",
            "RBO",
            f"Rank-biased overlap (p = {PERSISTENCE}): 1 for equal rankings, 0 for disjoint ones, first ranks first",
        ),
    ]
    shown = "".join(f'<span title="{title}"><b>{value}</b>{label}</span>' for value, label, title in figures)
    return f'<div class="rag-figures">{shown}</div>'


def _side_html(title: str, turn: ChatTurn) -> str:
    if turn.error:
        body = f'<div class="rag-error" role="alert">{escaped(turn.error)}</div>'
    else:
        sources = "".join(_source_item_html(citation) for citation in turn.citations)
        listed = f'<ul class="rag-sources">{sources}</ul>' if sources else ""
        body = f'<div class="rag-text" dir="auto">{escaped(turn.answer) or "No answer."}</div>{listed}'
    return f'<div class="rag-side"><h3>{title}</h3>{body}{chips_html(turn)}</div>'


def _source_item_html(citation: Citation) -> str:
    page = f", page {citation.page}" if citation.page else ""
    return f"<li>[{citation.marker}] {shown(citation.source)}{page}</li>"


def _chunks_html(found: Comparison) -> str:
    groups = [
        _group_html("Both found", [_shared_html(each) for each in found.shared]),
        _group_html("Only before", [_alone_html(hit) for hit in found.only_before]),
        _group_html("Only replayed", [_alone_html(hit) for hit in found.only_after]),
    ]
    return f'<div class="rag-found">{"".join(groups) or "Nothing was found."}</div>'


def _group_html(title: str, rows: Sequence[str]) -> str:
    if not rows:  # the figures above say so
        return ""
    head = f'<div class="rag-group">{title}<span>{len(rows)}</span></div>'
    return f'<div class="rag-found-group">{head}{"".join(rows)}</div>'


def _shared_html(shared: Shared) -> str:
    if shared.before == shared.after:
        ranks = f'<span class="rag-rank" title="the same rank in both">{shared.after}</span>'
    else:
        ranks = (
            f'<span class="rag-rank">{shared.before} → {shared.after}</span>{move_html(shared.before, shared.after)}'
        )
    return _row_html(shared.hit, ranks)


def _alone_html(hit: Hit) -> str:
    return _row_html(hit, f'<span class="rag-rank">{hit.rank}</span>')


def _row_html(hit: Hit, ranks: str) -> str:
    preview = " ".join(hit.chunk.text.split())[:PREVIEW]
    page = f'<span class="rag-page">page {hit.chunk.page}</span>' if hit.chunk.page else ""
    return (
        f'<div class="rag-found-row"><span class="rag-head">{ranks}{source_html(hit.source)}{page}</span>'
        f'<span class="rag-preview" dir="auto">{escaped(preview)}</span></div>'
    )
