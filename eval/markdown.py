"""The leaderboard in Markdown, for an issue, a wiki or a README: tables with the best of each column in bold."""

import math
import re
from collections.abc import Sequence

from eval.across import across_tasks
from eval.footnotes import footnote
from eval.leaderboard import columns_of, tie_letters, with_interval
from eval.results import Results, TaskResults
from eval.summaries import MetricSummary
from eval.verdicts import items_of, labels_of, number, verdict

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#!|~&$@]|:(?=//)|(?<=www)\.)")  # the last two: what becomes a link by itself
_BREAKS = re.compile(r"\s+")


def markdown(results: Results) -> str:
    """Returns all tasks' leaderboards, after a table of ranks where there are several tasks."""
    parts = ["# Leaderboard"]
    if len(results.tasks) > 1:
        parts += ["## Across tasks", _across(results)]
    for each in results.tasks:
        parts += [f"## {escape(each.task.name)}", *_task(each, results.seed)]
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """Returns a text on one line that Markdown shows as it is: no markup, no link, no table cell, no mention."""
    return _SPECIAL.sub(r"\\\1", _BREAKS.sub(" ", text).strip())


def best_of(metrics: Sequence[MetricSummary | None]) -> float | None:
    """Returns the highest value of a column, None where no row has one."""
    values = [metric.value for metric in metrics if metric and metric.value is not None]
    return max(filter(math.isfinite, values), default=None)


def _task(results: TaskResults, seed: int) -> list[str]:
    task, compared = results.task, results.compared
    beside, letters, labels = columns_of(results), tie_letters(compared), labels_of(compared.rows)
    columns = {
        name: [summary.metrics.get(name) for summary in results.summaries] for name in (compared.metric, *beside)
    }
    best = {name: best_of(metrics) for name, metrics in columns.items()}
    head = ["#", "row", f"{compared.metric} \\[95 %\\]", *beside, "ms p50"]
    body = []
    for rank, at in enumerate(compared.ranking, start=1):
        main = columns[compared.metric][at]
        tied = f" <sup>{letters[at]}</sup>" if letters and letters[at] else ""
        latency = compared.rows[at].cost.get("query_ms_p50")
        body.append(
            [
                str(rank),
                escape(labels[at]),
                _bold(with_interval(main), main, best[compared.metric]) + tied,
                *(_bold(_value(columns[name][at]), columns[name][at], best[name]) for name in beside),
                "-" if latency is None else f"{latency:.1f}",
            ]
        )
    parts = [
        f"{task.family}, split {escape(task.split)}, {items_of(task.family, len(task.items))}",
        escape(verdict(compared)),
        _table(head, body, left=2),
    ]
    if letters:
        parts.append("Rows that share a letter are not separable.")
    return [*parts, escape(footnote(results, seed))]


def _across(results: Results) -> str:
    across = across_tasks(results)
    head = ["row", *(f"{escape(name)} ({metric})" for name, metric in zip(across.tasks, across.metrics, strict=True))]
    body = []
    for entry in across.entries:
        cells = ["-" if place is None else f"{number(place.value)} (#{place.rank:g})" for place in entry.places]
        best = [place is not None and place.rank == 1 for place in entry.places]
        shown = [f"**{cell}**" if first else cell for cell, first in zip(cells, best, strict=True)]
        body.append([escape(entry.name), *shown])
    sentences = "\n".join(f"- {escape(sentence)}" for sentence in across.sentences)
    return "\n\n".join(filter(None, (_table(head, body, left=1), sentences)))


def _value(metric: MetricSummary | None) -> str:
    return number(metric.value if metric else None)


def _bold(shown: str, metric: MetricSummary | None, best: float | None) -> str:
    return f"**{shown}**" if metric and metric.value is not None and metric.value == best else shown


def _table(head: Sequence[str], body: Sequence[Sequence[str]], left: int) -> str:
    rules = ["---" if at < left else "---:" for at in range(len(head))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rules, *body))
