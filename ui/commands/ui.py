"""`rag ui`: the chat in a browser."""

import os
import sys
from pathlib import Path

import click

from rag.errors import UsageError
from ui.access import Access, checked_access
from ui.accounts import VARIABLE, Accounts, add_account
from ui.options import settings_of


@click.command("ui")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="H", help="The address to listen on.")
@click.option(
    "--port", default=7860, show_default=True, type=click.IntRange(0, 65535), metavar="P", help="0 takes a free one."
)
@click.option("--no-browser", is_flag=True, help="Do not open a browser.")
@click.option(
    "--auth",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Ask for a login; the file holds accounts. Or set RAG_AUTH=user:password.",
)
@click.option("--add-user", metavar="NAME", help="Ask for a password, write the account into --auth's file, and end.")
@click.option("--insecure", is_flag=True, help="Let other machines in without a login.")
@click.option(
    "--allow-host", "names", metavar="NAME", multiple=True, help="A name it is reached by; may be given several times."
)
@click.option(
    "--trust-proxy",
    "proxies",
    metavar="ADDRESS",
    multiple=True,
    help="A proxy, or a network of them, that says who asks (X-Forwarded-For, -Proto).",
)
@click.pass_context
def command(
    context: click.Context,
    host: str,
    port: int,
    no_browser: bool,
    auth: Path | None,
    add_user: str | None,
    insecure: bool,
    names: tuple[str, ...],
    proxies: tuple[str, ...],
) -> None:
    """Chat with the documents in a browser."""
    if add_user is not None:
        _add_user(auth, add_user)
        return
    settings = settings_of(context)
    access = checked_access(Access(host, names, proxies, _accounts(auth)), insecure)
    if access.shared and access.accounts is None:
        click.echo(f"rag: no login: whoever reaches {host} can read, add and remove documents.", err=True)
    from ui.app import serve

    serve(settings, host, port, open_browser=not no_browser and _has_browser(), access=access)


def _accounts(auth: Path | None) -> Accounts | None:
    """Returns the accounts of the file, or else that of the environment; None where neither is named."""
    if auth is not None:
        return Accounts.from_file(auth)
    account = os.environ.get(VARIABLE, "")
    return Accounts.from_environment(account) if account else None


def _add_user(auth: Path | None, name: str) -> None:
    if auth is None:
        raise UsageError("Say which file the account goes to: --auth FILE --add-user NAME")
    password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    added = add_account(auth, name, password)
    click.echo(f"rag: {name} is {'in' if added else 'changed in'} {auth}. Restart rag ui to use it.", err=True)


def _has_browser() -> bool:
    """Tells whether somebody sits here: a terminal, and on Linux a display."""
    shown = sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return shown and sys.stdout.isatty()
