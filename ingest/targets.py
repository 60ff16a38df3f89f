"""A target of ingest: one chunker and one embedder, with the index card that their vectors go under."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ingest.budget import Budget, billed_tokens, price, sent_tokens
from ingest.report import Progress
from rag.calibration import measure_noise, measure_scale
from rag.cards import CANARY, IndexCard, check_embedder
from rag.embedders.registry import load_embedder
from rag.embedders.spec import Embedder, EmbedderSpec, UnfinishedError
from rag.errors import RagError
from rag.library import Library
from rag.passages import passage_key
from rag.spending import Account, Spending

STORE_SECONDS = 1.0
"""How long a slice of passages should take: its vectors are stored at its end, so that a kill costs so much work."""
FIRST_SLICE, LARGEST_SLICE = 64, 512

MOST_REFUSALS, MANY = 3, 8
"""Slices in a row of which no passage gets through, after which it is not the passages' fault; of many, one will do."""


@dataclass(frozen=True, slots=True)
class _Slice:
    """Passages that are embedded in one call: keys, texts, tokens as counted uncut, and tokens as they are sent."""

    keys: list[bytes]
    texts: list[str]
    counts: list[int]
    sent: list[int]


class Target:
    """Embeds what is missing under one embedder, within the budget, and keeps account of it.

    The model is loaded when the first passage needs it, so that a run in which nothing has changed loads none. `spent`
    is the money of this run.
    """

    def __init__(
        self,
        library: Library,
        corpus: str,
        chunker: str,
        spec: EmbedderSpec,
        specs: Mapping[str, EmbedderSpec],
        budget: Budget | None = None,
    ) -> None:
        self.chunker = chunker
        self.spec = spec
        self.embedded = 0
        self.spent = 0.0
        self.changed = False
        self._library = library
        self._corpus = corpus
        self._specs = specs
        self._budget = budget or Budget()
        self._budget.check_price(spec)
        self._price = price(spec) or 0.0
        self._slice = FIRST_SLICE
        self._refusals = 0
        self._embedder: Embedder | None = None

    @property
    def key(self) -> tuple[str, str]:
        """The (chunker, fingerprint) pair that names the index within its corpus."""
        return self.chunker, self.spec.fingerprint

    @property
    def is_refused(self) -> bool:
        """Whether nothing has got through for several slices in a row, so that trying on would only cost time."""
        return self._refusals >= MOST_REFUSALS

    def embed_missing(self, passages: Sequence[str], progress: Progress, stopped: Callable[[], bool]) -> None:
        """Computes and stores the vectors that the library lacks, a slice at a time, equal passages once.

        Between two slices `stopped` is asked whether to leave it at that. Raises BudgetError before a passage that
        would cost more than is left, and UnfinishedError at the end where some passages were refused; what was embedded
        is stored in either case.
        """
        self.changed = True
        texts = {passage_key(text): text for text in passages}
        missing = self._library.vectors.missing(self.spec.fingerprint, list(texts))
        wanted = sorted(missing, key=lambda key: (len(texts[key]), key))  # equal lengths together waste least padding
        embedder = self._open()
        progress.planned(self.spec.name, len(wanted))
        refusal: UnfinishedError | None = None
        while wanted and not stopped():
            part = self._affordable(embedder, wanted, texts)
            wanted = wanted[len(part.keys) :]
            refusal = self._embed(embedder, part, progress) or refusal
            if self.is_refused:
                break
        if refusal:
            raise refusal

    def _affordable(self, embedder: Embedder, wanted: Sequence[bytes], texts: Mapping[bytes, str]) -> _Slice:
        """Returns the next slice, as much of it as the budget allows; raises BudgetError where that is nothing."""
        keys = list(wanted[: self._slice])
        batch = [texts[key] for key in keys]
        counts = self._count(embedder, batch)
        sent = sent_tokens(embedder, counts)
        number = self._budget.affordable([tokens * self._price for tokens in sent])
        if not number:
            rest = sent_tokens(embedder, self._count(embedder, [texts[key] for key in wanted]))
            raise self._budget.exhausted(self.spec.name, rest, self._price)
        return _Slice(keys[:number], batch[:number], counts[:number], sent[:number])

    def _count(self, embedder: Embedder, passages: Sequence[str]) -> list[int]:
        """Counts the tokens where they matter: an embedder without limit or price neither cuts nor charges."""
        if not self.spec.max_tokens and not self._price:
            return [0] * len(passages)
        return embedder.count_tokens(passages)

    def _embed(self, embedder: Embedder, part: _Slice, progress: Progress) -> UnfinishedError | None:
        """Embeds a slice and stores what was finished together with what it cost; returns the error of the rest.

        However the call ends, what the vendor has counted until then is owed, and is written down.
        """
        before, started = billed_tokens(embedder), time.perf_counter()
        rows: Mapping[int, np.ndarray] = {}
        refusal = None
        try:
            rows = dict(enumerate(embedder.embed_passages(part.texts)))
        except UnfinishedError as error:
            rows, refusal = error.vectors, error
        except RagError as error:  # the vendor takes nothing from us any more, such as for a key that was revoked
            refusal = UnfinishedError(str(error), {})
            self._refusals = MOST_REFUSALS
        finally:
            took = time.perf_counter() - started
            after = billed_tokens(embedder)
            tokens = sum(part.sent[row] for row in rows) if before is None or after is None else after - before
            self._store(part, rows, Spending(len(rows), tokens, took if rows else 0.0, tokens * self._price))
        progress.embedded(self.spec.name, len(rows))
        if refusal:
            vain = self._refusals + (MOST_REFUSALS if len(part.keys) >= MANY else 1)
            self._refusals = 0 if rows else vain
            return refusal
        self._refusals = 0
        self._slice = max(1, min(LARGEST_SLICE, 2 * self._slice, int(len(rows) * STORE_SECONDS / max(took, 1e-6))))
        return None

    def _store(self, part: _Slice, rows: Mapping[int, np.ndarray], spent: Spending) -> None:
        self._pay(spent.usd)
        account = Account(self._corpus, self.chunker, self.spec.fingerprint)
        if rows:
            done = sorted(rows)
            self._library.vectors.add(
                self.spec.fingerprint,
                [part.keys[row] for row in done],
                np.stack([rows[row] for row in done]),
                [part.counts[row] for row in done],
                (account, spent),
            )
            self.embedded += len(rows)
        elif spent.tokens:
            self._library.spending.add(account, spent)

    def _pay(self, usd: float) -> None:
        self.spent += usd
        self._budget.pay(usd)

    def _open(self) -> Embedder:
        """Loads the embedder and makes sure that it is the one the index was built with, if there is one."""
        if self._embedder is None:
            embedder = load_embedder(self.spec.name, self._specs)
            expected = sum(sent_tokens(embedder, self._count(embedder, [CANARY])))
            if not self._budget.affordable([expected * self._price]):
                raise self._budget.exhausted(self.spec.name, [expected], self._price)
            before = billed_tokens(embedder)
            self._check(embedder)
            after = billed_tokens(embedder)
            tokens = expected if before is None or after is None else after - before
            if self._price and tokens:
                account = Account(self._corpus, self.chunker, self.spec.fingerprint)
                self._library.spending.add(account, Spending(0, tokens, 0.0, tokens * self._price))
                self._pay(tokens * self._price)
            self._embedder = embedder
        return self._embedder

    def _check(self, embedder: Embedder) -> None:
        """Holds the embedder against the canary of its index, or stores the first one."""
        card = self._card()
        try:
            if card is not None:
                check_embedder(card, self._library.cards.canary(card), embedder)
            else:
                self._library.cards.begin(IndexCard.blank(self._corpus, self.chunker, self.spec), embedder)
        except UnfinishedError:
            self._refusals = MOST_REFUSALS
            raise

    def _card(self) -> IndexCard | None:
        cards = self._library.cards.all(self._corpus)
        return next((card for card in cards if (card.chunker, card.fingerprint) == self.key), None)

    def finish(self, measure: bool = True) -> IndexCard | None:
        """Writes the card as the index is now and returns it; None where there is no such index.

        Unless it is to `measure` the calibration anew the embedder is not asked for anything.
        """
        card = self._card()
        if card is None or not self.changed:
            return card
        if not measure:
            return self._library.cards.recount(card, card.noise)
        noise = measure_noise(self._library, card, self._open())
        scale = measure_scale(self._library, card, self._open())
        return self._library.cards.recount(replace(card, scale=scale), noise)
