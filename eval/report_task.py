"""The sections of the report on one task: verdict, tables, plots, and a frame for its queries."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from eval.citable import why_not_citable
from eval.footnotes import sentences
from eval.judged_comparisons import judged_lines
from eval.leaderboard import tie_letters
from eval.markup import Markup, element, join
from eval.measures import Mean, measure_of
from eval.report_charts import difference_bars, shares_bar
from eval.report_plots import Point, quality_plot
from eval.report_tables import (
    Series,
    kinds_table,
    leaderboard_table,
    metrics_table,
    pairs_matrix,
    row_name,
    scrolling,
    split_further,
)
from eval.results import TaskResults
from eval.verdicts import item_of, items_of, labels_of, verdict

_COSTS = {
    "query_ms_p50": "Milliseconds for a query (median)",
    "bytes_per_vector": "Bytes for a vector",
    "usd": "US dollars for the index",
}
_SHAPES = {"dense": "circle", "hybrid": "diamond", "lexical": "square"}


def task_section(
    results: TaskResults, details: Mapping[str, Any], at: int, series: Series, seed: int, only: bool = False
) -> Markup:
    """Returns all that is said of one task; `details` are its queries as the drill-down knows them.

    The verdict on an `only` task stands at the top of the page already.
    """
    task, compared = results.task, results.compared
    own, judged = split_further(results)
    parts = [
        element("h2", element("bdi", task.name)),
        element("p", _scope(results), class_="scope"),
        *([] if only else [element("p", verdict(compared), class_="verdict")]),
        *_warning(results),
        leaderboard_table(results, series),
        element("p", _legend(results), class_="legend"),
        element("p", " ".join(sentences(results, seed)), class_="footnote"),
        _block("Every pair", _MATRIX_NOTE, pairs_matrix(compared, series)),
        _block("Quality against cost", _FRONT_NOTE, _quality(results, series)),
        _block("Differences item by item", "", _differences(results, at)),
        _block(f"By kind of {item_of(task.family)}", "The best of each kind in bold.", kinds_table(results, series)),
        _block("Where the relevant documents are", _WHERE_NOTE, _diagnoses(results, series)),
        _block("Further metrics", "", metrics_table(results, series, own)),
        _block("RAGAS", _RAGAS_NOTE, _ragas(results, series, judged, seed)),
        _drilldown(details, at),
    ]
    return element("section", *parts, id=f"task-{at}", class_="task")


_RIGHT = {
    "retrieval": " Right: a relevant document among the first ten.",
    "classification": " Right: classified so in half of the trials or more.",
}
_MATRIX_NOTE = (
    "Row minus column, with the p value after Holm's correction over all pairs. Green: the row is better; red: worse; "
    "neither: not separable."
)
_FRONT_NOTE = (
    "The line is the Pareto front: no other row is both better and cheaper. Hollow points are beaten by another. "
    "Whiskers are 95 % intervals."
)
_WHERE_NOTE = (
    "Shares of the relevant documents: found among the first ten, ranked 11 to 100, further down or not found."
)
_RAGAS_NOTE = (
    "In brackets how many were scored of how many, where some failed; failed ones are in no mean. Metrics judged by a "
    "language model are opinions of that model."
)


def _scope(results: TaskResults) -> str:
    task = results.task
    chunkers = {row.chunker for row in results.rows if row.chunker}
    parts = [task.family, f"split {task.split}", items_of(task.family, len(task.items))]
    if len(chunkers) == 1:
        parts.append(f"chunks {chunkers.pop()}")
    return " · ".join(parts)


def _warning(results: TaskResults) -> list[Markup]:
    """Returns what stands against quoting the figures, where something does."""
    reasons = why_not_citable(results.task, results.rows)
    return [element("p", f"Not to be quoted as it stands: {'; '.join(reasons)}.", class_="warning")] if reasons else []


def _ragas(results: TaskResults, series: Series, names: Sequence[str], seed: int) -> Markup:
    """Returns RAGAS' metrics, and which rows a judge tells apart by them."""
    lines = [element("li", line) for line in judged_lines(results.rows, seed)]
    return join(metrics_table(results, series, names), element("ul", *lines, class_="judged") if lines else "")


def _legend(results: TaskResults) -> str:
    parts = ["Bars: 95 % intervals on a common scale."]
    if results.compared.not_separable:
        parts.append("Shaded rows are not separable from the leader.")
    if tie_letters(results.compared):
        parts.append("Rows that share a letter under Ties are not separable.")
    return " ".join(parts)


