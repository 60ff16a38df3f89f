"""The chat's embedder menu as HTML: options by what can be done with them, and the note below. Pure functions."""

import re
import zlib
from collections.abc import Sequence

from ingest.budget import dollars, price
from ingest.estimate import IndexEstimate
from rag.embedders.readiness import Lack
from rag.embedders.spec import EmbedderSpec
from ui.coverage_html import facts_of
from ui.embedder_builds import Offer
from ui.embedder_states import Counted, EmbedderState, Standing
from ui.jobs import Job, Kind, State
from ui.meter import Pace
from ui.render import escaped
from ui.words import about_time, count_text, duration

GROUPS = {
    "Ready": (Standing.READY,),
    "To be built": (Standing.BUILDING, Standing.PARTIAL, Standing.ABSENT),
    "Not usable here yet": (Standing.UNUSABLE,),
}
CODE = re.compile(
    r"""\b(?:pip\ install|ollama|rag|export|chmod)\ [^,;()]+?(?=$|[,;()]|\ \bor\b)  # a command
    |\b[A-Z][A-Z0-9]+_[A-Z0-9_]+(?:=[^\s,;)]+)?  # a variable, perhaps with its value""",
    re.VERBOSE,
)
"""Commands and variables within what an embedder lacks: they are shown as code, to be copied."""
GONE = "an entry in rag.toml: it is not there any more"


# --- the menu


def mount_html(corpus: str | None, chosen: str | None, retriever: str) -> str:
    """Returns what the page's script reads to draw the menu; Gradio's sanitiser leaves nothing but classes and text."""
    return (
        f'<div class="emb-mount"><span class="emb-corpus">{escaped(corpus or "")}</span>'
        f'<span class="emb-chosen">{escaped(chosen or "")}</span>'
        f'<span class="emb-retriever">{escaped(retriever)}</span></div>'
    )


def options_html(states: Sequence[EmbedderState]) -> str:
    """Returns the options of the menu in groups; each says in a word or two how its embedder stands."""
    groups = []
    for title, standings in GROUPS.items():
        options = "".join(_option_html(state) for state in states if state.standing in standings)
        if options:
            groups.append(f'<div role="group" aria-label="{title}"><div class="emb-group">{title}</div>{options}</div>')
    return "".join(groups)


def _option_html(state: EmbedderState) -> str:
    usable = state.standing is not Standing.UNUSABLE
    facts = [facts_of(state.spec), price_of(state.spec)] if state.spec else []
    line = " · ".join(facts) if usable else need_html(remedy_of(state.lacks) if state.lacks else GONE)
    return (
        f'<div role="option" class="emb-option" id="emb-option-{escaped(state.name)}" aria-selected="false" '
        f'aria-disabled="{str(not usable).lower()}" data-name="{escaped(state.name)}" '
        f'data-standing="{state.standing.value}" data-serves="{str(state.serves).lower()}">'
        f'<span class="emb-name">{dot_html(state.name)}{escaped(state.name)}</span>'
        f'<span class="emb-state emb-{state.standing.value}">{escaped(standing_text(state))}</span>'
        f"<small>{line}</small></div>"
    )


def dot_html(name: str) -> str:
    """Returns the dot in the embedder's own colour, as the chips of answers have it."""
    return f'<i class="emb-dot" style="--hue:{zlib.crc32(name.encode()) % 360}"></i>'


def standing_text(state: EmbedderState) -> str:
    """Says in a word or two how an embedder stands for a corpus."""
    if state.standing is Standing.READY:
        return "ready"
    if state.standing is Standing.ABSENT:
        return "no index yet"
    if state.standing is Standing.BUILDING:
        return f"building {percent_of(state.pace)} %" if state.pace and state.pace.done else "building"
    if state.standing is Standing.PARTIAL and state.index:
        return _coverage(state.index)
    return f"needs {state.lacks.kind.value}" if state.lacks else "not usable here"


def _coverage(index: Counted) -> str:
    if index.chunks < index.total:
        return f"{index.chunks:,} of {count_text(index.total, 'chunk')}"
    return "some documents missing"


def remedy_of(lack: Lack) -> str:
    """Returns what to do about what is lacking, without naming it again."""
    return lack.words.removeprefix(lack.kind.value).lstrip(":, ")


def need_of(state: EmbedderState) -> str:
    """Returns what an embedder lacks, in words that follow "needs"."""
    return state.lacks.words if state.lacks else GONE


def need_html(lacks: str) -> str:
    """Returns what an embedder lacks, its commands and variables as code.

    >>> need_html("the key OPENAI_API_KEY")
    'the key <code>OPENAI_API_KEY</code>'
    """
    pieces, end = [], 0
    for found in CODE.finditer(lacks):
        pieces += [escaped(lacks[end : found.start()]), f"<code>{escaped(found.group().rstrip('. '))}</code>"]
        end = found.start() + len(found.group().rstrip(". "))
    return "".join([*pieces, escaped(lacks[end:])])


def price_of(spec: EmbedderSpec) -> str:
    """Returns what a million tokens cost, as far as the table knows."""
    token = price(spec)
    if token is None:
        return "price unknown"
    return f"${per_million(spec.usd_per_million_tokens)} per million" if token else "free"


def per_million(usd: float) -> str:
    """Returns a price in dollars with as many digits as matter.

    >>> per_million(0.1), per_million(0.005), per_million(12)
    ('0.10', '0.005', '12.00')
    """
    return f"{usd:.2f}" if round(usd, 2) == usd else f"{usd:g}"


