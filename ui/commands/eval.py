"""`rag eval`: labelled tasks to a leaderboard of embedders and retrievers, with significance."""

from pathlib import Path

import click

from ui.options import chunker_option, embedders_option, json_option, opened_library, print_json, settings_of


@click.command("eval")
@click.argument("tasks", metavar="TASK_DIR...", nargs=-1, required=True, type=click.Path(path_type=Path))
@embedders_option
@click.option(
    "--retriever", "retrievers", metavar="NAME", multiple=True, help="dense, lexical, hybrid; else all three."
)
@chunker_option
@click.option("--split", default="test", show_default=True, metavar="NAME", help="The qrels to score against.")
@click.option("--family", metavar="NAME", help="Read the folder as a task of this family.")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="Write results, comparisons and TREC runs here."
)
@click.option("--ragas/--no-ragas", default=True, help="RAGAS's context metrics that need no language model.")
@json_option
@click.pass_context
def command(
    context: click.Context,
    tasks: tuple[Path, ...],
    embedders: tuple[str, ...],
    retrievers: tuple[str, ...],
    chunker: str | None,
    split: str,
    family: str | None,
    out: Path | None,
    ragas: bool,
    as_json: bool,
) -> None:
    """Rank embedders and retrievers on labelled tasks.

    A BEIR folder (corpus.jsonl, queries.jsonl, qrels/) is indexed first where it is not yet.
    """
    from eval.leaderboard import render
    from eval.outputs import results_document, write_outputs
    from eval.results import conclude
    from eval.tasks.registry import load_task
    from ui.evaluating import SEED, Evaluation, check_embedders, check_out
    from ui.labelling import refresh_tasks

    settings = settings_of(context)
    check_embedders(settings, embedders)
    if out:
        check_out(out)
    refresh_tasks(settings.home, tasks)
    loaded = [load_task(folder, split, family) for folder in tasks]

    def say(line: str) -> None:
        click.echo(line, err=True)

    with opened_library(settings, create=True) as library:
        evaluation = Evaluation(library, settings, say)
        evaluated = [(task, evaluation.rows(task, embedders, retrievers, chunker, ragas)) for task in loaded]
    results = conclude(evaluated, SEED, {"library": "exact search over the vectors stored in library.db"})
    if out:
        write_outputs(out, results)
    if as_json:
        print_json(results_document(results))
        return
    for each in results.tasks:
        click.echo(render(each, SEED))
    if out:
        click.echo(f"written to {out}")
