"""`rag eval`: labelled tasks to a leaderboard of embedders and retrievers, with significance."""

from pathlib import Path

import click

from ui.default_group import DefaultGroup
from ui.evaluation_options import Asked, evaluation_options
from ui.options import chunker_option, json_option, settings_of


@click.command("eval", cls=DefaultGroup, no_args_is_help=False)
@evaluation_options
@chunker_option
@click.pass_context
def command(context: click.Context, asked: Asked) -> int:
    """Rank embedders and retrievers on labelled tasks of any family.

    A BEIR folder (corpus.jsonl, queries.jsonl, qrels/) is indexed first where it is not yet. Rows that were scored
    before are not scored again.
    """
    from ui.bakeoff import evaluate_and_tell

    return evaluate_and_tell(settings_of(context), asked)


@command.command("verify")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@json_option
def verify(folder: Path, as_json: bool) -> int:
    """Check a saved evaluation and compute its figures anew.

    DIR is a folder that rag eval --out has written. No file may have changed since; scores are computed from the TREC
    runs and judgements that are saved there, all other figures from them. Exits with 1 where anything differs.
    """
    from ui.verifying import tell_verification

    return tell_verification(folder, as_json)


@command.command("compare")
@click.argument("a", metavar="A", type=click.Path(path_type=Path))
@click.argument("b", metavar="B", type=click.Path(path_type=Path))
@click.option("--metric", metavar="NAME", help="Else the main metric of each task's family.")
@json_option
def compare(a: Path, b: Path, metric: str | None, as_json: bool) -> int:
    """Compare two saved evaluations row by row.

    A and B are folders that rag eval --out has written. Rows of both are paired item by item, with intervals and tests;
    where two cannot be compared it says why.
    """
    from ui.comparing_saved import tell_comparison

    return tell_comparison(a, b, metric, as_json)


@command.command("seal")
@click.argument("folder", metavar="TASK_DIR", type=click.Path(path_type=Path))
@click.option("--share", type=float, default=0.3, show_default=True, metavar="S", help="How much is held out, up to 1.")
@click.option("--seed", type=int, default=13, show_default=True, metavar="N", help="Chooses which.")
@click.option("--family", metavar="NAME", help="Read the folder as a task of this family.")
@json_option
@click.pass_context
def seal(context: click.Context, folder: Path, share: float, seed: int, family: str | None, as_json: bool) -> int:
    """Hold out a part of a task's test split until the end.

    The folder is not touched: the library keeps which items are held out, lets --split dev and --split holdout take
    them apart, and records every evaluation that sees them.
    """
    from ui.sealing import tell_seal

    return tell_seal(settings_of(context), folder, share, seed, family, as_json)
