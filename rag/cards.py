"""Index cards: what an index says of itself, written when it is built and compared whenever it is opened."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

import numpy as np

from rag.database import Database
from rag.embedders.spec import Embedder, EmbedderSpec
from rag.errors import IndexMismatchError, IndexNotFoundError
from rag.schema import Vectors
from rag.text_vectors import TextVectorTable

CANARY = "A canary sings the same song every morning: two plus two is four."

# Float32 sums differ in the last digits between processors; another model of the same width is far below this.
CANARY_COSINE = 0.995

# A chunker's kind, its numbers and its embedder, whose name may hold numbers and begin with another's (voyage-4-large).
_CHUNKER = re.compile(r"([a-z]+)(-[0-9]+-[0-9]+)?(-.+)?")


@dataclass(frozen=True, slots=True)
class IndexCard:
    """The passport of an index: who built it, over what, how, and what it cost.

    `seconds` is the time spent embedding, `usd` the money, over all runs; both count only what was really embedded, so
    an index built from stored vectors shows zero. They are kept apart from the card, beside the vectors that they were
    spent on (see `rag.spending`), and are up to date even after a kill. `noise` and `scale` calibrate abstention (see
    `rag.calibration`).
    """

    corpus: str
    chunker: str
    embedder: str
    fingerprint: str
    provider: str
    model: str
    revision: str
    dimension: int
    max_tokens: int
    query_prefix: str
    passage_prefix: str
    precision: str
    documents: int = 0
    chunks: int = 0
    embedded: int = 0
    seconds: float = 0.0
    usd: float = 0.0
    built: str = ""
    updated: str = ""
    noise: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()

    def is_cut_by(self, chunker: str | None) -> bool:
        """Tells whether the chunker is the named one; None is any.

        A name may be said in full (heading-800-100, token-256-32-minilm), by kind (heading), or without its numbers
        (token-minilm).
        """
        parts = _CHUNKER.fullmatch(self.chunker)
        if chunker is None or self.chunker == chunker or parts is None:
            return chunker in (None, self.chunker)
        kind, numbers, embedder = parts.groups("")
        return chunker in (kind, kind + numbers, kind + embedder)

    @classmethod
    def blank(cls, corpus: str, chunker: str, spec: EmbedderSpec) -> "IndexCard":
        """Makes the card of an index that holds nothing yet."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(
            corpus=corpus,
            chunker=chunker,
            embedder=spec.name,
            fingerprint=spec.fingerprint,
            provider=spec.provider,
            model=spec.model,
            revision=spec.revision,
            dimension=spec.dimension,
            max_tokens=spec.max_tokens,
            query_prefix=spec.query_prefix,
            passage_prefix=spec.passage_prefix,
            precision=spec.precision,
            built=now,
            updated=now,
        )


