"""`rag bakeoff`: embedders x retrievers x chunkers over many tasks of all families, in one table."""

import click

from ui.evaluation_options import Asked, evaluation_options
from ui.options import settings_of


@click.command("bakeoff")
@evaluation_options
@click.option(
    "--chunker",
    "chunkers",
    metavar="NAME",
    multiple=True,
    help="How tasks over documents are cut, as in rag ingest; may be given several times.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be scored and embedded, and what that costs.")
@click.pass_context
def command(context: click.Context, asked: Asked, dry_run: bool) -> int:
    """Compare embedders x retrievers x chunkers over many tasks.

    Tasks may be of any family. Every scored row and every vector is kept: whatever ends a bake-off, the same command
    goes on where it was.
    """
    from ui.bakeoff import evaluate_and_tell, tell_plan

    settings = settings_of(context)
    return tell_plan(settings, asked) if dry_run else evaluate_and_tell(settings, asked)
