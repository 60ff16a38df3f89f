"""A target of ingest: one chunker and one embedder, with the index card that their vectors go under."""

import time
from collections.abc import Callable, Mapping, Sequence

from ingest.report import Progress
from rag.calibration import measure_noise
from rag.cards import IndexCard, check_embedder, embed_canary
from rag.embedders.registry import load_embedder
from rag.embedders.spec import Embedder, EmbedderSpec
from rag.library import Library
from rag.passages import passage_key

STORE_SECONDS = 1.0
"""How long a slice of passages should take: its vectors are stored at its end, so that a kill costs so much work."""
FIRST_SLICE, LARGEST_SLICE = 64, 512

CHARACTERS_PER_TOKEN = 4
"""What a token is taken for where the bill is estimated; the vendor's own count differs by language."""


class Target:
    """Embeds what is missing under one embedder and keeps account of it.

    The model is loaded when the first passage needs it, so that a run in which nothing has changed loads none.
    """

    def __init__(
        self, library: Library, corpus: str, chunker: str, spec: EmbedderSpec, specs: Mapping[str, EmbedderSpec]
    ) -> None:
        self.chunker = chunker
        self.spec = spec
        self.embedded = 0
        self.changed = False
        self._library = library
        self._corpus = corpus
        self._specs = specs
        self._seconds = 0.0
        self._usd = 0.0
        self._slice = FIRST_SLICE
        self._embedder: Embedder | None = None

    @property
    def key(self) -> tuple[str, str]:
        """The (chunker, fingerprint) pair that names the index within its corpus."""
        return self.chunker, self.spec.fingerprint

    def embed_missing(self, passages: Sequence[str], progress: Progress, stopped: Callable[[], bool]) -> None:
        """Computes and stores the vectors that the library lacks, a slice at a time, equal passages once.

        Between two slices `stopped` is asked whether to leave it at that.
        """
        self.changed = True
        texts = {passage_key(text): text for text in passages}
        missing = self._library.vectors.missing(self.spec.fingerprint, list(texts))
        wanted = sorted(missing, key=lambda key: (len(texts[key]), key))  # equal lengths together waste least padding
        embedder = self._open()
        progress.planned(self.spec.name, len(wanted))
        while wanted and not stopped():
            keys, wanted = wanted[: self._slice], wanted[self._slice :]
            batch = [texts[key] for key in keys]
            started = time.perf_counter()
            vectors = embedder.embed_passages(batch)
            took = time.perf_counter() - started
            self._seconds += took
            self._slice = max(1, min(LARGEST_SLICE, 2 * self._slice, int(len(batch) * STORE_SECONDS / max(took, 1e-6))))
            tokens = sum(map(len, batch)) / CHARACTERS_PER_TOKEN
            self._usd += tokens * self.spec.usd_per_million_tokens / 1e6
            self._library.vectors.add(self.spec.fingerprint, keys, vectors, self._count_tokens(batch))
            self.embedded += len(keys)
            progress.embedded(self.spec.name, len(keys))

    def _count_tokens(self, passages: Sequence[str]) -> Sequence[int]:
        """Counts what the model is given, where it has a limit: an embedder without one never cuts anything."""
        if not self.spec.max_tokens:
            return [0] * len(passages)
        return self._open().count_tokens(passages)

    def _open(self) -> Embedder:
        """Loads the embedder and makes sure that it is the one the index was built with, if there is one."""
        if self._embedder is None:
            embedder = load_embedder(self.spec.name, self._specs)
            card = self._card()
            if card is None:
                blank = IndexCard.blank(self._corpus, self.chunker, self.spec)
                self._library.cards.write(blank, embed_canary(embedder))
            else:
                check_embedder(card, self._library.cards.canary(card), embedder)
            self._embedder = embedder
        return self._embedder

    def _card(self) -> IndexCard | None:
        cards = self._library.cards.all(self._corpus)
        return next((card for card in cards if (card.chunker, card.fingerprint) == self.key), None)

    def finish(self) -> IndexCard | None:
        """Writes the card as the index is now and returns it; None where there is no such index."""
        card = self._card()
        if card is None or not self.changed:
            return card
        noise = measure_noise(self._library, card, self._open())
        return self._library.cards.recount(card, self.embedded, self._seconds, self._usd, noise)
