"""BM25 over the passages of a corpus, persisted beside the library and never rebuilt for a query.

Two engines behind one shape: bm25s, which scores at index time and is memory-mapped, and rank-bm25, whose Okapi scores
are the reference that a test holds bm25s's Okapi scoring to.
"""

import json
import math
import os
import shutil
import time
from array import array
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from sys import intern
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rag.errors import CacheError, unknown_name
from rag.library import Library
from rag.ranking import top_k
from rag.schema import Leg, Scored, content_id
from rag.stemming import version
from rag.tokens import ANALYZER, query_terms, tokens

K1, B = 1.5, 0.75
DRAFT_SECONDS = 3600
DAMAGE = (OSError, ValueError, KeyError, TypeError, IndexError, EOFError)
"""What reading an index raises whose files are missing, cut short or overwritten."""
LIKE = 78
"""From this rapidfuzz ratio on, 0 to 100, a word that no passage holds is taken for a misspelt one."""
OKAPI_DIGITS = 6
"""Decimals of an Okapi score: two engines that add in another order then tie the same passages."""
OKAPI_EPSILON = 0.25
"""rank-bm25 gives a word in more than half of the documents this share of the mean IDF in place of a negative one."""


class Engine(Protocol):
    """Scores every passage for the terms of a query."""

    @property
    def vocabulary(self) -> Mapping[str, int]:
        """The terms of all passages, as keys."""
        ...

    def frequency(self, term: str) -> int:
        """Returns in how many passages a term stands."""
        ...

    def scores(self, terms: Sequence[str]) -> NDArray[np.float32]:
        """Returns one score for each passage (n,), 0 where no term is shared."""
        ...


class Bm25sEngine:
    """The bm25s engine, with Lucene's scoring by default or with Okapi's as rank-bm25 computes it."""

    def __init__(self, passages: Sequence[Sequence[str]], scoring: str = "lucene") -> None:
        import bm25s

        if scoring not in ("lucene", "okapi"):
            raise unknown_name("BM25 scoring", scoring, ("lucene", "okapi"))
        # Okapi's term weight is that of ATIRE; only the IDF differs, and is put right below.
        method, dtype = ("lucene", "float32") if scoring == "lucene" else ("atire", "float64")
        self._model: Any = bm25s.BM25(k1=K1, b=B, method=method, dtype=dtype)
        self._empty = not any(passages)
        self._count = len(passages)
        if self._empty:
            return
        self._model.index(_numbered(passages), show_progress=False)
        if scoring == "okapi":
            self._rescale(passages)

    def _rescale(self, passages: Sequence[Sequence[str]]) -> None:
        """Replaces ATIRE's IDF, ln(N / n), by Okapi's in the stored scores."""
        frequency = Counter(term for terms in passages for term in set(terms))
        total = len(passages)
        data, starts = self._model.scores["data"], self._model.scores["indptr"]
        for term, idf in okapi_idf(frequency, total).items():
            column = self._model.vocab_dict[term]
            atire = math.log(total / frequency[term])
            span = slice(starts[column], starts[column + 1])
            if atire == 0:  # a term of every passage has lost its term weight to ATIRE's zero: count it again
                data[span] = idf * _term_weights(term, passages)
            else:
                data[span] *= idf / atire

    def scores(self, terms: Sequence[str]) -> NDArray[np.float32]:
        """Returns one score for each passage (n,)."""
        known = [] if self._empty else self._model.get_tokens_ids(list(terms))
        if not known:
            return np.zeros(self._count, dtype=np.float32)
        scores: NDArray[np.float32] = self._model.get_scores_from_ids(known)
        return _evened(scores) if scores.dtype == np.float64 else scores

    @property
    def vocabulary(self) -> Mapping[str, int]:
        """Maps each term to its column."""
        columns: Mapping[str, int] = {} if self._empty else self._model.vocab_dict
        return columns

    def frequency(self, term: str) -> int:
        """Returns in how many passages a term stands."""
        column = self.vocabulary.get(term)
        if column is None:
            return 0
        starts = self._model.scores["indptr"]
        return int(starts[column + 1] - starts[column])

    def __len__(self) -> int:
        return self._count

    def save(self, folder: Path) -> None:
        """Writes the index into a folder, to be memory-mapped by `load`."""
        (folder / "count.json").write_text(json.dumps([self._count, self._empty]), encoding="utf-8")
        if not self._empty:
            self._model.save(folder, show_progress=False)

    @classmethod
    def load(cls, folder: Path) -> "Bm25sEngine":
        """Opens a saved index without reading it into memory."""
        import bm25s

        engine = cls.__new__(cls)
        engine._count, engine._empty = json.loads((folder / "count.json").read_text(encoding="utf-8"))
        engine._model = None if engine._empty else bm25s.BM25.load(folder, mmap=True, show_progress=False)
        return engine