def _block(title: str, note: str, content: Markup) -> Markup:
    """Returns a titled part of the section; nothing where there is no content."""
    if not content:
        return Markup("")
    about = element("p", note, class_="note") if note else ""
    return element("div", element("h3", title), about, content, class_="block")


def _quality(results: TaskResults, series: Series) -> Markup:
    """Returns a plot for each cost that is known of two rows or more and differs between them."""
    figures = []
    for cost, name in _COSTS.items():
        points = _points(results, series, cost)
        if len(points) > 1 and len({point.x for point in points}) > 1:
            figures.append(element("figure", quality_plot(points, name, results.compared.metric)))
    return element("div", *figures, class_="figures") if figures else Markup("")


def _points(results: TaskResults, series: Series, cost: str) -> list[Point]:
    points = []
    for label, row, summary in zip(labels_of(results.rows), results.rows, results.summaries, strict=True):
        metric, paid = summary.metrics.get(results.compared.metric), row.cost.get(cost)
        if metric is None or metric.value is None or not math.isfinite(metric.value) or paid is None:
            continue
        shape = _SHAPES.get(row.retriever or "", "circle")
        points.append(Point(label, paid, metric.value, metric.ci_low, metric.ci_high, series[row.embedder], shape))
    return points


def _differences(results: TaskResults, at: int) -> Markup:
    """Returns the bars of every pair, one of which is shown; nothing for a metric that has no value for one item."""
    compared = results.compared
    if not isinstance(measure_of(compared.metric), Mean) or not compared.compared:
        return Markup("")
    labels = labels_of(compared.rows)
    place = {row: rank for rank, row in enumerate(compared.ranking)}
    choices: list[Markup] = []
    plots: list[Markup] = []
    for pair in sorted(compared.compared, key=lambda each: sorted((place[each.a], place[each.b]))):
        first, second = sorted((pair.a, pair.b), key=lambda row: place[row])
        of_first, of_second = (compared.rows[row].per_query[compared.metric] for row in (first, second))
        key = f"pair-{at}-{len(plots)}"
        choices.append(element("option", f"{labels[first]} minus {labels[second]}", value=key))
        plots.append(
            element(
                "figure",
                difference_bars([of_first[item] - of_second[item] for item in of_first], labels[first], labels[second]),
                id=key,
                hidden=bool(plots),
            )
        )
    chooser = element("label", f"{compared.metric} of ", element("select", *choices, class_="pairs"), class_="chooser")
    return join(chooser, *plots)


def _diagnoses(results: TaskResults, series: Series) -> Markup:
    """Returns for every row where its relevant documents stand, as far as that was found out."""
    lines: list[Markup] = []
    heads = [element("td"), element("td")]
    for at in results.compared.ranking:
        shares = shares_of(results, at)
        if not shares:
            continue
        if not lines:
            heads += [_share_head(name, place) for place, (name, _) in enumerate(shares)]
        cells = [element("td", f"{share * 100:.0f} %", class_="num") for _, share in shares]
        name = element("th", row_name(results.rows[at], series), scope="row")
        lines.append(element("tr", name, element("td", shares_bar(shares), class_="bar"), *cells))
    if not lines:
        return Markup("")
    leading = results.summaries[results.compared.ranking[0]].diagnosis
    advice = element("p", leading.advice, class_="advice") if leading and leading.advice else ""
    body = (element("thead", element("tr", *heads)), element("tbody", *lines))
    return join(scrolling("table", *body, class_="shares"), advice)


def _share_head(name: str, place: int) -> Markup:
    return element("th", element("i", class_=f"swatch s{place}"), name.capitalize(), scope="col")


def shares_of(results: TaskResults, at: int) -> Sequence[tuple[str, float]]:
    """Returns the shares of a row's relevant documents in the first ten, at 11 to 100, and beyond."""
    diagnosis = results.summaries[at].diagnosis
    return diagnosis.shares if diagnosis else ()


def _drilldown(details: Mapping[str, Any], at: int) -> Markup:
    """Returns the frame which the script fills with queries."""
    if not details["queries"]:
        return Markup("")
    told = f"All {details['of']:,}" if details["told"] == details["of"] else f"{details['told']:,} of {details['of']:,}"
    note = f"{told} {items_of(details['family'])}, those on which the rows differ most first."
    if details["told"] < details["of"]:
        note += " The others differ less."
    note += _RIGHT.get(details["family"], "")
    return element(
        "div",
        element("h3", f"{items_of(details['family']).capitalize()} one by one"),
        element("p", note, class_="note"),
        element("noscript", element("p", "This part needs the page's script to be allowed.", class_="note")),
        element("div", class_="drill", id=f"drill-{at}"),
        class_="block",
    )
