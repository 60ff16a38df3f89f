"""The Compare tab as HTML: what to compare, the sides of a round, its reveal, and the standings.

Documents and questions are data: whatever comes from them is escaped. Nothing of a blind round's HTML depends on who
its contestants are, but for what they found.
"""

from collections.abc import Mapping, Sequence

from eval.ratings import preference
from eval.statistics import Interval
from rag.schema import HEADING_SEPARATOR, AnswerPart, Hit
from rag.votes import BAD, LETTERS, TIE
from ui.comparing import FEWEST, METRIC, MOST, Contestant, Round, Shown, Standing, Standings
from ui.evidence_html import source_html
from ui.job_html import part
from ui.names import shown
from ui.render import embedder_chip, escaped
from ui.words import count_text

DRAWN = "Drawn at random"
WAITING = '<span class="rag-wait">Counting the votes …</span>'
MOST_TEXT = 6_000
"""Characters of a passage that reach the page; its document has the rest."""

# --- what to compare


def shell_html(corpora: Sequence[str], corpus: str, contestants: Sequence[Contestant]) -> str:
    """Returns the whole tab; its script fills the round and the standings."""
    if not corpora:
        return (
            '<div class="cmp-page"><div class="cmp-head"><h1>Compare</h1></div><div class="lib-empty">There are no '
            'documents to compare on yet. <a href="?tab=library">Add documents</a></div></div>'
        )
    names = "".join(
        f'<option value="{escaped(name)}"{" selected" if name == corpus else ""}>{escaped(name)}</option>'
        for name in corpora
    )
    return (
        '<div class="cmp-page"><div class="cmp-head"><h1>Compare</h1><p>One question, side by side. Blind, the names '
        "stay hidden until you have voted; only blind votes count in the standings.</p></div>"
        '<form class="cmp-form"><div class="cmp-row"><label class="cmp-field">Corpus'
        f'<select name="corpus">{names}</select></label>'
        '<div class="cmp-field"><span id="cmp-mode">Names</span><div class="lib-segments" role="group" '
        'aria-labelledby="cmp-mode"><button type="button" data-mode="blind" aria-pressed="true">Blind</button>'
        '<button type="button" data-mode="named" aria-pressed="false">Named</button></div></div>'
        '<label class="cmp-field">Passages<select name="k">'
        + "".join(f"<option{' selected' if k == 5 else ''}>{k}</option>" for k in (1, 3, 5, 10))
        + f"</select></label></div>{part('sides', sides_html(contestants))}"
        '<div class="cmp-ask"><input type="text" name="question" required maxlength="2000" autocomplete="off" '
        'placeholder="Ask the documents" aria-label="Question" dir="auto"><button type="button" class="lib-button" '
        'data-cmp="random" title="A question from a labelled task of this corpus">Random question</button>'
        '<button class="lib-button lib-primary" data-cmp="go">Compare</button></div></form>'
        '<div class="cmp-round"></div>'
        f'<section class="cmp-standings" aria-label="Standings">{part("standings", WAITING)}</section></div>'
    )


def sides_html(contestants: Sequence[Contestant]) -> str:
    """Returns a menu of contestants for each side; the script shows as many as are wanted."""
    options = f'<option value="">{DRAWN}</option>' + "".join(
        f'<option value="{escaped(each.name)}">{escaped(each.name)}</option>' for each in contestants
    )
    sides = "".join(
        f'<label class="cmp-field" data-side="{number}"{" hidden" if number >= FEWEST else ""}>Side {number + 1}'
        f'<select name="side">{options}</select></label>'
        for number in range(min(MOST, len(contestants)))
    )
    return (
        f'<div class="cmp-row cmp-sides">{sides}<div class="cmp-count"><button type="button" class="lib-icon" '
        'data-cmp="more" aria-label="Add a side" title="Add a side">+</button><button type="button" class="lib-icon" '
        'data-cmp="fewer" aria-label="Remove a side" title="Remove a side" disabled>&#8722;</button></div></div>'
    )


# --- a round


def round_html(asked: Round) -> str:
    """Returns the sides with what they found, and the buttons to vote with."""
    sides = "".join(_side_html(asked, place) for place in range(len(asked.sides)))
    return (
        f'<div class="cmp-question" dir="auto">{escaped(asked.question)}</div>'
        f'<div class="cmp-grid" style="--sides:{len(asked.sides)}">{sides}</div>'
        f"{part('vote', vote_html(asked))}"
    )


