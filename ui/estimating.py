"""What `rag ingest --dry-run` says: the work, the time and the money of an ingest that has not begun."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from ingest.budget import dollars
from ingest.estimate import Estimate, IndexEstimate
from rag.library import FILE, Library
from rag.settings import Settings
from ui.ingesting import estimate
from ui.options import print_json
from ui.progress import Bars
from ui.shapes import Json


def tell_estimate(
    settings: Settings,
    paths: Sequence[Path],
    corpus: str,
    embedders: Sequence[str],
    chunker: str | None,
    budget: float | None,
    as_json: bool,
) -> int:
    """Estimates, prints it and returns the exit status: 1 if a file would fail."""
    with unchanged_library(settings.home, must_exist=not paths) as library, Bars() as bars:
        found = estimate(library, settings, paths, corpus, embedders, chunker, bars)
    if as_json:
        print_json(_shape(found))
    else:
        _print(found)
    for outcome in found.outcomes:
        if outcome.status in ("skipped", "failed"):
            click.echo(f"{outcome.status}: {outcome.path}: {outcome.reason}", err=True)
    limit = settings.budget_usd if budget is None else budget
    cost = sum(index.usd or 0.0 for index in found.indexes)
    if limit and cost > limit:
        click.echo(f"note: that is more than the budget of {dollars(limit)}: the ingest would end early.", err=True)
    return 1 if found.counts()["failed"] else 0


@contextmanager
def unchanged_library(home: Path, must_exist: bool) -> Iterator[Library]:
    """Opens the library so that nothing can change it; where there is none yet, an empty one elsewhere stands in."""
    with tempfile.TemporaryDirectory(prefix="rag-dry-run-") as elsewhere:
        is_there = must_exist or (home / FILE).is_file()
        library = Library(home, read_only=True) if is_there else Library(Path(elsewhere), create=True)
        try:
            yield library
        finally:
            library.close()


def _shape(found: Estimate) -> Json:
    """Returns the document of `rag ingest --dry-run --json`."""
    return {
        "corpus": found.corpus,
        "documents": found.counts(),
        "chunks": found.chunks,
        "indexes": [
            {
                "embedder": index.embedder,
                "chunker": index.chunker,
                "fingerprint": index.fingerprint,
                "chunks": index.chunks,
                "passages": index.passages,
                "tokens": index.tokens,
                "query_tokens": index.query_tokens,
                "exact": index.exact,
                "seconds": index.seconds,
                "usd": index.usd,
            }
            for index in found.indexes
        ],
        "files": [{"path": o.path, "status": o.status, "reason": o.reason} for o in found.outcomes],
    }


def _print(found: Estimate) -> None:
    told = ", ".join(f"{number} {status}" for status, number in found.counts().items() if number) or "nothing found"
    click.echo(f"{found.corpus}, if it were ingested: {told}; {found.chunks} new chunks")
    click.echo(f"  {'embedder':<24} {'chunks':>9} {'to embed':>9} {'tokens':>14} {'seconds':>9} {'dollars':>12}")
    for index in found.indexes:
        seconds = "unknown" if index.seconds is None else f"{index.seconds:,.1f}"
        click.echo(
            f"  {index.embedder:<24} {index.chunks:>9,} {index.passages:>9,} {_about(index, f'{index.tokens:,}'):>14} "
            f"{seconds:>9} {_money(index):>12}"
        )
    click.echo("Nothing was written and nothing was sent.")


def _money(index: IndexEstimate) -> str:
    if index.usd is None:
        return "unknown"
    return _about(index, dollars(index.usd)) if index.usd else "free"


def _about(index: IndexEstimate, number: str) -> str:
    return number if index.exact else f"about {number}"
