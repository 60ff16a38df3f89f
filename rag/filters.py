"""Filters: which documents and pages a search is confined to, and the chunks of a corpus that they let through."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import date
from fnmatch import translate
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rag.errors import UsageError, unknown_name
from rag.library import Library

Mask = NDArray[np.bool_]
"""One truth for each chunk (n,), in the order of their ids: whether a filter lets it through."""

WILDCARDS = frozenset("*?[")

_PAGES = re.compile(r"(\d{1,9})?\s*([-–])?\s*(\d{1,9})?")
_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?")
_LANGUAGE = re.compile(r"([a-z]{2})([-_][a-z0-9-]+)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Filter:
    """What is asked of a chunk, as a person writes it; what is empty asks nothing.

    `source` is a document's path, a folder, or a pattern such as `*.pdf`, in which `*` stands for slashes as well;
    upper and lower case are one. `type` is a format or a file's ending. `page` is 3, 3-7, 3- or -7. `after` and
    `before` are a day, a month or a year, both included: `before="2024"` ends with 2024-12-31. `language` is an ISO
    639-1 code. A chunk without a page, and a document without a date, meet no wish for one.

    Raises UsageError for what cannot be one of these.
    """

    source: str = ""
    type: str = ""
    page: str = ""
    after: str = ""
    before: str = ""
    language: str = ""

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, getattr(self, field.name).strip())
        self.pages  # noqa: B018  # raises where it cannot be read
        for name in ("after", "before"):
            _check_date(name, getattr(self, name))
        if self.after and self.before and self.after[: len(self.before)] > self.before:
            raise UsageError(f"Nothing is dated after {self.after} and before {self.before}. Swap the two.")
        if self.language:
            code = _LANGUAGE.fullmatch(self.language)
            if code is None:
                raise UsageError(f"'{self.language}' is no language. Give its ISO 639-1 code, such as en, de or zh.")
            object.__setattr__(self, "language", code[1].lower())
        object.__setattr__(self, "type", self.type.lower().removeprefix("."))

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) for field in fields(self))

    @property
    def pages(self) -> tuple[int, int] | None:
        """The first and the last page that will do, None for all."""
        if not self.page:
            return None
        read = _PAGES.fullmatch(self.page)
        first, dash, last = read.groups() if read else (None, None, None)
        if read is None or not (first or last) or (last and not dash):
            raise UsageError(f"'{self.page}' are no pages. Write 3, 3-7, 3- or -7.")
        low, high = int(first or 1), int(last or (2**31 - 1 if dash else first or 1))
        if not 1 <= low <= high:
            raise UsageError(f"'{self.page}' holds no page: pages count from 1, the lower one first.")
        return low, min(high, 2**31 - 1)

    @property
    def words(self) -> str:
        """The filter in words, such as `*.pdf, pages 3-7, language de`; "" where it asks nothing."""
        pages = f"page{'s' if self.page and not self.page.isdigit() else ''} {self.page}"
        parts = (
            (self.source, self.source),
            (self.type, f"type {self.type}"),
            (self.page, pages),
            (self.after, f"after {self.after}"),
            (self.before, f"before {self.before}"),
            (self.language, f"language {self.language}"),
        )
        return ", ".join(text for given, text in parts if given)


def _check_date(name: str, value: str) -> None:
    if not value:
        return
    try:
        if not _DATE.fullmatch(value):
            raise ValueError(value)
        date.fromisoformat(f"{value}-01-01"[:10])
    except ValueError:
        raise UsageError(f"{name} '{value}' is no date. Write 2024, 2024-03 or 2024-03-01.") from None


@dataclass(frozen=True, slots=True)
class _Document:
    source: str
    format: str
    language: str
    date: str

    @property
    def types(self) -> tuple[str, str]:
        """The format, and the ending of the file's name."""
        return self.format, self.source.rpartition("/")[2].rpartition(".")[2].lower()