def vote_html(asked: Round) -> str:
    """Returns the buttons to vote with, or what was voted."""
    choices = verdicts_of(len(asked.sides))
    if asked.verdict:
        names = "".join(
            f' <span class="cmp-who"><span class="cmp-letter">{LETTERS[place]}</span> {_name_html(side)}</span>'
            for place, side in enumerate(asked.sides)
        )
        told = f"{choices[asked.verdict]}.{names}"
        return (
            f'<div class="cmp-vote cmp-voted"><span class="cmp-told" role="status">{told}</span>'
            '<span class="cmp-buttons"><button type="button" class="lib-button" data-cmp="random">Random question'
            '</button><button type="button" class="lib-button lib-primary" data-cmp="again">New question</button>'
            "</span></div>"
        )
    buttons = "".join(
        f'<button type="button" class="lib-button" data-verdict="{verdict}" aria-keyshortcuts="{_key(verdict)}">'
        f"{label} <kbd>{_key(verdict)}</kbd></button>"
        for verdict, label in choices.items()
    )
    asks = "Which side helps more?"
    return f'<div class="cmp-vote"><span>{asks}</span><span class="cmp-buttons">{buttons}</span></div>'


def verdicts_of(sides: int) -> Mapping[str, str]:
    """Returns what can be voted on so many sides, with its label."""
    best = "{} is better" if sides == FEWEST else "{} is best"
    named = {letter: best.format(letter) for letter in LETTERS[:sides]}
    return {**named, TIE: "Tie", BAD: "Both bad" if sides == FEWEST else "All bad"}


def heads_html(asked: Round) -> dict[str, str]:
    """Returns each side's head as it may be shown now, by letter."""
    return {LETTERS[place]: _head_html(asked, place) for place in range(len(asked.sides))}


def _key(verdict: str) -> str:
    return {TIE: "T", BAD: "X"}.get(verdict, verdict)


def _side_html(asked: Round, place: int) -> str:
    side, letter = asked.sides[place], LETTERS[place]
    others = {
        LETTERS[other]: {hit.chunk.id: hit.rank for hit in asked.sides[other].hits}
        for other in range(len(asked.sides))
        if other != place
    }
    cards = "".join(
        _card_html(hit, {name: ranks.get(hit.chunk.id) for name, ranks in others.items()}) for hit in side.hits
    )
    if not side.hits:
        cards = '<div class="rag-empty">Nothing was found.</div>'
    return (
        f'<section class="cmp-side" aria-label="Side {letter}">{part(f"head-{letter}", _head_html(asked, place))}'
        f'<div class="cmp-answer" dir="auto">{_answer_html(side.answer)}</div>'
        f'<div class="cmp-hits" data-question="{escaped(asked.question)}" data-origin="vote">{cards}</div></section>'
    )


def _head_html(asked: Round, place: int) -> str:
    letter = LETTERS[place]
    won = ' <span class="cmp-won">your choice</span>' if asked.verdict == letter else ""
    if not asked.is_open:
        return f'<h2><span class="cmp-letter">{letter}</span><span class="cmp-hidden">hidden until you vote</span></h2>'
    return f'<h2><span class="cmp-letter">{letter}</span>{_name_html(asked.sides[place])}{won}</h2>'


def _name_html(side: Shown) -> str:
    contestant = side.contestant
    chip = f"{embedder_chip(contestant.embedder)} " if contestant.embedder else ""
    took = f"{side.milliseconds:.1f} ms" if side.milliseconds < 10 else f"{side.milliseconds:,.0f} ms"
    return (
        f'{chip}<span class="rag-chip">{escaped(contestant.retriever)}</span>'
        f' <span class="cmp-took" title="The search alone">{took}</span>'
    )


def _answer_html(parts: Sequence[AnswerPart]) -> str:
    """Returns the extractive answer as text, each citation's number small."""
    pieces = []
    for each in parts:
        position = 0
        places = [(each.text.rfind(f"[{citation.marker}]"), citation) for citation in each.citations]
        for place, citation in sorted(places, key=lambda pair: pair[0]):
            if place < position:
                continue
            pieces.append(escaped(each.text[position:place].removesuffix(" ")))
            pieces.append(f'<sup title="{shown(citation.source)}">{citation.marker}</sup>')
            position = place + len(f"[{citation.marker}]")
        pieces.append(escaped(each.text[position:]))
    return "".join(pieces)


