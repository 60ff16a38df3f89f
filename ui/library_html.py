"""The Library tab as HTML: corpora, adding documents, what is there, and how much of it each embedder covers."""

from urllib.parse import urlencode

from ingest.languages import language_name
from ingest.parsing import PARSERS, format_label
from rag.catalogue import Listed, Refused
from ui.coverage_html import facts_of, side_html
from ui.embedder_menu import price_of
from ui.job_html import part
from ui.library_view import PAGE, Offer, View
from ui.names import shown
from ui.render import escaped
from ui.uploads import LIMIT
from ui.words import count_text, short_number

FORMATS = ", ".join(format_label(parser.FORMAT) for parser in PARSERS)


def shell_html(view: View, job: str) -> str:
    """Returns the whole tab; its script keeps what lies outside of the parts, such as the search box, as it is."""
    return (
        f'<div class="lib" data-limit="{LIMIT}">'
        f'<nav class="lib-corpora" aria-label="Corpora"><h2 class="lib-label">Corpora</h2>{_corpora_part(view)}'
        '<form class="lib-new" data-action="new-corpus"><input name="corpus" required maxlength="100" '
        'pattern="[A-Za-z0-9]+([._\\-][A-Za-z0-9]+)*" placeholder="New corpus" aria-label="Name of a new corpus" '
        'title="Letters and digits, joined by . _ or -" autocomplete="off">'
        '<button class="lib-button" aria-label="Make the corpus">Add</button></form></nav>'
        f'<section class="lib-main" aria-label="Corpus">{_head_part(view)}{_add_part(view)}'
        f'<div class="lib-transfer" aria-live="polite"></div><div class="lib-job">{job}</div>'
        f'<div class="lib-list">{_list_tabs_part(view)}'
        '<input type="search" class="lib-search" placeholder="Search by name" aria-label="Search by name" '
        f'value="{escaped(view.words)}">{_list_part(view)}</div></section>'
        f'<aside class="lib-side" aria-label="Indexes of the corpus">{part("side", side_html(view))}</aside></div>'
    )


def parts_html(view: View) -> str:
    """Returns the parts alone, for a page that has the rest."""
    return (
        _corpora_part(view)
        + _head_part(view)
        + _add_part(view)
        + _list_tabs_part(view)
        + _list_part(view)
        + part("side", side_html(view))
    )


def _address(view: View, **changes: object) -> str:
    """Returns the address of this view with something changed; what stands at its default is left out."""
    fields = {"corpus": view.corpus, "show": view.show, "q": view.words, "page": view.page} | changes
    defaults = {"show": "documents", "q": "", "page": 1}
    told = {key: value for key, value in fields.items() if value != defaults.get(key)}
    return escaped("?" + urlencode({"tab": "library", **told}))


# --- left: corpora


def _corpora_part(view: View) -> str:
    names = dict(view.corpora)
    names.setdefault(view.corpus, 0)
    items = "".join(
        f'<a href="{_address(view, corpus=name, show="documents", q="", page=1)}" '
        f"{'aria-current=page' if name == view.corpus else ''}><span>{escaped(name)}</span>"
        f"<i>{f'{count:,}' if name in view.corpora else 'new'}</i></a>"
        for name, count in names.items()
    )
    return part("corpora", items)


# --- middle: the corpus and how to add to it


def _head_part(view: View) -> str:
    chunks = max((each.total for each in view.about.coverage), default=0)
    told = [count_text(view.documents_in_all, "document")]
    if chunks:
        told.append(count_text(chunks, "chunk"))
    if view.about.coverage:
        told.append(count_text(len({each.card.embedder for each in view.about.coverage}), "embedder"))
    nothing = "Its first documents are on their way" if view.busy else "Nothing in it yet"
    line = " · ".join(told) if view.documents_in_all else nothing
    ask = ""
    if view.documents_in_all:
        ask = f'<button type="button" class="lib-button" data-ask="{escaped(view.corpus)}">Ask it</button>'
    return part("head", f'<div class="lib-head"><div><h1>{escaped(view.corpus)}</h1><p>{line}</p></div>{ask}</div>')


def _add_part(view: View) -> str:
    empty = not view.documents_in_all and not view.busy
    title = "No documents yet: drop a folder here" if empty else "Drop files or a folder here"
    hint = f"<p>{escaped(FORMATS)}</p>"
    folder = (
        '<form class="lib-folder" data-action="folder"><input name="folder" required spellcheck="false" '
        'autocomplete="off" placeholder="or the path of a folder on this computer" '
        'aria-label="Path of a folder on this computer"><button class="lib-button">Ingest</button></form>'
        if view.local
        else ""
    )
    return part(
        "add",
        f'<div class="lib-add{" lib-first" if empty else ""}">'
        f'<div class="lib-drop" data-corpus="{escaped(view.corpus)}">'
        f'<div class="lib-drop-text"><b>{title}</b>{hint if empty else ""}</div>'
        '<div class="lib-drop-buttons"><label class="lib-button lib-primary">Choose folder'
        '<input type="file" webkitdirectory multiple class="lib-file" data-files></label>'
        '<label class="lib-button">Choose files<input type="file" multiple class="lib-file" data-files></label></div>'
        f"</div>{folder}{_choices_html(view, opened=empty)}</div>",
    )


