"""The leaderboard as a person reads it in a terminal: a table, a verdict in words, a table by kind of query."""

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence

from eval.comparisons import TOO_FEW, TaskComparisons
from eval.results import TaskResults
from eval.rows import EvalRow
from eval.statistics import PERMUTATIONS, RESAMPLES
from eval.summaries import MetricSummary, RowSummary
from eval.tasks.retrieval import RetrievalTask
from eval.tasks.task import Task

WIDTH = 100
TIED = "="
"""Marks a row that is not separable from the leader."""

_PLAIN_METRICS = ("R@100", "RR@10", "AP", "P@5")
_GAP = "  "
_UNKNOWN = "-"
_NARROWEST = 6


def render(results: TaskResults, seed: int) -> str:
    """Returns the leaderboard of one task, at most 100 columns wide, ending in a line break."""
    task, compared, summaries = results.task, results.compared, results.summaries
    parts = [
        f"{task.name} ({task.split}): {len(task.items)} queries",
        _table(_header(compared), _body(compared, summaries), elastic=(2, 4)),
        _fill(_legend(compared) + verdict(compared)),
        *_kind_tables(task, compared, summaries),
        _fill(_footnote(task, seed)),
    ]
    return "\n\n".join(parts) + "\n"


def verdict(compared: TaskComparisons) -> str:
    """Says in one sentence who leads and whether that is more than chance, with the p values that decide it."""
    labels = _labels(compared.rows)
    leader = compared.ranking[0]
    if len(compared.rows) == 1:
        return f"{labels[leader]} is the only row: there is nothing to compare it with."
    if len(compared.not_separable) == 1:
        [at] = compared.not_separable
        return f"{labels[leader]} leads; {labels[at]} is not separable from it ({_why_tied(compared, at)})."
    if compared.not_separable:
        tied = [f"{labels[at]} ({_why_tied(compared, at)})" for at in compared.not_separable]
        return f"{labels[leader]} leads; {', '.join(tied[:-1])} and {tied[-1]} are not separable from it."
    decided = [pair.p_holm for at in compared.ranking[1:] if (pair := compared.with_leader(at))]
    if not decided:
        return f"{labels[leader]} has the highest mean, but no other row can be compared with it."
    return f"{labels[leader]} leads and is better than every row it can be compared with ({_p(max(decided))}, Holm)."


def _why_tied(compared: TaskComparisons, at: int) -> str:
    pair = compared.with_leader(at)
    if pair is None or pair.verdict == TOO_FEW:
        return "too few queries on which they differ"
    return f"{_p(pair.p_holm)}, Holm"


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.2g}" if value < 0.995 else "p = 1"


def _labels(rows: Sequence[EvalRow]) -> list[str]:
    """Names rows for a sentence; the chunker is told where names would be equal without it."""
    counts = Counter(row.label for row in rows)
    return [f"{row.label} ({row.chunker})" if counts[row.label] > 1 else row.label for row in rows]


def _header(compared: TaskComparisons) -> list[str]:
    return ["", "#", "embedder", "retriever", "chunker", f"{compared.metric} [95 %]", *_PLAIN_METRICS, "ms p50"]


def _body(compared: TaskComparisons, summaries: Sequence[RowSummary]) -> list[list[str]]:
    lines = []
    for rank, at in enumerate(compared.ranking, start=1):
        row, metrics = compared.rows[at], summaries[at].metrics
        latency = row.cost.get("query_ms_p50")
        lines.append(
            [
                TIED if at in compared.not_separable else "",
                str(rank),
                row.embedder or _UNKNOWN,
                row.retriever or _UNKNOWN,
                row.chunker or _UNKNOWN,
                _with_interval(metrics.get(compared.metric)),
                *(_number(metrics[name].value) if name in metrics else _UNKNOWN for name in _PLAIN_METRICS),
                _UNKNOWN if latency is None else f"{latency:.1f}",
            ]
        )
    return lines


def _with_interval(metric: MetricSummary | None) -> str:
    if metric is None:
        return _UNKNOWN
    if metric.ci_low is None or metric.ci_high is None:
        return _number(metric.value)
    return f"{_number(metric.value)} [{_number(metric.ci_low)}, {_number(metric.ci_high)}]"


def _number(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:.3f}"


def _legend(compared: TaskComparisons) -> str:
    return f"{TIED} not separable from the leader. " if compared.not_separable else ""


def _footnote(task: Task, seed: int) -> str:
    scored = f"{len(task.items)} queries scored"
    if isinstance(task, RetrievalTask):
        scored += f", {len(task.left_out)} left out without a relevant document in this split"
        scored += f", {len(task.unanswerable)} unanswerable"
    return (
        f"{scored}. Intervals: BCa bootstrap, {RESAMPLES:,} "
        f"resamples. Verdict: sign-flip permutation test, {PERMUTATIONS:,} permutations, Holm over all pairs, 5 %. "
        f"Seed {seed}."
    )


def _kind_tables(task: Task, compared: TaskComparisons, summaries: Sequence[RowSummary]) -> list[str]:
    """Returns the main metric by kind of query, in several tables where one would be too wide; none without kinds."""
    kinds = sorted({kind for summary in summaries for kind in summary.kinds})
    if not kinds:
        return []
    counts = Counter(task.kinds.values())
    labels = _labels(compared.rows)
    tables = [f"{compared.metric} by kind of query"]
    for group in _groups_that_fit([f"{kind} ({counts[kind]})" for kind in kinds], kinds):
        header = ["retriever, embedder", *(f"{kind} ({counts[kind]})" for kind in group)]
        body = [[labels[at], *(_number(summaries[at].kinds.get(kind)) for kind in group)] for at in compared.ranking]
        tables.append(_table(header, body, elastic=(0,), left=1))
    return tables


def _groups_that_fit(headings: Sequence[str], kinds: Sequence[str]) -> list[list[str]]:
    """Splits kinds so that each group's columns leave a third of the width for the rows' names."""
    groups: list[list[str]] = [[]]
    used = 0
    for heading, kind in zip(headings, kinds, strict=True):
        width = len(heading) + len(_GAP)
        if groups[-1] and used + width > WIDTH * 2 // 3:
            groups.append([])
            used = 0
        groups[-1].append(kind)
        used += width
    return groups


def _table(header: list[str], body: list[list[str]], elastic: Sequence[int], left: int = 6) -> str:
    """Aligns columns, the first `left` ones to the left; shortens the elastic ones until the table fits the width."""
    rows = [header, *body]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    excess = sum(widths) + len(_GAP) * (len(widths) - 1) - WIDTH
    for _ in range(excess):
        widest = max(elastic, key=lambda at: widths[at])
        widths[widest] = max(widths[widest] - 1, _NARROWEST)
    return "\n".join(_line(row, widths, left) for row in rows)


def _line(cells: Iterable[str], widths: Sequence[int], left: int) -> str:
    aligned = [
        _shorten(cell, width).ljust(width) if at < left else cell.rjust(width)
        for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return _GAP.join(aligned).rstrip()


def _shorten(text: str, width: int) -> str:
    """Cuts out of the middle, because names of embedders differ at their ends."""
    if len(text) <= width:
        return text
    tail = (width - 1) // 2
    return f"{text[: width - 1 - tail]}…{text[len(text) - tail :]}"


def _fill(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)
