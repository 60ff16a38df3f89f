"""What the faces do to a library: ingest paths, backfill an embedder, remove documents; then the caches follow.

In each the caller holds the writer lock, and `chroma` is the store that it has open, if it has one.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ingest.budget import Budget
from ingest.caches import Caches, refresh_caches
from ingest.estimate import Estimate, estimate_backfill, estimate_paths
from ingest.pipeline import Ingest
from ingest.removal import remove
from ingest.report import EndedEarlyError, IngestReport, Progress
from rag.index import ChromaStore
from rag.library import Library
from rag.settings import Settings


def ingest_paths(
    library: Library,
    settings: Settings,
    paths: Iterable[Path],
    corpus: str,
    embedders: Sequence[str] = (),
    chunker: str | None = None,
    progress: Progress | None = None,
    chroma: ChromaStore | None = None,
    budget: float | None = None,
) -> IngestReport:
    """Ingests paths; without embedders the corpus keeps those it has, and a new one gets those of the settings.

    `budget` is in dollars; without it that of the settings holds. Raises EndedEarlyError, with the report of what was
    done, where it is spent or a vendor refuses to go on.
    """
    names = _names(library, settings, corpus, embedders)

    def work(committed: Callable[[int], None]) -> IngestReport:
        return Ingest(
            library, settings, corpus, names, chunker or settings.chunker, progress, committed, _budget(budget)
        ).run(paths)

    return _with_caches(library, corpus, chroma, work)


def backfill(
    library: Library,
    settings: Settings,
    corpus: str,
    embedders: Sequence[str],
    chunker: str | None = None,
    progress: Progress | None = None,
    chroma: ChromaStore | None = None,
    budget: float | None = None,
) -> IngestReport:
    """Puts the stored documents of a corpus under embedders that lack some of them; reads no file.

    `budget` and EndedEarlyError are as in `ingest_paths`.
    """
    corpus = library.corpus_or_only(corpus)

    def work(committed: Callable[[int], None]) -> IngestReport:
        name = chunker or settings.chunker
        return Ingest(library, settings, corpus, embedders, name, progress, committed, _budget(budget)).backfill()

    return _with_caches(library, corpus, chroma, work)


def estimate(
    library: Library,
    settings: Settings,
    paths: Sequence[Path],
    corpus: str,
    embedders: Sequence[str] = (),
    chunker: str | None = None,
    progress: Progress | None = None,
) -> Estimate:
    """Tells what ingesting the paths, or without paths a backfill, would do and cost; writes and sends nothing.

    Needs no writer lock, and the library may be read-only.
    """
    name = chunker or settings.chunker
    if paths:
        names = _names(library, settings, corpus, embedders)
        return estimate_paths(library, settings, paths, corpus, names, name, progress)
    return estimate_backfill(library, settings, library.corpus_or_only(corpus), embedders, name, progress)


def _names(library: Library, settings: Settings, corpus: str, embedders: Sequence[str]) -> list[str]:
    known = [card.embedder for card in library.cards.all(corpus)]
    return list(embedders) or sorted(set(known), key=known.index) or list(settings.ingest_with)


def _budget(usd: float | None) -> Budget | None:
    return None if usd is None else Budget(usd)


def remove_documents(
    library: Library, settings: Settings, corpus: str, sources: Sequence[str], chroma: ChromaStore | None = None
) -> int:
    """Removes documents from a corpus and from its disk, and returns how many; see `ingest.removal.remove`."""
    count = remove(library, library.corpus_or_only(corpus), sources)
    refresh_caches(library, corpus, chroma)
    return count


def _with_caches(
    library: Library,
    corpus: str,
    chroma: ChromaStore | None,
    work: Callable[[Callable[[int], None]], IngestReport],
) -> IngestReport:
    with Caches(library, corpus, chroma) as caches:
        try:
            report = work(caches.committed)
        except EndedEarlyError:
            caches.finish()  # what was committed until then is to be found
            raise
        caches.finish()
    return report
