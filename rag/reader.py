"""Opens retrievers over a library and keeps what they need in memory: where the core's parts are put together."""

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rag.answerability import Answerability
from rag.answerer import ExtractiveAnswerer
from rag.bm25 import LexicalIndex, open_lexical
from rag.cards import IndexCard, check_embedder
from rag.chroma_state import finds_well
from rag.diversity import DiverseRetriever, by_vectors, by_words, check_balance
from rag.embedders.registry import find_spec, load_embedder
from rag.embedders.spec import Embedder
from rag.errors import IndexNotFoundError, UsageError, unknown_name
from rag.filters import ChunkFacts, Filter
from rag.index import ChromaStore
from rag.library import Library
from rag.rerankers.registry import load_reranker
from rag.rerankers.reranked import RerankedRetriever
from rag.rerankers.spec import Reranker
from rag.retrievers import NAMES, DenseRetriever, HybridRetriever, LexicalRetriever, Retriever
from rag.schema import Vectors
from rag.searches import ConfinedSearch, ExactSearch, Search
from rag.settings import Settings

SEARCHES = ("ann", "exact")

KEPT_FILTERS = 8
"""Filters whose masks are kept, the last ones used, each for one index."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A retriever ready for questions, with the card of its index; `embedder` is None for lexical retrieval.

    `filter`, `reranker` and `mmr` are what the retriever was opened with, None where it does without.
    """

    retriever: Retriever
    card: IndexCard
    embedder: Embedder | None
    answerability: Answerability
    filter: Filter | None = None
    reranker: Reranker | None = None
    mmr: float | None = None

    def answerer(self) -> ExtractiveAnswerer:
        """Returns the answerer that suits the retriever."""
        return ExtractiveAnswerer(self.embedder, self.answerability)


