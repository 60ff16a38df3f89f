"""Gates for continuous integration: thresholds that every row must reach, and a baseline that none may fall below."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from eval.comparisons import A_BETTER
from eval.matching import Match, Side, match
from eval.results import Results
from eval.rows import EvalRow
from eval.saved import Saved
from eval.summaries import MetricSummary
from eval.trec_runs import RowKey
from rag.errors import UsageError


@dataclass(frozen=True, slots=True)
class Threshold:
    """The least that a metric must be, for every row that has it, or for every such row of one embedder."""

    metric: str
    least: float
    embedder: str | None = None

    def __str__(self) -> str:
        return f"{f'{self.embedder}:' if self.embedder else ''}{self.metric}={self.least:g}"


def parse_threshold(text: str) -> Threshold:
    """Reads `nDCG@10=0.60` or `minilm:nDCG@10=0.60`; raises UsageError for anything else.

    >>> parse_threshold("minilm:nDCG@10=0.6")
    Threshold(metric='nDCG@10', least=0.6, embedder='minilm')
    """
    name, _, value = text.rpartition("=")
    embedder, _, metric = name.rpartition(":")
    try:
        least = float(value)
    except ValueError:
        least = math.nan
    if not metric.strip() or not math.isfinite(least):
        raise UsageError(f"--fail-under {text} is no threshold. Write METRIC=VALUE, such as nDCG@10=0.60.")
    return Threshold(metric.strip(), least, embedder.strip() or None)


def below(results: Results, thresholds: Iterable[Threshold]) -> list[str]:
    """Returns a line for every row that is below a threshold, and for every threshold that no row is held against.

    Nonsense controls are held against none.
    """
    lines = []
    for threshold in thresholds:
        held = [
            (RowKey.of(row), summary.metrics[threshold.metric])
            for each in results.tasks
            for row, summary in zip(each.rows, each.summaries, strict=True)
            if threshold.metric in summary.metrics
            and threshold.embedder in (None, row.embedder)
            and not _is_control(row)
        ]
        lines += [line for key, metric in held if (line := _shortfall(key, metric, threshold))]
        if not held:
            lines.append(f"{threshold}: no row was scored so")
    return lines


def worse_than(results: Results, baseline: Saved, seed: int) -> tuple[list[str], list[str]]:
    """Returns a line for every row that is significantly worse than in the baseline, and what else must be known.

    That a row of the baseline is not there any more, or cannot be compared with what it was, fails too: a gate that
    compares nothing would pass everything. New rows are only named, and nonsense controls left out.
    """
    sides = [_candidates(Side.saved("baseline", baseline)), _candidates(Side.results("now", results))]
    matching = match(sides[0], sides[1], seed)
    failed = [_fall(each) for each in matching.matches if each.verdict == A_BETTER]
    failed += [f"{key}: cannot be compared with the baseline: {reason}" for key, reason in matching.refused]
    failed += [f"{key}: is in the baseline, but was not evaluated now" for key in matching.only_a]
    notes = [f"{key}: is not in the baseline" for key in matching.only_b]
    return failed, notes


def _candidates(side: Side) -> Side:
    return replace(side, rows={key: row for key, row in side.rows.items() if not _is_control(row)})


def _is_control(row: EvalRow) -> bool:
    return bool(row.provenance.get("control"))


def _shortfall(key: RowKey, metric: MetricSummary, threshold: Threshold) -> str:
    """Says by how much a row is below a threshold; "" where it is not."""
    if metric.value is None:
        return f"{key}: {threshold.metric} has no value, where {threshold.least:g} is asked for"
    if metric.value >= threshold.least:
        return ""
    short = f"{key}: {threshold.metric} is {metric.value:.4f}, {threshold.least - metric.value:.4f} below "
    highest = metric.attainable
    reach = (
        f"; under these judgements no run can reach more than {highest:.4f}"
        if _is_out_of_reach(highest, threshold)
        else ""
    )
    return f"{short}{threshold.least:g}{reach}"


def _is_out_of_reach(highest: float | None, threshold: Threshold) -> bool:
    return highest is not None and highest < threshold.least


def _fall(each: Match) -> str:
    pair = each.pair
    return (
        f"{each.key}: {each.metric} fell from {pair.mean_a:.4f} to {pair.mean_b:.4f}, by {-each.gain:.4f} "
        f"(p = {pair.p_holm:.2g}, Holm)"
    )
