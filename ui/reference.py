"""Writes docs/commands.md and docs/embedders.md: `python -m ui.reference`; tests hold both to what they tell of."""

from collections.abc import Iterator
from pathlib import Path

import click

from ui.cli import COMMANDS, rag
from ui.default_group import DefaultGroup

PAGE = Path(__file__).parents[1] / "docs" / "commands.md"


def reference() -> str:
    """Returns the page of commands: the help of `rag` and of each command."""
    parts = ["# Commands\n\nMade by `python -m ui.reference`; do not edit.\n"]
    root = click.Context(rag, info_name="rag", terminal_width=100, **rag.context_settings)
    parts.append(f"```text\n{rag.get_help(root)}\n```\n")
    for name in COMMANDS:
        command = rag.get_command(root, name)
        if command is not None:
            parts.extend(_sections(command, name, root))
    return "\n".join(parts)


def _sections(command: click.Command, name: str, parent: click.Context) -> Iterator[str]:
    """Yields the help of a command, and of those below it."""
    context = click.Context(command, parent, info_name=name, terminal_width=100)
    yield f"## {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for below, each in command.commands.items():
            if isinstance(command, DefaultGroup):  # has arguments of its own, which are none of theirs
                yield from _sections(each, f"{name} {below}", parent)
            else:
                yield from _sections(each, below, context)


if __name__ == "__main__":
    from ui import embedders_page

    PAGE.write_text(reference(), encoding="utf-8")
    embedders_page.PAGE.write_text(embedders_page.embedders_page(), encoding="utf-8")
