"""What the Library tab shows of a corpus, gathered from the library in one look."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rag.catalogue import Listed, Refused, count_documents, count_refused, list_documents, list_refused
from rag.coverage import Coverage, chunk_lengths, coverage, languages
from rag.embedders.readiness import is_fetched_first, lacks
from rag.embedders.spec import EmbedderSpec
from rag.library import Library
from rag.settings import Settings
from ui.uploads import is_upload

PAGE = 50
"""Documents on one page of the list."""
GATHER_AGAIN = 10
"""Times as long as the gathering took, for which a running job's corpus is not gathered again."""
CHUNKERS = {
    "heading": "at headings, then paragraphs",
    "recursive": "at paragraphs, headings ignored",
    "sentence": "whole sentences",
    "token": "as many tokens as the embedder reads",
    "semantic": "where the subject changes",
    "whole": "each document one chunk",
}


@dataclass(frozen=True, slots=True)
class Offer:
    """An embedder of the settings' table: what it lacks to be usable here, and whether it is chosen beforehand."""

    spec: EmbedderSpec
    lacks: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Corpus:
    """A corpus beside its indexes; slow to gather, so kept until it changes. `lengths` are those of its chunks."""

    coverage: tuple[Coverage, ...]
    languages: Mapping[str, int]
    chunker: str
    lengths: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class View:
    """Everything on the tab but the job; `corpus` need not exist yet.

    `busy` tells whether a job works on the corpus, `local` whether only this machine can ask.
    """

    corpora: Mapping[str, int]
    corpus: str
    about: Corpus
    offers: tuple[Offer, ...]
    chunkers: Mapping[str, str]
    documents: tuple[Listed, ...]
    uploaded: frozenset[str]
    refused: tuple[Refused, ...]
    found: int
    refused_in_all: int
    show: str
    words: str
    page: int
    local: bool
    busy: bool

    @property
    def documents_in_all(self) -> int:
        """How many documents the corpus has."""
        return self.corpora.get(self.corpus, 0)

    @property
    def pages(self) -> int:
        """How many pages the list has, at least one."""
        return max(1, -(-self.found // PAGE))


class Viewer:
    """Looks at a library; what is slow to gather is kept for each state of a corpus."""

    def __init__(
        self, library: Library, settings: Settings, local: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._library = library
        self._settings = settings
        self._local = local
        self._clock = clock
        self._kept: dict[str, tuple[str, float, Corpus]] = {}
        self._lock = threading.Lock()
        self._lacks = {name: lacks(spec) for name, spec in settings.embedders.items()}
        self._here = {
            name for name, words in self._lacks.items() if not words and not is_fetched_first(settings.embedders[name])
        }

    def look(
        self,
        corpus: str,
        show: str = "documents",
        words: str = "",
        page: int = 1,
        busy: str = "",
        at_once: bool = False,
    ) -> View:
        """Gathers the view of a corpus; "" is the first one, "default" where there is none.

        `busy` is the corpus that a job is working on; `at_once` leaves out what has not been gathered yet.
        """
        library = self._library
        corpora = count_documents(library)
        corpus = corpus or next((name for name in ("default", *corpora) if name in corpora), "default")
        about = self._about(corpus, busy == corpus, at_once)
        documents: list[Listed] = []
        refused: list[Refused] = []
        offset = (max(1, page) - 1) * PAGE
        if show == "problems":
            refused, found = list_refused(library, corpus, words, offset, PAGE)
        else:
            documents, found = list_documents(library, corpus, about.chunker, words, offset, PAGE)
        home = self._settings.home
        return View(
            corpora=corpora,
            corpus=corpus,
            about=about,
            offers=self._offers(corpus),
            chunkers=self._chunkers(about.chunker),
            documents=tuple(documents),
            uploaded=frozenset(each.source for each in documents if _is_copy(home, each.path)),
            refused=tuple(refused),
            found=found,
            refused_in_all=count_refused(library, corpus),
            show=show,
            words=words,
            page=max(1, page),
            local=self._local,
            busy=busy == corpus,
        )

    def _about(self, corpus: str, busy: bool, at_once: bool) -> Corpus:
        """Returns what is kept of the corpus, or gathers it anew.

        A job changes the corpus several times a second: while it runs, what is kept may be older, and gathering takes
        a tenth of the time at most.
        """
        started = self._clock()
        state = self._library.state_of(corpus) + "".join(card.updated for card in self._library.cards.all(corpus))
        with self._lock:
            kept = self._kept.get(corpus)
        if kept is not None and (kept[0] == state or (busy and started < kept[1])):
            return kept[2]
        newest = next((card.chunker for card in self._library.cards.all(corpus)), self._settings.chunker)
        if at_once:
            return Corpus((), {}, newest, ())
        about = Corpus(
            coverage=tuple(coverage(self._library, corpus)),
            languages=languages(self._library, corpus),
            chunker=newest,
            lengths=tuple(chunk_lengths(self._library, corpus, newest)),
        )
        with self._lock:
            ended = self._clock()
            self._kept[corpus] = (state, ended + GATHER_AGAIN * (ended - started), about)
        return about

    def _offers(self, corpus: str) -> tuple[Offer, ...]:
        """Returns the embedders to choose from; chosen are those of the corpus, for a new one those of the settings.

        Of the others only those that can be used at once: the table has many, and the tab of embedders shows them all.
        """
        cards = [card for card in self._library.cards.all(corpus) if card.documents]
        chosen = {card.embedder for card in cards} or set(self._settings.ingest_with)
        return tuple(
            Offer(spec, self._lacks[name], name in chosen and not self._lacks[name])
            for name, spec in self._settings.embedders.items()
            if name in chosen or name in self._here
        )

    def _chunkers(self, first: str) -> dict[str, str]:
        """Returns the chunkers to choose from with what they do, that of the corpus or of the settings first."""
        kind = first.partition("-")[0]
        others = {name: told for name, told in CHUNKERS.items() if name != first}
        return {first: CHUNKERS.get(kind, ""), **others}


def _is_copy(home: Path, path: str) -> bool:
    """Tells whether a document is a whole uploaded file, and not a member or a record of one."""
    return bool(path) and is_upload(home, Path(path)) and Path(path).is_file()
