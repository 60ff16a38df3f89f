"""The tables of the report: the leaderboard with interval bars, all pairs, kinds of query, further metrics."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from eval.comparisons import A_BETTER, B_BETTER, TOO_FEW, Comparison, TaskComparisons
from eval.leaderboard import columns_of, further_metrics, tie_letters, with_counts
from eval.markup import Markup, element, join
from eval.report_charts import interval_bar
from eval.results import TaskResults
from eval.rows import EvalRow
from eval.verdicts import labels_of, number, p_value, signed

Series = Mapping[str | None, int]
"""The colour of each embedder, alike in all tables and plots; None is lexical search."""

_UNKNOWN = "–"


def leaderboard_table(results: TaskResults, series: Series) -> Markup:
    """Returns the leaderboard, sortable by every column."""
    compared, beside = results.compared, columns_of(results)
    letters = tie_letters(compared)
    costs = [name for name in ("query_ms_p50", "bytes_per_vector", "usd") if _is_known(compared.rows, name)]
    scale = _scale(results)
    heads = [
        _head("#"),
        _head("Row", left=True),
        _head(compared.metric, left=True, colspan=2),
        *([_head("Ties", left=True)] if letters else []),
        *(_head(name) for name in beside),
        *(_head(_COST_HEADS[name]) for name in costs),
    ]
    body = []
    for rank, at in enumerate(compared.ranking, start=1):
        row, metrics = compared.rows[at], results.summaries[at].metrics
        main = metrics.get(compared.metric)
        value = main.value if main and main.value is not None and math.isfinite(main.value) else None
        cells = [
            element("td", rank, class_="num", data_value=rank),
            element(
                "th", row_name(row, series, with_chunker=_many_chunkers(compared)), scope="row", data_value=row.label
            ),
        ]
        if main is None or value is None:
            cells.append(element("td", _UNKNOWN, colspan=2, data_value=""))
        else:
            cells.append(element("td", interval_bar(value, main.ci_low, main.ci_high, scale), class_="bar"))
            between = f" [{number(main.ci_low)}, {number(main.ci_high)}]" if main.ci_low is not None else ""
            cells.append(
                element(
                    "td", element("b", number(value)), element("small", between), class_="main", data_value=repr(value)
                )
            )
        if letters:
            cells.append(element("td", letters[at], class_="letters", data_value=letters[at]))
        cells += [_figure(metrics[name].value if name in metrics else None) for name in beside]
        cells += [_cost_cell(name, row.cost.get(name)) for name in costs]
        kind = "leader" if rank == 1 else "tied" if at in compared.not_separable else None
        body.append(element("tr", *cells, class_=kind))
    return scrolling("table", element("thead", element("tr", *heads)), element("tbody", *body), class_="board sortable")


def row_name(row: EvalRow, series: Series, with_chunker: bool = False) -> Markup:
    """Returns a row's name with the dot of its embedder's colour."""
    parts: list[object] = [element("i", class_=f"dot c{series[row.embedder] % 8}"), element("bdi", row.label)]
    if with_chunker and row.chunker:
        parts.append(element("small", " ", element("bdi", row.chunker)))
    return join(*parts)


def pairs_matrix(compared: TaskComparisons, series: Series) -> Markup:
    """Returns the differences of all pairs, row minus column, with their p values; none for a single row."""
    if len(compared.rows) < 2:
        return Markup("")
    pairs = {(pair.a, pair.b): pair for pair in compared.compared}
    reasons = {(pair.a, pair.b): pair.reason for pair in compared.not_comparable}
    many = _many_chunkers(compared)
    heads = [element("td"), *(element("th", f"#{rank}", scope="col") for rank in range(1, len(compared.ranking) + 1))]
    body = []
    for rank, at in enumerate(compared.ranking, start=1):
        cells: list[Markup] = [
            element(
                "th",
                element("span", f"#{rank} ", class_="rank"),
                row_name(compared.rows[at], series, many),
                scope="row",
            )
        ]
        for other in compared.ranking:
            if other == at:
                cells.append(element("td", class_="self"))
            elif pair := pairs.get((at, other)) or pairs.get((other, at)):
                cells.append(_pair_cell(pair, turned=pair.a != at))
            else:
                reason = reasons.get((at, other)) or reasons.get((other, at)) or ""
                cells.append(element("td", "not comparable", class_="none", title=reason))
        body.append(element("tr", *cells))
    return scrolling("table", element("thead", element("tr", *heads)), element("tbody", *body), class_="matrix")


def _pair_cell(pair: Comparison, turned: bool) -> Markup:
    sign = -1 if turned else 1
    better = {A_BETTER: 1, B_BETTER: -1}.get(pair.verdict, 0) * sign
    kind = {1: "better", -1: "worse", 0: "same"}[better]
    about = [
        f"{pair.n:,} items, {pair.losses if turned else pair.wins} won, {pair.wins if turned else pair.losses} lost"
    ]
    if pair.ci_low is not None and pair.ci_high is not None:
        low, high = sorted((sign * pair.ci_low, sign * pair.ci_high))
        about.append(f"95 % interval {signed(low)} to {signed(high)}")
    if pair.effect is not None:
        about.append(f"effect size {signed(sign * pair.effect)}")
    said = "too few" if pair.verdict == TOO_FEW else p_value(pair.p_holm)
    return element("td", signed(sign * pair.difference), element("small", said), class_=kind, title="; ".join(about))


def kinds_table(results: TaskResults, series: Series) -> Markup:
    """Returns the main metric by kind of query, the best of each kind marked; nothing for a task without kinds."""
    kinds = sorted({kind for summary in results.summaries for kind in summary.kinds})
    if not kinds:
        return Markup("")
    counts = Counter(results.task.kinds.values())
    best = {
        kind: max(
            (mean for summary in results.summaries if (mean := summary.kinds.get(kind)) is not None), default=None
        )
        for kind in kinds
    }
    table = _kinds_down if len(kinds) > _MOST_KINDS_ACROSS else _kinds_across
    return table(results, series, {kind: counts[kind] for kind in kinds}, best)


_MOST_KINDS_ACROSS = 8


def _kinds_across(
    results: TaskResults, series: Series, counts: Mapping[str, int], best: Mapping[str, float | None]
) -> Markup:
    heads = [_head("Row", left=True), *(_head(kind, note=f"{count:,}") for kind, count in counts.items())]
    body = []
    for at in results.compared.ranking:
        means = {kind: results.summaries[at].kinds.get(kind) for kind in counts}
        body.append(
            element(
                "tr",
                element("th", row_name(results.rows[at], series, _many_chunkers(results.compared)), scope="row"),
                *(_figure(mean, best=mean is not None and mean == best[kind]) for kind, mean in means.items()),
            )
        )
    return scrolling("table", element("thead", element("tr", *heads)), element("tbody", *body), class_="sortable")


def _kinds_down(
    results: TaskResults, series: Series, counts: Mapping[str, int], best: Mapping[str, float | None]
) -> Markup:
    """Returns the same with a line for each kind, for tasks of many kinds."""
    labels = labels_of(results.rows)
    ranking = results.compared.ranking
    heads = [_head("Kind", left=True), _head("Items"), *(_head(labels[at]) for at in ranking)]
    body = []
    for kind, count in counts.items():
        means = [results.summaries[at].kinds.get(kind) for at in ranking]
        cells = [_figure(mean, best=mean is not None and mean == best[kind]) for mean in means]
        name = element("th", element("bdi", kind), scope="row", data_value=kind)
        body.append(element("tr", name, element("td", f"{count:,}", class_="num", data_value=count), *cells))
    table = scrolling("table", element("thead", element("tr", *heads)), element("tbody", *body), class_="sortable")
    return element("div", table, class_="tall")


def metrics_table(results: TaskResults, series: Series, names: Sequence[str]) -> Markup:
    """Returns further metrics, one a line, with how many were scored of how many where some failed."""
    if not names:
        return Markup("")
    many = _many_chunkers(results.compared)
    heads = [
        _head("Metric", left=True),
        *(element("th", row_name(results.rows[at], series, many), scope="col") for at in results.compared.ranking),
    ]
    body = []
    for name in names:
        cells = []
        for at in results.compared.ranking:
            metric = results.summaries[at].metrics.get(name)
            kind = "num failed" if metric and metric.failed else "num"
            cells.append(element("td", with_counts(metric).replace("-", _UNKNOWN), class_=kind))
        body.append(element("tr", element("th", name, scope="row"), *cells))
    return scrolling("table", element("thead", element("tr", *heads)), element("tbody", *body), class_="metrics")


def split_further(results: TaskResults) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the further metrics apart: those of the task's own, and RAGAS'."""
    names = further_metrics(results)
    own = tuple(name for name in names if not name.startswith("ragas."))
    return own, tuple(name for name in names if name.startswith("ragas."))