class CardTable:
    """The index cards of a library."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._texts = TextVectorTable(database)

    def all(self, corpus: str | None = None) -> list[IndexCard]:
        """Returns the cards of one corpus, or of all, the most recently changed index first."""
        rows = self._database.query(
            """SELECT corpus, card, COALESCE(passages, 0), COALESCE(seconds, 0.0), COALESCE(usd, 0.0)
               FROM index_cards LEFT JOIN spending USING (corpus, chunker, fingerprint)"""
        ).fetchall()
        cards = [_parse(*row) for name, *row in rows if corpus is None or name == corpus]
        cards.sort(key=lambda card: (card.embedder, card.chunker, card.corpus))
        return sorted(cards, key=lambda card: card.updated, reverse=True)

    def find(self, corpus: str, embedder: str, chunker: str | None = None) -> IndexCard:
        """Returns the newest index of a corpus under an embedder, by name.

        Raises IndexNotFoundError with the command that builds it.
        """
        cards = self.all(corpus)
        for card in cards:
            if card.embedder == embedder and card.is_cut_by(chunker):
                return card
        have = ", ".join(sorted({f"{card.embedder} ({card.chunker})" for card in cards})) or "none"
        wanted = f" with chunker '{chunker}'" if chunker else ""
        command = f"rag ingest PATH --corpus {corpus} --embedder {embedder}" + (
            f" --chunker {chunker}" if chunker else ""
        )
        raise IndexNotFoundError(
            f"The corpus '{corpus}' has no index under '{embedder}'{wanted}; it has: {have}. Build it: {command}"
        )

    def canary(self, card: IndexCard) -> Vectors:
        """Returns the stored vector (1, dimension) of the fixed text."""
        row = self._database.query(
            "SELECT canary FROM index_cards WHERE corpus = ? AND chunker = ? AND fingerprint = ?",
            (card.corpus, card.chunker, card.fingerprint),
        ).fetchone()
        return np.frombuffer(row[0], dtype="<f4").reshape(1, -1)

    def count(self, card: IndexCard) -> tuple[int, int]:
        """Counts the documents and chunks of an index; its card says otherwise after an interrupted ingest."""
        documents, chunks = self._database.query(
            """SELECT COUNT(DISTINCT i.document_id), COUNT(c.id) FROM indexed i
               LEFT JOIN chunks c ON c.document_id = i.document_id AND c.chunker = i.chunker
               WHERE i.corpus = ? AND i.chunker = ? AND i.fingerprint = ?""",
            (card.corpus, card.chunker, card.fingerprint),
        ).fetchone()
        return documents, chunks

    def begin(self, blank: IndexCard, embedder: Embedder) -> None:
        """Stores the card of a new index with its canary.

        Raises IndexMismatchError where other weights have made vectors under the same fingerprint, in whatever corpus:
        corpora share them, and so do texts in no index.
        """
        for card in self.all():
            if card.fingerprint == blank.fingerprint:
                check_embedder(card, self.canary(card), embedder)
                self.write(blank, self.canary(card))
                return
        canary = embed_canary(embedder)
        of_texts = self._texts.canary(blank.fingerprint)
        if of_texts is not None:
            check_canary(of_texts, canary, embedder.spec)
        self.write(blank, canary)

    def write(self, card: IndexCard, canary: Vectors) -> None:
        """Stores a card, or replaces it."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO index_cards VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET card = excluded.card",
                (card.corpus, card.chunker, card.fingerprint, json.dumps(asdict(card)), canary.tobytes()),
            )

    def recount(self, card: IndexCard, noise: Sequence[float]) -> IndexCard:
        """Stores a card with its counts as they are now."""
        documents, chunks = self.count(card)
        updated = replace(
            card,
            documents=documents,
            chunks=chunks,
            updated=datetime.now(UTC).isoformat(timespec="milliseconds"),
            noise=tuple(noise),
        )
        self.write(updated, self.canary(card))
        return updated


def _parse(text: str, passages: int, seconds: float, usd: float) -> IndexCard:
    fields = json.loads(text)
    spent = {"embedded": passages, "seconds": round(seconds, 3), "usd": round(usd, 9)}
    calibration = {"noise": tuple(fields["noise"]), "scale": tuple(fields.get("scale", ()))}
    return IndexCard(**{**fields, **spent, **calibration})


def embed_canary(embedder: Embedder) -> Vectors:
    """Embeds the fixed text, (1, dimension)."""
    return embedder.embed_passages([CANARY])


def check_embedder(card: IndexCard, stored_canary: Vectors, embedder: Embedder) -> None:
    """Raises IndexMismatchError unless the embedder is the one that built the index.

    The fingerprint catches a changed entry; the canary catches other weights behind an unchanged entry, which a width
    check cannot.
    """
    spec = embedder.spec
    remedy = f"Build an index of its own: rag ingest PATH --corpus {card.corpus} --embedder {spec.name}"
    if spec.fingerprint != card.fingerprint:
        raise IndexMismatchError(
            f"The index of corpus '{card.corpus}' under '{card.embedder}' was built by {card.provider} model "
            f"'{card.model}', revision {card.revision} (fingerprint {card.fingerprint}), but '{spec.name}' now means "
            f"{spec.provider} model '{spec.model}', revision {spec.revision} (fingerprint {spec.fingerprint}). {remedy}"
        )
    cosine = float((stored_canary @ embed_canary(embedder).T)[0, 0])
    if cosine < CANARY_COSINE:
        raise IndexMismatchError(
            f"The index of corpus '{card.corpus}' under '{card.embedder}' was built with other weights: its canary has "
            f"cosine {cosine:.3f} to what '{spec.name}' gives now, where 1.000 was expected. Restore the model that "
            f"built it, or change `revision` in the embedder's entry. {remedy}"
        )


def check_canary(stored: Vectors, sung: Vectors, spec: EmbedderSpec) -> None:
    """Raises IndexMismatchError where an embedder now gives the fixed text another vector than the one stored."""
    cosine = float((stored @ sung.T)[0, 0]) if stored.shape == sung.shape else 0.0
    if not cosine >= CANARY_COSINE:
        raise IndexMismatchError(
            f"The library holds vectors of '{spec.name}' that were made with other weights: the canary stored with "
            f"them has cosine {cosine:.3f} to what '{spec.name}' gives now, where 1.000 was expected. Restore the "
            "model that made them, change `revision` in its entry, or use another library (--home DIR)."
        )
