"""The leaderboard as a person reads it in a terminal: a table, a verdict in words, further metrics, kinds of query."""

from collections import Counter
from collections.abc import Sequence

from eval.across import render_across
from eval.comparisons import TaskComparisons
from eval.footnotes import footnote
from eval.published import beside_published, published_in_words
from eval.results import Results, TaskResults
from eval.rows import EvalRow
from eval.summaries import MetricSummary, RowSummary
from eval.tasks.task import Task
from eval.text_table import WIDTH, fill, groups_that_fit, table
from eval.verdicts import item_of, items_of, labels_of, number, verdict

__all__ = [
    "TIED",
    "WIDTH",
    "columns_of",
    "further_metrics",
    "render",
    "render_all",
    "tie_letters",
    "verdict",
    "with_counts",
    "with_interval",
]

TIED = "="
"""Marks a row that is not separable from the leader."""

_BESIDE = {
    "retrieval": ("R@100", "RR@10", "AP", "P@5"),
    "spans": ("span_recall@5", "span_precision@5", "span_iou@5", "answer_hit@5"),
}
"""The metrics beside the main one; of families that are not told here all that they have."""

_MOST_KINDS = 12
_UNKNOWN = "-"


def render_all(results: Results) -> str:
    """Returns the leaderboards of all tasks, the table of ranks where there are several, and what is published."""
    parts = [render(each, results.seed) for each in results.tasks]
    published = [f"{fill(sentence)}\n" for sentence in published_in_words(beside_published(results))]
    return "\n".join(filter(None, (*parts, render_across(results), "".join(published))))


def render(results: TaskResults, seed: int) -> str:
    """Returns the leaderboard of one task, at most 100 columns wide, ending in a line break."""
    task, compared = results.task, results.compared
    parts = [
        f"{task.name} ({task.split}): {items_of(task.family, len(task.items))}{_cut_by(compared)}",
        _main_table(results),
        fill(_legend(compared) + verdict(compared)),
        *_diagnosis(results),
        *_further_tables(results),
        *_kind_tables(task, compared, results.summaries),
        fill(footnote(results, seed)),
    ]
    return "\n\n".join(parts) + "\n"


def columns_of(results: TaskResults) -> tuple[str, ...]:
    """Returns the metrics that stand beside the main one in a task's table: those of its family that it has."""
    there = dict.fromkeys(name for summary in results.summaries for name in summary.metrics)
    wanted = _BESIDE.get(results.task.family)
    if wanted:
        return tuple(name for name in wanted if name in there)
    return tuple(name for name in there if name != results.compared.metric and not _is_by_judge(name))


def further_metrics(results: TaskResults) -> tuple[str, ...]:
    """Returns the metrics that the table has no column for: answer spans, judged share, RAGAS'."""
    shown = {results.compared.metric, *columns_of(results)}
    there = dict.fromkeys(name for summary in results.summaries for name in summary.metrics)
    return tuple(sorted((name for name in there if name not in shown), key=_is_by_judge))


def tie_letters(compared: TaskComparisons) -> tuple[str, ...]:
    """Returns for every row its tie groups as letters: two rows that share one are not separable. Else nothing."""
    return compared.groups if len(compared.groups) == len(compared.rows) > 1 else ()


def _is_by_judge(name: str) -> bool:
    return name.startswith("ragas.")


def _cut_by(compared: TaskComparisons) -> str:
    """Names the chunker in the heading where all rows share it."""
    chunkers = {row.chunker for row in compared.rows}
    [only] = chunkers if len(chunkers) == 1 else [None]
    return f", chunks {only}" if only else ""


def _main_table(results: TaskResults) -> str:
    """Returns the table without columns that would say nothing, such as the retriever where nothing is retrieved."""
    compared, beside = results.compared, columns_of(results)
    rows, family = compared.rows, results.task.family
    letters = tie_letters(compared)
    names = {
        "embedder": True,
        "retriever": family == "retrieval",
        "chunker": len({row.chunker for row in rows}) > 1,
    }
    shown = [name for name, wanted in names.items() if wanted]
    header = ["", "#", *shown, f"{compared.metric} [95 %]", *(["ties"] if letters else []), *beside, "ms p50"]
    body = []
    for rank, at in enumerate(compared.ranking, start=1):
        row, metrics = rows[at], results.summaries[at].metrics
        latency = row.cost.get("query_ms_p50")
        body.append(
            [
                TIED if at in compared.not_separable else "",
                str(rank),
                *(_name(row, name, names["retriever"]) for name in shown),
                with_interval(metrics.get(compared.metric)),
                *([letters[at]] if letters else []),
                *(number(metrics[name].value) if name in metrics else _UNKNOWN for name in beside),
                _UNKNOWN if latency is None else f"{latency:.1f}",
            ]
        )
    elastic = [header.index(name) for name in shown if name != "retriever"]
    return table(header, body, elastic or [2], left=3 + len(shown))


