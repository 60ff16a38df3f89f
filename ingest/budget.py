"""The money of a run: what passages cost under an embedder, and the budget that all its embedders share."""

from collections.abc import Sequence

from ingest.token_counting import Counter
from rag.embedders.spec import BilledEmbedder, Embedder, EmbedderSpec
from rag.errors import RagError, UsageError


class BudgetError(RagError):
    """The next passage would cost more than is left of the budget."""


class Budget:
    """The dollars that a run may spend on passages, over all its embedders; 0 is no limit."""

    def __init__(self, usd: float = 0.0) -> None:
        self.usd = usd
        self.spent = 0.0

    @property
    def left(self) -> float:
        """What may still be spent."""
        return max(0.0, self.usd - self.spent) if self.usd else float("inf")

    def check_price(self, spec: EmbedderSpec) -> None:
        """Raises UsageError where there is a budget and the embedder's price is not known."""
        if self.usd and price(spec) is None:
            raise UsageError(
                f"What '{spec.name}' costs is not known, so no budget can be kept with it. Write its "
                "usd_per_million_tokens into its entry in rag.toml, or leave the budget out."
            )

    def check_chunker(self, chunker: str, spec: EmbedderSpec) -> None:
        """Raises UsageError where there is a budget and cutting the documents itself costs money."""
        if self.usd and price(spec) != 0:
            raise UsageError(
                f"The chunker '{chunker}' pays '{spec.name}' for every sentence, which no budget counts. Cut with an "
                "embedder that costs nothing, such as semantic-wordllama, or leave the budget out."
            )

    def affordable(self, costs: Sequence[float]) -> int:
        """Returns how many of these costs, from the first on, are within what is left.

        >>> budget = Budget(1.0)
        >>> budget.affordable([0.5, 0.5, 0.5]), budget.affordable([2.0, 0.1]), Budget().affordable([5.0])
        (2, 0, 1)
        """
        total, limit = 0.0, self.left * (1 + 1e-9)  # sums of the same costs differ in the last digits
        for number, cost in enumerate(costs):
            total += cost
            if cost and total > limit:
                return number
        return len(costs)

    def pay(self, usd: float) -> None:
        """Takes from what is left."""
        self.spent += usd

    def exhausted(self, embedder: str, tokens: Sequence[int], usd_per_token: float) -> BudgetError:
        """Builds the error that ends a run; `tokens` are those of the passages that are known to be missing."""
        return BudgetError(
            f"The budget of {dollars(self.usd)} does not reach further: {dollars(self.spent)} spent, "
            f"{dollars(self.left)} left, and the next passage under '{embedder}' costs "
            f"{dollars(tokens[0] * usd_per_token)}. At least {len(tokens):,} passages are missing, "
            f"{dollars(sum(tokens) * usd_per_token)}. Raise --budget (or budget_usd in rag.toml) and run the same "
            "again: nothing is paid twice."
        )


def price(spec: EmbedderSpec) -> float | None:
    """Returns the dollars for one token, None where the entry says that nobody has found the price."""
    if not spec.usd_per_million_tokens and "usd_per_million_tokens" in spec.unconfirmed:
        return None
    return spec.usd_per_million_tokens / 1e6


def sent_tokens(embedder: Counter, counts: Sequence[int]) -> list[int]:
    """Returns how much of each passage is sent, of its whole length in tokens: as much as a vendor bills.

    A local model reads no more than its `max_tokens`, nor is more sent to a vendor whose tokenizer we have; without it
    the vendor gets the whole passage.
    """
    spec = embedder.spec
    if not spec.max_tokens or not counts_exactly(embedder):
        return list(counts)
    return [min(count, spec.max_tokens) for count in counts]


def is_billed(embedder: Counter) -> bool:
    """Tells whether an embedder is a vendor's or a server's, to which each call is a request."""
    return isinstance(embedder, BilledEmbedder)


def counts_exactly(embedder: Counter) -> bool:
    """Tells whether an embedder counts tokens as they will be billed; a local model has its own tokenizer."""
    return bool(getattr(embedder, "counts_exactly", not is_billed(embedder)))


def billed_tokens(embedder: Embedder) -> int | None:
    """Returns what the vendor has counted so far, None where nobody else counts."""
    return embedder.billed_tokens if isinstance(embedder, BilledEmbedder) else None


def dollars(usd: float) -> str:
    """Returns an amount with as many digits as matter, so that the smallest one is not called nothing.

    >>> dollars(12.5), dollars(0.0213), dollars(0.0000347), dollars(0)
    ('$12.50', '$0.0213', '$0.000035', '$0')
    """
    if not usd:
        return "$0"
    if usd >= 0.01:
        return f"${usd:,.2f}" if usd >= 1 else f"${usd:.4f}"
    return f"${usd:.{-int(f'{usd:e}'.partition('e')[2]) + 1}f}"
