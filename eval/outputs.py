"""The files that an evaluation leaves: results.json, comparisons.json, leaderboard.csv and one TREC run a row.

The same rows give the same bytes; only measured times differ between two evaluations. Each file is written beside its
place and then renamed, so that no reader sees half of one.
"""

import csv
import io
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from eval.results import Results
from eval.rows import EvalRow
from eval.statistics import CONFIDENCE, PERMUTATIONS, RESAMPLES
from eval.summaries import MetricSummary, RowSummary
from eval.tasks.retrieval import RetrievalTask
from eval.tasks.task import Task
from rag.errors import UsageError

LEXICAL = "bm25"
"""Stands for the embedder of lexical search in the names of files."""

_UNSAFE_IN_FILE_NAMES = re.compile(r'[\s/\\:*?"<>|%\x00-\x1f]')
_WHITE_SPACE = re.compile(r"\s")


def write_outputs(folder: Path, results: Results) -> tuple[Path, ...]:
    """Writes all files and returns their paths.

    Raises UsageError when two rows would share the name of a run file.
    """
    ranked = [row for row in results.rows if row.retriever]
    names = _run_names(ranked)
    texts = {
        "results.json": _json(results_document(results)),
        "comparisons.json": _json(comparisons_document(results)),
        "leaderboard.csv": _csv(results),
        **{f"runs/{name}": trec_lines(row) for name, row in zip(names, ranked, strict=True)},
    }
    (folder / "runs").mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        _write(folder / name, text)
    return tuple(folder / name for name in texts)


def results_document(results: Results) -> dict[str, Any]:
    """Returns what results.json holds: rows with metrics, values by query and costs, and where they come from."""
    rows = [pair for each in results.tasks for pair in zip(each.rows, each.summaries, strict=True)]
    return {
        "rows": [_row_document(row, summary) for row, summary in rows],
        "provenance": {
            **_sorted(results.provenance),
            "tasks": {each.task.name: _task_document(each.task) for each in results.tasks},
            "indexes": [{**_row_key(row), "task": row.task, **_sorted(row.provenance)} for row, _ in rows],
            "protocol": {
                "confidence": CONFIDENCE,
                "folding": "a document scores as its best chunk",
                "ignore_identical_ids": False,
                "interval": "BCa bootstrap over queries",
                "multiple_comparisons": "Holm over all pairs of a task",
                "permutations": PERMUTATIONS,
                "resamples": RESAMPLES,
                "seed": results.seed,
                "test": "two-sided sign-flip permutation test of the mean paired difference",
                "ties": "score as float32, then id, both descending (trec_eval)",
                "trec_ids": "white space percent-encoded"
                if any(map(_has_white_space, (row for row, _ in rows)))
                else "as they are",
            },
            "software": {name: version(name) for name in ("ir-measures", "numpy", "pytrec-eval-terrier", "ragas")},
        },
    }


def comparisons_document(results: Results) -> dict[str, Any]:
    """Returns what comparisons.json holds: for every task all pairs, those not comparable, the leader, and who ties."""
    return {
        "tasks": [
            {
                "task": compared.task,
                "metric": compared.metric,
                "leader": _row_key(compared.rows[compared.ranking[0]]),
                "not_separable_from_leader": [_row_key(compared.rows[at]) for at in compared.not_separable],
                "pairs": [
                    {
                        "a": _row_key(compared.rows[pair.a]),
                        "b": _row_key(compared.rows[pair.b]),
                        "n": pair.n,
                        "mean_a": pair.mean_a,
                        "mean_b": pair.mean_b,
                        "difference": pair.difference,
                        "ci_low": pair.ci_low,
                        "ci_high": pair.ci_high,
                        "p": pair.p,
                        "p_holm": pair.p_holm,
                        "wins": pair.wins,
                        "ties": pair.ties,
                        "losses": pair.losses,
                        "verdict": pair.verdict,
                    }
                    for pair in compared.compared
                ],
                "not_comparable": [
                    {"a": _row_key(compared.rows[pair.a]), "b": _row_key(compared.rows[pair.b]), "reason": pair.reason}
                    for pair in compared.not_comparable
                ],
            }
            for compared in (each.compared for each in results.tasks)
        ]
    }


def trec_lines(row: EvalRow) -> str:
    """Returns a row's run in TREC's format, queries in the order of their ids, scores so that reading gives them back.

    White space cannot stand in an id there and is percent-encoded; judgements must be encoded alike to match.
    """
    tag = _file_safe(f"{row.embedder or LEXICAL}.{row.retriever}")
    return "".join(
        f"{_trec_id(query_id)} Q0 {_trec_id(document)} {rank} {value!r} {tag}\n"
        for query_id in sorted(row.run)
        for rank, (document, value) in enumerate(row.run[query_id].items(), start=1)
    )