class Reader:
    """Opens retrievers by name; models, vectors and BM25 indexes are loaded once for each state of a corpus.

    With `chroma`, which may be set at any time, dense search is Chroma's, but for an index whose graph has been seen to
    lose much. Otherwise every stored vector is compared. May be used from several threads.
    """

    def __init__(self, library: Library, settings: Settings, chroma: ChromaStore | None = None) -> None:
        self.library = library
        self.settings = settings
        self.chroma = chroma
        self._kept: dict[tuple[str, ...], tuple[str, Any]] = {}
        self._held: Counter[str] = Counter()
        self._confined: OrderedDict[tuple[object, ...], tuple[ChunkFacts, object, Any]] = OrderedDict()
        self._lock = threading.RLock()

    def open(
        self,
        corpus: str | None = None,
        embedder: str | None = None,
        retriever: str | None = None,
        chunker: str | None = None,
        search: str | None = None,
        fusion: str | None = None,
        weight: float | None = None,
        filter: Filter | None = None,  # noqa: A002  # the field's word, as in LangChain's searches
        reranker: str | Reranker | None = None,
        mmr: float | None = None,
        embed_with: Callable[[Embedder], Embedder] | None = None,
    ) -> Opened:
        """Opens a retriever; what is None is taken from the settings, or is the only choice there is.

        What it finds is confined to a `filter`, then reordered by a `reranker` ("" for none), then chosen by maximal
        marginal relevance with `mmr` as the share of relevance (1 for none). A filter costs little to change: indexes
        stay as they are. `embed_with` puts an embedder of its making, such as one that remembers queries, in the
        model's place. Raises UsageError for a name that is not known, IndexNotFoundError where the corpus has no such
        index, and IndexMismatchError where the index was built by another model.
        """
        mmr = self.settings.mmr if mmr is None else mmr
        check_balance(mmr)
        opened = self._open(corpus, embedder, retriever, chunker, search, fusion, weight, filter or None, embed_with)
        found = opened.retriever
        reranker = self.settings.reranker if reranker is None else reranker
        if isinstance(reranker, str):
            reranker = load_reranker(reranker, self.settings.rerankers) if reranker else None
        if reranker:
            found = RerankedRetriever(self.library, found, reranker)
        if mmr < 1:
            card = opened.card
            likeness = by_vectors(self.library, card.fingerprint) if opened.embedder else by_words(self.library)
            found = DiverseRetriever(self.library, found, likeness, mmr)
        return replace(opened, retriever=found, reranker=reranker, mmr=mmr if mmr < 1 else None)

    def _open(
        self,
        corpus: str | None,
        embedder: str | None,
        retriever: str | None,
        chunker: str | None,
        search: str | None,
        fusion: str | None,
        weight: float | None,
        wanted: Filter | None,
        embed_with: Callable[[Embedder], Embedder] | None,
    ) -> Opened:
        name = retriever or self.settings.retriever
        if name not in NAMES:
            raise unknown_name("retriever", name, NAMES)
        if search not in (None, *SEARCHES):
            raise unknown_name("search", str(search), SEARCHES)
        if weight is not None and not 0 <= weight <= 1:
            raise UsageError(f"The weight of the dense leg is {weight}, but must lie between 0 and 1.")
        corpus = self.library.corpus_or_only(corpus)
        if name == "lexical":
            card = self._newest(corpus, chunker)
            index = self._lexical(card, wanted)
            answerability = Answerability(self.library, index)
            return Opened(LexicalRetriever(self.library, index), card, None, answerability, wanted)

        card = self._card(corpus, embedder, chunker)
        index = self._lexical(card, wanted)
        model = self._embedder(card)
        # A bag of words is near to whatever shares words with it: its cosine would count coverage twice.
        noise, scale = ((), ()) if card.provider == "hash" else (card.noise, card.scale)
        answerability = Answerability(self.library, index, noise, scale, model.spec.languages)
        model = embed_with(model) if embed_with else model
        dense = DenseRetriever(self.library, model, self._search(card, search, wanted))
        if name == "dense":
            return Opened(dense, card, model, answerability, wanted)
        hybrid = HybridRetriever(
            self.library,
            dense,
            LexicalRetriever(self.library, index),
            fusion or self.settings.fusion,
            self.settings.weight if weight is None else weight,
        )
        return Opened(hybrid, card, model, answerability, wanted)

    def facts(self, corpus: str | None = None, chunker: str | None = None) -> ChunkFacts:
        """Returns what filters may be asked of a corpus, such as the types and languages of its documents."""
        return self._facts(self._newest(self.library.corpus_or_only(corpus), chunker))

    # --- cards

    def _newest(self, corpus: str, chunker: str | None, cards: Sequence[IndexCard] | None = None) -> IndexCard:
        for card in self.library.cards.all(corpus) if cards is None else cards:
            if card.is_cut_by(chunker):
                return card
        wanted = f" under the chunker '{chunker}'" if chunker else ""
        raise IndexNotFoundError(
            f"The corpus '{corpus}' holds no documents{wanted} yet. Add some: rag ingest PATH --corpus {corpus}"
        )

    def _card(self, corpus: str, embedder: str | None, chunker: str | None) -> IndexCard:
        """Returns the card to open: under the asked-for embedder, else the settings' one, else the newest."""
        cards = self.library.cards.all(corpus)
        newest = self._newest(corpus, None, cards)
        name = embedder or self.settings.embedder
        known = {card.embedder for card in cards}
        if embedder is None and name not in known:
            name = newest.embedder
        spec = find_spec(name, self.settings.embedders)
        for card in cards:
            if card.fingerprint == spec.fingerprint and card.embedder == name and card.is_cut_by(chunker):
                return card
        return self.library.cards.find(corpus, name, chunker)

    # --- what is kept in memory

    @contextmanager
    def holding(self, corpus: str) -> Iterator[None]:
        """While this lasts, searches of a corpus keep to what they have loaded: it is being ingested into.

        Otherwise each commit would make the next question load everything anew. What was deleted is left out all the
        same, and what is new is found at the end.
        """
        self._held[corpus] += 1
        try:
            yield
        finally:
            self._held[corpus] -= 1

    def _keep(self, key: tuple[str, ...], state: str, make: Callable[[], Any]) -> Any:
        """Returns what was made under the key in this state, or makes it and forgets that of an older state.

        The second part of a key is its corpus.
        """
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or (kept[0] != state and not self._held[key[1]]):
                kept = self._kept[key] = (state, make())
            return kept[1]

    def _facts(self, card: IndexCard) -> ChunkFacts:
        facts: ChunkFacts = self._keep(
            ("facts", card.corpus, card.chunker),
            self.library.state_of(card.corpus),
            lambda: ChunkFacts.over(self.library, card.corpus, card.chunker),
        )
        return facts

    def _confine(self, card: IndexCard, index: object, wanted: Filter, make: Callable[[ChunkFacts], Any]) -> Any:
        """Returns what was made for an index, in this state, under a filter; only the last ones used are kept."""
        facts = self._facts(card)
        key = (wanted, id(facts), id(index), card.fingerprint)  # both are kept below, so no other gets their ids
        with self._lock:
            if key not in self._confined:
                self._confined[key] = (facts, index, make(facts))
                while len(self._confined) > KEPT_FILTERS:
                    self._confined.popitem(last=False)
            self._confined.move_to_end(key)
            return self._confined[key][2]

    def _lexical(self, card: IndexCard, wanted: Filter | None) -> LexicalIndex:
        index: LexicalIndex = self._keep(
            ("lexical", card.corpus, card.chunker),
            self.library.state_of(card.corpus),
            lambda: open_lexical(self.library, card.corpus, card.chunker),
        )
        if wanted is None:
            return index
        confined: LexicalIndex = self._confine(
            card, index, wanted, lambda facts: index.within(facts.mask(wanted, index.ids))
        )
        return confined

    def _embedder(self, card: IndexCard) -> Embedder:
        """Loads the embedder of a card and holds it against the stored canary, once in this process."""

        def load() -> Embedder:
            embedder = load_embedder(card.embedder, self.settings.embedders)
            check_embedder(card, self.library.cards.canary(card), embedder)
            return embedder

        key = ("embedder", card.corpus, card.chunker, card.fingerprint)
        embedder: Embedder = self._keep(key, card.fingerprint, load)
        return embedder

    def _search(self, card: IndexCard, search: str | None, wanted: Filter | None) -> Search:
        state = self.library.state_of(card.corpus)
        chroma = self.chroma
        if search == "ann" and chroma is None:
            raise UsageError("Approximate search needs Chroma, which only the running application opens: rag ui")
        if chroma is not None and search != "exact":
            key = ("chroma", card.corpus, card.chunker, card.fingerprint)
            if self._keep(key, state, lambda: self._sync(chroma, card)) or search == "ann":
                return self._approximate(chroma, card, wanted)
        key = ("exact", card.corpus, card.chunker, card.fingerprint)
        exact: ExactSearch = self._keep(key, state, lambda: ExactSearch.over(self.library, card))
        if wanted is None:
            return exact
        confined: Search = self._confine(card, exact, wanted, lambda facts: exact.within(facts.mask(wanted, exact.ids)))
        return confined

    def _approximate(self, chroma: ChromaStore, card: IndexCard, wanted: Filter | None) -> Search:
        def search(queries: Vectors, k: int) -> list[list[tuple[str, float]]]:
            return chroma.search(card, queries, k)

        def confine(facts: ChunkFacts) -> ConfinedSearch:
            allowed = (
                [facts.ids[position] for position in np.flatnonzero(facts.mask(wanted)).tolist()] if wanted else []
            )
            return ConfinedSearch(
                search,
                frozenset(allowed),
                len(facts.ids),
                lambda: ExactSearch(*self.library.vectors.of_chunks(card.fingerprint, allowed)),
            )

        if wanted is None:
            return search
        confined: Search = self._confine(card, chroma, wanted, confine)
        return confined

    def _sync(self, chroma: ChromaStore, card: IndexCard) -> bool:
        """Brings a collection up to date, unless the ingest that is going on does, and tells whether it finds well."""
        if not (self._held[card.corpus] and chroma.count(card)):
            chroma.sync(card)
        return finds_well(self.library, card)
