"""The files that an evaluation leaves: results.json, comparisons.json, leaderboard.csv and one TREC run a row.

The same rows give the same bytes; only measured times differ between two evaluations. Each file is written beside its
place and then renamed, so that no reader sees half of one.
"""

import csv
import io
import json
import math
import os
from collections.abc import Collection, Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from eval.citable import citable_document
from eval.drilldown import TextOf
from eval.evidence import evidence_files
from eval.judged_comparisons import judged_document, judgements_document
from eval.latex import latex
from eval.manifest import MANIFEST, manifest_text, read_manifest
from eval.markdown import markdown
from eval.report import write_report
from eval.results import Results, TaskResults
from eval.rows import EvalRow
from eval.statistics import CONFIDENCE, PERMUTATIONS, RESAMPLES
from eval.summaries import MetricSummary, RowSummary
from eval.tasks.retrieval import RANKED, RetrievalTask
from eval.trec_runs import RowKey, file_safe, has_white_space, run_names, trec_lines
from rag.errors import RagError, UsageError

__all__ = ["check_folder", "comparisons_document", "results_document", "trec_lines", "write_outputs"]


def write_outputs(folder: Path, results: Results, text_of: TextOf | None = None) -> tuple[Path, ...]:
    """Writes all files, the manifest last, and returns their paths; files of an earlier evaluation are removed.

    `text_of` gives the texts of documents to the report. Raises UsageError when two rows would share the name of a run
    file, and as `check_folder` does.
    """
    check_folder(folder, [each.task.name for each in results.tasks])
    ranked = [row for row in results.rows if row.family in RANKED]
    names = run_names([RowKey.of(row) for row in ranked])
    texts = {
        "results.json": _json(results_document(results)),
        "comparisons.json": _json(comparisons_document(results)),
        "leaderboard.csv": leaderboard_csv(results),
        "leaderboard.md": markdown(results),
        "leaderboard.tex": latex(results),
        **{f"runs/{name}": trec_lines(row) for name, row in zip(names, ranked, strict=True)},
    }
    for each in results.tasks:
        own = evidence_files(each.task)
        texts |= {f"tasks/{file_safe(each.task.name)}/{name}": text for name, text in own.items()}
    earlier = _listed(folder)
    (folder / "runs").mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        _write(folder / name, text)
    names = [*texts, write_report(folder, results, text_of).name]
    _write(folder / MANIFEST, manifest_text(folder, names))
    for name in earlier.difference(names):
        (folder / name).unlink(missing_ok=True)
    return tuple(folder / name for name in (*names, MANIFEST))


