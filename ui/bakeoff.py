"""Embedders x retrievers x chunkers over tasks of all families: what `rag eval` and `rag bakeoff` do."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from eval.rows import EvalRow
from eval.tasks.task import Task
from rag.library import FILE, Library
from rag.settings import Settings
from ui.evaluating import Cell, Evaluation, Watch
from ui.evaluation_host import Host
from ui.evaluation_options import Asked
from ui.task_selection import Selected, record_opening
from ui.words import duration

PROVENANCE: Mapping[str, Any] = {"library": "exact search over the vectors stored in library.db"}

Evaluated = list[tuple[Task, list[EvalRow]]]


class Bakeoff:
    """Plans the cells of an evaluation and scores them; what was scored before is read back unless `fresh`."""

    def __init__(
        self,
        library: Library,
        settings: Settings,
        say: Callable[[str], None],
        host: Host | None = None,
        *,
        fresh: bool = False,
        setfit: bool = False,
    ) -> None:
        self._library = library
        self.evaluation = Evaluation(library, settings, say, host, fresh=fresh, setfit=setfit)

    def plan(self, tasks: Sequence[Selected], asked: Asked) -> list[Cell]:
        """Returns all cells, task by task and chunker by chunker; writes nothing and loads no model."""
        cells: dict[tuple[str, str], Cell] = {}
        for selected in tasks:
            for chunker in asked.chunkers or (None,):
                for cell in self.evaluation.cells(
                    selected.task, asked.embedders, asked.retrievers, chunker, asked.ragas
                ):
                    cells.setdefault((cell.task.name, cell.key), cell)  # two names of one chunker are one cell
        return list(cells.values())

    def run(
        self, tasks: Sequence[Selected], cells: Sequence[Cell], watch: Watch | None = None, *, controls: bool = False
    ) -> Evaluated:
        """Scores the cells; an opening of a hold-out is recorded first, so that a kill does not hide it.

        `controls` adds the rows of the nonsense controls to each task.
        """
        evaluated = []
        for selected in tasks:
            of_task = [cell for cell in cells if cell.task.name == selected.task.name]
            openings = record_opening(self._library, selected, [_described(cell) for cell in of_task])
            rows = [_with_provenance(row, selected, openings) for row in self.rows(of_task, watch)]
            if controls:
                places = dict.fromkeys(cell.place for cell in of_task if cell.place)
                added = self.evaluation.control_rows(selected.task, places)
                rows += [_with_provenance(row, selected, openings) for row in added]
            evaluated.append((selected.task, rows))
        return evaluated

    def rows(self, cells: Sequence[Cell], watch: Watch | None = None) -> Iterator[EvalRow]:
        """Yields the rows of cells of one task; those that share a place are scored together."""
        for _, group in groupby(cells, key=lambda cell: cell.place):
            yield from self.evaluation.score(list(group), watch)


class Progress:
    """Says what is being scored, how much is done, and how long the rest will take by the cells before it."""

    def __init__(self, cells: Sequence[Cell], stored: int, say: Callable[[str], None]) -> None:
        self._total = len(cells)
        self._to_score = len(cells) - stored
        self._say = say
        self._done = 0
        self._took: list[float] = []

    def begun(self, cell: Cell) -> None:
        """Names the cell, with its number."""
        self._say(f"[{self._done + 1}/{self._total}] {cell.label}{self._left()}")

    def finished(self, cell: Cell, row: EvalRow, seconds: float, stored: bool) -> None:
        """Counts the cell."""
        self._done += 1
        if stored:
            self._say(f"[{self._done}/{self._total}] {cell.label}: stored")
        else:
            self._took.append(seconds)

    def _left(self) -> str:
        if not self._took:
            return ""
        remaining = max(1, self._to_score - len(self._took))
        return f" (about {duration(remaining * sum(self._took) / len(self._took))} left)"


def evaluate_and_tell(settings: Settings, asked: Asked) -> int:
    """Evaluates, writes and prints what was asked for; returns 1 where a threshold or the baseline is not held."""
    import click

    from eval.gates import below, parse_threshold, worse_than
    from eval.leaderboard import render_all
    from eval.outputs import check_folder, results_document, write_outputs
    from eval.results import conclude
    from eval.saved import load_saved
    from ui.estimating import unchanged_library
    from ui.evaluate_store import Texts
    from ui.evaluating import SEED, check_embedders
    from ui.judging import judging_of
    from ui.labelling import refresh_tasks
    from ui.options import opened_library, print_json
    from ui.task_selection import select_tasks

    def say(line: str) -> None:
        click.echo(line, err=True)

    check_embedders(settings, asked.embedders)
    thresholds = [parse_threshold(text) for text in asked.fail_under]
    baseline = load_saved(asked.baseline, with_runs=False) if asked.baseline else None
    if asked.out:
        check_folder(asked.out)
    refresh_tasks(settings.home, asked.tasks)
    if not (settings.home / FILE).is_file():  # what is refused leaves no library behind
        with unchanged_library(settings.home, must_exist=False) as empty:
            select_tasks(empty, asked.tasks, asked.split, asked.families, asked.labels, lambda _: None)
    with opened_library(settings, create=True) as library:
        tasks = select_tasks(library, asked.tasks, asked.split, asked.families, asked.labels, say)
        if asked.out:
            check_folder(asked.out, [selected.task.name for selected in tasks])
        bakeoff = Bakeoff(library, settings, say, fresh=asked.fresh, setfit=asked.setfit)
        cells = bakeoff.plan(tasks, asked)
        stored = sum(map(bakeoff.evaluation.is_stored, cells))
        judging = judging_of(library, settings, asked.judging, say)
        evaluated = bakeoff.run(tasks, cells, Progress(cells, stored, say), controls=asked.controls)
        evaluated = judging.judged(evaluated) if judging else evaluated
        results = conclude(evaluated, SEED, PROVENANCE)
        if asked.out:
            write_outputs(asked.out, results, Texts(library, results))
    if asked.as_json:
        print_json(results_document(results))
    else:
        click.echo(render_all(results))
        if asked.out:
            click.echo(f"written to {asked.out}")
    failed, notes = worse_than(results, baseline, SEED) if baseline else ([], [])
    failed = [*below(results, thresholds), *failed]
    for line in (*(f"note: {note}" for note in notes), *(f"failed: {line}" for line in failed)):
        say(line)
    return 1 if failed else 0


def tell_plan(settings: Settings, asked: Asked) -> int:
    """Prints what an evaluation would do; the library is not changed, and need not be there yet."""
    import click

    from ui.bakeoff_plan import plan_bakeoff, plan_document, plan_lines
    from ui.estimating import unchanged_library
    from ui.options import print_json
    from ui.task_selection import select_tasks

    def say(line: str) -> None:
        click.echo(line, err=True)

    with unchanged_library(settings.home, must_exist=False) as library:
        tasks = select_tasks(library, asked.tasks, asked.split, asked.families, asked.labels, say)
        bakeoff = Bakeoff(library, settings, say, fresh=asked.fresh, setfit=asked.setfit)
        plan = plan_bakeoff(library, settings, bakeoff.evaluation, bakeoff.plan(tasks, asked))
    if asked.as_json:
        print_json(plan_document(plan))
    else:
        click.echo("\n".join(plan_lines(plan)))
    return 0


def _described(cell: Cell) -> str:
    """Names what sees held-out items, the same for the same model under the same settings."""
    parts = (cell.retriever, cell.embedder, cell.facts["fingerprint"], cell.place.chunker if cell.place else None)
    return " ".join(filter(None, parts))


def _with_provenance(row: EvalRow, selected: Selected, openings: int | None) -> EvalRow:
    """Adds what is not of the cell but of its task: where its labels are from, and how often a seal was opened."""
    added: dict[str, Any] = {}
    sources = getattr(selected.task, "label_sources", None)
    if sources:
        added["label_sources"] = dict(sources)
    if openings is not None:
        added["holdout_openings"] = openings
    return replace(row, provenance={**row.provenance, **added}) if added else row
