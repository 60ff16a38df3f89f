"""The plots of one task, for the report and for the page: quality against each cost, and the bars of every pair."""

import math

from eval.markup import Markup
from eval.measures import Mean, measure_of
from eval.report_charts import difference_bars
from eval.report_plots import Point, quality_plot
from eval.report_tables import Series
from eval.results import TaskResults
from eval.verdicts import labels_of

COSTS = {
    "query_ms_p50": "Milliseconds for a query (median)",
    "bytes_per_vector": "Bytes for a vector",
    "usd": "US dollars for the index",
}
_SHAPES = {"dense": "circle", "hybrid": "diamond", "lexical": "square"}


def quality_plots(results: TaskResults, series: Series) -> dict[str, Markup]:
    """Returns a plot for each cost that is known of two rows or more and differs between them."""
    plots = {}
    for cost, name in COSTS.items():
        points = _points(results, series, cost)
        if len({point.x for point in points}) > 1:
            plots[cost] = quality_plot(points, name, results.compared.metric)
    return plots


def pair_bars(results: TaskResults) -> list[tuple[str, Markup]]:
    """Returns what each pair is called and its bars, best rows first; none for a metric without values by item."""
    compared = results.compared
    if not isinstance(measure_of(compared.metric), Mean):
        return []
    labels = labels_of(compared.rows)
    place = {row: rank for rank, row in enumerate(compared.ranking)}
    drawn = []
    for pair in sorted(compared.compared, key=lambda each: sorted((place[each.a], place[each.b]))):
        first, second = sorted((pair.a, pair.b), key=lambda row: place[row])
        of_first, of_second = (compared.rows[row].per_query[compared.metric] for row in (first, second))
        bars = difference_bars([of_first[item] - of_second[item] for item in of_first], labels[first], labels[second])
        drawn.append((f"{labels[first]} minus {labels[second]}", bars))
    return drawn


def _points(results: TaskResults, series: Series, cost: str) -> list[Point]:
    points = []
    for label, row, summary in zip(labels_of(results.rows), results.rows, results.summaries, strict=True):
        metric, paid = summary.metrics.get(results.compared.metric), row.cost.get(cost)
        if metric is None or metric.value is None or not math.isfinite(metric.value) or paid is None:
            continue
        shape = _SHAPES.get(row.retriever or "", "circle")
        points.append(Point(label, paid, metric.value, metric.ci_low, metric.ci_high, series[row.embedder], shape))
    return points
