"""What the commands share: opening the library, the options that choose an index, and JSON on standard output."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from rag.errors import UsageError
from rag.settings import Settings, read_settings

Command = TypeVar("Command", bound=Callable[..., Any])

FILTER_OPTIONS = ("source", "type", "page", "after", "before", "language")
"""The options of a filter, named as its fields."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
corpus_option = click.option("--corpus", metavar="NAME", help="The corpus; may be left out where there is only one.")
embedders_option = click.option(
    "--embedder", "embedders", metavar="NAME", multiple=True, help="An embedder; may be given several times."
)
chunker_option = click.option(
    "--chunker",
    metavar="NAME",
    help="heading, recursive, sentence, token, semantic or whole; in full: recursive-500-50, token-minilm.",
)


def index_options(command: Command) -> Command:
    """Adds the options that choose what to search and how; those of a filter reach the command as one `filter`."""
    command = _with_filter(command)
    for option in reversed(
        (
            corpus_option,
            click.option("--embedder", metavar="NAME", help="The embedder whose index is searched."),
            click.option("--retriever", metavar="NAME", help="dense, lexical or hybrid (the default)."),
            click.option("-k", type=click.IntRange(1, 10_000), metavar="N", help="How many chunks to find."),
            chunker_option,
            click.option("--weight", type=float, metavar="W", help="The dense leg's share of a hybrid, 0 to 1."),
            click.option("--fusion", metavar="NAME", help="rrf (the default) or weighted."),
            click.option(
                "--search", metavar="NAME", help="exact or ann; outside the application dense search is exact."
            ),
            click.option("--source", metavar="GLOB", help="Only documents of this path, folder or pattern: '*.pdf'."),
            click.option("--type", metavar="NAME", help="Only documents of this format, such as pdf or md."),
            click.option("--page", metavar="PAGES", help="Only these pages: 3, 3-7, 3- or -7."),
            click.option("--after", metavar="DATE", help="Only documents dated so or later: 2024, 2024-03."),
            click.option("--before", metavar="DATE", help="Only documents dated so or earlier."),
            click.option("--language", metavar="CODE", help="Only documents in this language, such as de."),
            click.option("--reranker", metavar="NAME", help="Reorders the best 50; rag rerankers lists them."),
            click.option("--mmr", type=float, metavar="L", help="Diverse chunks: the share of relevance, 0 to 1."),
            json_option,
        )
    ):
        command = option(command)
    return command


def _with_filter(command: Command) -> Command:
    """Gathers the options of a filter, which may be given or not, into one."""

    @wraps(command)
    def gathered(*arguments: Any, **choices: Any) -> Any:
        asked = {name: choices.pop(name) for name in FILTER_OPTIONS}
        if any(value is not None for value in asked.values()):
            from rag.filters import Filter

            choices["filter"] = Filter(**{name: value or "" for name, value in asked.items()})
        return command(*arguments, **choices)

    return cast(Command, gathered)


def settings_of(context: click.Context) -> Settings:
    """Reads the settings of the library that the command line names."""
    home: Path | None = context.find_root().obj
    return read_settings(home)


@contextmanager
def opened_library(settings: Settings, create: bool = False) -> Iterator[Any]:
    """Opens the library and closes it at the end."""
    from rag.library import Library

    library = Library(settings.home, create=create)
    try:
        yield library
    finally:
        library.close()


def checked_query(query: str) -> str:
    """Returns the query as text without space around it; raises UsageError for an empty one.

    Bytes that the locale could not read are read as UTF-8, and what is not UTF-8 becomes U+FFFD.
    """
    query = query.encode("utf-8", "surrogateescape").decode("utf-8", "replace").strip()
    if not query:
        raise UsageError("The query is empty. Say what to look for.")
    return query


def print_json(document: object) -> None:
    """Prints one JSON document on standard output."""
    click.echo(json.dumps(document, ensure_ascii=False, indent=2))
