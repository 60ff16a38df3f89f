"""One query of a finished evaluation as HTML: what every row made of it, and the panel that stands beside the chat."""

from collections.abc import Sequence
from urllib.parse import urlencode

from eval.drilldown import FOUND
from eval.markup import Markup, element, join
from eval.verdicts import number
from rag.library import Library
from ui.evaluate_documents import Documents
from ui.evaluate_told import Document, best_first, corpus_of, find_query, name_of, shorten, tone
from ui.names import visible

MOST_GOLD = 6
"""Relevant documents of a query that a row names."""
SHORT = 44
PUT_OUT = {"sts": "Cosine", "anomaly": "Anomaly score", "clustering": "Cluster"}
"""What a row has for a single item where the main metric is of all items together."""


def query_html(documents: Documents, at: int, id_: str, library: Library) -> str:
    """Returns what every row made of a query: its score, where it ranked what is relevant, and its first ten."""
    task, query = find_query(documents, at, id_)
    order = best_first(documents, task)
    lines = [_row_line(documents, task, query, row, library) for row in order]
    scored = element("th", PUT_OUT.get(task["family"], task["metric"]), scope="col", class_="lib-number")
    gold = element("th", "Rank of what is relevant", scope="col") if "gold" in query else Markup("")
    head = element("tr", element("th", "Row", scope="col"), scored, gold, element("th", scope="col", class_="eva-act"))
    table = element("table", element("thead", head), element("tbody", *lines), class_="lib-table eva-ranks")
    parts = [element("div", table, class_="cmp-wide")]
    if query.get("label") is not None and "gold" not in query:
        parts.append(element("p", f"Labelled {query['label']:g}.", class_="eva-hint"))
    if "top" in query:
        parts.append(_tops(task, query, order))
    return join(*parts)


def _row_line(documents: Documents, task: Document, query: Document, at: int, library: Library) -> Markup:
    row, value = task["rows"][at], query["values"][at]
    cells = [
        element("th", element("bdi", visible(row["label"])), scope="row"),
        element("td", number(value, "–"), class_=f"lib-number {tone(query['right'][at])}"),
    ]
    if "gold" in query:
        cells.append(element("td", *_gold_chips(task, query, at), class_="eva-golds"))
    cells.append(element("td", _chat_button(documents, task, query, at, library), class_="eva-act"))
    return element("tr", *cells)


def _gold_chips(task: Document, query: Document, at: int) -> list[Markup]:
    chips = []
    for gold in query["gold"][:MOST_GOLD]:
        rank, miss = gold["ranks"][at], gold["misses"][at]
        said = f"#{rank}" if rank is not None else miss
        tone = "lib-done" if miss == FOUND else "lib-skipped" if rank is not None else "lib-failed"
        name = visible(name_of(task, gold["id"]))
        chips.append(
            element("span", element("b", said), " ", shorten(name, SHORT), class_=f"lib-status {tone}", title=name)
        )
    more = query["relevant"] - len(chips)
    if more > 0:
        chips.append(element("span", f"and {more:,} more", class_="eva-hint"))
    return chips


def _chat_button(documents: Documents, task: Document, query: Document, at: int, library: Library) -> Markup:
    corpus, row = corpus_of(documents, task, at), task["rows"][at]
    embedders = {card.embedder for card in library.cards.all(corpus)} if corpus else set()
    if not embedders or row["embedder"] not in (None, *embedders):
        return Markup("")
    return element(
        "button",
        "Open in chat",
        type="button",
        class_="lib-button",
        data_eva="chat",
        data_corpus=corpus,
        data_embedder=row["embedder"] or "",
        data_retriever=row["retriever"] or "",
        data_question=query["text"],
        data_query=query["id"],
        aria_label=f"Open in chat under {row['label']}",
    )


def _tops(task: Document, query: Document, order: Sequence[int]) -> Markup:
    grades = {gold["id"] for gold in query["gold"]}
    columns = []
    for row, top in ((task["rows"][at], query["top"][at]) for at in order):
        items = [_top_item(task, document, document in grades) for document in top]
        body = element("ol", *items) if items else element("p", "Nothing was found.", class_="eva-hint")
        columns.append(element("div", element("b", element("bdi", visible(row["label"]))), body, class_="eva-top"))
    return element(
        "details",
        element("summary", "First ten of every row"),
        element("div", *columns, class_="eva-tops", tabindex=0, role="region", aria_label="First ten of every row"),
        class_="eva-more",
    )


def _top_item(task: Document, document: str, is_gold: bool) -> Markup:
    snippet = task["documents"].get(document, {}).get("snippet", "")
    name = element("em", element("bdi", visible(name_of(task, document))))
    text = element("p", visible(snippet), dir="auto") if snippet else Markup("")
    return element("li", name, text, class_="eva-gold" if is_gold else None)


# --- beside the chat


def gold_html(documents: Documents, at: int, id_: str, library: Library) -> str:
    """Returns where every row of the evaluation has what is relevant to a query, and links to it."""
    task, query = find_query(documents, at, id_)
    order = best_first(documents, task)
    corpus = next((found for row in range(len(task["rows"])) if (found := corpus_of(documents, task, row))), None)
    sources = library.sources(corpus) if corpus else {}
    blocks = []
    for gold in query.get("gold", ())[:MOST_GOLD]:
        name = visible(name_of(task, gold["id"]))
        document = sources.get(gold["id"])
        title: object = element("a", name, href=f"?{urlencode({'document': document})}") if document else name
        lines = [
            element(
                "tr",
                element("th", element("bdi", visible(row["label"])), scope="row"),
                element("td", f"#{rank}" if rank is not None else miss, class_="eva-right" if miss == FOUND else None),
            )
            for row, rank, miss in ((task["rows"][at], gold["ranks"][at], gold["misses"][at]) for at in order)
        ]
        blocks.append(
            element("div", element("b", element("bdi", title)), element("table", *lines), class_="eva-goldbox")
        )
    back = urlencode({"tab": "evaluate", "evaluation": documents.saved.id, "task": at, "query": id_})
    return element(
        "section",
        element(
            "div",
            element("b", "What is relevant, and its rank under every row"),
            element(
                "button",
                "×",
                type="button",
                class_="lib-icon",
                data_eva="close-gold",
                aria_label="Close",
                title="Close",
            ),
            class_="eva-goldhead",
        ),
        *blocks,
        element("a", "Back to the evaluation", href=f"?{back}"),
        class_="eva-goldpanel",
    )
