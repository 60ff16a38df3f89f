"""What a reranker is: its entry in the table, and the protocol."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class RerankerSpec:
    """The facts about one reranker: an entry of `table.toml`, or of the user's `rag.toml`.

    `model` is read by the provider: a hub id, a folder, or a vendor's name for it. `max_tokens` is what the model reads
    of a query and a passage together, 0 for no limit that is known. A vendor charges for tokens or for searches, each a
    query with up to 100 passages; what is 0 is not charged.

    What follows concerns vendors and servers: `base_url` in place of the vendor's own; `key`, the environment variable
    that holds the secret, "" for the provider's usual one; `batch`, the passages in one request, `requests_per_minute`
    and `timeout` in seconds, 0 for the provider's own. `unconfirmed` names facts that no source was found for.
    """

    name: str
    provider: str
    model: str
    revision: str
    max_tokens: int
    languages: tuple[str, ...]
    licence: str
    source: str
    usd_per_million_tokens: float = 0.0
    usd_per_thousand_searches: float = 0.0
    base_url: str = ""
    key: str = ""
    batch: int = 0
    requests_per_minute: int = 0
    timeout: float = 0.0
    unconfirmed: tuple[str, ...] = ()


@runtime_checkable
class Reranker(Protocol):
    """Reads a query and a passage together and says how well the one answers the other."""

    @property
    def spec(self) -> RerankerSpec:
        """The facts about this reranker."""
        ...

    @property
    def billed_usd(self) -> float:
        """What its vendor has charged since it was loaded, by the prices of its entry; 0 for a local one."""
        ...

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        """Scores each passage for one query, in their order; higher is better, on a scale of the model's own."""
        ...