# --- the note: an offer, a build, or what became of it


def offer_html(offer: Offer, answering: str, serves: bool) -> str:
    """Returns the offer to build an index; `answering` is the embedder that goes on meanwhile."""
    spec, work = offer.spec, offer.work
    what = "Build the rest of the index" if serves else "Build the index"
    amount = f"{count_text(work.chunks, 'chunk')}, {about_time(work.seconds)}, {_cost(work)}"
    pieces = [f"<p>{what} of <b>{escaped(offer.corpus)}</b> under <b>{escaped(spec.name)}</b>: {amount}.</p>"]
    consent = ""
    if offer.needs_consent:
        pieces.append(f"<p>{escaped(_sent(offer))}</p>")
        consent = f' data-consent="{escaped(_consent(offer))}"'
    if answering and answering != spec.name:
        pieces.append(f"<p>{escaped(answering)} answers meanwhile.</p>")
    asks = f'data-emb="build" data-usd="{"" if work.usd is None else work.usd}"{consent}'
    build = f'<button type="button" class="lib-button lib-primary" {asks}>Build</button>'
    partly = _button("use", "Use it as it is") if serves else ""
    buttons = f'<div class="emb-buttons">{build}{partly}{_button("close", "Not now")}</div>'
    return f'<div class="emb-note" data-name="{escaped(spec.name)}">{"".join(pieces)}{buttons}</div>'


def _sent(offer: Offer) -> str:
    """Says what is embedded, and who receives it."""
    about = "" if offer.work.exact else "about "
    told = f"{count_text(offer.work.passages, 'passage')} of {offer.corpus}, {about}{offer.work.tokens:,} tokens"
    return f"{told}, are sent to {offer.receiver}." if offer.receiver else f"{told}."


def _consent(offer: Offer) -> str:
    """Returns what is asked before text is sent away or money is spent."""
    if offer.work.usd is None:
        cost = "What this costs is not known: its entry has no price."
    elif offer.work.usd:
        cost = f"This costs {_cost(offer.work)}; it ends early rather than cost a tenth more."
    else:
        cost = "This is free."
    return f"{_sent(offer)} {cost} What is embedded is stored, and never paid for twice."


def _cost(work: IndexEstimate) -> str:
    if work.usd is None:
        return "at a price that is not known"
    return f"{'' if work.exact else 'about '}{dollars(work.usd)}" if work.usd else "free"


def refusal_html(state: EmbedderState) -> str:
    """Returns why an embedder cannot be used here, and what to do about it."""
    told = f"<p><b>{escaped(state.name)}</b> cannot be used here yet: it needs {need_html(need_of(state))}.</p>"
    kept = "<p>Its index is kept.</p>" if state.index and state.index.chunks else ""
    buttons = f'<div class="emb-buttons">{_button("close", "Close")}</div>'
    return f'<div class="emb-note emb-refused">{told}{kept}{buttons}</div>'


def job_note_html(job: Job | None, corpus: str, states: Sequence[EmbedderState]) -> str:
    """Returns the note of a build of this corpus that runs, or that did not come to its end."""
    if job is None or job.order.kind is not Kind.BACKFILL or job.order.corpus != corpus or job.state is State.DONE:
        return ""
    name = ", ".join(job.order.embedders)
    if job.state is State.RUNNING:
        pace = next((state.pace for state in states if state.name == name), None)
        return _progress_html(job, name, pace or Pace())
    if job.state is State.FAILED:
        told, again = f"{escaped(name)} was not built: {escaped(job.message)}", "Try again"
    else:
        ended = "was cancelled" if job.state is State.STOPPED else "was interrupted"
        told, again = f"The build under {escaped(name)} {ended}. What was done is kept.", "Go on"
    kind = "emb-failed" if job.state is State.FAILED else "emb-stopped"
    buttons = f'<div class="emb-buttons">{_button("resume", again)}{_button("dismiss", "Close")}</div>'
    return f'<div class="emb-note {kind}" role="status"><p>{told}</p>{buttons}</div>'


def _progress_html(job: Job, name: str, pace: Pace) -> str:
    percent = percent_of(pace)
    told = "Loading the embedder …"
    if pace.done:
        left = f" · {duration(pace.left)} left" if pace.left else ""
        told = f"{pace.done:,} of {pace.expected:,}{left}"
    head = "Cancelling" if job.meter.stopping else "Building"
    button = "" if job.meter.stopping else _button("stop", "Cancel")
    return (
        f'<div class="emb-note emb-running"><div class="emb-line"><b>{head} {escaped(name)}</b>'
        f"<span>{f'{percent} %' if pace.done else ''}</span></div>"
        f'<span class="job-track" role="progressbar" aria-label="Building {escaped(name)}" aria-valuemin="0" '
        f'aria-valuemax="100" aria-valuenow="{percent}"><i style="width:{percent}%"></i></span>'
        f'<div class="emb-line"><span title="vectors">{told}</span>{button}</div></div>'
    )


def percent_of(pace: Pace) -> int:
    """Returns the percentage that is done; not all before the indexes are brought up to date as well."""
    return min(99, int(100 * pace.share)) if pace.done else 0


def _button(action: str, label: str) -> str:
    return f'<button type="button" class="lib-button" data-emb="{action}">{label}</button>'