def _name(row: EvalRow, name: str, with_retriever: bool) -> str:
    """Returns the embedder, retriever or chunker; words alone are named in the embedder's place without a retriever."""
    if name == "embedder" and not with_retriever:
        return row.label
    return getattr(row, name) or _UNKNOWN


def with_interval(metric: MetricSummary | None) -> str:
    """Returns a value with its interval, such as `0.645 [0.598, 0.690]`."""
    if metric is None:
        return _UNKNOWN
    if metric.ci_low is None or metric.ci_high is None:
        return number(metric.value)
    return f"{number(metric.value)} [{number(metric.ci_low)}, {number(metric.ci_high)}]"


def with_counts(metric: MetricSummary | None) -> str:
    """Returns a value with its spread over judgings, and how many were scored of how many where some failed."""
    if metric is None:
        return _UNKNOWN
    shown = number(metric.value) if metric.spread is None else f"{number(metric.value)} ±{metric.spread:.3f}"
    if not metric.failed:
        return shown
    scored = metric.n or 0
    nan = f", {metric.nan} NaN" if metric.nan else ""
    return f"{shown} ({scored}/{scored + metric.failed}{nan})"


def _legend(compared: TaskComparisons) -> str:
    legend = f"{TIED} not separable from the leader. " if compared.not_separable else ""
    return legend + ("Rows that share a letter are not separable. " if tie_letters(compared) else "")


def _diagnosis(results: TaskResults) -> list[str]:
    """Says where the leader ranks the relevant documents, and what would help."""
    found = results.summaries[results.compared.ranking[0]].diagnosis
    if found is None:
        return []
    shares = ", ".join(f"{share * 100:.0f} % {name}" for name, share in found.shares)
    label = labels_of(results.rows)[results.compared.ranking[0]]
    return [fill(f"Relevant documents under {label}: {shares}. {found.advice or ''}".rstrip())]


def _further_tables(results: TaskResults) -> list[str]:
    """Returns the other metrics, one a line, with the rows of the leaderboard by rank as columns; none without any."""
    names = further_metrics(results)
    if not names:
        return []
    ranking = results.compared.ranking
    failures = any(
        summary.metrics[name].failed for summary in results.summaries for name in names if name in summary.metrics
    )
    cells = {at: [with_counts(results.summaries[at].metrics.get(name)) for name in names] for at in ranking}
    widest = [max((*cells[at], f"#{rank}"), key=len) for rank, at in enumerate(ranking, start=1)]
    note = "; (scored/asked) where some failed" if failures else ""
    parts = [f"Further metrics of the rows by rank{note}"]
    for group in groups_that_fit(widest):
        header = ["metric", *(f"#{place + 1}" for place in group)]
        body = [[name, *(cells[ranking[place]][line] for place in group)] for line, name in enumerate(names)]
        parts.append(table(header, body, elastic=(0,), left=1))
    return ["\n".join(parts)]


def _kind_tables(task: Task, compared: TaskComparisons, summaries: Sequence[RowSummary]) -> list[str]:
    """Returns the main metric by kind of query, in several tables where one would be too wide; none without kinds."""
    kinds = sorted({kind for summary in summaries for kind in summary.kinds})
    if not kinds:
        return []
    title = f"{compared.metric} by kind of {item_of(task.family)}"
    if len(kinds) > _MOST_KINDS:
        return [f"{title}: {len(kinds)} kinds, in the report"]
    counts = Counter(task.kinds.values())
    labels = labels_of(compared.rows)
    headings = [f"{kind} ({counts[kind]})" for kind in kinds]
    tables = [title]
    for group in groups_that_fit(headings):
        header = ["retriever, embedder" if compared.rows[0].retriever else "embedder", *(headings[at] for at in group)]
        body = [[labels[at], *(number(summaries[at].kinds.get(kinds[k])) for k in group)] for at in compared.ranking]
        tables.append(table(header, body, elastic=(0,), left=1))
    return tables
