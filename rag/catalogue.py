"""The catalogue of a corpus: its documents page by page, and the places inside one, without reading whole texts."""

from collections.abc import Sequence
from dataclasses import dataclass

from rag.library import Library


@dataclass(frozen=True, slots=True)
class Listed:
    """A line of the catalogue; `pages` is 0 for formats without pages, `characters` the length of the text.

    `path` is where the file lay when it was ingested, `note` what the ledger says of it, such as a parser's warnings.
    """

    id: str
    source: str
    title: str
    format: str
    pages: int
    language: str
    chunks: int
    characters: int
    path: str
    note: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that gave no document, or whose newest version did not."""

    source: str
    path: str
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class Place:
    """A chunk within its document: the `number`-th of `total`, counted from 1, and its neighbours' ids."""

    chunk_id: str
    start: int
    end: int
    number: int
    total: int
    before: str | None
    after: str | None


def list_documents(
    library: Library, corpus: str, chunker: str, words: str = "", offset: int = 0, limit: int = 50
) -> tuple[list[Listed], int]:
    """Returns a page of a corpus's documents by source, and how many there are in all.

    `words` must each occur in source or title; chunks are counted under the chunker.
    """
    where, values = _matching(("d.source", "d.title"), words)
    total = library.database.query(
        f"SELECT COUNT(*) FROM documents d WHERE d.corpus = ? {where}", (corpus, *values)
    ).fetchone()[0]
    rows = library.database.query(
        f"""SELECT d.id, d.source, d.title, d.format, json_array_length(d.pages), d.language,
                   (SELECT COUNT(*) FROM chunks c WHERE c.document_id = d.id AND c.chunker = ?), LENGTH(d.text),
                   COALESCE(l.path, ''), COALESCE(l.reason, '')
            FROM documents d LEFT JOIN ledger l ON l.corpus = d.corpus AND l.source = d.source
            WHERE d.corpus = ? {where} ORDER BY d.source LIMIT ? OFFSET ?""",
        (chunker, corpus, *values, limit, offset),
    )
    return [Listed(*row) for row in rows], int(total)


def list_refused(
    library: Library, corpus: str, words: str = "", offset: int = 0, limit: int = 50
) -> tuple[list[Refused], int]:
    """Returns a page of the files that were skipped or failed, the failed first, and how many there are in all."""
    where, values = _matching(("source", "reason"), words)
    condition = f"corpus = ? AND status IN ('failed', 'skipped') {where}"
    query = library.database.query
    total = query(f"SELECT COUNT(*) FROM ledger WHERE {condition}", (corpus, *values)).fetchone()[0]
    rows = query(
        f"SELECT source, path, status, reason FROM ledger WHERE {condition} ORDER BY status, source LIMIT ? OFFSET ?",
        (corpus, *values, limit, offset),
    )
    return [Refused(*row) for row in rows], int(total)


def _matching(columns: Sequence[str], words: str) -> tuple[str, list[str]]:
    r"""Returns an SQL condition, and its values: each word in one of the columns, in upper or lower case.

    >>> _matching(("title",), "50%")
    ("AND (title LIKE ? ESCAPE '\\')", ['%50\\%%'])
    """
    conditions, values = [], []
    for word in words.split():
        escaped = word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        conditions.append("AND (" + " OR ".join(f"{column} LIKE ? ESCAPE '\\'" for column in columns) + ")")
        values += [f"%{escaped}%"] * len(columns)
    return " ".join(conditions), values


def place_of(library: Library, document_id: str, chunk_id: str | None, chunker: str = "") -> Place | None:
    """Returns a chunk's place in its document, or the first chunk's where none is named; None where it is not there."""
    query = library.database.query
    if chunk_id is None:
        row = query(
            'SELECT id, chunker, start, "end" FROM chunks WHERE document_id = ? ORDER BY chunker != ?, start LIMIT 1',
            (document_id, chunker),
        ).fetchone()
    else:
        row = query(
            'SELECT id, chunker, start, "end" FROM chunks WHERE document_id = ? AND id = ?', (document_id, chunk_id)
        ).fetchone()
    if row is None:
        return None
    found, name, start, end = row
    beside = "SELECT id FROM chunks WHERE document_id = ? AND chunker = ? AND (start, id)"
    before = query(f"{beside} < (?, ?) ORDER BY start DESC, id DESC LIMIT 1", (document_id, name, start, found))
    after = query(f"{beside} > (?, ?) ORDER BY start, id LIMIT 1", (document_id, name, start, found))
    number, total = query(
        "SELECT SUM((start, id) <= (?, ?)), COUNT(*) FROM chunks WHERE document_id = ? AND chunker = ?",
        (start, found, document_id, name),
    ).fetchone()
    (previous,), (following,) = before.fetchone() or (None,), after.fetchone() or (None,)
    return Place(found, start, end, number, total, previous, following)


def count_documents(library: Library) -> dict[str, int]:
    """Counts the documents of every corpus, by name; an empty corpus counts 0."""
    rows = library.database.query(
        """SELECT c.name, COUNT(d.id) FROM corpora c LEFT JOIN documents d ON d.corpus = c.name
           GROUP BY c.name ORDER BY c.name"""
    )
    return {name: count for name, count in rows}


def count_refused(library: Library, corpus: str) -> int:
    """Counts the files of a corpus that were skipped or failed."""
    return list_refused(library, corpus, limit=0)[1]
