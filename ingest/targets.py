"""A target of ingest: one chunker and one embedder, with the index card that their vectors go under."""

import time
from collections.abc import Callable, Mapping, Sequence

from rag.calibration import measure_noise
from rag.cards import IndexCard, check_embedder, embed_canary
from rag.embedders.registry import load_embedder
from rag.embedders.spec import Embedder, EmbedderSpec
from rag.library import Library
from rag.passages import passage_key

# Vectors stored at once: small enough that a kill costs seconds of work, large enough to batch well.
STORE_EVERY = 128

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
        self._embedder: Embedder | None = None

    @property
    def key(self) -> tuple[str, str]:
        """The (chunker, fingerprint) pair that names the index within its corpus."""
        return self.chunker, self.spec.fingerprint

    def embed_missing(self, passages: Sequence[str], report: Callable[[str, int], None]) -> None:
        """Computes and stores the vectors that the library lacks, a slice at a time, equal passages once.

        `report` hears the embedder's name and the number of vectors after each slice.
        """
        self.changed = True
        texts = {passage_key(text): text for text in passages}
        missing = self._library.vectors.missing(self.spec.fingerprint, list(texts))
        wanted = sorted(missing, key=lambda key: (len(texts[key]), key))  # equal lengths together waste least padding
        embedder = self._open()
        for first in range(0, len(wanted), STORE_EVERY):
            keys = wanted[first : first + STORE_EVERY]
            batch = [texts[key] for key in keys]
            started = time.perf_counter()
            vectors = embedder.embed_passages(batch)
            self._seconds += time.perf_counter() - started
            tokens = sum(map(len, batch)) / CHARACTERS_PER_TOKEN
            self._usd += tokens * self.spec.usd_per_million_tokens / 1e6
            self._library.vectors.add(self.spec.fingerprint, keys, vectors)
            self.embedded += len(keys)
            report(self.spec.name, len(keys))

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

    def finish(self, deleted: bool) -> IndexCard | None:
        """Writes the card as the index is now and returns it; None where there is no such index."""
        card = self._card()
        if card is None or not (self.changed or deleted):
            return card
        noise: Sequence[float] = card.noise
        if self.changed:
            noise = measure_noise(self._library, card, self._open())
        return self._library.cards.recount(card, self.embedded, self._seconds, self._usd, noise)
