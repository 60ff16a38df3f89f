"""What an ingest tells: each item's outcome while it runs, and the report at its end."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rag.cards import IndexCard
from rag.errors import RagError


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an item: done, unchanged, skipped, failed or deleted, and why; or unpacked, for an archive."""

    source: str
    path: str
    status: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What an ingest did: every item's outcome, the chunks of the corpus, its index cards, and the seconds it took.

    `embedded` counts the vectors that were computed, by embedder; `embedded_for` by (chunker, fingerprint), and so does
    `spent_for` the dollars that this run has spent on passages. `stopped` says that somebody ended it early. `warnings`
    are sentences about what an index does not hold, by (chunker, fingerprint).
    """

    corpus: str
    outcomes: tuple[Outcome, ...]
    chunks: int
    cards: tuple[IndexCard, ...]
    embedded: dict[str, int]
    embedded_for: dict[tuple[str, str], int]
    spent_for: dict[tuple[str, str], float]
    seconds: float
    stopped: bool = False
    warnings: Mapping[tuple[str, str], Sequence[str]] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        """Counts the outcomes by status."""
        return count_statuses(self.outcomes)


def count_statuses(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """Counts outcomes by status; an archive is no document, only its members are."""
    found = Counter(outcome.status for outcome in outcomes)
    return {status: found[status] for status in ("done", "unchanged", "skipped", "failed", "deleted")}


class EndedEarlyError(RagError):
    """An ingest could not go on: the budget is spent, or a vendor refuses; `report` tells what was done until then."""

    def __init__(self, message: str, report: IngestReport) -> None:
        super().__init__(message)
        self.report = report


class Stopped(Exception):  # noqa: N818 - no error, like KeyboardInterrupt
    """Somebody has stopped an ingest: raised by a `Progress`, it ends the run; what is committed stays committed."""


class Progress(Protocol):
    """Hears how an ingest goes, from several threads; the command line draws bars, the application a table.

    Any of its methods may raise `Stopped`.
    """

    def start(self, items: int, size: int) -> None:
        """Hears how many items there are, and their bytes."""
        ...

    def item(self, outcome: Outcome, size: int) -> None:
        """Hears what became of an item."""
        ...

    def planned(self, embedder: str, vectors: int) -> None:
        """Hears that so many more vectors are missing under an embedder, and will be computed."""
        ...

    def embedded(self, embedder: str, vectors: int) -> None:
        """Hears that so many of them were computed and stored."""
        ...


class Silence:
    """Progress that nobody watches."""

    def start(self, items: int, size: int) -> None:
        """Says nothing."""

    def item(self, outcome: Outcome, size: int) -> None:
        """Says nothing."""

    def planned(self, embedder: str, vectors: int) -> None:
        """Says nothing."""

    def embedded(self, embedder: str, vectors: int) -> None:
        """Says nothing."""
