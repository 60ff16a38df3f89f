"""What the faces do to a library: ingest paths, backfill an embedder, remove documents; then the caches follow.

In each the caller holds the writer lock, and `chroma` is the store that it has open, if it has one.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ingest.caches import Caches, refresh_caches
from ingest.pipeline import Ingest
from ingest.removal import remove
from ingest.report import IngestReport, Progress
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
) -> IngestReport:
    """Ingests paths; without embedders the corpus keeps those it has, and a new one gets those of the settings."""
    known = [card.embedder for card in library.cards.all(corpus)]
    names = list(embedders) or sorted(set(known), key=known.index) or list(settings.ingest_with)

    def work(committed: Callable[[int], None]) -> IngestReport:
        return Ingest(library, settings, corpus, names, chunker or settings.chunker, progress, committed).run(paths)

    return _with_caches(library, corpus, chroma, work)


def backfill(
    library: Library,
    settings: Settings,
    corpus: str,
    embedders: Sequence[str],
    chunker: str | None = None,
    progress: Progress | None = None,
    chroma: ChromaStore | None = None,
) -> IngestReport:
    """Puts the stored documents of a corpus under embedders that lack some of them; reads no file."""
    corpus = library.corpus_or_only(corpus)

    def work(committed: Callable[[int], None]) -> IngestReport:
        name = chunker or settings.chunker
        return Ingest(library, settings, corpus, embedders, name, progress, committed).backfill()

    return _with_caches(library, corpus, chroma, work)


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
        report = work(caches.committed)
        caches.finish()
    return report
