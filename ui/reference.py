"""Writes docs/commands.md from the commands themselves: `python -m ui.reference`; a test holds the page to them."""

from pathlib import Path

import click

from ui.cli import COMMANDS, rag

PAGE = Path(__file__).parents[1] / "docs" / "commands.md"


def reference() -> str:
    """Returns the page: the help of `rag` and of each command."""
    parts = ["# Commands\n\nMade by `python -m ui.reference`; do not edit.\n"]
    root = click.Context(rag, info_name="rag", terminal_width=100, **rag.context_settings)
    parts.append(f"```text\n{rag.get_help(root)}\n```\n")
    for name in COMMANDS:
        command = rag.get_command(root, name)
        if command is not None:
            context = click.Context(command, root, info_name=name, terminal_width=100)
            parts.append(f"## rag {name}\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
