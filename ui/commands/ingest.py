"""`rag ingest`: files into a corpus, under several embedders."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ui.options import (
    chunker_option,
    embedders_option,
    json_option,
    opened_library,
    print_json,
    settings_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.report import IngestReport
    from rag.cards import IndexCard
    from rag.settings import Settings

DEFAULT_CORPUS = "default"


@click.command("ingest")
@click.argument("paths", metavar="PATH...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--corpus", default=DEFAULT_CORPUS, show_default=True, metavar="NAME", help="The corpus to put them into."
)
@embedders_option
@chunker_option
@click.option("--watch", is_flag=True, help="Stay, and keep the corpus in step with the paths until Ctrl-C.")
@click.option("--backfill", is_flag=True, help="Read no file: embed what the corpus holds and the embedders lack.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Write and send nothing: tell chunks, tokens, seconds and dollars for each embedder.",
)
@click.option(
    "--budget",
    type=click.FloatRange(min=0, min_open=True),
    metavar="USD",
    help="Stop before more is spent on embedding; the same again goes on.",
)
@json_option
@click.pass_context
def command(
    context: click.Context,
    paths: tuple[Path, ...],
    corpus: str,
    embedders: tuple[str, ...],
    chunker: str | None,
    watch: bool,
    backfill: bool,
    dry_run: bool,
    budget: float | None,
    as_json: bool,
) -> int:
    """Put files and folders into a corpus, under every asked-for embedder.

    What has not changed since the last time is left alone; files that are gone leave the corpus. Without --embedder
    the corpus keeps the embedders it has; a new one gets all that work offline.
    """
    from ingest.items import check_exists
    from rag.embedders.registry import find_spec

    settings = settings_of(context)
    _check_usage(paths, embedders, watch, backfill, dry_run, budget, as_json)
    for name in embedders:
        find_spec(name, settings.embedders)  # a mistyped name must not cost a library
    for path in paths:
        check_exists(path)
    if dry_run:
        from ui.estimating import tell_estimate

        return tell_estimate(settings, paths, corpus, embedders, chunker, budget, as_json)

    def work(is_first: bool = True) -> int:
        report, failure = _ingest(settings, paths, corpus, embedders, chunker, budget)
        if as_json:
            _print_json(report)
        elif is_first or failure or any(report.counts()[status] for status in ("done", "failed", "deleted")):
            _print_report(report)
        if failure:
            click.echo(f"rag: {failure}", err=True)
        return 1 if failure or report.counts()["failed"] else 0

    if watch:
        from ui.watching import keep_in_step

        keep_in_step(paths, settings.home, work)
        return 0
    return work()


def _check_usage(
    paths: tuple[Path, ...],
    embedders: tuple[str, ...],
    watch: bool,
    backfill: bool,
    dry_run: bool,
    budget: float | None,
    as_json: bool,
) -> None:
    """Raises click.UsageError for options that do not go together."""
    if backfill and (paths or watch):
        raise click.UsageError("--backfill reads no files. Leave PATH and --watch out.")
    if backfill and not embedders:
        raise click.UsageError("Say which embedder to backfill: --embedder NAME")
    if not backfill and not paths:
        raise click.UsageError("Missing argument 'PATH...'.")
    if watch and dry_run:
        raise click.UsageError("--dry-run tells what an ingest would do now. Leave --watch out.")
    if watch and budget is not None:
        raise click.UsageError("--budget is for one ingest, and --watch makes many. Leave one of them out.")
    if watch and as_json:
        raise click.UsageError("--watch tells what it does as it goes on. Leave --json out.")


def _ingest(
    settings: "Settings",
    paths: tuple[Path, ...],
    corpus: str,
    embedders: tuple[str, ...],
    chunker: str | None,
    budget: float | None,
) -> "tuple[IngestReport, str]":
    """Ingests the paths, or backfills where there are none; returns the report and why it ended early, if it did."""
    from ingest.report import EndedEarlyError
    from rag.lock import writer_lock
    from ui.ingesting import backfill, ingest_paths
    from ui.progress import Bars

    with writer_lock(settings.home), opened_library(settings, create=bool(paths)) as library, Bars() as bars:
        try:
            if paths:
                return ingest_paths(library, settings, paths, corpus, embedders, chunker, bars, budget=budget), ""
            return backfill(library, settings, corpus, embedders, chunker, bars, budget=budget), ""
        except EndedEarlyError as error:
            return error.report, str(error)


def _print_json(report: "IngestReport") -> None:
    print_json(
        {
            "corpus": report.corpus,
            "documents": report.counts(),
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
                    "spent": round(report.spent_for.get((card.chunker, card.fingerprint), 0.0), 9),
                    "warnings": list(_warnings(report, card)),
                }
                for card in report.cards
            ],
            "files": [{"path": o.path, "status": o.status, "reason": o.reason} for o in report.outcomes],
            "seconds": round(report.seconds, 3),
        }
    )
    _print_problems(report)


def _print_report(report: "IngestReport") -> None:
    from ingest.budget import dollars

    told = ", ".join(f"{number} {status}" for status, number in report.counts().items() if number) or "nothing found"
    click.echo(f"{report.corpus}: {told}; {report.chunks} chunks, {report.seconds:.1f} s")
    for card in report.cards:
        new = report.embedded_for.get((card.chunker, card.fingerprint), 0)
        spent = report.spent_for.get((card.chunker, card.fingerprint), 0.0)
        money = f", {dollars(spent)} spent ({dollars(card.usd)} in all)" if card.usd else ""
        click.echo(
            f"  {card.embedder:<12} {card.chunks} chunks of {card.documents} documents, {new} newly embedded{money}"
        )
    _print_problems(report)
    for warning in dict.fromkeys(warning for card in report.cards for warning in _warnings(report, card)):
        click.echo(f"note: {warning}", err=True)


def _print_problems(report: "IngestReport") -> None:
    for outcome in report.outcomes:
        if outcome.status in ("skipped", "failed"):
            click.echo(f"{outcome.status}: {outcome.path}: {outcome.reason}", err=True)


def _warnings(report: "IngestReport", card: "IndexCard") -> "Sequence[str]":
    return report.warnings.get((card.chunker, card.fingerprint), ())
