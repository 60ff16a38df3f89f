"""How each embedder of the settings stands for a corpus: ready, partly built, being built, not built, or unusable."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from rag.cards import IndexCard
from rag.embedders.readiness import Lack, Lacking, find_lack
from rag.embedders.spec import EmbedderSpec
from rag.library import Library
from rag.settings import Settings
from ui.jobs import Job, Kind
from ui.jobs import State as JobState
from ui.meter import TOO_EARLY, Pace

LOOK_AGAIN = 5.0
"""Seconds for which it is kept what the embedders lack: a key may be set, or a package installed, at any time."""
COUNT_AGAIN = 10
"""Times as long as the counting took, for which a corpus that a job works on is not counted again."""


class Standing(Enum):
    """What can be done with an embedder for a corpus, the best first."""

    READY = "ready"
    BUILDING = "building"
    PARTIAL = "partial"
    ABSENT = "absent"
    UNUSABLE = "unusable"


@dataclass(frozen=True, slots=True)
class Counted:
    """The index that questions under an embedder would be asked of: so many chunks of so many are in it."""

    card: IndexCard
    chunks: int
    total: int
    is_complete: bool


@dataclass(frozen=True, slots=True)
class EmbedderState:
    """An embedder beside a corpus. `spec` is None where the settings know no such embedder any more.

    `index` is None without an index of this very embedder, `lacks` where it can be used here and now, and `pace`, that
    of a build, where none runs.
    """

    name: str
    spec: EmbedderSpec | None
    standing: Standing
    lacks: Lack | None = None
    index: Counted | None = None
    pace: Pace | None = None

    @property
    def serves(self) -> bool:
        """Whether questions can be asked under it now, be it of a part of the corpus."""
        return self.index is not None and self.index.chunks > 0 and self.standing is not Standing.UNUSABLE


class EmbedderStates:
    """Looks at a library; what is slow to count is kept for each state of a corpus."""

    def __init__(self, library: Library, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._library = library
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._lacks: tuple[float, Mapping[str, Lack | None]] = (float("-inf"), {})
        self._counted: dict[str, tuple[str, float, Mapping[str, Counted]]] = {}

    def lacking(self, fresh: bool = False) -> Mapping[str, Lack | None]:
        """Maps every embedder of the settings to what it lacks here, looked at anew every few seconds."""
        with self._lock:
            if fresh or self._clock() - self._lacks[0] > LOOK_AGAIN:
                found = {name: find_lack(spec) for name, spec in self._settings.embedders.items()}
                self._lacks = (self._clock(), found)
            return self._lacks[1]

    def look(
        self, corpus: str, job: Job | None = None, expected: Mapping[str, int] | None = None
    ) -> list[EmbedderState]:
        """Returns the embedders for a corpus: those that serve, those that can be built, the others; as in the table.

        `job` is the application's last one, `expected` the vectors that it will have computed, where that is known.
        """
        lacking = self.lacking()
        building = building_paces(job, corpus, expected or {})
        counted = self._count(corpus, busy=job is not None and job.state is JobState.RUNNING)
        specs = self._settings.embedders
        names = [*specs, *sorted({card.embedder for card in self._library.cards.all(corpus)} - set(specs))]
        states = [self._state(name, lacking, counted, building) for name in names]
        order = list(Standing)
        kinds = [None, *Lacking]
        return sorted(states, key=lambda state: (order.index(state.standing), kinds.index(kind_lacking(state.lacks))))

    def _state(
        self,
        name: str,
        lacking: Mapping[str, Lack | None],
        counted: Mapping[str, Counted],
        building: Mapping[str, Pace],
    ) -> EmbedderState:
        spec = self._settings.embedders.get(name)
        index = counted.get(name)
        if spec is None:
            return EmbedderState(name, None, Standing.UNUSABLE, None, index)
        if lacking[name]:
            return EmbedderState(name, spec, Standing.UNUSABLE, lacking[name], index)
        if name in building:
            return EmbedderState(name, spec, Standing.BUILDING, None, index, building[name])
        if index is None or not index.chunks:
            return EmbedderState(name, spec, Standing.ABSENT, None, index)
        return EmbedderState(name, spec, Standing.READY if index.is_complete else Standing.PARTIAL, None, index)

    def _count(self, corpus: str, busy: bool) -> Mapping[str, Counted]:
        """Counts the index of every embedder, by name; while a job runs, what is kept may be older."""
        started = self._clock()
        cards = self._library.cards.all(corpus)
        state = self._library.state_of(corpus) + "".join(card.updated for card in cards)
        with self._lock:
            kept = self._counted.get(corpus)
        if kept is not None and (kept[0] == state or (busy and started < kept[1])):
            return kept[2]
        counted = count_indexes(self._library, self._settings, corpus)
        ended = self._clock()
        with self._lock:
            self._counted[corpus] = (state, ended + COUNT_AGAIN * (ended - started), counted)
        return counted


def count_indexes(library: Library, settings: Settings, corpus: str) -> dict[str, Counted]:
    """Counts, by embedder, the index that a question is asked of: the newest that this very embedder has built."""
    query = library.database.query
    documents_in_all = query("SELECT COUNT(*) FROM documents WHERE corpus = ?", (corpus,)).fetchone()[0]
    totals = dict(
        query(
            """SELECT c.chunker, COUNT(*) FROM documents d JOIN chunks c ON c.document_id = d.id
               WHERE d.corpus = ? GROUP BY c.chunker""",
            (corpus,),
        )
    )
    found: dict[str, Counted] = {}
    for card in library.cards.all(corpus):
        spec = settings.embedders.get(card.embedder)
        if card.embedder in found or (spec is not None and spec.fingerprint != card.fingerprint):
            continue
        documents, chunks = library.cards.count(card)
        total = totals.get(card.chunker, 0)
        found[card.embedder] = Counted(card, chunks, total, documents == documents_in_all and chunks == total)
    return found


def building_paces(job: Job | None, corpus: str, expected: Mapping[str, int]) -> dict[str, Pace]:
    """Returns the embedders that a running job puts a corpus under, each with how far it is.

    A job learns group by group how many vectors are missing; `expected` says what is known from the start.
    """
    if job is None or job.state is not JobState.RUNNING or job.order.corpus != corpus or job.order.kind is Kind.REMOVE:
        return {}
    paces = job.meter.snapshot().embedders
    names = dict.fromkeys((*job.order.embedders, *paces))
    return {name: _towards(paces.get(name, Pace()), expected.get(name, 0)) for name in names}


def _towards(pace: Pace, expected: int) -> Pace:
    """Returns a pace with all that is expected, and the time left for it."""
    expected = max(expected, pace.expected)
    left = (expected - pace.done) / pace.rate if pace.rate > 0 and pace.done >= TOO_EARLY * expected else None
    return replace(pace, expected=expected, left=left)


def kind_lacking(lack: Lack | None) -> Lacking | None:
    """Returns what kind of thing is lacking, None where nothing is."""
    return lack.kind if lack else None