def _card_html(hit: Hit, elsewhere: Mapping[str, int | None]) -> str:
    """Returns a passage as a card; `elsewhere` says at which rank the other sides have it."""
    page = f'<span class="rag-page">page {hit.chunk.page}</span>' if hit.chunk.page else ""
    headings = "".join(f"<span>{shown(each)}</span>" for each in hit.chunk.heading.split(HEADING_SEPARATOR) if each)
    also = ", ".join(f"{letter} #{rank}" for letter, rank in elsewhere.items() if rank)
    told = f'<span class="cmp-also">also {also}</span>' if also else '<span class="cmp-also cmp-alone">only here</span>'
    text = hit.chunk.text
    cut = f'<span class="rag-cut">{len(text) - MOST_TEXT:,} more characters</span>' if len(text) > MOST_TEXT else ""
    return (
        f'<details class="rag-card cmp-card"><summary><span class="rag-head"><span class="rag-rank">{hit.rank}</span>'
        f"{source_html(hit.source)}{page}</span>"
        + (f'<span class="rag-headings" dir="auto">{headings}</span>' if headings else "")
        + f'<span class="rag-preview" dir="auto">{escaped(" ".join(text.split())[:420])}</span>{told}</summary>'
        f'<div class="rag-chunk" dir="auto">{escaped(text[:MOST_TEXT])}{cut}</div>'
        f'<a class="rag-open" href="?document={hit.chunk.document_id}&amp;chunk={hit.chunk.id}">Open in document</a>'
        "</details>"
    )


# --- the standings


def standings_html(found: Standings) -> str:
    """Returns how the contestants stand: strengths by blind votes beside their scores on the labels."""
    if not found.votes:
        return (
            '<h2 class="cmp-title">Standings</h2><div class="lib-empty">No blind vote on this corpus yet. '
            "Strengths appear here, beside the scores on your labels.</div>"
        )
    labelled = (
        f"{METRIC} over {count_text(found.queries, 'question')} of <b>{escaped(found.task)}</b>, with 95 % intervals."
        if found.task
        else "No passage is labelled relevant yet, so there are no scores."
    )
    rows = "".join(_standing_html(row) for row in found.rows)
    return (
        f'<h2 class="cmp-title">Standings</h2><p class="cmp-note">{count_text(found.votes, "blind vote")}. A '
        "strength is the chance to be preferred to an average contestant (Bradley-Terry, 95 % bootstrap intervals); "
        f"everybody begins with one tie, so few votes stay near 50 %. {labelled}</p>"
        '<div class="cmp-wide"><table class="lib-table cmp-table"><thead><tr><th scope="col">Contestant</th>'
        '<th scope="col" class="cmp-strength">Strength</th><th scope="col" class="lib-number">Won</th>'
        '<th scope="col" class="lib-number">Lost</th><th scope="col" class="lib-number">Tied</th>'
        f'<th scope="col" class="lib-number">{METRIC}</th>'
        '<th scope="col" class="lib-number" title="Share of the first ten documents that anybody judged">Judged@10</th>'
        f"</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _standing_html(row: Standing) -> str:
    rating = row.rating
    middle = preference(rating.strength)
    low = preference(rating.low) if rating.low is not None else None
    high = preference(rating.high) if rating.high is not None else None
    bounds = f" <small>{low * 100:.0f}–{high * 100:.0f}</small>" if low is not None and high is not None else ""
    span = (
        f'<i class="cmp-span" style="--low:{low * 100:.1f}%;--high:{high * 100:.1f}%"></i>'
        if low is not None and high is not None
        else ""
    )
    retriever, _, embedder = rating.name.partition(" ")
    chip = embedder_chip(embedder) if embedder else ""
    judged = f"{row.judged * 100:.0f} %" if row.judged is not None else "–"
    return (
        f'<tr><th scope="row">{chip}<span class="rag-chip">{escaped(retriever)}</span></th>'
        f'<td class="cmp-strength"><span class="cmp-scale" aria-hidden="true">{span}'
        f'<i class="cmp-point" style="--at:{middle * 100:.1f}%"></i></span><b>{middle * 100:.0f} %</b>{bounds}</td>'
        f'<td class="lib-number">{rating.wins:,}</td><td class="lib-number">{rating.losses:,}</td>'
        f'<td class="lib-number">{rating.ties:,}</td><td class="lib-number">{_score_html(row.score)}</td>'
        f'<td class="lib-number">{judged}</td></tr>'
    )


def _score_html(value: Interval | None) -> str:
    if value is None:
        return "–"
    bounds = (
        f" <small>{value.low:.2f}–{value.high:.2f}</small>" if value.low is not None and value.high is not None else ""
    )
    return f"<b>{value.value:.3f}</b>{bounds}"
