"""Keeping a corpus in step with folders: an ingest at the start, and another whenever something changes there."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from rag.errors import LibraryLockedError, RagError

QUIET_MS = 800
"""A folder that is being written to is ingested once it has been quiet for so long, or QUEUE_MS have passed."""
QUEUE_MS = 5_000
RETRY_SECONDS = 5


def keep_in_step(paths: Sequence[Path], home: Path, ingest: Callable[[bool], int]) -> None:
    """Ingests now and after every change until Ctrl-C; `ingest` hears whether it is the first time.

    Between two ingests the library is free for other writers; while another one holds it, this one tries again. An
    error that a later change may mend is told and waited out.
    """
    import watchfiles

    ingest(True)
    click.echo(f"watching {', '.join(map(str, paths))}; stop with Ctrl-C")
    own = str(home.resolve())

    def concerns(change: watchfiles.Change, path: str) -> bool:
        """Leaves out what the library itself writes, where it lies in one of the folders."""
        return path != own and not path.startswith(own + "/")

    changes = watchfiles.watch(
        *paths,
        watch_filter=concerns,
        step=QUIET_MS,
        debounce=QUEUE_MS,
        rust_timeout=1_000,
        yield_on_timeout=True,
        raise_interrupt=True,
    )
    first = True  # the first time-out: what changed between the ingest above and the watch's beginning
    for changed in changes:
        if changed or first:
            first = False
            _again(ingest)


def _again(ingest: Callable[[bool], int]) -> None:
    while True:
        try:
            ingest(False)
        except LibraryLockedError as error:
            click.echo(f"rag: {error} Trying again in {RETRY_SECONDS} s.", err=True)
            time.sleep(RETRY_SECONDS)
        except RagError as error:
            click.echo(f"rag: {error}", err=True)
            return
        else:
            return
