"""`rag remove`: documents out of a corpus, out of every index and off the disk."""

import click

from ui.options import corpus_option, opened_library, settings_of


@click.command("remove")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@corpus_option
@click.pass_context
def command(context: click.Context, sources: tuple[str, ...], corpus: str | None) -> None:
    """Remove documents, by the names that `rag search` shows, from a corpus and from the library's disk.

    The files themselves stay where they are. A later ingest of their folder leaves them out; one of a file's own path
    takes it back. Saved conversations and labels keep the passages that they show, and are counted.
    """
    from rag.lock import writer_lock
    from ui.ingesting import remove_documents
    from ui.kept_passages import kept_notes

    settings = settings_of(context)
    with opened_library(settings) as library, writer_lock(settings.home):
        name = library.corpus_or_only(corpus)
        notes = kept_notes(library, name, sources)
        count = remove_documents(library, settings, name, sources)
    click.echo(f"{name}: {count} documents removed")
    for note in notes:
        click.echo(f"note: {note}", err=True)
