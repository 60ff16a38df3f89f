"""`rag ui`: the chat in a browser."""

import os
import sys

import click

from ui.options import settings_of

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@click.command("ui")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="H", help="The address to listen on.")
@click.option(
    "--port", default=7860, show_default=True, type=click.IntRange(0, 65535), metavar="P", help="0 takes a free one."
)
@click.option("--no-browser", is_flag=True, help="Do not open a browser.")
@click.pass_context
def command(context: click.Context, host: str, port: int, no_browser: bool) -> None:
    """Chat with the documents in a browser."""
    settings = settings_of(context)
    if host not in LOOPBACK:
        click.echo(
            f"rag: {host} can be reached from other machines, and there is no login: "
            "they can read, add and remove documents.",
            err=True,
        )
    from ui.app import serve

    serve(settings, host, port, open_browser=not no_browser and _has_browser())


def _has_browser() -> bool:
    """Tells whether somebody sits here: a terminal, and on Linux a display."""
    shown = sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return shown and sys.stdout.isatty()
