"""A command that has other commands below it: `rag eval TASK_DIR...` evaluates, `rag eval verify DIR` verifies."""

import click


class DefaultGroup(click.Group):
    """A command of its own unless its first argument names one of the commands below it.

    A folder that is named like one of those is given as ./verify.
    """

    allow_interspersed_args = True

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: object
    ) -> click.Context:
        """Makes the context of the command that the arguments mean."""
        below = self.commands.get(args[0]) if args else None
        if below:
            return below.make_context(f"{info_name} {args[0]}", args[1:], parent)
        return super().make_context(info_name, args, parent, **extra)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parses as a command does: no argument is taken for the name of a command below."""
        return click.Command.parse_args(self, ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Runs the command itself."""
        return click.Command.invoke(self, ctx)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Returns the usage of the command itself."""
        return click.Command.collect_usage_pieces(self, ctx)
