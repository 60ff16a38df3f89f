"""The `rag` command line: global options, lazy commands, and errors as one clear line with the right exit status."""

import importlib
import io
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from rag.errors import RagError, UsageError, unknown_name
from rag.offline import go_quiet
from ui.failures import explain
from ui.terminal import TerminalOutput, harmless

COMMANDS = (
    "ingest",
    "search",
    "ask",
    "ui",
    "eval",
    "bakeoff",
    "labels",
    "embedders",
    "rerankers",
    "indexes",
    "remove",
    "doctor",
    "rebuild",
)


class LazyGroup(click.Group):
    """Imports a command's module when it is named, in the order of COMMANDS."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Lists the commands in the order in which people meet them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports the command of that name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"ui.commands.{cmd_name}").command
        for each in (command, *(command.commands.values() if isinstance(command, click.Group) else ())):
            if not any(option.name == "home" for option in each.params):
                each.params.append(_home_option())  # --home is understood before and after the command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds the command, or raises UsageError with the nearest name."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise unknown_name("command", args[0], COMMANDS)
        return super().resolve_command(ctx, args)


def _home_option() -> click.Option:
    def keep(context: click.Context, option: click.Parameter, home: Path | None) -> None:
        if home is not None:
            context.find_root().obj = home

    return click.Option(
        ["--home"],
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        help="The library; else RAG_HOME, else .rag.",
        expose_value=False,
        callback=keep,
    )


@click.command(
    cls=LazyGroup,
    params=[_home_option()],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="rag-embedder-bakeoff", prog_name="rag")
def rag() -> None:
    """Chat with your documents under any embedder, and find out which one is best on them."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line; exits 0 when done, 1 when something failed, 2 when the request itself is wrong."""
    go_quiet()
    _speak_utf8()
    sys.exit(run(arguments))


def _speak_utf8() -> None:
    """Writes UTF-8 whatever the locale, and what is no character (a file name may hold it) as an escape JSON knows."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.isatty():
        sys.stdout = TerminalOutput(
            sys.stdout.detach(), encoding="utf-8", errors="backslashreplace", line_buffering=True
        )


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit status."""
    try:
        status = rag.main(arguments, prog_name="rag", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except RagError as error:
        click.echo(f"rag: {harmless(str(error))}", err=True)
        return 2 if isinstance(error, UsageError) else 1
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.UsageError as error:
        hint = f" See: {error.ctx.command_path} --help" if error.ctx else ""
        click.echo(f"rag: {error.format_message()}{hint}", err=True)
        return 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("rag: stopped. What is finished is kept; run the same command again to go on.", err=True)
        return 130
    except BrokenPipeError:  # the reader of our output has left, as in `rag search ... | head`
        sys.stderr.close()
        return 1
    except (sqlite3.DatabaseError, OSError) as error:
        click.echo(f"rag: {explain(error)}", err=True)
        return 1


if __name__ == "__main__":
    main()