def _choices_html(view: View, opened: bool) -> str:
    offers = "".join(map(_offer_html, view.offers))
    chunkers = "".join(
        f'<option value="{escaped(name)}">{escaped(name)}{": " + escaped(told) if told else ""}</option>'
        for name, told in view.chunkers.items()
    )
    chosen = ", ".join(offer.spec.name for offer in view.offers if offer.chosen)
    return (
        f'<details class="lib-choices"{" open" if opened else ""}><summary>Embed with <b data-chosen>{escaped(chosen)}'
        f'</b></summary><fieldset class="lib-offers"><legend class="lib-unseen">Embedders</legend>{offers}</fieldset>'
        '<label class="lib-chunker"><span>Cut into chunks</span>'
        f'<select name="chunker">{chunkers}</select></label></details>'
    )


def _offer_html(offer: Offer) -> str:
    spec = offer.spec
    state = ("disabled" if offer.lacks else "") + (" checked" if offer.chosen else "")
    facts = f"needs {escaped(offer.lacks)}" if offer.lacks else f"{facts_of(spec)} · {price_of(spec)}"
    return (
        f'<label class="lib-offer"><input type="checkbox" name="embedder" value="{escaped(spec.name)}" {state}>'
        f"<span><b>{escaped(spec.name)}</b><small>{facts}</small></span></label>"
    )


# --- middle: documents and problems


def _list_tabs_part(view: View) -> str:
    choices = "".join(
        f'<a href="{_address(view, show=show, q="", page=1)}" aria-pressed="{str(view.show == show).lower()}" '
        f'role="button">{label} <i>{count:,}</i></a>'
        for show, label, count in (
            ("documents", "Documents", view.documents_in_all),
            ("problems", "Problems", view.refused_in_all),
        )
    )
    return part("list-tabs", f'<div class="lib-segments" role="group" aria-label="What to list">{choices}</div>')


def _list_part(view: View) -> str:
    if view.show == "problems":
        rows = "".join(map(_refused_html, view.refused))
        empty = "Every file of this corpus was read."
        body = f'<ul class="job-list lib-refused">{rows}</ul>'
    else:
        rows = "".join(_row_html(each, view) for each in view.documents)
        empty = "No documents yet."
        headings = "".join(
            f'<th scope="col" class="{kind}">{name}</th>'
            for name, kind in (
                ("Document", ""), ("Format", "lib-text"), ("Language", "lib-text"), ("Pages", "lib-number"),
                ("Chunks", "lib-number"), ("Characters", "lib-number"),
            )
        )  # fmt: skip
        body = (
            f'<table class="lib-table"><thead><tr>{headings}<th scope="col"><span class="lib-unseen">Remove</span></th>'
            f"</tr></thead><tbody>{rows}</tbody></table>"
        )
    if not view.documents_in_all and not view.refused_in_all:
        return part("list", "")
    if not rows:
        empty = "Nothing has this name." if view.words else empty
        body = f'<div class="lib-empty">{empty}</div>'
    return part("list", body + _pager_html(view))


def _row_html(each: Listed, view: View) -> str:
    name = each.title or each.source
    note = f'<span class="lib-note">{escaped(each.note)}</span>' if each.note else ""
    cells = (
        ("lib-text", f'<span class="lib-format">{escaped(format_label(each.format))}</span>'),
        ("lib-text", escaped(language_name(each.language)) if each.language else "–"),
        ("lib-number", f"{each.pages:,}" if each.pages else "–"),
        ("lib-number", f"{each.chunks:,}"),
        ("lib-number", f'<span title="{each.characters:,} characters">{short_number(each.characters)}</span>'),
    )
    rest = "".join(f'<td class="{kind}">{content}</td>' for kind, content in cells)
    return (
        f'<tr><td class="lib-name"><a href="?tab=library&amp;document={each.id}" dir="auto">'
        f'{shown(name)}</a><span class="lib-source" title="{shown(each.path)}">{shown(each.source)}</span>'
        f'<span class="lib-brief">{escaped(format_label(each.format))} · {count_text(each.chunks, "chunk")}</span>'
        f'{note}</td>{rest}<td class="lib-act"><button type="button" class="lib-icon" data-action="remove" '
        f'data-source="{escaped(each.source)}" data-name="{shown(each.source)}" data-chunks="{each.chunks}" '
        f'data-uploaded="{str(each.source in view.uploaded).lower()}" aria-label="Remove {shown(each.source)}" '
        'title="Remove">&#215;</button></td></tr>'
    )


def _refused_html(each: Refused) -> str:
    return (
        f'<li><span class="lib-status lib-{escaped(each.status)}">{escaped(each.status)}</span><span class="job-file">'
        f'<span title="{shown(each.path)}">{shown(each.source)}</span>'
        f'<span class="job-reason">{escaped(each.reason)}</span></span></li>'
    )


def _pager_html(view: View) -> str:
    if view.found <= PAGE and view.page == 1:
        return ""
    first = (view.page - 1) * PAGE + 1
    last = min(view.found, view.page * PAGE)
    before = f'<a class="lib-button" href="{_address(view, page=view.page - 1)}">Previous</a>'
    after = f'<a class="lib-button" href="{_address(view, page=view.page + 1)}">Next</a>'
    return (
        f'<div class="lib-pager"><span>{first:,} to {last:,} of {view.found:,}</span>'
        f"{before if view.page > 1 else ''}{after if view.page < view.pages else ''}</div>"
    )