class RankBm25Engine:
    """The rank-bm25 engine: slow, simple, and the reference for Okapi scoring."""

    def __init__(self, passages: Sequence[Sequence[str]]) -> None:
        from rank_bm25 import BM25Okapi

        self._count = len(passages)
        self.vocabulary: Mapping[str, int] = Counter(term for terms in passages for term in set(terms))
        self._model = BM25Okapi(passages, k1=K1, b=B, epsilon=OKAPI_EPSILON) if any(passages) else None

    def scores(self, terms: Sequence[str]) -> NDArray[np.float32]:
        """Returns one score for each passage (n,)."""
        if self._model is None:
            return np.zeros(self._count, dtype=np.float32)
        return _evened(self._model.get_scores(list(terms)))

    def frequency(self, term: str) -> int:
        """Returns in how many passages a term stands."""
        return self.vocabulary.get(term, 0)


def okapi_idf(frequency: Counter[str], total: int) -> dict[str, float]:
    """Returns ln(N - n + 0.5) - ln(n + 0.5) for each term, floored as rank-bm25 floors it."""
    idf = {term: math.log(total - n + 0.5) - math.log(n + 0.5) for term, n in frequency.items()}
    floor = OKAPI_EPSILON * sum(idf.values()) / len(idf)
    return {term: value if value >= 0 else floor for term, value in idf.items()}


def _numbered(passages: Sequence[Sequence[str]]) -> tuple[list["array[int]"], dict[str, int]]:
    """Returns each passage's terms as numbers, which take less memory than strings, and the number of each term."""
    numbers: dict[str, int] = {}
    return [array("i", [numbers.setdefault(term, len(numbers)) for term in terms]) for terms in passages], numbers


def _evened(scores: NDArray[Any]) -> NDArray[np.float32]:
    return np.round(scores, OKAPI_DIGITS).astype(np.float32)


