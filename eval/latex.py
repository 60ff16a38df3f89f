"""The leaderboard as LaTeX tables for a paper: booktabs' rules, the best in bold, tie groups as superscripts."""

import re
from collections.abc import Sequence

from eval.across import across_tasks
from eval.footnotes import footnote
from eval.leaderboard import columns_of, tie_letters
from eval.markdown import best_of
from eval.results import Results, TaskResults
from eval.summaries import MetricSummary
from eval.verdicts import labels_of, number

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "−": "$-$",
    "…": r"\dots{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}
_SPECIAL = re.compile("|".join(map(re.escape, _ESCAPES)))
_BREAKS = re.compile(r"[\s\x00-\x1f\x7f]+")


def latex(results: Results) -> str:
    """Returns a table for each task, after one of ranks where there are several; needs the package booktabs."""
    parts = ["% Needs \\usepackage[T1]{fontenc} and \\usepackage{booktabs}."]
    if len(results.tasks) > 1:
        parts.append(_across(results))
    parts += [_task(each, at, results.seed) for at, each in enumerate(results.tasks, start=1)]
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """Returns a text on one line that LaTeX prints as it is: no command, no comment, no mathematics."""
    return _SPECIAL.sub(lambda match: _ESCAPES[match[0]], _BREAKS.sub(" ", text).strip())


def _task(results: TaskResults, number_: int, seed: int) -> str:
    compared = results.compared
    beside, letters, labels = columns_of(results), tie_letters(compared), labels_of(compared.rows)
    names = (compared.metric, *beside)
    columns = {name: [summary.metrics.get(name) for summary in results.summaries] for name in names}
    best = {name: best_of(metrics) for name, metrics in columns.items()}
    body = []
    for at in compared.ranking:
        main = columns[compared.metric][at]
        tied = f"$^{{{letters[at]}}}$" if letters and letters[at] else ""
        bounds = "" if main is None or main.ci_low is None else f"[{number(main.ci_low)}, {number(main.ci_high)}]"
        figures = [_figure(columns[name][at], best[name]) for name in names]
        body.append([escape(labels[at]), figures[0] + tied, bounds, *figures[1:]])
    head = ["", escape(compared.metric), r"95\,\%", *map(escape, beside)]
    caption = f"{results.task.name}. {footnote(results, seed)}"
    if letters:
        caption += " Rows that share a letter are not separable."
    return _table(head, body, "l" + "r" * (len(head) - 1), escape(caption), f"tab:leaderboard-{number_}")


def _across(results: Results) -> str:
    across = across_tasks(results)
    head = ["", *map(escape, across.tasks)]
    metrics = ["", *map(escape, across.metrics)]
    body = [metrics]
    for entry in across.entries:
        cells = ["--" if place is None else f"{number(place.value)} ({place.rank:g})" for place in entry.places]
        first = [place is not None and place.rank == 1 for place in entry.places]
        bold = [f"\\textbf{{{cell}}}" if best else cell for cell, best in zip(cells, first, strict=True)]
        body.append([escape(entry.name), *bold])
    caption = escape(" ".join(("Main metric by task, with the rank in brackets.", *across.sentences)))
    return _table(head, body, "l" + "r" * len(across.tasks), caption, "tab:across-tasks")


def _figure(metric: MetricSummary | None, best: float | None) -> str:
    if metric is None or metric.value is None:
        return "--"
    return f"\\textbf{{{number(metric.value)}}}" if metric.value == best else number(metric.value)


def _table(head: Sequence[str], body: Sequence[Sequence[str]], shape: str, caption: str, label: str) -> str:
    lines = [
        r"\begin{table}",
        r"  \centering",
        f"  \\begin{{tabular}}{{{shape}}}",
        r"    \toprule",
        f"    {' & '.join(head)} \\\\",
        r"    \midrule",
        *(f"    {' & '.join(cells)} \\\\" for cells in body),
        r"    \bottomrule",
        r"  \end{tabular}",
        f"  \\caption{{{caption}}}",
        f"  \\label{{{label}}}",
        r"\end{table}",
    ]
    return "\n".join(lines)
