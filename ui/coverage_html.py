"""The column beside a corpus as HTML: how much of it each embedder covers, chunk lengths, languages."""

from ingest.languages import language_name, unread_languages
from rag.coverage import Coverage
from rag.embedders.spec import EmbedderSpec
from ui.embedder_builds import is_asked_about
from ui.histogram import histogram_svg, token_mark
from ui.library_view import View
from ui.render import embedder_chip, escaped
from ui.words import count_text

MOST_LANGUAGES = 5
CUT_IS_MUCH = 0.05
"""The share of cut passages from which on it is said in colour."""


def facts_of(spec: EmbedderSpec) -> str:
    """Returns an embedder's facts in a line: width, how much it reads, languages."""
    reads = f"{spec.max_tokens:,} tokens" if spec.max_tokens else "no token limit"
    names = [language_name(code) for code in spec.languages]
    if "any" in spec.languages:
        told = "any language"
    elif len(names) > 3:
        told = count_text(len(names), "language")
    else:
        told = ", ".join(names)
    return f"{spec.dimension:,}-d · {reads} · {escaped(told)}"


def side_html(view: View) -> str:
    """Returns the column beside the documents."""
    about = view.about
    if not view.documents_in_all or not about.coverage:
        return (
            '<h2 class="lib-label">Coverage</h2><p class="lib-quiet">How much of the corpus each embedder covers, what '
            "it cuts off, and how long the chunks are, appears here.</p>"
        )
    several = len({each.card.chunker for each in about.coverage}) > 1
    cards = "".join(_coverage_html(each, view, several) for each in about.coverage)
    covered = f'<section><h2 class="lib-label">Coverage</h2>{cards}{_more_html(view)}</section>'
    return covered + _lengths_html(view) + _languages_html(view)


def _coverage_html(each: Coverage, view: View, several: bool) -> str:
    card = each.card
    share = each.chunks / each.total if each.total else 0.0
    limit = f"{card.max_tokens:,} tokens" if card.max_tokens else "no token limit"
    chunker = f" · {escaped(card.chunker)}" if several else ""
    told = f"{each.chunks:,} of {count_text(each.total, 'chunk')}"
    if each.chunks == each.total and each.documents < each.total_documents:
        told = f"{each.documents:,} of {count_text(each.total_documents, 'document')}"
        share = each.documents / each.total_documents
    warnings = _warnings(each, view)
    offered = next((offer for offer in view.offers if offer.spec.name == card.embedder), None)
    button = ""
    if not each.is_complete and offered and not offered.lacks:
        button = (
            f'<button type="button" class="lib-button" data-action="backfill" data-embedder="{escaped(card.embedder)}" '
            f'data-chunker="{escaped(card.chunker)}"{_asks(offered.spec)}>Backfill</button>'
        )
    return (
        f'<div class="lib-card"><div class="lib-card-head">{embedder_chip(card.embedder)}'
        f"<small>{card.dimension:,}-d · {limit}{chunker}</small></div>"
        f'<div class="lib-share{"" if each.is_complete else " lib-partial"}"><i style="width:{share * 100:.1f}%"></i>'
        f'</div><div class="lib-card-line"><span>{told}</span>{button}</div>'
        + "".join(f'<p class="lib-{"warn" if warn else "quiet"}">{text}</p>' for warn, text in warnings)
        + "</div>"
    )


def _warnings(each: Coverage, view: View) -> list[tuple[bool, str]]:
    """Returns what is to be known of an index, each with whether it is a warning."""
    found = []
    card = each.card
    if card.max_tokens and each.chunks > each.uncounted:
        if each.cut:
            percent = f"{each.cut_share * 100:.0f} %" if each.cut_share >= 0.01 else "Under 1 %"
            found.append((each.cut_share > CUT_IS_MUCH, f"{percent} of passages cut at {card.max_tokens:,} tokens"))
        else:
            found.append((False, "No passage is cut"))
    spec = next((offer.spec for offer in view.offers if offer.spec.name == card.embedder), None)
    if spec:
        unread = unread_languages(view.about.languages, spec)
        if unread:
            names = ", ".join(language_name(code) for code in unread)
            told = f"{count_text(sum(unread.values()), 'document')} in other languages"
            found.append((True, f'<span title="{escaped(names)}">{told}</span>'))
    return found


def _more_html(view: View) -> str:
    """Offers the embedders that the corpus lacks."""
    have = {each.card.embedder for each in view.about.coverage}
    buttons = "".join(
        f'<button type="button" class="lib-button" data-action="backfill" data-embedder="{escaped(offer.spec.name)}" '
        f'data-chunker="{escaped(view.about.chunker)}" title="{facts_of(offer.spec)}"{_asks(offer.spec)}>'
        f"+ {escaped(offer.spec.name)}"
        "</button>"
        for offer in view.offers
        if offer.spec.name not in have and not offer.lacks
    )
    return f'<div class="lib-more"><span>Embed it with another one</span>{buttons}</div>' if buttons else ""


def _asks(spec: EmbedderSpec) -> str:
    """Marks the button of an embedder that is asked about before it is built."""
    return ' data-asks="yes"' if is_asked_about(spec) else ""


def _lengths_html(view: View) -> str:
    lengths = view.about.lengths
    if not lengths:
        return ""
    marks = {
        each.card.max_tokens: token_mark(lengths, each.card.max_tokens, each.cut, f"{each.card.max_tokens:,} tokens")
        for each in view.about.coverage
        if each.card.max_tokens and each.card.chunker == view.about.chunker
    }
    median = lengths[len(lengths) // 2]
    return (
        '<section><h2 class="lib-label">Chunk lengths</h2>'
        f"{histogram_svg(lengths, list(marks.values()))}"
        f'<p class="lib-quiet">Characters, cut by {escaped(view.about.chunker)}; median {median:,}, '
        f"longest {lengths[-1]:,}</p></section>"
    )


def _languages_html(view: View) -> str:
    languages = view.about.languages
    total = sum(languages.values())
    if not total:
        return ""
    first = list(languages.items())[:MOST_LANGUAGES]
    rest = total - sum(count for _, count in first)
    shown = [(language_name(code) or "unknown", count) for code, count in first] + ([("others", rest)] if rest else [])
    bars = "".join(f'<i style="flex-grow:{count}" title="{escaped(name)}: {count:,}"></i>' for name, count in shown)
    names = "".join(f"<li><span>{escaped(name)}</span> {count:,}</li>" for name, count in shown)
    return (
        f'<section><h2 class="lib-label">Languages</h2><div class="lib-bar">{bars}</div>'
        f'<ul class="lib-legend">{names}</ul></section>'
    )
