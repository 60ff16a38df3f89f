"""A corpus of LangChain's documents in the library: added, replaced and deleted whole, each vector computed once."""

import json
import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from langchain_core.documents import Document

from rag.cards import IndexCard, check_embedder
from rag.embedders.spec import BilledEmbedder, Embedder, UnfinishedError
from rag.errors import IndexNotFoundError, UsageError
from rag.langchain_records import CHUNKER, PATH, from_ours, to_ours
from rag.library import Library
from rag.lock import writer_lock
from rag.passages import passage_key
from rag.schema import Vectors
from rag.spending import Account, Spending

logger = logging.getLogger(__name__)

SLICE = 256
"""Passages embedded in one call; their vectors are stored at its end, so that a kill costs so much work."""

_turns: dict[Path, threading.Lock] = {}
"""Threads of this process write a library one after another; the file lock would refuse the second at once."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The vectors (n, d) of a corpus in one of its states, by chunk id."""

    state: str
    ids: list[str]
    vectors: Vectors


class LangChainCorpus:
    """A corpus that holds nothing but LangChain's documents, under one embedder; threads may share it.

    Reading needs no lock; writing takes the writer's, and raises LibraryLockedError while another process has it.
    Raises UsageError where the corpus holds files.
    """

    def __init__(self, library: Library, name: str, embedder: Embedder) -> None:
        self._library = library
        self._name = name
        self._embedder = embedder
        self._is_checked = False
        self._loaded: Loaded | None = None
        self._refuse_files()

    # --- writing

    def add(self, documents: Sequence[Document]) -> None:
        """Adds documents, which have ids, in one transaction and in place of those with the same ids.

        Raises UnfinishedError where the embedder refused some texts; nothing is added then, but the vectors of all
        others are kept for the next time.
        """
        new = [to_ours(self._name, document, self._embedder.spec.fingerprint) for document in documents]
        sources = [each.document.source for each in new]
        with self._writing():
            self._library.add_corpus(self._name)
            self._write_card()
            self._embed([document.page_content for document in documents])
            before = self._ids_of(sources)
            self._library.commit(self._name, new)
            self._settle(has_removed=bool(before.items() - self._ids_of(sources).items()))

    def delete(self, sources: Sequence[str] | None) -> None:
        """Deletes documents from every index and from the disk; None stands for all, unknown ones for nothing."""
        with self._writing():
            known = self._library.sources(self._name) if sources is None else self._ids_of(sources)
            if known:
                self._library.delete(self._name, sorted(known))
                self._settle(has_removed=True)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        home = self._library.home
        with _turns.setdefault(home, threading.Lock()), writer_lock(home):
            self._refuse_files()
            yield

    def _refuse_files(self) -> None:
        """Raises UsageError where the corpus holds files: their names and our ids would get into each other's way."""
        query = "SELECT path FROM ledger WHERE corpus = ? AND substr(path, 1, ?) != ? LIMIT 1"
        row = self._library.database.query(query, (self._name, len(PATH), PATH)).fetchone()
        if row:
            raise UsageError(
                f"The corpus '{self._name}' holds files, such as {row[0]}. Give the store a corpus of its own; to ask "
                "this one, take RetrieverAsLangChain.open."
            )

    def _write_card(self) -> None:
        """Writes the card of a new index, unless other weights have stored vectors under this fingerprint elsewhere."""
        if self._card() is None:
            self._library.cards.begin(IndexCard.blank(self._name, CHUNKER, self._embedder.spec), self._embedder)
            self._is_checked = True

    def _embed(self, texts: Sequence[str]) -> None:
        """Computes and stores the vectors that the library lacks; raises UnfinishedError at the end."""
        by_key = {passage_key(text): text for text in texts}
        missing = self._library.vectors.missing(self._embedder.spec.fingerprint, list(by_key))
        wanted = sorted(missing, key=lambda key: (len(by_key[key]), key))  # equal lengths waste least padding
        refusal: UnfinishedError | None = None
        for first in range(0, len(wanted), SLICE):
            keys = wanted[first : first + SLICE]
            refusal = self._embed_slice(keys, [by_key[key] for key in keys]) or refusal
        if refusal:
            raise refusal

    def _embed_slice(self, keys: Sequence[bytes], texts: Sequence[str]) -> UnfinishedError | None:
        """Embeds a slice and stores what was finished with what it cost; returns the error of the rest."""
        embedder, spec = self._embedder, self._embedder.spec
        counts = embedder.count_tokens(texts)
        before, started = _billed(embedder), time.perf_counter()
        rows: Mapping[int, np.ndarray]
        refusal = None
        try:
            rows = dict(enumerate(embedder.embed_passages(texts)))
        except UnfinishedError as error:
            rows, refusal = error.vectors, error
        seconds, after = time.perf_counter() - started, _billed(embedder)
        tokens = sum(counts[row] for row in rows) if before is None or after is None else after - before
        spent = Spending(len(rows), tokens, seconds, tokens * spec.usd_per_million_tokens / 1e6)
        account = Account(self._name, CHUNKER, spec.fingerprint)
        done = sorted(rows)
        if done:
            self._library.vectors.add(
                spec.fingerprint,
                [keys[row] for row in done],
                np.stack([rows[row] for row in done]),
                [counts[row] for row in done],
                (account, spent),
            )
        elif tokens:
            self._library.spending.add(account, spent)
        return refusal

    def _settle(self, has_removed: bool) -> None:
        """Brings the cards up to date and takes what was removed off the disk, also out of caches that hold it."""
        cards = self._library.cards.all(self._name)
        for card in cards:
            self._library.cards.recount(card, card.noise)
        if not has_removed:
            return
        self._library.vectors.empty_trash()
        self._library.database.checkpoint()
        for card in cards:
            _refresh_caches(self._library, card)

    # --- reading

    def load(self) -> Loaded | None:
        """Returns the vectors of the corpus as it is now, None where there are none; read once for each state.

        Raises IndexNotFoundError where the documents are not under this embedder, and IndexMismatchError where they
        are under another model of its name.
        """
        state = self._library.state_of(self._name)
        loaded = self._loaded
        if loaded is None or loaded.state != state:
            card = self._card()
            if card is None:
                return None
            ids, vectors = self._library.vectors.of_index(self._name, CHUNKER, card.fingerprint)
            self._warn_of_gaps(len(ids))
            self._loaded = loaded = Loaded(state, ids, vectors)
        return loaded if loaded.ids else None

    def by_id(self, ids: Sequence[str]) -> dict[str, Document]:
        """Looks documents up by their ids; what is not there is left out."""
        where = "d.corpus = ? AND c.chunker = ? AND d.source IN (SELECT value FROM json_each(?))"
        return self._read("d.source", where, (self._name, CHUNKER, json.dumps(list(ids))))

    def by_chunk(self, chunk_ids: Sequence[str]) -> dict[str, Document]:
        """Looks documents up by the ids of their chunks; what is not there any more is left out."""
        return self._read("c.id", "c.id IN (SELECT value FROM json_each(?))", (json.dumps(list(chunk_ids)),))

    def _read(self, key: str, where: str, values: tuple[str, ...]) -> dict[str, Document]:
        rows = self._library.database.query(
            f"""SELECT {key}, d.source, d.text, c."end" FROM documents d
                JOIN chunks c ON c.document_id = d.id WHERE {where}""",
            values,
        )
        return {found: from_ours(source, text, end) for found, source, text, end in rows}

    def _card(self) -> IndexCard | None:
        """Returns the card of this embedder's index, once it is checked; None for a corpus without documents."""
        spec = self._embedder.spec
        cards = self._library.cards.all(self._name)
        card = next((card for card in cards if (card.chunker, card.fingerprint) == (CHUNKER, spec.fingerprint)), None)
        if card is None:
            if self._count():
                have = ", ".join(sorted({card.embedder for card in cards}))
                raise IndexNotFoundError(
                    f"The documents of corpus '{self._name}' are not embedded under '{spec.name}' (fingerprint "
                    f"{spec.fingerprint}), but under: {have}. Embed them: {self._backfill()}; or use another corpus."
                )
            return None
        if not self._is_checked:
            check_embedder(card, self._library.cards.canary(card), self._embedder)
            self._is_checked = True
        return card

    def _warn_of_gaps(self, found: int) -> None:
        total = self._count()
        if found < total:
            logger.warning(
                "%d of %d documents of corpus '%s' are not embedded under '%s' and will not be found. Embed them: %s",
                total - found,
                total,
                self._name,
                self._embedder.spec.name,
                self._backfill(),
            )

    def _backfill(self) -> str:
        name = self._embedder.spec.name
        return f"rag ingest --backfill --corpus {self._name} --embedder {name} --chunker {CHUNKER}"

    def _count(self) -> int:
        query = "SELECT COUNT(*) FROM documents WHERE corpus = ?"
        return int(self._library.database.query(query, (self._name,)).fetchone()[0])

    def _ids_of(self, sources: Sequence[str]) -> dict[str, str]:
        """Maps those of the sources that are there to their document ids."""
        rows = self._library.database.query(
            "SELECT source, id FROM documents WHERE corpus = ? AND source IN (SELECT value FROM json_each(?))",
            (self._name, json.dumps(list(sources))),
        )
        return dict(rows)


def _billed(embedder: Embedder) -> int | None:
    return embedder.billed_tokens if isinstance(embedder, BilledEmbedder) else None


def _refresh_caches(library: Library, card: IndexCard) -> None:
    """Takes what was removed out of the BM25 index and the Chroma collection, where there are any."""
    from rag.bm25 import lexical_folder, open_lexical
    from rag.chroma_state import is_caught_up, state_of
    from rag.index import open_chroma

    if lexical_folder(library, card.corpus, card.chunker).parent.is_dir():
        open_lexical(library, card.corpus, card.chunker, must_store=True)
    if state_of(library, card) and not is_caught_up(library, card):
        with open_chroma(library) as chroma:
            chroma.sync(card)
