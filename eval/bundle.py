"""Checks a saved evaluation: no file was changed, and every figure follows from runs, judgements and items' values.

Scores by query are computed anew from the TREC runs and the qrels; means, intervals, tests, verdicts and the
leaderboard from them. What no file but results.json holds is taken as it is written there, and named: outputs of items
of tasks that retrieve nothing, spans, RAGAS's values, costs.
"""

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from eval.citable import why_not_citable
from eval.manifest import MANIFEST, changed_files, read_manifest, software, stray_files
from eval.metrics import PerQuery, score
from eval.outputs import comparisons_document, leaderboard_csv, results_document
from eval.results import conclude
from eval.rows import EvalRow
from eval.saved import COMPARISONS, LEADERBOARD, RESULTS, Saved, load_saved
from eval.spans import SPAN_METRICS
from eval.tasks.retrieval import RetrievalTask
from eval.tasks.task import Task
from eval.trec_runs import RowKey, encoded_qrels, trec_id
from rag.errors import RagError

TOLERANCE = 1e-9
"""Relative difference that is none: other processors add in another order."""


class Difference(NamedTuple):
    """Something that is not as it should be: in which file and where, what is written, and what was found instead."""

    file: str
    where: str
    written: object
    found: object

    def __str__(self) -> str:
        place = f"{self.file}: {self.where}" if self.where else self.file
        return (
            f"{place}: {self.written!r} is written, but it is {self.found!r}" if self.where else f"{place} {self.found}"
        )


@dataclass(slots=True)
class Verification:
    """What a check found. `figures` agree; values of the metrics `as_written` could not be computed anew.

    `unwritten` counts what the version that wrote the files did not tell yet, and this one does. `reasons` say for each
    task why its figures should not be quoted as they stand.
    """

    figures: int = 0
    differences: list[Difference] = field(default_factory=list)
    unwritten: int = 0
    as_written: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    reasons: dict[str, list[str]] = field(default_factory=dict)

    @property
    def agrees(self) -> bool:
        """Whether nothing differs."""
        return not self.differences


def verify(folder: Path) -> Verification:
    """Checks the folder of a saved evaluation; raises RagError where there is none."""
    found = Verification()
    if not (folder / RESULTS).is_file():
        raise RagError(f"{folder / RESULTS} does not exist. Name a folder that rag eval --out has written.")
    _check_files(folder, found)
    try:
        _check_figures(load_saved(folder), found)
    except (RagError, KeyError, TypeError, ValueError, AttributeError) as error:
        found.differences.append(Difference(RESULTS, "", None, f"cannot be checked: {error}"))
    return found


def _check_files(folder: Path, found: Verification) -> None:
    try:
        manifest = read_manifest(folder)
    except RagError as error:
        found.differences.append(Difference(MANIFEST, "", None, str(error)))
        return
    if manifest is None:
        found.differences.append(Difference(MANIFEST, "", None, "is not there: it cannot be told which files changed"))
        return
    found.differences += [Difference(name, "", None, what) for name, what in changed_files(folder, manifest).items()]
    stray = stray_files(folder, manifest)
    if stray:
        found.notes.append(f"{len(stray)} files beside it belong to no evaluation, such as {stray[0]}")
    now = software()
    others = [f"{name} {old} (now {now.get(name)})" for name, old in manifest.software.items() if now.get(name) != old]
    if others:
        found.notes.append(f"computed by other versions: {', '.join(others)}")


def _check_figures(saved: Saved, found: Verification) -> None:
    evaluated: list[tuple[Task, list[EvalRow]]] = []
    for of_task in saved.tasks:
        task = of_task.task
        if task is None:
            found.differences.append(
                Difference(f"tasks/{of_task.name}", "", None, "is not there: nothing can be checked")
            )
            return
        evaluated.append((task, [_scored_anew(row, task, found) for row in of_task.rows]))
        found.reasons[of_task.name] = why_not_citable(task, of_task.rows)
    results = conclude(evaluated, saved.seed, saved.provenance)
    written = json.loads((saved.folder / COMPARISONS).read_text(encoding="utf-8"))
    _compare(RESULTS, saved.results, _as_json(results_document(results)), found)
    _compare(COMPARISONS, written, _as_json(comparisons_document(results)), found)
    sheet = (saved.folder / LEADERBOARD).read_text(encoding="utf-8")
    _compare(LEADERBOARD, _cells(sheet), _cells(leaderboard_csv(results)), found)
    if found.unwritten:
        found.notes.append(f"{found.unwritten} values are told by this version only")


def _scored_anew(row: EvalRow, task: Task, found: Verification) -> EvalRow:
    """Returns a row with the scores that its run has; what cannot be scored anew is noted."""
    if not isinstance(task, RetrievalTask):
        for name, values in row.per_query.items():
            _note_as_written(name, found)
            if values.keys() - task.items.keys():
                strange = min(values.keys() - task.items.keys())
                found.differences.append(
                    Difference(RESULTS, f"{RowKey.of(row)}, {name}", strange, "no item of the task")
                )
        return row
    names = [name for name in row.per_query if name not in SPAN_METRICS]
    for name in (*(name for name in row.per_query if name in SPAN_METRICS), *row.context):
        _note_as_written(name, found)
    decoded = {trec_id(query_id): query_id for query_id in task.queries}
    scores = score(encoded_qrels(task.qrels), row.run, names)
    anew: PerQuery = {name: {decoded[query]: value for query, value in of.items()} for name, of in scores.items()}
    return replace(row, per_query={name: anew.get(name, values) for name, values in row.per_query.items()})


def _note_as_written(name: str, found: Verification) -> None:
    if name not in found.as_written:
        found.as_written.append(name)


def _as_json(document: Mapping[str, Any]) -> Any:
    """Returns a document as a file would give it back."""
    return json.loads(json.dumps(document), parse_constant=lambda _: None)


def _cells(sheet: str) -> dict[str, dict[str, object]]:
    """Returns a spreadsheet line by line and column by column."""
    lines = enumerate(csv.DictReader(io.StringIO(sheet)), start=2)
    return {f"line {number}": {name: _number(cell) for name, cell in line.items()} for number, line in lines}


def _number(cell: str | None) -> object:
    try:
        return float(cell or "")
    except ValueError:
        return cell


def _compare(file: str, written: Any, found: Any, verification: Verification) -> None:
    """Compares two documents value by value."""
    for where, old, new in _leaves(written, found, ()):
        if where[:2] == ("provenance", "software"):
            continue
        if old is _NOTHING:
            verification.unwritten += 1
        elif not _same(old, new):
            verification.differences.append(Difference(file, " ".join(map(str, where)), old, new))
        elif isinstance(old, float | int) and not isinstance(old, bool) and not _is_taken(where, verification):
            verification.figures += 1


def _is_taken(where: Sequence[Any], verification: Verification) -> bool:
    """Tells whether a value of results.json was only taken over from there."""
    if where[0] != "rows" or len(where) < 4:
        return bool(where[0] == "provenance")
    return bool(where[2] == "cost" or (where[2] == "per_query" and where[3] in verification.as_written))


def _leaves(old: Any, new: Any, where: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from _leaves(old.get(key, _NOTHING), new.get(key, _NOTHING), (*where, key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for at, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _leaves(one, other, (*where, at))
    else:
        yield where, old, new


class _Nothing:
    def __repr__(self) -> str:
        return "nothing"


_NOTHING = _Nothing()


def _same(old: object, new: object) -> bool:
    if isinstance(old, float | int) and isinstance(new, float | int):
        return math.isclose(old, new, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    same: bool = old == new
    return same
