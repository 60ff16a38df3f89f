"""Building an index from the chat: what it will take, that its price was agreed to, and how far it has come."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from ingest.budget import dollars, price
from ingest.estimate import IndexEstimate
from rag.embedders.readiness import LOOPBACK
from rag.embedders.registry import find_spec
from rag.embedders.spec import EmbedderSpec
from rag.embedders.vendors import VENDORS
from rag.errors import IndexNotFoundError, MissingDependencyError, UsageError
from rag.library import Library
from ui.embedder_states import EmbedderState, EmbedderStates, Standing
from ui.holding import Holding
from ui.ingesting import estimate
from ui.jobs import IngestJobs, Job, Kind, Order

TOLERANCE = 1.1
"""What a build may cost beyond what was agreed to: vendors count tokens a little otherwise than we do."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What building an index takes; `receiver` is who gets the text, "" where it stays on this computer."""

    corpus: str
    spec: EmbedderSpec
    work: IndexEstimate
    receiver: str

    @property
    def needs_consent(self) -> bool:
        """Whether somebody has to agree first: it costs money, nobody knows what it costs, or text leaves."""
        return bool(self.work.passages) and is_asked_about(self.spec)


class Builder:
    """Offers and starts builds; one at a time, like every job of the application."""

    def __init__(self, holding: Holding, jobs: IngestJobs, states: EmbedderStates) -> None:
        self._holding = holding
        self._jobs = jobs
        self._states = states
        self._lock = threading.Lock()
        self._offered: tuple[str, Offer] | None = None  # with the state of what it was made for
        self._expected: tuple[int, str, int] | None = None  # job, embedder, vectors

    def offer(self, corpus: str, embedder: str, chunker: str | None = None) -> Offer:
        """Tells what a build takes; loads the embedder, to count and to time it, and sends nothing.

        Without a chunker that of the embedder's own index holds, else that of the corpus's newest one. Raises
        UsageError for an unknown corpus or embedder, IndexNotFoundError for a corpus without documents, and
        MissingDependencyError for what the embedder lacks.
        """
        library, settings = self._holding.library, self._holding.settings
        state = self._usable(corpus, embedder)
        chunker = chunker or _chunker(library, corpus, state)
        made_for = f"{library.state_of(corpus)} {embedder} {chunker} {state.index.card.updated if state.index else ''}"
        with self._lock:
            if self._offered is None or self._offered[0] != made_for:
                spec = find_spec(embedder, settings.embedders)
                found = estimate(library, settings, (), corpus, (embedder,), chunker)
                self._offered = (made_for, Offer(corpus, spec, found.indexes[0], receiver_of(spec)))
            return self._offered[1]

    def build(self, corpus: str, embedder: str, chunker: str | None, agreed: bool, usd: float | None) -> Job:
        """Starts the build in the background.

        `agreed` says that somebody was told where the text goes and what it costs, `usd` what he was told: more is not
        spent. Raises UsageError where that does not cover it, and JobRunningError where another job runs.
        """
        library = self._holding.library
        state = self._usable(corpus, embedder)
        chunker = chunker or _chunker(library, corpus, state)
        budget = None
        if state.spec and is_asked_about(state.spec):
            offer = self.offer(corpus, embedder, chunker)
            cost = offer.work.usd
            if offer.needs_consent and not agreed:
                raise UsageError(f"Building under '{embedder}' sends text away or costs money: agree to it first.")
            if cost and (usd is None or cost > usd * TOLERANCE):
                raise UsageError(f"Building under '{embedder}' costs about {dollars(cost)} by now. Choose it again.")
            budget = self._budget(cost)
        job = self._jobs.start(Order(Kind.BACKFILL, corpus, embedders=(embedder,), chunker=chunker, budget=budget))
        with self._lock:
            known = self._offered[1] if self._offered else None
        if known and (known.corpus, known.spec.name, known.work.chunker) == (corpus, embedder, chunker):
            self._expected = (job.number, embedder, known.work.passages)
        return job

    def _usable(self, corpus: str, embedder: str) -> EmbedderState:
        """Returns how an embedder stands; raises UsageError for unknown names, MissingDependencyError for a lack."""
        find_spec(embedder, self._holding.settings.embedders)
        states = self._states.look(self._holding.library.corpus_or_only(corpus))
        state = next(each for each in states if each.name == embedder)
        if state.standing is Standing.UNUSABLE:
            needs = state.lacks.words if state.lacks else "an entry"
            raise MissingDependencyError(f"'{embedder}' cannot be used here: it needs {needs}.")
        return state

    def _budget(self, cost: float | None) -> float | None:
        """Returns what the build may spend: what was agreed to, or less where the settings say so."""
        limit = self._holding.settings.budget_usd
        return min(cost * TOLERANCE, limit or float("inf")) if cost else None

    def expected(self, corpus: str) -> Mapping[str, int]:
        """Returns, by embedder, the vectors that the build started here takes; the job learns it bit by bit."""
        job, expected = self._jobs.last, self._expected
        if job is None or expected is None or job.number != expected[0] or job.order.corpus != corpus:
            return {}
        return {expected[1]: expected[2]}


def is_asked_about(spec: EmbedderSpec) -> bool:
    """Tells whether somebody has to agree before passages are embedded: it costs money, or text leaves."""
    return price(spec) != 0 or bool(receiver_of(spec))


def receiver_of(spec: EmbedderSpec) -> str:
    """Names who receives what is embedded: the host of the entry's address, else the vendor; "" for this computer."""
    vendor = VENDORS.get(spec.provider)
    address = spec.base_url or (vendor.url if vendor else "")
    if address:
        host = urlsplit(address).hostname or address
        return "" if host in LOOPBACK else host
    if vendor is not None:
        return vendor.title
    return f"whatever {spec.model} calls" if spec.provider == "langchain" else ""


def _chunker(library: Library, corpus: str, state: EmbedderState) -> str:
    """Returns the chunker of the index that is incomplete, else that of the corpus's newest one."""
    if state.index is not None:
        return state.index.card.chunker
    cards = library.cards.all(corpus)
    newest = next((card for card in cards if card.documents), None)
    if newest is None:
        raise IndexNotFoundError(f"The corpus '{corpus}' holds no documents yet. Add some in the Library tab.")
    return newest.chunker
