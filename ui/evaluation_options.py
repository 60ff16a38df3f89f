"""The options that `rag eval` and `rag bakeoff` share."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from ui.judge_options import JudgeAsked, judge_options
from ui.options import embedders_option, json_option

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Asked:
    """What an evaluation is asked for; empty tuples mean what the settings and the corpus say, `None` no such wish."""

    tasks: tuple[Path, ...]
    embedders: tuple[str, ...] = ()
    retrievers: tuple[str, ...] = ()
    chunkers: tuple[str, ...] = ()
    split: str = "test"
    families: tuple[str, ...] = ()
    labels: str | None = None
    out: Path | None = None
    ragas: bool = True
    fresh: bool = False
    controls: bool = False
    setfit: bool = False
    fail_under: tuple[str, ...] = ()
    baseline: Path | None = None
    as_json: bool = False
    judging: JudgeAsked | None = None


def evaluation_options(command: Command) -> Command:
    """Adds the tasks and the shared options; they reach the command as one `asked`, beside options of its own."""

    @wraps(command)
    def gathered(*arguments: Any, **choices: Any) -> Any:
        taken = {name: choices.pop(name) for name in Asked.__slots__ if name in choices}
        chunker = choices.pop("chunker", None)
        if chunker:
            taken["chunkers"] = (chunker,)
        return command(*arguments, asked=Asked(**taken), **choices)

    gathered = judge_options(gathered)
    for option in reversed(
        (
            click.argument("tasks", metavar="TASK_DIR...", nargs=-1, required=True, type=click.Path(path_type=Path)),
            embedders_option,
            click.option(
                "--retriever",
                "retrievers",
                metavar="NAME",
                multiple=True,
                help="dense, lexical, hybrid; else all three.",
            ),
            click.option(
                "--split",
                default="test",
                show_default=True,
                metavar="NAME",
                help="The split to score: test, dev, holdout.",
            ),
            click.option(
                "--family",
                "families",
                metavar="NAME",
                multiple=True,
                help="Read each folder as a task of this family; several: of all that its files allow.",
            ),
            click.option("--labels", metavar="SOURCE", help="Only items labelled by human, vote, import or synthetic."),
            click.option(
                "--out",
                type=click.Path(path_type=Path),
                metavar="DIR",
                help="Write results, report, TREC runs and the evidence here.",
            ),
            click.option(
                "--ragas/--no-ragas", default=True, help="RAGAS's context metrics that need no language model."
            ),
            click.option(
                "--controls", is_flag=True, help="Add rows of a constant and a random embedder, which must come last."
            ),
            click.option("--fresh", is_flag=True, help="Score anew what is stored from earlier evaluations."),
            click.option("--setfit", is_flag=True, help="Fine-tune for classification too (SetFit); takes minutes."),
            click.option(
                "--fail-under",
                metavar="METRIC=VALUE",
                multiple=True,
                help="Exit with 1 where a row is below; for one embedder: minilm:nDCG@10=0.6.",
            ),
            click.option(
                "--baseline",
                type=click.Path(path_type=Path),
                metavar="DIR",
                help="Exit with 1 where a row is significantly worse than in these results.",
            ),
            json_option,
        )
    ):
        gathered = option(gathered)
    return cast(Command, gathered)
