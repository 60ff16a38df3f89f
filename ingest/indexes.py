"""The indexes that a run writes into: chunkers and targets by name, and their cards brought up to date at its end."""

from collections.abc import Collection, Iterator

from ingest.budget import Budget
from ingest.chunkers import Chunker, SemanticChunker, load_chunker
from ingest.targets import Target
from rag.cards import IndexCard
from rag.embedders.registry import find_spec
from rag.library import Library
from rag.settings import Settings

Key = tuple[str, str]
"""A chunker and a fingerprint: what names an index within its corpus."""


class Indexes:
    """The targets of a run into one corpus, each made when it is first asked for."""

    def __init__(self, library: Library, settings: Settings, corpus: str, budget: Budget) -> None:
        self._library = library
        self._settings = settings
        self._corpus = corpus
        self._budget = budget
        self._targets: dict[Key, Target] = {}
        self._chunkers: dict[str, Chunker] = {}

    def chunker(self, name: str) -> Chunker:
        """Returns the chunker of that name; raises UsageError where there is none, or where a budget forbids it."""
        if name not in self._chunkers:
            chunker = load_chunker(name, self._settings.embedders, self._settings.embedder)
            if isinstance(chunker, SemanticChunker):
                self._budget.check_chunker(chunker.name, chunker.spec)
            self._chunkers[name] = self._chunkers[chunker.name] = chunker
        return self._chunkers[name]

    def target(self, chunker: str, embedder: str) -> Target:
        """Returns the target of a chunker's full name and an embedder; raises UsageError for an unknown embedder."""
        spec = find_spec(embedder, self._settings.embedders)
        key = (chunker, spec.fingerprint)
        if key not in self._targets:
            self._targets[key] = Target(
                self._library, self._corpus, chunker, spec, self._settings.embedders, self._budget
            )
        return self._targets[key]

    def holding(self, document_id: str) -> Iterator[Target]:
        """Yields the targets of the indexes that hold a document, where their embedder is still the same."""
        names = {(card.chunker, card.fingerprint): card.embedder for card in self._library.cards.all(self._corpus)}
        for chunker, fingerprint in sorted(self._library.indexes_of(document_id)):
            name = names.get((chunker, fingerprint), "")
            spec = self._settings.embedders.get(name)
            if spec and spec.fingerprint == fingerprint:
                yield self.target(chunker, name)

    @property
    def targets(self) -> Collection[Target]:
        """All targets so far: a view, to which an older version of a document may add."""
        return self._targets.values()

    def embedded(self) -> dict[str, int]:
        """Counts the vectors computed under each embedder, whatever the chunkers."""
        counts = {target.spec.name: 0 for target in self.targets}
        for target in self.targets:
            counts[target.spec.name] += target.embedded
        return counts

    def finish(self, measure: bool) -> tuple[IndexCard, ...]:
        """Brings all cards of the corpus up to date and returns those of the targets; see `Target.finish`."""
        for card in self._library.cards.all(self._corpus):
            target = self._targets.get((card.chunker, card.fingerprint))
            documents, chunks = self._library.cards.count(card)
            if target and (chunks > card.chunks or (chunks and not card.noise)):
                target.changed = True  # now, or by an ingest that was killed before it came to this point
            elif (documents, chunks) != (card.documents, card.chunks):
                self._library.cards.recount(card, card.noise)
        cards = [target.finish(measure) for target in self.targets]
        return tuple(card for card in cards if card)