def _row_key(row: EvalRow) -> dict[str, str | None]:
    return {"embedder": row.embedder, "retriever": row.retriever, "chunker": row.chunker}


def _row_document(row: EvalRow, summary: RowSummary) -> dict[str, Any]:
    per_query: dict[str, Mapping[str, float | None]] = {name: _sorted(values) for name, values in row.per_query.items()}
    per_query |= {name: _sorted(score.per_query) for name, score in row.context.items()}
    return {
        "task": row.task,
        "family": row.family,
        **_row_key(row),
        "metrics": {name: _metric_document(metric) for name, metric in summary.metrics.items()},
        "per_query": per_query,
        "cost": dict(row.cost),
        "kinds": _sorted(summary.kinds),
    }


def _metric_document(metric: MetricSummary) -> dict[str, float | int | None]:
    document: dict[str, float | int | None] = {
        "value": metric.value,
        "ci_low": metric.ci_low,
        "ci_high": metric.ci_high,
    }
    extra = {"attainable": metric.attainable, "n": metric.n, "failed": metric.failed}
    return document | {name: value for name, value in extra.items() if value is not None}


def _task_document(task: Task) -> dict[str, Any]:
    counts: dict[str, int] = {}
    for kind in task.kinds.values():
        if kind:
            counts[kind] = counts.get(kind, 0) + 1
    document = {
        "digest": task.digest,
        "family": task.family,
        "kinds": _sorted(counts),
        "queries": len(task.items),
        "split": task.split,
    }
    if isinstance(task, RetrievalTask):
        document |= {
            "corpus": task.corpus,
            "left_out": len(task.left_out),
            "unanswerable": len(task.unanswerable),
        }
    return _sorted(document)


def _csv(results: Results) -> str:
    """Returns the leaderboard as a spreadsheet, best row of each task first; empty cells are unknown values."""
    summaries = [summary for each in results.tasks for summary in each.summaries]
    metric_names = list(dict.fromkeys(name for summary in summaries for name in summary.metrics))
    cost_names = list(dict.fromkeys(name for row in results.rows for name in row.cost))
    bounds = [f"{name} {bound}" for name in metric_names for bound in ("ci_low", "ci_high")]
    key_names = ["task", "rank", "not_separable_from_leader", "embedder", "retriever", "chunker"]
    text = io.StringIO()
    writer = csv.DictWriter(text, [*key_names, *metric_names, *bounds, *cost_names], lineterminator="\n")
    writer.writeheader()
    for each in results.tasks:
        compared = each.compared
        for rank, at in enumerate(compared.ranking, start=1):
            row, summary = compared.rows[at], each.summaries[at]
            cells: dict[str, Any] = {"task": row.task, "rank": rank, **_row_key(row), **row.cost}
            cells["not_separable_from_leader"] = "yes" if at in compared.not_separable else ""
            for name, metric in summary.metrics.items():
                cells |= {name: metric.value, f"{name} ci_low": metric.ci_low, f"{name} ci_high": metric.ci_high}
            writer.writerow(cells)
    return text.getvalue()


def _run_names(rows: Sequence[EvalRow]) -> list[str]:
    names = [
        ".".join(_file_safe(part) for part in (row.task, row.embedder or LEXICAL, row.retriever or "")) + ".trec"
        for row in rows
    ]
    doubled = next((name for name in names if names.count(name) > 1), None)
    if doubled:
        raise UsageError(
            f"Two rows would both be written to runs/{doubled}. Evaluate tasks of one name, or several chunkers, "
            "into separate folders."
        )
    return names


def _file_safe(name: str) -> str:
    return _UNSAFE_IN_FILE_NAMES.sub(lambda match: quote(match[0], safe=""), name)


def _trec_id(identifier: str) -> str:
    return _WHITE_SPACE.sub(lambda match: quote(match[0], safe=""), identifier)


def _has_white_space(row: EvalRow) -> bool:
    return any(_WHITE_SPACE.search(name) for query_id, scores in row.run.items() for name in (query_id, *scores))


def _sorted(mapping: Mapping[str, Any]) -> dict[str, Any]:
    return dict(sorted(mapping.items()))


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(_finite(document), ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    """Replaces NaN and infinity, which JSON does not know, by null."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        beside.write_text(text, encoding="utf-8", newline="\n")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
