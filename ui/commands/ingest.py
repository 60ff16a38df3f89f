"""`rag ingest`: files into a corpus, under several embedders."""

from pathlib import Path

import click

from ui.options import (
    chunker_option,
    embedders_option,
    json_option,
    opened_library,
    print_json,
    settings_of,
)

DEFAULT_CORPUS = "default"


@click.command("ingest")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--corpus", default=DEFAULT_CORPUS, show_default=True, metavar="NAME", help="The corpus to put them into."
)
@embedders_option
@chunker_option
@json_option
@click.pass_context
def command(
    context: click.Context,
    paths: tuple[Path, ...],
    corpus: str,
    embedders: tuple[str, ...],
    chunker: str | None,
    as_json: bool,
) -> int:
    """Put files and folders into a corpus, under every asked-for embedder.

    What has not changed since the last time is left alone; files that are gone leave the corpus. Without --embedder
    the corpus keeps the embedders it has; a new one gets all that work offline.
    """
    from ingest.items import check_exists
    from rag.embedders.registry import find_spec
    from rag.lock import writer_lock
    from ui.ingesting import ingest_paths
    from ui.progress import Bars

    settings = settings_of(context)
    for name in embedders:
        find_spec(name, settings.embedders)  # a mistyped name must not cost a library
    for path in paths:
        check_exists(path)
    with writer_lock(settings.home), opened_library(settings, create=True) as library, Bars() as bars:
        report = ingest_paths(library, settings, paths, corpus, embedders, chunker, bars)

    counts = report.counts()
    if as_json:
        print_json(
            {
                "corpus": report.corpus,
                "documents": counts,
                "chunks": report.chunks,
                "indexes": [
                    {
                        "embedder": card.embedder,
                        "chunker": card.chunker,
                        "fingerprint": card.fingerprint,
                        "documents": card.documents,
                        "chunks": card.chunks,
                        "embedded": report.embedded_for.get((card.chunker, card.fingerprint), 0),
                        "seconds": card.seconds,
                        "usd": card.usd,
                    }
                    for card in report.cards
                ],
                "files": [{"path": o.path, "status": o.status, "reason": o.reason} for o in report.outcomes],
                "seconds": round(report.seconds, 3),
            }
        )
    else:
        told = ", ".join(f"{number} {status}" for status, number in counts.items() if number) or "nothing found"
        click.echo(f"{report.corpus}: {told}; {report.chunks} chunks, {report.seconds:.1f} s")
        for card in report.cards:
            new = report.embedded_for.get((card.chunker, card.fingerprint), 0)
            click.echo(
                f"  {card.embedder:<12} {card.chunks} chunks of {card.documents} documents, {new} newly embedded"
            )
    for outcome in report.outcomes:
        if outcome.status in ("skipped", "failed"):
            click.echo(f"{outcome.status}: {outcome.path}: {outcome.reason}", err=True)
    return 1 if counts["failed"] else 0
