"""An embedder that looks every text up in the library first, and stores what it had to compute.

What evaluates runs the same texts through the same embedders again and again; each is computed, and paid for, once.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import numpy as np

from rag.cards import CANARY, check_canary
from rag.embedders.spec import BilledEmbedder, Embedder, EmbedderSpec, UnfinishedError
from rag.errors import LibraryLockedError, RagError
from rag.library import Library
from rag.lock import is_held_here, writer_lock
from rag.passages import passage_key
from rag.schema import Vectors
from rag.spending import Spending
from rag.vectors import EMPTY

AT_ONCE = 128
"""Texts that are embedded, and stored, at once: a kill costs so many.

A fixed number, where ingest goes by time: the last digits of a vector depend on what is in its batch, and two
evaluations over equal libraries shall give equal bytes.
"""


def query_fingerprint(spec: EmbedderSpec) -> str:
    """Returns the fingerprint that an embedder's vectors of queries are stored under.

    It is never that of its passages, not even without a query prefix: vendors are told which of the two a text is.
    """
    facts = {"passages": spec.fingerprint, "query_prefix": spec.query_prefix, "side": "query"}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class _Side:
    """One of an embedder's two methods, and the fingerprint that its vectors are stored under."""

    fingerprint: str
    embed: Callable[[Sequence[str]], Vectors]


