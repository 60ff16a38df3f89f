"""Cuts where the subject changes, as an embedder sees it."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ingest.chunkers.cutter import DEFAULT_SIZE, Cutter
from ingest.chunkers.sections import sections
from ingest.chunkers.sentence_spans import sentence_spans
from ingest.chunkers.spec import Span, make_chunk
from rag.embedders.spec import Embedder, EmbedderSpec
from rag.errors import UsageError
from rag.schema import Chunk, Document

DEFAULT_PERCENTILE = 90
LEAST = 100
"""Characters of a piece that stands alone; a shorter one joins its neighbour."""

LONGEST_SENTENCE = 1000
"""Characters of a sentence that are embedded."""

EMBEDDED_AT_ONCE = 1024


class SemanticChunker:
    """Breaks between sentences whose cosine distance exceeds the given percentile of the document's distances.

    Each sentence is embedded with the one before and the one after it, as in Greg Kamradt's "5 levels of text
    splitting". Headings and pages part chunks; pieces longer than `size` characters are cut as `RecursiveChunker` cuts.
    A document costs about three times the tokens that its chunks cost. The embedder is loaded when the first document
    is split.
    """

    def __init__(
        self,
        spec: EmbedderSpec,
        load: Callable[[], Embedder],
        size: int = DEFAULT_SIZE,
        percentile: int = DEFAULT_PERCENTILE,
    ) -> None:
        if not 1 <= percentile <= 99:
            raise UsageError(f"A percentile of {percentile} tells no breaks apart. Take 1 to 99.")
        self._cutter = Cutter(size, 0)
        self.spec = spec
        self._load = load
        self._percentile = percentile
        self.name = f"semantic-{size}-{percentile}-{spec.name}"

    def split(self, document: Document) -> list[Chunk]:
        """Cuts a document; see `Chunker`."""
        found = [(list(sentence_spans(document.text, *section)), path) for section, path in sections(document)]
        breaks = self._breaks(document.text, [sentences for sentences, _ in found])
        return [
            make_chunk(self.name, document, span, path)
            for sentences, path in found
            for piece in _pieces(sentences, breaks)
            for span in self._cutter.cut(document.text, piece)
        ]

    def _breaks(self, text: str, sections: Sequence[Sequence[Span]]) -> set[int]:
        """Returns the starts of the sentences before which the subject changes."""
        windows = [window for sentences in sections if len(sentences) > 1 for window in _windows(text, sentences)]
        starts = [start for sentences in sections if len(sentences) > 1 for start, _ in sentences]
        firsts = {sentences[0][0] for sentences in sections if sentences}  # these break anyway
        within = np.array([start not in firsts for start in starts[1:]], dtype=bool)
        if not within.any():
            return set()
        distances = self._distances(windows)
        threshold = np.percentile(distances[within], self._percentile)
        return {starts[place + 1] for place in np.flatnonzero(within & (distances > threshold))}

    def _distances(self, windows: Sequence[str]) -> NDArray[np.float32]:
        """Returns the cosine distances of neighbours, (n - 1,), rounded so that noise of computing makes no break."""
        embedder = self._load()
        parts = []
        last = np.zeros((0, embedder.spec.dimension), dtype=np.float32)
        for first in range(0, len(windows), EMBEDDED_AT_ONCE):
            rows = np.vstack([last, embedder.embed_passages(windows[first : first + EMBEDDED_AT_ONCE])])
            parts.append(1 - np.einsum("ij,ij->i", rows[:-1], rows[1:]))
            last = rows[-1:]
        return np.concatenate(parts).round(5)


def _windows(text: str, sentences: Sequence[Span]) -> Iterator[str]:
    """Yields each sentence with its neighbours."""
    clipped = [text[start : min(end, start + LONGEST_SENTENCE)] for start, end in sentences]
    for place in range(len(clipped)):
        yield " ".join(clipped[max(0, place - 1) : place + 2])


def _pieces(sentences: Sequence[Span], breaks: set[int]) -> list[Span]:
    """Joins the sentences between breaks, and pieces that are too short to the one before, or the first to the next."""
    pieces: list[Span] = []
    for start, end in sentences:
        if pieces and (start not in breaks or pieces[-1][1] - pieces[-1][0] < LEAST):
            pieces[-1] = pieces[-1][0], end
        else:
            pieces.append((start, end))
    if len(pieces) > 1 and pieces[-1][1] - pieces[-1][0] < LEAST:
        pieces[-2:] = [(pieces[-2][0], pieces[-1][1])]
    return pieces
