"""Results read back from the files of an evaluation, so that what draws them need not know where they come from.

Nothing is computed anew: figures, intervals and verdicts are those that were written. Rankings and texts are not read;
what became of each query stands in queries.json.
"""

import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from eval.comparisons import A_BETTER, B_BETTER, Comparison, NotComparable, TaskComparisons
from eval.results import Results, TaskResults
from eval.reversals import RankChanges
from eval.rows import EvalRow
from eval.saved import Saved
from eval.summaries import RowSummary
from eval.tie_groups import letters, tie_groups
from rag.errors import RagError
from ui.evaluate_documents import Documents

Document = Mapping[str, Any]
Key = tuple[str | None, str | None, str | None]


@dataclass(frozen=True, slots=True)
class SavedTask:
    """What the files say of a task: the texts of the queries that were told in detail, the number of all."""

    name: str
    family: str
    folder: Path
    split: str
    digest: str
    items: Mapping[str, str]
    gold: Mapping[str, float]
    kinds: Mapping[str, str]


def thaw(documents: Documents) -> Results:
    """Returns the results that the files tell of; raises RagError where they do not fit together."""
    provenance = documents.results.get("provenance", {})
    try:
        groups = [list(group) for _, group in groupby(documents.results["rows"], key=lambda row: row["task"])]
        facts = provenance.get("indexes", [{} for _ in documents.results["rows"]])
        told = [*documents.queries.get("tasks", ()), *({} for _ in groups)]
        tasks, before = [], 0
        for rows, compared, queries in zip(groups, documents.comparisons["tasks"], told, strict=False):
            own = facts[before : before + len(rows)]
            before += len(rows)
            tasks.append(_task_results(documents.saved.folder, rows, own, compared, queries, provenance))
        seed = int(provenance.get("protocol", {}).get("seed", 0))
        changes = documents.comparisons.get("rank_changes")
        return Results(tuple(tasks), seed, provenance, _revive(RankChanges, changes) if changes else None)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise RagError(f"{documents.saved.folder} cannot be read as an evaluation: {error!r}.") from error


def with_evidence(results: Results, saved: Saved) -> Results | None:
    """Puts the rankings and the tasks of a saved evaluation into its results; None where a task's were not written."""
    by_name = {each.name: each for each in saved.tasks}
    tasks = []
    for each in results.tasks:
        known = by_name.get(each.task.name)
        if known is None or known.task is None or len(known.rows) != len(each.rows):
            return None
        tasks.append(replace(each, task=known.task, compared=replace(each.compared, rows=known.rows)))
    return replace(results, tasks=tuple(tasks))


def _task_results(
    folder: Path,
    rows: Sequence[Document],
    facts: Sequence[Document],
    compared: Document,
    queries: Document,
    provenance: Document,
) -> TaskResults:
    thawed = tuple(_row(row, of_row) for row, of_row in zip(rows, facts, strict=True))
    places = {_key(row): at for at, row in enumerate(rows)}
    task = _task(folder, rows, queries, provenance.get("tasks", {}).get(rows[0]["task"], {}))
    summaries = tuple(_revive(RowSummary, row) for row in rows)
    return TaskResults(task, _comparisons(compared, thawed, places, rows), summaries)


def _row(row: Document, facts: Document) -> EvalRow:
    return EvalRow(
        task=row["task"],
        family=row["family"],
        embedder=row["embedder"],
        retriever=row["retriever"],
        chunker=row["chunker"],
        run={},
        per_query={
            name: {item: value for item, value in values.items() if value is not None}
            for name, values in row["per_query"].items()
        },
        cost=row["cost"],
        task_digest="",
        provenance=facts,
    )


def _task(folder: Path, rows: Sequence[Document], queries: Document, facts: Document) -> SavedTask:
    texts = {query["id"]: query["text"] for query in queries.get("queries", ())}
    scored: Document = next(iter(rows[0]["per_query"].values()), {})
    kinds = facts.get("kinds") or {}  # which item is of which is not written, only how many are
    return SavedTask(
        name=rows[0]["task"],
        family=rows[0]["family"],
        folder=folder,
        split=str(facts.get("split", "")),
        digest=str(facts.get("digest", "")),
        items={item: texts.get(item, "") for item in scored},
        gold={},
        kinds={f"{kind} {number}": kind for kind, count in kinds.items() for number in range(count)},
    )


def _comparisons(
    document: Document, rows: tuple[EvalRow, ...], places: Mapping[Key, int], written: Sequence[Document]
) -> TaskComparisons:
    metric = document["metric"]
    pairs = tuple(
        _revive(Comparison, {**pair, "a": places[_key(pair["a"])], "b": places[_key(pair["b"])]})
        for pair in document["pairs"]
    )
    refused = tuple(
        NotComparable(places[_key(pair["a"])], places[_key(pair["b"])], pair["reason"])
        for pair in document["not_comparable"]
    )
    leader = places[_key(document["leader"])]

    def by_value(at: int) -> tuple[bool, float, str, str]:
        value = written[at]["metrics"].get(metric, {}).get("value")
        return (at != leader, -(value if value is not None else float("-inf")), rows[at].label, rows[at].chunker or "")

    ranking = tuple(sorted(range(len(rows)), key=by_value))
    tied = {places[_key(key)] for key in document["not_separable_from_leader"]}
    return TaskComparisons(
        task=document["task"],
        metric=metric,
        rows=rows,
        compared=pairs,
        not_comparable=refused,
        ranking=ranking,
        not_separable=tuple(at for at in ranking if at in tied),
        groups=_groups(ranking, pairs),
    )


def _groups(ranking: Sequence[int], pairs: Sequence[Comparison]) -> tuple[str, ...]:
    """Returns the letters of rows that are not separable; they follow from the verdicts."""
    met = {ranking[0], *(at for pair in pairs for at in (pair.a, pair.b) if ranking[0] in (pair.a, pair.b))}
    comparable = [at for at in ranking if at in met]
    differing = [(pair.a, pair.b) for pair in pairs if pair.verdict in (A_BETTER, B_BETTER) and {pair.a, pair.b} <= met]
    return letters(len(ranking), tie_groups(comparable, differing))


def _key(row: Document) -> Key:
    return row["embedder"], row["retriever"], row["chunker"]


# --- any of the evaluation's records out of JSON


def _revive(hint: Any, value: Any) -> Any:
    """Makes what a type hint asks for of what JSON holds; a field that JSON lacks keeps its default."""
    origin, inner = get_origin(hint), get_args(hint)
    if is_dataclass(hint) and isinstance(value, Mapping):
        return hint(**_known(hint, value))  # type: ignore[operator]
    if origin in (Union, types.UnionType):
        chosen = next((each for each in inner if is_dataclass(each) or get_origin(each) is not None), None)
        return _revive(chosen, value) if chosen is not None and value is not None else value
    if isinstance(value, Mapping) and len(inner) == 2:
        return {key: _revive(inner[1], each) for key, each in value.items()}
    if isinstance(value, list) and inner:
        return tuple(_revive(inner[0], each) for each in value)
    return value


def _known(record: Any, document: Document) -> dict[str, Any]:
    hints = get_type_hints(record)
    there = [each.name for each in fields(record) if each.name in document]
    return {name: _revive(hints[name], document[name]) for name in there}
