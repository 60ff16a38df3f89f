"""The Embedders tab as HTML: every embedder of the settings with its facts, what it lacks here, and its last test."""

from collections import Counter
from collections.abc import Mapping

from ingest.languages import language_name
from rag.embedders.readiness import Lack
from rag.embedders.spec import EmbedderSpec
from rag.embedders.trial import Trial
from ui.coverage_html import facts_of
from ui.embedder_menu import dot_html, need_html, per_million, price_of, remedy_of
from ui.job_html import part
from ui.render import escaped
from ui.words import count_text, rate_text

Specs = Mapping[str, EmbedderSpec]
Lacking = Mapping[str, Lack | None]
Tried = Mapping[str, Trial | str]
"""By name, what the last test has shown, or why it could not be done."""

READY = "ready"
ALIKE = 0.9995
"""The cosine from which on an embedder's two sides are the same."""

COLUMNS = (
    ("Embedder", ""),
    ("Here", ""),
    ("Dimension", "lib-number"),
    ("Tokens", "lib-number"),
    ("Languages", "lib-text"),
    ("$ per million", "lib-number"),
    ("Made for", "lib-text"),
    ("Licence", "lib-text"),
)


def shell_html(specs: Specs, lacking: Lacking, tried: Tried) -> str:
    """Returns the whole tab; its script filters the rows and keeps the search box as it is."""
    return (
        '<div class="emb-page"><div class="emb-head"><h1>Embedders</h1><p>The project\'s table, and the entries of '
        "your own <code>rag.toml</code>. Keys come from the environment or from <code>keys.toml</code>, never through "
        "this page.</p></div>"
        f'<div class="emb-tools">{_kinds_part(specs, lacking)}<input type="search" class="emb-filter" '
        'placeholder="Name, language, licence …" aria-label="Filter the embedders"></div>'
        f'{_table_part(specs, lacking, tried)}<p class="lib-empty emb-none" hidden>No embedder is like that.</p></div>'
    )


def parts_html(specs: Specs, lacking: Lacking, tried: Tried) -> str:
    """Returns the parts alone, for a page that has the rest."""
    return _kinds_part(specs, lacking) + _table_part(specs, lacking, tried)


def kind_of(lack: Lack | None) -> str:
    """Returns the group of an embedder: ready, or what kind of thing it needs."""
    return f"needs {lack.kind.value}" if lack else READY


def _kinds_part(specs: Specs, lacking: Lacking) -> str:
    counts = Counter(kind_of(lacking[name]) for name in specs)
    kinds = [("", "All", len(specs)), *((kind, kind.capitalize(), counts[kind]) for kind in _order(counts))]
    buttons = "".join(
        f'<button type="button" data-kind="{kind}" aria-pressed="{str(not kind).lower()}">{label} '
        f"<i>{count}</i></button>"
        for kind, label, count in kinds
    )
    return part("kinds", f'<div class="lib-segments" role="group" aria-label="Which embedders to show">{buttons}</div>')


def _order(kinds: Mapping[str, int]) -> list[str]:
    """Returns the groups, the ready ones first, then the largest."""
    return sorted(kinds, key=lambda kind: (kind != READY, -kinds[kind], kind))


def _table_part(specs: Specs, lacking: Lacking, tried: Tried) -> str:
    heads = "".join(f'<th scope="col" class="{kind}">{name}</th>' for name, kind in COLUMNS)
    order = _order(Counter(kind_of(lacking[name]) for name in specs))
    names = sorted(specs, key=lambda name: order.index(kind_of(lacking[name])))
    rows = "".join(_row_html(specs[name], lacking[name], tried.get(name)) for name in names)
    return part(
        "table",
        f'<table class="lib-table emb-table"><thead><tr>{heads}<th scope="col"><span class="lib-unseen">Test</span>'
        f"</th></tr></thead>{rows}</table>",
    )