def _head(name: str, left: bool = False, note: str = "", colspan: int | None = None) -> Markup:
    parts: list[object] = [element("button", name, type="button")]
    if note:
        parts.append(element("small", note))
    return element("th", *parts, scope="col", class_="left" if left else None, colspan=colspan)


def _figure(value: float | None, best: bool = False) -> Markup:
    shown: object = _UNKNOWN if value is None else number(value)
    content = element("b", shown) if best else shown
    return element("td", content, class_="num", data_value="" if value is None else repr(value))


_COST_HEADS = {"query_ms_p50": "ms p50", "bytes_per_vector": "Bytes a vector", "usd": "USD"}


def _cost_cell(name: str, value: float | None) -> Markup:
    if value is None:
        return element("td", _UNKNOWN, class_="num", data_value="")
    shown = (
        f"{value:.1f}" if name == "query_ms_p50" else f"{value:,.0f}" if name == "bytes_per_vector" else f"{value:.2f}"
    )
    return element("td", shown, class_="num", data_value=repr(value))


def _is_known(rows: Sequence[EvalRow], name: str) -> bool:
    values = [row.cost.get(name) for row in rows]
    return any(values) if name == "usd" else any(value is not None for value in values)


def _scale(results: TaskResults) -> tuple[float, float]:
    """Returns the scale of the interval bars: from the lowest bound to the highest, rounded outwards to a twentieth."""
    metrics = [summary.metrics.get(results.compared.metric) for summary in results.summaries]
    known = [bound for m in metrics if m for bound in (m.ci_low, m.value, m.ci_high) if bound is not None]
    bounds = [bound for bound in known if math.isfinite(bound)]
    if not bounds:
        return 0.0, 1.0
    return int(min(bounds) * 20 - (min(bounds) < 0)) / 20, -int(-max(bounds) * 20 - (max(bounds) > 0)) / 20


def _many_chunkers(compared: TaskComparisons) -> bool:
    return len({row.chunker for row in compared.rows}) > 1


def scrolling(name: str, *content: object, class_: str) -> Markup:
    """Returns a table that scrolls within its own frame where the page is narrow."""
    return element(
        "div",
        element(name, *content, class_=class_),
        class_="scroll",
        tabindex=0,
        role="region",
        aria_label=class_.split()[0],
    )