def _term_weights(term: str, passages: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """Returns the BM25 term weight of a term in each passage that holds it, in their order."""
    mean = sum(len(terms) for terms in passages) / len(passages)
    weights = []
    for terms in passages:
        count = terms.count(term)
        if count:
            weights.append(count * (K1 + 1) / (count + K1 * (1 - B + B * len(terms) / mean)))
    return np.array(weights)


class LexicalIndex:
    """The BM25 index of one corpus under one chunker: chunk ids, ascending, and an engine over their passages.

    `languages` are those that the passages were read in.
    """

    def __init__(
        self,
        ids: Sequence[str],
        engine: Engine,
        languages: Collection[str] = ("",),
        mask: NDArray[np.bool_] | None = None,
    ) -> None:
        self.ids = ids
        self.languages = languages
        self._engine = engine
        self._mask = mask

    def __len__(self) -> int:
        return len(self.ids)

    def within(self, mask: NDArray[np.bool_]) -> "LexicalIndex":
        """Returns the index confined to the chunks of a mask (n,); a term tells as much as it does among all."""
        return LexicalIndex(self.ids, self._engine, self.languages, mask)

    def idf(self, term: str) -> float:
        """Returns ln((N + 1) / (n + 0.5)): how much a term tells, most where no passage holds it."""
        return math.log((len(self.ids) + 1) / (self._engine.frequency(term) + 0.5))

    def holds(self, term: str) -> bool:
        """Tells whether a term stands in any passage."""
        return self._engine.frequency(term) > 0

    def nearest_term(self, term: str) -> str | None:
        """Returns the term itself where some passage holds it, else one spelled much like it, else None.

        Whoever misspells a word seldom begins with another letter, and so "crank" is not taken for "rank".
        """
        if self.holds(term):
            return term
        if len(term) < 4:  # too short to tell a slip from another word
            return None
        from rapidfuzz import fuzz, process

        known = [other for other in self._engine.vocabulary if other[:1] == term[0]]
        alike = process.extract(term, known, scorer=fuzz.ratio, score_cutoff=LIKE, limit=None)
        # Equally alike terms must not be chosen by the vocabulary's order: it differs from process to process.
        return max(((likeness, candidate) for candidate, likeness, _ in alike), default=(0, None))[1]

    def rank(self, query: str, k: int) -> list[Scored]:
        """Returns the k best chunks; fewer, or none, where fewer share a term with the query."""
        return self.rank_terms([term for word in query_terms(query, self.languages) for term in word], k)

    def rank_terms(self, terms: Sequence[str], k: int) -> list[Scored]:
        """Returns the k best chunks for terms as `rag.tokens` gives them."""
        if not terms:
            return []
        scores = self._engine.scores(terms)
        if self._mask is not None:
            scores = np.where(self._mask, scores, np.float32(0))
        best = [position for position in top_k(scores, k) if scores[position] > 0]
        return [
            Scored(self.ids[position], float(scores[position]), {"lexical": Leg(rank, float(scores[position]))})
            for rank, position in enumerate(best, start=1)
        ]


def open_lexical(
    library: Library, corpus: str, chunker: str, engine: str = "bm25s", must_store: bool = False
) -> LexicalIndex:
    """Opens the BM25 index of a corpus under a chunker, building and storing it first where it is not up to date.

    Any process may build: the finished folder is put in place by one rename. `engine` is bm25s, or rank-bm25 (built in
    memory). Raises UsageError for another engine. An index that cannot be written is kept in memory, or raises
    CacheError where it `must_store`.
    """
    if engine == "rank-bm25":
        ids, passages, languages = _passages(library, corpus, chunker)
        return LexicalIndex(ids, RankBm25Engine(passages), languages)
    if engine != "bm25s":
        raise unknown_name("BM25 engine", engine, ("bm25s", "rank-bm25"))
    folder = lexical_folder(library, corpus, chunker)
    if folder.is_dir():
        try:
            return _load(folder)
        except DAMAGE:  # a cache: what cannot be read is built anew
            shutil.rmtree(folder)
    ids, passages, languages = _passages(library, corpus, chunker)
    built = Bm25sEngine(passages)
    try:
        _store(ids, built, languages, folder)
    except OSError as error:
        if not must_store:
            return LexicalIndex(ids, built, languages)
        raise CacheError(
            f"The BM25 index in {folder.parent} could not be written: {error}. Is the disk full? Nothing is lost, for "
            "it is only a cache of the library. Once there is room, run: rag rebuild"
        ) from error
    return _load(folder)


def lexical_folder(library: Library, corpus: str, chunker: str) -> Path:
    """Returns where the BM25 index for the present state of a corpus lies, or will lie once it is built."""
    return library.home / "lexical" / f"{corpus}.{chunker}" / content_id(library.state_of(corpus), ANALYZER, version())


def find_lexical_damage(library: Library, corpus: str, chunker: str) -> str:
    """Says what is wrong with a BM25 index that was built for the present state of a corpus; "" where nothing is."""
    try:
        index = _load(lexical_folder(library, corpus, chunker))
    except DAMAGE as error:
        return f"it cannot be read ({type(error).__name__}: {error})"
    count = sum(1 for _ in library.chunk_passages(corpus, chunker))
    return "" if len(index) == count else f"it holds {len(index)} of {count} chunks"


def _load(folder: Path) -> LexicalIndex:
    """Opens a stored index; raises one of DAMAGE where its files are not whole."""
    ids = json.loads((folder / "ids.json").read_text(encoding="utf-8"))
    engine = Bm25sEngine.load(folder)
    if len(engine) != len(ids):
        raise ValueError(f"{len(ids)} ids for {len(engine)} passages")
    languages = json.loads((folder / "languages.json").read_text(encoding="utf-8"))
    return LexicalIndex(ids, engine, languages)


def _passages(library: Library, corpus: str, chunker: str) -> tuple[list[str], list[list[str]], list[str]]:
    """Returns chunk ids, the terms of their passages, and the languages that those were read in.

    The name of the file is put before the text of a document without a title: people search for the names of their
    files; embedded they would make a renamed file a changed one. A document too short to tell its language is read in
    the one that most others are in.
    """
    names = library.untitled_names(corpus)
    languages = library.languages(corpus)
    known = Counter(language for language in languages.values() if language)
    usual = min(known, key=lambda language: (-known[language], language), default="")
    ids, passages, read = [], [], set()
    for chunk_id, text, source in library.chunk_passages(corpus, chunker):
        language = languages.get(source) or usual
        read.add(language)
        ids.append(chunk_id)
        terms = tokens(f"{names[source]} {text}" if source in names else text, language)
        passages.append(list(map(intern, terms)))  # one string for all the places where a term stands
    return ids, passages, sorted(read)


def _store(ids: Sequence[str], engine: Bm25sEngine, languages: Sequence[str], folder: Path) -> None:
    """Writes an index into a draft, which is renamed to the folder, and deletes the indexes of former states."""
    draft = folder.with_name(f"{folder.name}.{os.getpid()}")
    try:
        draft.mkdir(parents=True, exist_ok=True)
        engine.save(draft)
        (draft / "ids.json").write_text(json.dumps(ids), encoding="utf-8")
        (draft / "languages.json").write_text(json.dumps(languages), encoding="utf-8")
    except OSError:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    try:
        draft.rename(folder)
    except OSError:  # another process has put the same index there meanwhile
        shutil.rmtree(draft)
    for other in folder.parent.iterdir():
        abandoned = time.time() - other.stat().st_mtime > DRAFT_SECONDS  # by a builder that was killed
        if other != folder and ("." not in other.name or abandoned):
            shutil.rmtree(other, ignore_errors=True)
