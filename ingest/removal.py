"""Documents removed by hand: out of every index and off the disk, and not brought back by the next ingest."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ingest.items import IN_ARCHIVE
from ingest.known import REMOVED
from rag.errors import unknown_name
from rag.library import Library

UPLOADS = "uploads"
"""The folder of the library that holds files which were dragged into the page."""


def remove(library: Library, corpus: str, sources: Sequence[str]) -> int:
    """Deletes documents with their chunks and vectors and returns how many there were.

    The ledger remembers each file, so that an ingest of its folder does not bring it back; a file that was uploaded
    into the library is deleted instead (a member of an uploaded archive stays in the archive). No other file of the
    library holds a document's text afterwards, once the caches have been refreshed. Raises UsageError for a source that
    the corpus does not have.
    """
    known = library.sources(corpus)
    for source in sources:
        if source not in known:
            raise unknown_name("document", source, known, where=f" in the corpus '{corpus}'")
    uploads = f"{(library.home / UPLOADS).resolve()}/"
    chosen = [entry for entry in library.ledger.entries(corpus) if entry.source in set(sources)]
    remembered = []
    for entry in chosen:
        if entry.path.startswith(uploads) and IN_ARCHIVE not in entry.path:
            Path(entry.path).unlink(missing_ok=True)
        else:
            remembered.append(replace(entry, status=REMOVED, reason="removed by hand"))
    library.delete(corpus, sources, remembered)
    for card in library.cards.all(corpus):
        library.cards.recount(card, card.noise)
    library.vectors.empty_trash()
    library.database.checkpoint()
    return len(sources)
