"""The queries of a finished evaluation as HTML: filters, and the list."""

from collections.abc import Sequence
from dataclasses import dataclass

from eval.drilldown import ALL_RIGHT, ALL_WRONG, DISAGREE
from eval.markup import Markup, element, join
from eval.verdicts import items_of, number
from ui.evaluate_documents import Documents
from ui.evaluate_told import Document, best_first, shorten, task_at, tone
from ui.names import visible

PAGE = 25
"""Queries that are shown at once."""

FILTERS = {"": "All", DISAGREE: "Embedders disagree", ALL_WRONG: "All wrong", ALL_RIGHT: "All right"}
KINDS = {ALL_RIGHT: "lib-done", ALL_WRONG: "lib-failed", DISAGREE: "lib-skipped"}


@dataclass(frozen=True, slots=True)
class Asked:
    """Which queries are wanted: of a task, with a verdict, of a kind, with words, and the page of them."""

    task: int = 0
    show: str = ""
    kind: str = ""
    words: str = ""
    page: int = 1


def queries_html(documents: Documents, asked: Asked) -> str:
    """Returns the queries that are asked for, those on which the rows differ most first."""
    task = task_at(documents, asked.task)
    if task is None:
        told = "What became of each query was not written down; this folder is of another program, or an older version."
        return element("p", told, class_="eva-hint")
    queries = task["queries"]
    items = items_of(task["family"])
    found = [query for query in queries if _fits(query, asked)]
    first = (asked.page - 1) * PAGE
    order = best_first(documents, task)
    listed = [_query_row(task, query, order) for query in found[first : first + PAGE]]
    shown = (
        element("div", *listed, class_="eva-list")
        if listed
        else element("div", f"None of the {items} is like that.", class_="lib-empty")
    )
    return join(
        element("h2", f"{items.capitalize()} one by one", class_="eva-sub"),
        element("p", _note(task), class_="eva-hint"),
        _key(task, order) if task["counts"] else Markup(""),
        _filters(task, queries, asked),
        shown,
        _pager(len(found), asked),
    )


def _note(task: Document) -> str:
    items = items_of(task["family"])
    told = f"All {task['of']:,}" if task["told"] == task["of"] else f"{task['told']:,} of {task['of']:,}"
    note = f"{told} {items}, those on which the rows differ most first."
    if task["family"] == "retrieval":
        note += " Right means: a relevant document among the first ten."
    return note


def _fits(query: Document, asked: Asked) -> bool:
    words = asked.words.lower().split()
    text = f"{query['text']} {query['id']}".lower()
    return (
        (not asked.show or query["verdict"] == asked.show)
        and (not asked.kind or query["kind"] == asked.kind)
        and all(word in text for word in words)
    )


def _filters(task: Document, queries: Sequence[Document], asked: Asked) -> Markup:
    counts = task["counts"]
    verdicts = [(name, label) for name, label in FILTERS.items() if not name or counts.get(name)]
    buttons = [
        element(
            "button",
            f"{label} ",
            element("i", f"{counts[name] if name else task['of']:,}"),
            type="button",
            data_eva="filter",
            data_show=name,
            aria_pressed=str(name == asked.show).lower(),
        )
        for name, label in verdicts
    ]
    parts = [element("div", *buttons, class_="lib-segments", role="group", aria_label="Which")] if counts else []
    kinds = sorted({query["kind"] for query in queries if query["kind"]})
    if kinds:
        options = [element("option", "every kind", value="")]
        options += [element("option", visible(kind), value=kind, selected=kind == asked.kind) for kind in kinds]
        parts.append(element("select", *options, class_="eva-kind", aria_label="Kind"))
    words = {"value": asked.words, "placeholder": "Search", "aria_label": "Search the queries"}
    parts.append(Markup(element("input", type="search", class_="eva-search", **words).removesuffix("</input>")))
    return element("div", *parts, class_="eva-filters")


def _key(task: Document, order: Sequence[int]) -> Markup:
    """Tells what the marks beside each query stand for."""
    names = [element("bdi", visible(task["rows"][at]["label"])) for at in order]
    listed = [part for name in names for part in (", ", name)][1:]
    return element("p", "Marks, from the left: ", *listed, ". Green is right.", class_="eva-hint")


def _query_row(task: Document, query: Document, order: Sequence[int]) -> Markup:
    cells = [
        element(
            "i",
            class_=f"eva-cell {tone(query['right'][at])}",
            title=f"{task['rows'][at]['label']}: {number(query['values'][at], 'not scored')}",
        )
        for at in order
        if task["counts"]  # else nothing is right or wrong by itself
    ]
    verdict = query["verdict"]
    chips = [element("span", FILTERS[verdict], class_=f"lib-status {KINDS[verdict]}")] if verdict else []
    if query["kind"]:
        chips.append(element("span", visible(query["kind"]), class_="lib-status"))
    summary = element(
        "summary",
        element("span", visible(shorten(query["text"], 400)), class_="eva-text", dir="auto"),
        element(
            "span", *chips, element("span", *cells, class_="eva-cells", role="img", aria_label=_spoken(task, query))
        ),
    )
    return element("details", summary, element("div", class_="eva-detail"), class_="eva-query", data_query=query["id"])


def _spoken(task: Document, query: Document) -> str:
    pairs = zip(task["rows"], query["values"], strict=True)
    return ", ".join(f"{row['label']} {number(value, 'not scored')}" for row, value in pairs)


def _pager(found: int, asked: Asked) -> Markup:
    pages = -(-found // PAGE)
    if pages < 2:
        return Markup("")
    first = (asked.page - 1) * PAGE
    turns = [
        element("button", label, type="button", class_="lib-button", data_eva="page", data_page=page, disabled=off)
        for label, page, off in (
            ("Back", asked.page - 1, asked.page == 1),
            ("Next", asked.page + 1, asked.page >= pages),
        )
    ]
    told = f"{first + 1:,} to {min(first + PAGE, found):,} of {found:,}"
    return element("div", element("span", told), *turns, class_="lib-pager")
