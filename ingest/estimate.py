"""The dry run: what an ingest would read and embed, and what that costs, without writing or sending anything."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ingest.budget import Budget, counts_exactly, is_billed, price, sent_tokens
from ingest.pipeline import Ingest, Work
from ingest.report import Outcome, Progress, count_statuses
from ingest.targets import Target
from ingest.token_counting import Counter, load_counter
from ingest.writing import Group
from rag.calibration import STRANGE, own_sentences, word_salads
from rag.cards import CANARY
from rag.embedders.registry import load_embedder
from rag.embedders.spec import Embedder, EmbedderSpec
from rag.errors import UsageError
from rag.ledger import LedgerEntry
from rag.library import Library, check_corpus_name
from rag.passages import passage_key
from rag.settings import Settings

HISTORY = 50
"""Passages that must have been embedded under a fingerprint before it is known how long one takes."""

SAMPLE, SAMPLE_CHARACTERS = 64, 20_000
"""Passages that are kept to be timed, and characters of each."""
SHORTEST_TIMING = 0.3
"""Seconds of a timing that can be trusted."""


@dataclass(frozen=True, slots=True)
class IndexEstimate:
    """What an ingest would do for one index.

    `chunks` would join it, of which `passages` have to be embedded: equal ones once, those with a stored vector not at
    all. `tokens` are what is sent: cut at the limit of a local model, as the vendor bills them otherwise; `exact` tells
    whether the embedder can count them. `query_tokens` come on top of it and are not in `usd`: about as many as the
    queries have that calibrate abstention. `seconds` and `usd` are None where nobody knows.
    """

    embedder: str
    chunker: str
    fingerprint: str
    chunks: int
    passages: int
    tokens: int
    query_tokens: int
    exact: bool
    seconds: float | None
    usd: float | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What an ingest would do: the outcome of every item, the most chunks that would join an index, and each index."""

    corpus: str
    outcomes: tuple[Outcome, ...]
    chunks: int
    indexes: tuple[IndexEstimate, ...]

    def counts(self) -> dict[str, int]:
        """Counts the outcomes by status."""
        return count_statuses(self.outcomes)


def estimate_paths(
    library: Library,
    settings: Settings,
    paths: Iterable[Path],
    corpus: str,
    embedders: Sequence[str],
    chunker: str,
    progress: Progress | None = None,
) -> Estimate:
    """Parses and chunks the paths as an ingest would, and counts; the library may be read-only."""
    check_corpus_name(corpus)
    ingest = Ingest(library, settings, corpus, embedders, chunker, progress, budget=_NothingSent(settings.embedders))
    return _estimate(library, settings, corpus, ingest, ingest.from_paths(paths))


def estimate_backfill(
    library: Library,
    settings: Settings,
    corpus: str,
    embedders: Sequence[str],
    chunker: str,
    progress: Progress | None = None,
) -> Estimate:
    """Chunks what the corpus holds and the embedders lack, as a backfill would, and counts."""
    ingest = Ingest(library, settings, corpus, embedders, chunker, progress, budget=_NothingSent(settings.embedders))
    return _estimate(library, settings, corpus, ingest, ingest.from_library())


def _estimate(library: Library, settings: Settings, corpus: str, ingest: Ingest, work: Work) -> Estimate:
    tally = _Tally(library, settings.embedders, ingest)
    work(tally)
    indexes = tuple(tally.count_of(target).estimate() for target in ingest.targets)
    return Estimate(corpus, ingest.outcomes(), max((index.chunks for index in indexes), default=0), indexes)


class _NothingSent(Budget):
    """The budget of a dry run, which does not even cut by an embedder that costs requests."""

    def __init__(self, specs: Mapping[str, EmbedderSpec]) -> None:
        super().__init__()
        self._specs = specs

    def check_chunker(self, chunker: str, spec: EmbedderSpec) -> None:
        """Raises UsageError where cutting the documents would send every sentence to a vendor."""
        if is_billed(load_embedder(spec.name, self._specs)):
            raise UsageError(
                f"The chunker '{chunker}' sends every sentence to '{spec.name}', and a dry run sends nothing. Estimate "
                "with a chunker that cuts without it, such as heading."
            )