class StoredEmbedder:
    """Wraps an embedder; computes only what the library lacks, and stores it in batches as they come.

    `purpose` names what the texts belong to, such as a task: what was spent is kept for each. `computed` counts the
    vectors of texts that were computed, `reused` those that were found, `unstored` those computed ones that could not
    be stored because another process is the library's writer. `seconds`, `tokens` and `usd` are what this object has
    spent. Without `store` nothing is written; `check` is called before each batch and may raise. The first use of
    either method raises IndexMismatchError where the library's vectors were made with other weights.
    """

    def __init__(
        self,
        library: Library,
        embedder: Embedder,
        store: bool = True,
        purpose: str = "",
        check: Callable[[], object] = lambda: None,
    ) -> None:
        self.computed = self.reused = self.unstored = self.tokens = 0
        self.seconds = self.usd = 0.0
        self.purpose = purpose
        self._library = library
        self._embedder = embedder
        self._store = store
        self._before_batch = check
        self._unstored = Spending()
        self._queries = _Side(query_fingerprint(embedder.spec), embedder.embed_queries)
        self._passages = _Side(embedder.spec.fingerprint, embedder.embed_passages)
        self._checked: set[str] = set()

    @property
    def spec(self) -> EmbedderSpec:
        """The facts about the embedder."""
        return self._embedder.spec

    @property
    def spent(self) -> Spending:
        """What was spent for this purpose, by this and earlier runs; of these only what came with stored vectors."""
        parts = [self._library.texts.spent(side.fingerprint, self.purpose) for side in (self._queries, self._passages)]
        return _sum(*parts, self._unstored)

    def embed_queries(self, queries: Sequence[str]) -> Vectors:
        """Returns the vectors of queries, (n, dimension)."""
        return self._embed(self._queries, queries)

    def embed_passages(self, passages: Sequence[str]) -> Vectors:
        """Returns the vectors of passages, (n, dimension); shares them with the indexes of the library."""
        return self._embed(self._passages, passages)

    def count_tokens(self, passages: Sequence[str]) -> list[int]:
        """Counts the tokens of passages as the embedder does."""
        return self._embedder.count_tokens(passages)

    def embed_anew(self, texts: Sequence[str], *, as_queries: bool) -> Vectors:
        """Computes vectors without the library, as one does to measure the time that it takes; its cost is counted."""
        side = self._queries if as_queries else self._passages
        computed = self._compute(side, texts, self._count(side, texts))
        if computed.refusal:
            raise computed.refusal
        self._unstored = _sum(self._unstored, replace(computed.spent, passages=0, seconds=0.0))
        return np.stack([computed.rows[row] for row in range(len(texts))])

    def _embed(self, side: _Side, texts: Sequence[str]) -> Vectors:
        if not texts:
            return np.zeros((0, self.spec.dimension), dtype=np.float32)
        self._hold_against_canary(side)
        keys = [passage_key(text) for text in texts]
        by_key = dict(zip(keys, texts, strict=True))
        vectors = self._library.vectors.of_keys(side.fingerprint, list(by_key))
        self.reused += len(vectors)
        missing = [key for key in by_key if key not in vectors]
        missing.sort(key=lambda key: (len(by_key[key]), key))  # equal lengths together waste least padding
        refusal: RagError | None = None
        for first in range(0, len(missing), AT_ONCE):
            self._before_batch()
            part = {key: by_key[key] for key in missing[first : first + AT_ONCE]}
            computed = self._compute_and_store(side, part)
            vectors.update((list(part)[row], vector) for row, vector in computed.rows.items())
            refusal = computed.refusal or refusal
            if refusal and not isinstance(refusal, UnfinishedError):  # nothing more will get through
                break
        if refusal:
            raise refusal
        return np.stack([vectors[key] for key in keys])

    def _compute_and_store(self, side: _Side, texts: Mapping[bytes, str]) -> "_Computed":
        keys = list(texts)
        counts = self._count(side, list(texts.values()))
        computed = self._compute(side, list(texts.values()), counts)
        done = sorted(computed.rows)
        self.computed += len(done)
        with self._writing() as may_write:
            if may_write:
                self._library.texts.add(
                    side.fingerprint,
                    self.purpose,
                    [keys[row] for row in done],
                    np.stack([computed.rows[row] for row in done]) if done else EMPTY,
                    [counts[row] for row in done],
                    computed.spent,
                )
            else:
                self.unstored += len(done)
                self._unstored = _sum(self._unstored, computed.spent)
        return computed

    def _compute(self, side: _Side, texts: Sequence[str], counts: Sequence[int]) -> "_Computed":
        """Calls the embedder and counts what that took; however the call ends, what a vendor has counted is owed."""
        before, started = self._billed(), time.perf_counter()
        rows: Mapping[int, np.ndarray] = {}
        refusal: RagError | None = None
        try:
            rows = dict(enumerate(side.embed(texts)))
        except UnfinishedError as error:
            rows, refusal = error.vectors, error
        except RagError as error:
            refusal = error
        took, after = time.perf_counter() - started, self._billed()
        tokens = sum(self._sent(counts[row]) for row in rows) if before is None or after is None else after - before
        usd = tokens * self.spec.usd_per_million_tokens / 1e6
        self.seconds, self.tokens, self.usd = self.seconds + took, self.tokens + tokens, self.usd + usd
        return _Computed(rows, Spending(len(rows), tokens, took, usd), refusal)

    def _hold_against_canary(self, side: _Side) -> None:
        """Holds the embedder against the canaries of its fingerprint in the library, or stores the first one."""
        if side.fingerprint in self._checked:
            return
        computed = self._compute(side, [CANARY], self._count(side, [CANARY]))
        if computed.refusal:
            raise computed.refusal
        sung = computed.rows[0].reshape(1, -1)
        stored = self._library.texts.canary(side.fingerprint)
        known = [] if stored is None else [stored]
        known += [
            self._library.cards.canary(card)
            for card in self._library.cards.all()
            if card.fingerprint == side.fingerprint
        ]
        for canary in known:
            check_canary(canary, sung, self.spec)
        with self._writing() as may_write:
            if may_write:
                owed = replace(computed.spent, passages=0, seconds=0.0)
                self._library.texts.begin(side.fingerprint, self.spec.name, sung)
                self._library.texts.add(side.fingerprint, self.purpose, [], EMPTY, [], owed)
        self._checked.add(side.fingerprint)

    @contextmanager
    def _writing(self) -> Iterator[bool]:
        """Tells whether the library may be written to meanwhile; it may not while another process is its writer."""
        with ExitStack() as stack:
            may_write = self._store
            if may_write:
                try:
                    stack.enter_context(writer_lock(self._library.home))
                except LibraryLockedError:
                    may_write = is_held_here(self._library.home)
            yield may_write

    def _count(self, side: _Side, texts: Sequence[str]) -> list[int]:
        """Counts the tokens where they matter: for a price, and for passages that may be cut."""
        if self.spec.usd_per_million_tokens or (side is self._passages and self.spec.max_tokens):
            return self._embedder.count_tokens(texts)
        return [0] * len(texts)

    def _sent(self, tokens: int) -> int:
        return min(tokens, self.spec.max_tokens or tokens)

    def _billed(self) -> int | None:
        return self._embedder.billed_tokens if isinstance(self._embedder, BilledEmbedder) else None


@dataclass(frozen=True, slots=True)
class _Computed:
    """What a call gave: vectors by position, what they took, and the error where it did not give all."""

    rows: Mapping[int, np.ndarray]
    spent: Spending
    refusal: RagError | None


def _sum(*parts: Spending) -> Spending:
    return Spending(
        passages=sum(part.passages for part in parts),
        tokens=sum(part.tokens for part in parts),
        seconds=sum(part.seconds for part in parts),
        usd=sum(part.usd for part in parts),
    )