class ChunkFacts:
    """What filters are asked of, for all chunks of a corpus under a chunker; read once for each state of the corpus."""

    def __init__(
        self,
        ids: Sequence[str],
        documents: Sequence[_Document],
        document_of: NDArray[np.int32],
        page: NDArray[np.int32],
    ) -> None:
        self.ids = ids
        self._documents = documents
        self._document_of = document_of
        self._page = page

    @classmethod
    def over(cls, library: Library, corpus: str, chunker: str) -> "ChunkFacts":
        """Reads them; chunk ids are ascending."""
        found = library.database.query(
            "SELECT id, source, format, language, date FROM documents WHERE corpus = ? ORDER BY source", (corpus,)
        ).fetchall()
        number = {row[0]: position for position, row in enumerate(found)}
        rows = library.database.query(
            """SELECT c.id, c.document_id, c.page FROM documents d JOIN chunks c ON c.document_id = d.id
               WHERE d.corpus = ? AND c.chunker = ? ORDER BY c.id""",
            (corpus, chunker),
        )
        ids, documents, pages = [], [], []
        for chunk_id, document, page in rows:
            if document in number:  # else it was added between the two queries
                ids.append(chunk_id)
                documents.append(number[document])
                pages.append(page or 0)
        return cls(
            ids,
            [_Document(*row[1:]) for row in found],
            np.array(documents, dtype=np.int32),
            np.array(pages, dtype=np.int32),
        )

    def mask(self, wanted: Filter, ids: Sequence[str] | None = None) -> Mask:
        """Tells which chunks a filter lets through, of `ids` or of all; an id that is not known is not let through.

        Raises UsageError for a type, a language, or a path without wildcards that no document of the corpus has.
        """
        chosen = self._chosen(wanted)[self._document_of] if len(self.ids) else np.zeros(0, dtype=np.bool_)
        if wanted.pages:
            low, high = wanted.pages
            chosen &= (self._page >= low) & (self._page <= high)
        if ids is None or ids == self.ids:
            return chosen
        allowed = {self.ids[position] for position in np.flatnonzero(chosen).tolist()}
        return np.fromiter((chunk_id in allowed for chunk_id in ids), dtype=np.bool_, count=len(ids))

    def _chosen(self, wanted: Filter) -> Mask:
        """Tells which documents a filter lets through."""
        self._check(wanted)
        named = _source_test(wanted.source)
        return np.fromiter(
            (
                (not wanted.source or named(document.source))
                and (not wanted.type or wanted.type in document.types)
                and (not wanted.language or wanted.language == document.language)
                and (not wanted.after or document.date[: len(wanted.after)] >= wanted.after)
                and (not wanted.before or "" < document.date[: len(wanted.before)] <= wanted.before)
                for document in self._documents
            ),
            dtype=np.bool_,
            count=len(self._documents),
        )

    def _check(self, wanted: Filter) -> None:
        if wanted.type and not any(wanted.type in document.types for document in self._documents):
            raise unknown_name("document of type", wanted.type, self.types)
        if wanted.language and wanted.language not in self.languages:
            raise unknown_name("document in the language", wanted.language, self.languages)
        if wanted.source and not WILDCARDS & set(wanted.source):
            named = _source_test(wanted.source)
            if not any(named(document.source) for document in self._documents):
                raise unknown_name("document", wanted.source, (document.source for document in self._documents))

    @cached_property
    def types(self) -> list[str]:
        """The formats of the documents, ascending."""
        return sorted({document.format for document in self._documents})

    @cached_property
    def languages(self) -> list[str]:
        """The languages of the documents, ascending, where they are known."""
        return sorted({document.language for document in self._documents} - {""})


def _source_test(wanted: str) -> Callable[[str], bool]:
    """Returns what tells whether a source is the wanted one, lies in the wanted folder, or fits the wanted pattern."""
    plain = wanted.casefold().rstrip("/")
    if not WILDCARDS & set(wanted):
        return lambda source: source.casefold() == plain or source.casefold().startswith(f"{plain}/")
    fits = re.compile(translate(wanted), re.IGNORECASE).match
    return lambda source: fits(source) is not None or source.casefold() == plain