def check_folder(folder: Path, tasks: Collection[str] | None = None) -> None:
    """Raises UsageError where results cannot be written: better before an evaluation than after it.

    An earlier evaluation may be replaced by one of the same `tasks`, or of more, but not by one of others.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise UsageError(f"{there} is a file. Name a folder with --out.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"{there} may not be written to. Name another folder with --out.")
    lost = sorted(_tasks_in(folder).difference(tasks)) if tasks is not None else []
    if lost:
        raise UsageError(
            f"{folder} holds the results of '{lost[0]}'"
            f"{f' and {len(lost) - 1} more' if lost[1:] else ''}, which would be lost. Name another folder with --out."
        )


def _tasks_in(folder: Path) -> set[str]:
    """Returns the tasks of the results that are in a folder, none where there are none to be read."""
    try:
        written = json.loads((folder / "results.json").read_text(encoding="utf-8"))
        return {row["task"] for row in written["rows"]}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _listed(folder: Path) -> set[str]:
    """Returns the files that an earlier evaluation says it has written, if it can be believed."""
    try:
        manifest = read_manifest(folder)
    except RagError:
        return set()
    return set(manifest.files) if manifest else set()


def results_document(results: Results) -> dict[str, Any]:
    """Returns what results.json holds: rows with metrics, values by query and costs, and where they come from."""
    rows = [pair for each in results.tasks for pair in zip(each.rows, each.summaries, strict=True)]
    return {
        "rows": [_row_document(row, summary) for row, summary in rows],
        "provenance": {
            **_sorted(results.provenance),
            "tasks": {each.task.name: _task_document(each) for each in results.tasks},
            "indexes": [{**_row_key(row), "task": row.task, **_sorted(row.provenance)} for row, _ in rows],
            "protocol": {
                "confidence": CONFIDENCE,
                "folding": "a document scores as its best chunk",
                "ignore_identical_ids": any(
                    getattr(each.task, "ignore_identical_ids", False) for each in results.tasks
                ),
                "interval": "BCa bootstrap over items; of v_measure bootstrap scaled to the jackknife's error",
                "multiple_comparisons": "Holm over all pairs of a task",
                "permutations": PERMUTATIONS,
                "resamples": RESAMPLES,
                "seed": results.seed,
                "test": "two-sided permutation test that swaps two rows' outputs item by item (of means: flips signs); "
                "of v_measure inverted bootstrap",
                "ties": "score as float32, then id, both descending (trec_eval)",
                "trec_ids": "white space percent-encoded"
                if any(map(has_white_space, (row for row, _ in rows)))
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
                "groups": [
                    {**_row_key(row), "letters": letters}
                    for row, letters in zip(compared.rows, compared.groups, strict=True)
                ],
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
                        "effect": pair.effect,
                        "min_detectable": pair.min_detectable,
                        "needed": pair.needed,
                        "warning": pair.warning,
                    }
                    for pair in compared.compared
                ],
                "not_comparable": [
                    {"a": _row_key(compared.rows[pair.a]), "b": _row_key(compared.rows[pair.b]), "reason": pair.reason}
                    for pair in compared.not_comparable
                ],
                "judged": judged_document(compared.rows, results.seed),
            }
            for compared in (each.compared for each in results.tasks)
        ],
        "rank_changes": asdict(results.reversals) if results.reversals else None,
    }


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
        "by_kind": {name: _metric_document(metric) for name, metric in summary.by_kind.items()},
        "by_source": {name: _metric_document(metric) for name, metric in summary.by_source.items()},
        "diagnosis": asdict(summary.diagnosis) if summary.diagnosis else None,
        "judgements": judgements_document(row),
    }


def _metric_document(metric: MetricSummary) -> dict[str, float | int | None]:
    document: dict[str, float | int | None] = {
        "value": metric.value,
        "ci_low": metric.ci_low,
        "ci_high": metric.ci_high,
    }
    extra: dict[str, float | int | None] = {"attainable": metric.attainable, "n": metric.n, "failed": metric.failed}
    extra |= {"nan": metric.nan, "spread": metric.spread}
    return document | {name: value for name, value in extra.items() if value is not None}


def _task_document(results: TaskResults) -> dict[str, Any]:
    task = results.task
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
        **citable_document(task, results.rows),
    }
    if isinstance(task, RetrievalTask):
        document |= {
            "corpus": task.corpus,
            "ignore_identical_ids": task.ignore_identical_ids,
            "left_out": len(task.left_out),
            "unanswerable": len(task.unanswerable),
        }
    return _sorted(document)


def leaderboard_csv(results: Results) -> str:
    """Returns the leaderboard as a spreadsheet, best row of each task first; empty cells are unknown values."""
    summaries = [summary for each in results.tasks for summary in each.summaries]
    metric_names = list(dict.fromkeys(name for summary in summaries for name in summary.metrics))
    cost_names = list(dict.fromkeys(name for row in results.rows for name in row.cost))
    bounds = [f"{name} {bound}" for name in metric_names for bound in ("ci_low", "ci_high")]
    key_names = ["task", "rank", "not_separable_from_leader", "embedder", "retriever", "chunker", "family", "ties"]
    text = io.StringIO()
    writer = csv.DictWriter(text, [*key_names, *metric_names, *bounds, *cost_names], lineterminator="\n")
    writer.writeheader()
    for each in results.tasks:
        compared = each.compared
        for rank, at in enumerate(compared.ranking, start=1):
            row, summary = compared.rows[at], each.summaries[at]
            cells: dict[str, Any] = {"task": row.task, "rank": rank, **_row_key(row), **row.cost}
            cells["not_separable_from_leader"] = "yes" if at in compared.not_separable else ""
            cells |= {"family": row.family, "ties": compared.groups[at] if compared.groups else ""}
            for name, metric in summary.metrics.items():
                cells |= {name: metric.value, f"{name} ci_low": metric.ci_low, f"{name} ci_high": metric.ci_high}
            writer.writerow(cells)
    return text.getvalue()


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
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        beside.write_text(text, encoding="utf-8", newline="\n")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
