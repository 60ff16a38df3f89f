"""An ingest as the faces run it: the pipeline, then the caches that searches will use."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from ingest.pipeline import Ingest
from ingest.report import IngestReport, Progress
from rag.bm25 import open_lexical
from rag.index import is_synced, open_chroma
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
) -> IngestReport:
    """Ingests paths and brings Chroma and BM25 up to date; the caller holds the writer lock.

    Without embedders the corpus keeps those it has, and a new one gets those of the settings.
    """
    chunker = chunker or settings.chunker
    known = [card.embedder for card in library.cards.all(corpus)]
    names = list(embedders) or sorted(set(known), key=known.index) or list(settings.ingest_with)
    report = Ingest(library, settings, corpus, names, chunker, progress).run(paths)
    refresh_caches(library, corpus)
    return report


def refresh_caches(library: Library, corpus: str | None = None) -> None:
    """Brings the Chroma collections and BM25 indexes of one corpus, or of all, to the state of the library."""
    cards = library.cards.all(corpus)  # an emptied index as well: what was deleted must leave its caches
    for name, chunker in sorted({(card.corpus, card.chunker) for card in cards}):
        open_lexical(library, name, chunker)
    if not all(is_synced(library, card) for card in cards):
        with open_chroma(library) as chroma:
            for card in cards:
                chroma.sync(card)
