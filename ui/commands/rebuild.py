"""`rag rebuild`: Chroma and BM25 anew from library.db; nothing is embedded."""

import shutil

import click

from ui.options import opened_library, settings_of


@click.command("rebuild")
@click.pass_context
def command(context: click.Context) -> None:
    """Throw the Chroma and BM25 caches away and build them anew from library.db; nothing is embedded."""
    from ingest.caches import refresh_caches
    from rag.lock import writer_lock

    settings = settings_of(context)
    with opened_library(settings) as library, writer_lock(settings.home):
        for cache in ("chroma", "lexical"):
            shutil.rmtree(settings.home / cache, ignore_errors=True)
        refresh_caches(library)
        count = len(library.cards.all())
    click.echo(f"rebuilt {count} indexes from library.db")
