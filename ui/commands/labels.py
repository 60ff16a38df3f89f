"""`rag labels`: the labelled tasks of the library; export and import as folders in BEIR's format."""

from pathlib import Path

import click

from ui.options import corpus_option, json_option, opened_library, print_json, settings_of

task_option = click.option("--task", metavar="NAME", help="The task; may be left out where there is only one.")


@click.group("labels", invoke_without_command=True)
@json_option
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List the labelled tasks, and where `rag eval` finds them."""
    if context.invoked_subcommand:
        return
    from rag.task_folders import write_folders
    from ui.labelling import task_states

    with opened_library(settings_of(context)) as library:
        write_folders(library)
        states = task_states(library)
    if as_json:
        print_json(
            {
                "tasks": [
                    {
                        "name": state.task.name,
                        "corpus": state.task.corpus,
                        "questions": state.questions,
                        "labels": state.labels,
                        "grades": {str(grade): count for grade, count in state.grades.items()},
                        "gone": state.gone,
                        "votes": state.votes,
                        "folder": str(state.folder),
                    }
                    for state in states
                ]
            }
        )
        return
    for state in states:
        gone = f", {state.gone:,} gone from the corpus" if state.gone else ""
        click.echo(
            f"{state.task.name}: {state.questions:,} questions over {state.task.corpus}, {state.labels:,} labels "
            f"({state.grades[0]:,} / {state.grades[1]:,} / {state.grades[2]:,} of grade 0 / 1 / 2{gone}), "
            f"{state.votes:,} votes\n  rag eval {state.folder}"
        )
    if not states:
        click.echo("No labels yet. Judge passages in the application (rag ui), or import a task: rag labels import DIR")


@command.command("export")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@task_option
@click.option("--documents", is_flag=True, help="Write the documents as well (corpus.jsonl), so that it stands alone.")
@click.pass_context
def export(context: click.Context, folder: Path, task: str | None, documents: bool) -> None:
    """Write a task into a folder, in BEIR's format.

    Beside queries.jsonl, qrels and answers.jsonl it holds labels.jsonl and votes.jsonl, from which an import takes
    everything back.
    """
    from ui.label_transfer import export_task

    with opened_library(settings_of(context)) as library:
        name = export_task(library, task, folder, documents)
    click.echo(f"{name}: written to {folder}")


@command.command("delete")
@click.argument("task", metavar="NAME")
@click.pass_context
def delete(context: click.Context, task: str) -> None:
    """Delete a task with all its labels, from the disk as well; votes are kept."""
    from rag.labels import LabelTable
    from rag.task_folders import write_folder

    with opened_library(settings_of(context)) as library:
        table = LabelTable(library.database)
        name = table.task(task).name
        table.delete(name)
        write_folder(library, name)
    click.echo(f"{name}: deleted")


@command.command("import")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@task_option
@corpus_option
@click.option("--split", default="test", show_default=True, metavar="NAME", help="The qrels to read.")
@click.pass_context
def import_(context: click.Context, folder: Path, task: str | None, corpus: str | None, split: str) -> None:
    """Take the judgements of a folder in BEIR's format into the library.

    The corpus is that of its task.toml unless --corpus says otherwise; the task is named as the folder.
    """
    from ui.label_transfer import import_task

    with opened_library(settings_of(context)) as library:
        done = import_task(library, folder, task, corpus, split)
    gone = f"; {done.gone:,} of them judge what is not in the corpus" if done.gone else ""
    click.echo(f"{done.task.name}: {done.questions:,} questions and {done.labels:,} labels{gone}")
