"""A finished evaluation as HTML: the verdict first, then tables and plots, which are those of the report."""

from urllib.parse import urlencode

from eval.across import task_names
from eval.footnotes import sentences
from eval.leaderboard import tie_letters
from eval.markup import Markup, element, join
from eval.report import series_of
from eval.report_across import across_section, published_section
from eval.report_figures import pair_bars, quality_plots
from eval.report_tables import (
    Series,
    kinds_table,
    leaderboard_table,
    metrics_table,
    pairs_matrix,
    split_further,
)
from eval.results import Results, TaskResults
from eval.verdicts import items_of, verdict
from ui.evaluate_documents import Documents
from ui.evaluate_html import when
from ui.names import visible
from ui.words import count_text, duration

COSTS = {"query_ms_p50": "Latency", "bytes_per_vector": "Vector size", "usd": "Money"}
FEW = 6
"""Scored items below which no test can tell anything."""


def results_html(documents: Documents, results: Results, chosen: int, has_report: bool) -> str:
    """Returns the pane of an evaluation with one of its tasks open."""
    at = chosen if 0 <= chosen < len(results.tasks) else 0
    series = series_of(results)
    parts = [_head(documents, results, has_report), *_notes(documents)]
    if len(results.tasks) > 1:
        parts += [_verdicts(results), across_section(results, series), _task_tabs(results, at)]
    parts += [_task(results.tasks[at], series, results.seed), published_section(results)]
    return element("article", *parts, class_="eva-results", data_id=documents.saved.id, data_task=at)


# --- the whole


def _head(documents: Documents, results: Results, has_report: bool) -> Markup:
    saved = documents.saved
    told = [count_text(len(results.tasks), "task"), count_text(len(results.rows), "row"), when(saved.created)]
    if saved.seconds:
        told.append(f"took {duration(saved.seconds)}")
    asked = urlencode({"id": saved.id})
    links = [element("a", "Download", href=f"evaluate/download?{asked}", class_="lib-button", download=True)]
    if has_report:
        links.append(element("a", "Report", href=f"evaluate/report?{asked}", class_="lib-button", download=True))
    remove = "Delete" if saved.is_own else "Take from the list"
    links.append(element("button", remove, type="button", class_="lib-button", data_eva="delete", data_id=saved.id))
    names = ", ".join(visible(each.task.name) for each in results.tasks)
    return element(
        "div",
        element("div", element("h1", element("bdi", names)), element("p", " · ".join(filter(None, told)))),
        element("div", *links, class_="eva-acts"),
        class_="eva-title",
    )


def _notes(documents: Documents) -> list[Markup]:
    return [element("p", visible(note), class_="lib-warn") for note in documents.saved.notes]


def _verdicts(results: Results) -> Markup:
    lines = [
        element("li", element("b", element("bdi", visible(name))), " ", verdict(each.compared))
        for name, each in zip(task_names(results), results.tasks, strict=True)
    ]
    return element(
        "section", element("h2", "All tasks"), element("ul", *lines, class_="eva-verdicts"), class_="eva-box"
    )


def _task_tabs(results: Results, chosen: int) -> Markup:
    buttons = [
        element(
            "button",
            element("bdi", visible(name)),
            type="button",
            data_eva="task",
            data_at=at,
            aria_pressed=str(at == chosen).lower(),
        )
        for at, name in enumerate(task_names(results))
    ]
    return element("div", *buttons, class_="lib-segments eva-tabs", role="group", aria_label="Task")


# --- one task


def _task(results: TaskResults, series: Series, seed: int) -> Markup:
    own, ragas = split_further(results)
    return join(
        _verdict(results),
        _block("Leaderboard", _legend(results), leaderboard_table(results, series), open_=True),
        element("p", " ".join(sentences(results, seed)), class_="eva-hint"),
        element("div", element("span", "Reading the queries …", class_="rag-wait"), class_="eva-queries"),
        _block("Quality against cost", _FRONT, _quality(results, series), open_=True),
        _block("Every pair", _MATRIX, pairs_matrix(results.compared, series)),
        _block("Differences, query by query", "", _differences(results)),
        _block("By kind", "The best of each kind in bold.", kinds_table(results, series)),
        _block("Further metrics", "", metrics_table(results, series, own)),
        _block("RAGAS", _RAGAS, metrics_table(results, series, ragas)),
    )


_FRONT = "The dashed line is the Pareto front: no other row is both better and cheaper. Whiskers are 95 % intervals."
_MATRIX = "Row minus column, with the p value after Holm's correction over all pairs."
_RAGAS = "In brackets how many were scored of how many, where some failed; failed ones are in no mean."


def _verdict(results: TaskResults) -> Markup:
    task, items = results.task, len(results.task.items)
    scope = [task.family, f"split {visible(task.split)}" if task.split else "", items_of(task.family, items)]
    parts = [element("p", verdict(results.compared), class_="eva-verdict")]
    if items < FEW:
        told = f"{items_of(task.family, items)}: too few to say anything. Label {FEW - items} more at least."
        parts.append(element("p", told, class_="lib-warn"))
    parts.append(element("p", " · ".join(filter(None, scope)), class_="eva-hint"))
    return element("div", *parts, class_="eva-box")


def _legend(results: TaskResults) -> str:
    parts = ["Bars are 95 % intervals."]
    if results.compared.not_separable:
        parts.append("Shaded rows are not separable from the leader.")
    if tie_letters(results.compared):
        parts.append("Rows that share a letter are not separable.")
    return " ".join(parts)


def _block(title: str, note: str, content: Markup, open_: bool = False) -> Markup:
    """Returns a part that can be folded; nothing where there is no content."""
    if not content:
        return Markup("")
    about = element("p", note, class_="eva-hint") if note else Markup("")
    return element("details", element("summary", title), about, content, class_="eva-block", open=open_)


def _quality(results: TaskResults, series: Series) -> Markup:
    """Returns a plot for each cost that is known of two rows and differs between them; one of them is shown."""
    buttons: list[Markup] = []
    figures: list[Markup] = []
    for cost, plot in quality_plots(results, series).items():
        first = not figures
        pressed = str(first).lower()
        name = COSTS[cost]
        buttons.append(element("button", name, type="button", data_eva="plot", data_plot=cost, aria_pressed=pressed))
        figures.append(element("figure", plot, data_plot=cost, hidden=not first, class_="eva-figure"))
    if not figures:
        return Markup("")
    choice = element("div", *buttons, class_="lib-segments", role="group", aria_label="Cost") if buttons[1:] else ""
    return join(choice, *figures)


def _differences(results: TaskResults) -> Markup:
    """Returns the bars of every pair, one of which is shown."""
    choices: list[Markup] = []
    figures: list[Markup] = []
    for number, (name, bars) in enumerate(pair_bars(results)):
        choices.append(element("option", name, value=number))
        figures.append(element("figure", bars, data_pair=number, hidden=bool(number), class_="eva-figure"))
    if not figures:
        return Markup("")
    chooser = element("label", f"{results.compared.metric} of ", element("select", *choices, class_="eva-pairs"))
    return join(chooser, *figures)
