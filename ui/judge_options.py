"""The options of judged answers, shared by the commands that evaluate."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar, cast

import click

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class JudgeAsked:
    """What the command line says of judging; None where it says nothing."""

    judge: str
    judge_base_url: str | None = None
    judge_embedder: str | None = None
    judge_repeats: int = 1
    judge_at_once: int = 4
    judge_limit: int | None = None
    judge_budget: float | None = None
    sample: int = 50
    llm: str | None = None
    llm_base_url: str | None = None


def judge_options(command: Command) -> Command:
    """Adds the options that have answers judged; they reach the command as one `judging`, None without --judge.

    Raises click's UsageError for one that says nothing without --judge.
    """

    @wraps(command)
    def gathered(*arguments: Any, **choices: Any) -> Any:
        said = {name: choices.pop(name) for name in JudgeAsked.__slots__}
        if said["judge"]:
            return command(*arguments, judging=JudgeAsked(**said), **choices)
        context = click.get_current_context()
        for name in said:
            if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
                raise click.UsageError(
                    f"--{name.replace('_', '-')} is about judged answers: say --judge PROVIDER:MODEL."
                )
        return command(*arguments, judging=None, **choices)

    for option in reversed(
        (
            click.option(
                "--judge", metavar="PROVIDER:MODEL", help="Judge answers by RAGAS's metrics; asks this model."
            ),
            click.option("--judge-base-url", metavar="URL", help="The server of --judge."),
            click.option("--judge-embedder", metavar="NAME", help="Compares questions for answer relevancy; minilm."),
            click.option(
                "--judge-repeats", type=click.IntRange(1, 20), default=1, metavar="N", help="Judge each answer N times."
            ),
            click.option(
                "--judge-at-once", type=click.IntRange(1, 64), default=4, metavar="N", help="Requests at a time; 4."
            ),
            click.option("--judge-limit", type=click.IntRange(0), metavar="CALLS", help="Ask the judge no more often."),
            click.option("--judge-budget", type=click.FloatRange(0), metavar="USD", help="Spend no more on the judge."),
            click.option(
                "--sample", type=click.IntRange(1), default=50, metavar="N", help="Queries of a task to judge; 50."
            ),
            click.option(
                "--llm", metavar="PROVIDER:MODEL", help="Who writes the judged answers; else they are quoted."
            ),
            click.option("--llm-base-url", metavar="URL", help="The server of --llm."),
        )
    ):
        gathered = option(gathered)
    return cast(Command, gathered)