class _Tally:
    """A sink that counts what a writer would embed. Of the passages it keeps hashes, and a few to be timed."""

    def __init__(self, library: Library, specs: Mapping[str, EmbedderSpec], ingest: Ingest) -> None:
        self._library = library
        self._specs = specs
        self._ingest = ingest
        self._counts: dict[tuple[str, str], _Count] = {}
        self._seen: dict[str, set[bytes]] = {}

    def record(self, entry: LedgerEntry) -> None:
        """Writes nothing."""

    def delete(self, sources: Sequence[str]) -> None:
        """Deletes nothing."""

    def put(self, group: Group) -> None:
        """Counts a group under each of its targets, in the order in which they would be filled."""
        for target in list(self._ingest.targets):
            passages = group.passages(target)
            if passages:
                self.count_of(target).add(len(passages), self._missing(target.spec.fingerprint, passages))
        for pending in group.documents:
            entry = pending.entry
            self._ingest.tell(Outcome(entry.source, entry.path, "done", entry.reason), pending.size)

    def count_of(self, target: Target) -> "_Count":
        """Returns the count of a target."""
        if target.key not in self._counts:
            self._counts[target.key] = _Count(self._library, self._specs, target)
        return self._counts[target.key]

    def _missing(self, fingerprint: str, passages: Sequence[str]) -> list[str]:
        """Returns those passages that would be embedded now: not stored, and not embedded for an earlier group."""
        seen = self._seen.setdefault(fingerprint, set())
        texts = {passage_key(text): text for text in passages}
        keys = self._library.vectors.missing(fingerprint, [key for key in texts if key not in seen])
        seen |= keys
        return [texts[key] for key in texts if key in keys]


class _Count:
    """The count of one index; what counts is loaded for the first passage, the model only where it must be timed."""

    def __init__(self, library: Library, specs: Mapping[str, EmbedderSpec], target: Target) -> None:
        self._library = library
        self._specs = specs
        self._target = target
        self._chunks = self._passages = self._tokens = 0
        self._sample: list[str] = []
        self._counts_with: Counter | None = None

    def add(self, chunks: int, passages: Sequence[str]) -> None:
        """Adds chunks, and the passages that have to be embedded for them."""
        self._chunks += chunks
        self._passages += len(passages)
        if passages:
            self._tokens += sum(self._sent(passages))
        self._sample += [text[:SAMPLE_CHARACTERS] for text in passages[: SAMPLE - len(self._sample)]]

    def estimate(self) -> IndexEstimate:
        """Returns the estimate, once everything is counted."""
        usd = price(self._target.spec)
        tokens, query_tokens, exact = self._tokens, 0, True
        if self._passages or (self._chunks and usd != 0):
            counter = self._counter()
            exact = counts_exactly(counter)
            salads = word_salads(self._sample, self._target.spec.fingerprint)
            query_tokens = sum(counter.count_tokens([*salads, *STRANGE, *own_sentences(self._sample)]))
            if is_billed(counter):
                tokens += sum(self._sent([CANARY]))
        return IndexEstimate(
            embedder=self._target.spec.name,
            chunker=self._target.chunker,
            fingerprint=self._target.spec.fingerprint,
            chunks=self._chunks,
            passages=self._passages,
            tokens=tokens,
            query_tokens=query_tokens,
            exact=exact,
            seconds=self._seconds(),
            usd=None if usd is None else round(tokens * usd, 9),
        )

    def _counter(self) -> Counter:
        if self._counts_with is None:
            self._counts_with = load_counter(self._target.spec, self._specs)
        return self._counts_with

    def _sent(self, passages: Sequence[str]) -> list[int]:
        counter = self._counter()
        return sent_tokens(counter, counter.count_tokens(passages))

    def _seconds(self) -> float | None:
        """Returns how long it takes by what earlier runs took; else a local model is tried; None for a vendor."""
        if not self._passages:
            return 0.0
        past = self._library.spending.under(self._target.spec.fingerprint)
        if past.passages >= HISTORY and past.tokens:
            return round(self._tokens * past.seconds / past.tokens, 1)
        if past.passages >= HISTORY:
            return round(self._passages * past.seconds / past.passages, 1)
        if is_billed(self._counter()):
            return None
        embedder = load_embedder(self._target.spec.name, self._specs)
        return round(self._tokens / self._tokens_per_second(embedder), 1)

    def _tokens_per_second(self, embedder: Embedder) -> float:
        """Times some passages, only as many as it takes; what a first call does once is not counted."""
        embedder.embed_passages(self._sample[:1])
        number = 8
        while True:
            texts = self._sample[-number:]
            started = time.perf_counter()
            embedder.embed_passages(texts)
            took = time.perf_counter() - started
            if took >= SHORTEST_TIMING or number >= len(self._sample):
                return max(1, sum(self._sent(texts))) / max(took, 1e-6)
            number *= 2