def _row_html(spec: EmbedderSpec, lack: Lack | None, tried: Trial | str | None) -> str:
    kind = kind_of(lack)
    here = f'<span class="lib-status{" lib-done" if not lack else ""}">{kind}</span>'
    need = f'<span class="emb-need">{need_html(remedy_of(lack))}</span>' if lack else ""
    licence = escaped(spec.licence)
    widths = ", ".join(f"{width:,}" for width in spec.dimensions)
    cells = (
        ("lib-number", _fact(spec, "dimension", f"{spec.dimension:,}", f"can be cut to {widths}" if widths else "")),
        ("lib-number", _fact(spec, "max_tokens", f"{spec.max_tokens:,}" if spec.max_tokens else "no limit")),
        ("lib-text", _fact(spec, "languages", *_languages(spec))),
        ("lib-number", _fact(spec, "usd_per_million_tokens", _price(spec))),
        ("lib-text", _fact(spec, "made_for", escaped(spec.made_for))),
        ("lib-text", _fact(spec, "licence", licence)),
    )
    rest = "".join(f'<td class="{style}">{content}</td>' for style, content in cells)
    brief = " · ".join(
        (facts_of(spec), price_of(spec), f"for {spec.made_for}" if spec.made_for != "general" else "general", licence)
    )
    name = escaped(spec.name)
    return (
        f'<tbody data-name="{name}" data-kind="{kind}"><tr><th scope="row" class="emb-who">{dot_html(spec.name)}'
        f'<b>{name}</b><span class="lib-source" title="{escaped(spec.model)}">{escaped(spec.provider)} · {_model(spec)}'
        f"</span>"
        f'<span class="lib-brief">{brief}</span></th><td class="emb-here">{here}{need}</td>{rest}'
        f'<td class="lib-act"><button type="button" class="lib-button" data-emb="test" data-name="{name}" '
        f'aria-label="Test {name}" title="One real call: loads the model, or asks the vendor">Test</button></td></tr>'
        f"{trial_html(tried) if tried is not None else ''}</tbody>"
    )


def _model(spec: EmbedderSpec) -> str:
    """Returns the model's name, which leads to where its facts come from."""
    model = escaped(spec.model)
    if not spec.source.startswith("https://"):
        return model
    return f'<a href="{escaped(spec.source)}" target="_blank" rel="noopener noreferrer">{model}</a>'


def _fact(spec: EmbedderSpec, key: str, shown: str, title: str = "") -> str:
    """Returns a fact with a mark where no source was found for it."""
    told = f'<span title="{escaped(title)}">{shown}</span>' if title else shown
    mark = '<sup class="emb-doubt" title="No source was found for this.">?</sup>'
    return told + (mark if key in spec.unconfirmed else "")


def _price(spec: EmbedderSpec) -> str:
    if not spec.usd_per_million_tokens:
        return price_of(spec)
    return per_million(spec.usd_per_million_tokens)


def _languages(spec: EmbedderSpec) -> tuple[str, str]:
    """Returns the languages in a few words, and all of them where they are many."""
    names = [language_name(code) or code for code in spec.languages]
    if "any" in spec.languages:
        return "any", ""
    told = escaped(", ".join(names))
    return (count_text(len(names), "language"), ", ".join(names)) if len(names) > 2 else (told, "")


def trial_html(tried: Trial | str) -> str:
    """Returns the row that tells what a test has shown; a text is why it could not be done."""
    if isinstance(tried, str):
        return f'<tr class="emb-trial emb-failed"><td colspan="9" role="status">{escaped(tried)}</td></tr>'
    sides = "query and passage alike" if tried.cosine > ALIKE else f"query to passage side {tried.cosine:.3f}"
    facts = (
        ("first query", f"{_milliseconds(tried.first_ms)}"),
        ("then", f"{_milliseconds(tried.second_ms)}"),
        ("dimension", f"{tried.dimension:,}"),
        ("norm", f"{tried.norm:.3f}"),
        ("prefixes", sides),
        ("tokens/s", rate_text(tried.tokens_per_second)),
        ("precision", escaped(tried.precision)),
        ("backend", escaped(tried.backend)),
    )
    told = "".join(f"<span>{name} <b>{value}</b></span>" for name, value in facts)
    return f'<tr class="emb-trial"><td colspan="9" role="status">{told}</td></tr>'


def _milliseconds(value: float) -> str:
    if value >= 1000:
        return f"{value / 1000:.1f} s"
    if value >= 10:
        return f"{value:.0f} ms"
    return f"{value:.1f} ms" if value >= 0.1 else "under 0.1 ms"
