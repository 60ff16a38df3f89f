"""The sections of the report on one task: verdict, tables, plots, and a frame for its queries."""

from collections.abc import Mapping, Sequence
from typing import Any

from eval.citable import why_not_citable
from eval.footnotes import sentences
from eval.judged_comparisons import judged_lines
from eval.leaderboard import tie_letters
from eval.markup import Markup, element, join
from eval.report_charts import shares_bar
from eval.report_figures import pair_bars, quality_plots
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
from eval.verdicts import item_of, items_of, verdict


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
    """Returns the plots of quality against each cost, side by side."""
    figures = [element("figure", plot) for plot in quality_plots(results, series).values()]
    return element("div", *figures, class_="figures") if figures else Markup("")


def _differences(results: TaskResults, at: int) -> Markup:
    """Returns the bars of every pair, one of which is shown."""
    choices: list[Markup] = []
    plots: list[Markup] = []
    for number, (name, bars) in enumerate(pair_bars(results)):
        key = f"pair-{at}-{number}"
        choices.append(element("option", name, value=key))
        plots.append(element("figure", bars, id=key, hidden=bool(number)))
    if not plots:
        return Markup("")
    select = element("select", *choices, class_="pairs")
    return join(element("label", f"{results.compared.metric} of ", select, class_="chooser"), *plots)


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
