"""`rag labels`: the labelled tasks of the library; export and import as folders in BEIR's format."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rag.errors import RagError
from ui.options import corpus_option, json_option, opened_library, print_json, settings_of

if TYPE_CHECKING:
    from rag.library import Library

MOST_FINDINGS = 50

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
                        "origins": dict(state.origins),
                        "folder": str(state.folder),
                    }
                    for state in states
                ]
            }
        )
        return
    for state in states:
        gone = f", {state.gone:,} gone from the corpus" if state.gone else ""
        kind = "synthetic " if state.synthetic else ""
        click.echo(
            f"{state.task.name}: {state.questions:,} {kind}questions over {state.task.corpus}, {state.labels:,} labels "
            f"({state.grades[0]:,} / {state.grades[1]:,} / {state.grades[2]:,} of grade 0 / 1 / 2{gone}), "
            f"{state.votes:,} votes\n  rag eval {state.folder}"
        )
    if not states:
        click.echo(
            "No labels yet. Judge passages in the application (rag ui), import a task or a table "
            "(rag labels import DIR|FILE), or generate questions (rag labels generate)"
        )


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
@click.argument("path", metavar="DIR|FILE", type=click.Path(path_type=Path))
@task_option
@corpus_option
@click.option("--split", default="test", show_default=True, metavar="NAME", help="The qrels to read, of a folder.")
@click.option("--partial", is_flag=True, help="Of a table keep the good rows where others cannot be used.")
@click.pass_context
def import_(
    context: click.Context, path: Path, task: str | None, corpus: str | None, split: str, partial: bool
) -> None:
    """Take questions and their sources into the library.

    A folder is read in BEIR's format; the corpus is that of its task.toml unless --corpus says otherwise. A CSV, TSV or
    XLSX file has a row for each question, and columns named question and source (a path, a file's name or a title), and
    if you like passage, page and grade. The task is named as the folder or the file.
    """
    from ui.label_transfer import import_task

    with opened_library(settings_of(context)) as library:
        if path.is_file():
            _import_table(library, path, task, corpus, partial)
            return
        done = import_task(library, path, task, corpus, split)
    gone = f"; {done.gone:,} of them judge what is not in the corpus" if done.gone else ""
    click.echo(f"{done.task.name}: {done.questions:,} questions and {done.labels:,} labels{gone}")


def _import_table(library: "Library", path: Path, task: str | None, corpus: str | None, partial: bool) -> None:
    from rag.task_folders import folder_of
    from ui.question_import import import_questions
    from ui.words import count_text

    try:
        data = path.read_bytes()
    except OSError as error:
        raise RagError(f"{path} cannot be read: {error.strerror}.") from error
    done = import_questions(library, path.name, data, task, corpus, partial)
    for told in sorted((*done.problems, *done.notes), key=lambda told: told.line):
        click.echo(f"{path}, line {told.line}: {told.message}", err=True)
    if done.task:
        repeated = f"; {count_text(done.repeated, 'row')} repeated others" if done.repeated else ""
        click.echo(
            f"{done.task.name}: {count_text(done.questions, 'question')} and {count_text(done.labels, 'label')}"
            f"{repeated}\n  rag eval {folder_of(library.home, done.task.name)}"
        )
    if done.problems:
        taken = "the others are imported" if done.task else "nothing was imported; correct them, or say --partial"
        raise RagError(f"{count_text(len(done.problems), 'row')} could not be used, {taken}.")


@command.command("generate")
@corpus_option
@click.option("--count", default=50, show_default=True, type=click.IntRange(1, 10_000), help="How many questions.")
@click.option(
    "--method",
    "methods",
    metavar="NAME",
    multiple=True,
    help="definitions, cloze, headings or llm; may be given several times. Else the first two, or llm with --llm.",
)
@click.option("--seed", default=13, show_default=True, help="Chooses among what the documents yield.")
@click.option("--task", metavar="NAME", help="The task, in place of what it held; else CORPUS-synthetic.")
@click.option("--llm", metavar="PROVIDER:MODEL", help="The language model that asks, such as ollama:llama3.2.")
@click.option("--llm-base-url", metavar="URL", help="The server of --llm, such as http://127.0.0.1:8000/v1.")
@json_option
@click.pass_context
def generate_(
    context: click.Context,
    corpus: str | None,
    count: int,
    methods: tuple[str, ...],
    seed: int,
    task: str | None,
    llm: str | None,
    llm_base_url: str | None,
    as_json: bool,
) -> None:
    """Make questions from the documents themselves.

    They are marked as synthetic and kept apart from what people have labelled. Without a language model they use the
    documents' own words, which favours lexical search.
    """
    from rag.llm import load_llm
    from rag.llm_settings import chosen
    from rag.task_folders import folder_of
    from ui.generating import LLM, generate, passages_of
    from ui.generating_llm import estimated

    settings = settings_of(context)
    asks = llm is not None or llm_base_url is not None or LLM in methods
    model = load_llm(chosen(settings.llm, llm, llm_base_url)) if asks else None
    with opened_library(settings) as library:
        name = library.corpus_or_only(corpus)
        if model:
            usage = estimated(model, passages_of(library, name, count, seed))
            usd = "" if usage.usd is None else f", {usage.usd:.4f} dollars"
            click.echo(f"asking {model.title} about {usage.input_tokens:,} tokens{usd}, at most half more", err=True)
        done = generate(library, name, count, methods, seed, task, model)
        folder = folder_of(library.home, done.task.name)
    if as_json:
        print_json(
            {
                "task": done.task.name,
                "corpus": done.task.corpus,
                "questions": done.questions,
                "methods": dict(done.methods),
                "dropped": dict(done.dropped),
                "requests": done.requests,
                "folder": str(folder),
            }
        )
    else:
        made = ", ".join(f"{number} by {method}" for method, number in done.methods.items())
        dropped = "".join(f"\n  dropped {number}: {reason}" for reason, number in done.dropped.items())
        click.echo(f"{done.task.name}: {done.questions:,} synthetic questions ({made}){dropped}\n  rag eval {folder}")
        if done.usage:
            usd = "" if done.usage.usd is None else f", {done.usage.usd:.4f} dollars"
            read, written = done.usage.input_tokens, done.usage.output_tokens
            click.echo(f"rag: {done.requests} requests, {read:,} tokens read, {written:,} written{usd}.", err=True)
    if "headings" in done.methods:
        click.echo("rag: questions from headings favour embedders that only count words (docs/labels.md).", err=True)
    if done.failure:
        raise RagError(f"The language model was not asked any more: {done.failure}")
    if done.questions < count:
        click.echo(f"rag: the documents yield {done.questions} questions of the {count} that were asked for.", err=True)


@command.command("validate")
@click.argument("task", metavar="TASK|DIR")
@corpus_option
@click.option("--split", default="test", show_default=True, metavar="NAME", help="The qrels to read.")
@json_option
@click.pass_context
def validate(context: click.Context, task: str, corpus: str | None, split: str, as_json: bool) -> None:
    """Look a task over: documents that exist, answers that stand in them, questions asked twice.

    TASK is one of the library's, or a folder of its own. Exits with 1 where something would make scores wrong.
    """
    from ui.label_validation import validate as look_over

    settings = settings_of(context)
    looked = look_over(settings, task, corpus, split)
    problems = [finding for finding in looked.findings if finding.problem]
    if as_json:
        findings = [{"where": each.where, "message": each.message, "problem": each.problem} for each in looked.findings]
        print_json({"task": looked.task.name, "sources": dict(looked.task.label_sources), "findings": findings})
    else:
        for each in looked.findings[:MOST_FINDINGS]:
            click.echo(f"{'' if each.problem else 'note: '}{each.where}: {each.message}")
        if len(looked.findings) > MOST_FINDINGS:
            click.echo(f"and {len(looked.findings) - MOST_FINDINGS:,} more; --json prints all of them")
        sources = ", ".join(f"{number} {name}" for name, number in looked.task.label_sources.items())
        click.echo(
            f"{looked.task.name}: {len(looked.task.queries):,} questions{f' ({sources})' if sources else ''}, "
            f"{len(looked.task.answers):,} with answers; {len(problems):,} problems"
        )
    if problems:
        raise RagError(f"{task} has {len(problems):,} problems. Correct them, or its scores are wrong.")
