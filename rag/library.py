"""The library on disk: corpora, documents and chunks in SQLite, from which every cache is rebuilt."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from sqlite3 import Connection

from rag.cards import CardTable
from rag.database import Database
from rag.errors import RagError, UsageError, unknown_name
from rag.ledger import Ledger, LedgerEntry, write_entry
from rag.passages import passage, passage_key
from rag.schema import Chunk, Document, Heading
from rag.spending import SpendingTable
from rag.text_vectors import TextVectorTable
from rag.vectors import SLICE, VectorTable

FILE = "library.db"
CORPUS_NAME = re.compile(r"[A-Za-z0-9]+([._-][A-Za-z0-9]+)*")  # what Chroma and every file system take


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk with what its document is called."""

    chunk: Chunk
    source: str
    title: str


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A document ready to be committed: its chunks under each chunker, and the indexes that hold all their vectors.

    `indexes` lists (chunker, fingerprint) pairs; `entry` is its line in the ledger.
    """

    document: Document
    chunks: dict[str, list[Chunk]]
    indexes: tuple[tuple[str, str], ...]
    entry: LedgerEntry


class Library:
    """The library in a folder; readers and the one writer may open it at the same time.

    With `read_only` not a byte of it is changed.
    """

    def __init__(self, home: Path, create: bool = False, read_only: bool = False) -> None:
        if not (home / FILE).is_file():
            if not create:
                raise RagError(
                    f"There is no library at {home} yet. Make one: rag ingest PATH (or name another: --home DIR)"
                )
            home.mkdir(parents=True, exist_ok=True)
        self.home = home
        self.database = Database(home / FILE, read_only)
        self.vectors = VectorTable(self.database)
        self.texts = TextVectorTable(self.database)
        self.spending = SpendingTable(self.database)
        self.cards = CardTable(self.database)
        self.ledger = Ledger(self.database)

    def close(self) -> None:
        """Closes the database."""
        self.database.close()

    # --- corpora

    def corpora(self) -> list[str]:
        """Returns the names of all corpora, ascending."""
        return [row[0] for row in self.database.query("SELECT name FROM corpora ORDER BY name")]

    def add_corpus(self, name: str) -> None:
        """Makes an empty corpus, or does nothing where it exists; raises UsageError for a name that cannot be one."""
        check_corpus_name(name)
        with self.database.transaction() as connection:
            now = datetime.now(UTC).isoformat(timespec="microseconds")
            connection.execute("INSERT OR IGNORE INTO corpora (name, created) VALUES (?, ?)", (name, now))

    def corpus_or_only(self, name: str | None) -> str:
        """Returns the corpus of that name; with None the only one there is, or 'default'.

        Raises UsageError with the nearest name, or with the list to choose from.
        """
        names = self.corpora()
        if name is None:
            if len(names) == 1:
                return names[0]
            if "default" in names:
                return "default"
            listed = ", ".join(names) or "none yet; make one: rag ingest PATH"
            raise UsageError(f"Say which corpus to use with --corpus NAME. Known: {listed}.")
        if name not in names:
            raise unknown_name("corpus", name, names)
        return name

    def revision(self, corpus: str) -> int:
        """Returns a number that grows with every change of the corpus."""
        row = self.database.query("SELECT revision FROM corpora WHERE name = ?", (corpus,)).fetchone()
        return int(row[0]) if row else 0

    def state_of(self, corpus: str) -> str:
        """Returns a text that differs for every state a corpus has ever been in, for caches to carry in their names."""
        row = self.database.query("SELECT created, revision FROM corpora WHERE name = ?", (corpus,)).fetchone()
        return f"{row[0]} {row[1]}" if row else ""

    # --- reading documents and chunks

    def document(self, document_id: str) -> Document | None:
        """Returns the document of that id, or None."""
        return next(self._documents("id = ?", document_id), None)

    def documents(self, corpus: str) -> Iterator[Document]:
        """Yields the documents of a corpus by source."""
        return self._documents("corpus = ? ORDER BY source", corpus)

    def _documents(self, where: str, value: str) -> Iterator[Document]:
        columns = "id, corpus, source, title, text, format, content_hash, pages, headings, language, date"
        for *fields, pages, headings, language, date in self.database.query(
            f"SELECT {columns} FROM documents WHERE {where}", (value,)
        ):
            yield replace(
                Document(*fields),
                pages=tuple(json.loads(pages)),
                headings=tuple(Heading(*heading) for heading in json.loads(headings)),
                language=language,
                date=date,
            )

    def sources(self, corpus: str) -> dict[str, str]:
        """Maps the sources of a corpus to their document ids."""
        return dict(self.database.query("SELECT source, id FROM documents WHERE corpus = ?", (corpus,)))

    def chunks(self, chunk_ids: Sequence[str]) -> dict[str, StoredChunk]:
        """Looks chunks up by id; an id that is not there any more is left out."""
        found = {}
        for first in range(0, len(chunk_ids), SLICE):
            ids = tuple(chunk_ids[first : first + SLICE])
            marks = ",".join("?" * len(ids))
            rows = self.database.query(
                f"""SELECT c.id, c.document_id, c.start, c."end", c.page, c.heading, c.text, d.source, d.title
                    FROM chunks c JOIN documents d ON d.id = c.document_id WHERE c.id IN ({marks})""",
                ids,
            )
            for *fields, source, title in rows:
                found[fields[0]] = StoredChunk(Chunk(*fields), source, title)
        return found

    def chunk_passages(self, corpus: str, chunker: str) -> Iterator[tuple[str, str, str]]:
        """Yields chunk id, passage and source of all chunks of a corpus under a chunker, by chunk id."""
        rows = self.database.query(
            """SELECT c.id, d.title, c.heading, c.text, d.source FROM chunks c
               JOIN documents d ON d.id = c.document_id WHERE d.corpus = ? AND c.chunker = ? ORDER BY c.id""",
            (corpus, chunker),
        )
        for chunk_id, title, heading, text, source in rows:
            yield chunk_id, passage(title, heading, text), source

    def untitled_names(self, corpus: str) -> dict[str, str]:
        """Maps the source of each file without a title of its own to the stem of its name."""
        query = "SELECT source FROM documents WHERE corpus = ? AND title = '' AND format != 'beir'"
        return {source: PurePosixPath(source).stem for (source,) in self.database.query(query, (corpus,))}

    def languages(self, corpus: str) -> dict[str, str]:
        """Maps the source of each document to its language, "" where that is unknown."""
        return dict(self.database.query("SELECT source, language FROM documents WHERE corpus = ?", (corpus,)))

    def document_chunks(self, document_id: str, chunker: str) -> list[Chunk]:
        """Returns the chunks of a document under a chunker, in the order of their starts."""
        rows = self.database.query(
            """SELECT id, document_id, start, "end", page, heading, text FROM chunks
               WHERE document_id = ? AND chunker = ? ORDER BY start, "end" """,
            (document_id, chunker),
        )
        return [Chunk(*row) for row in rows]

    def characters(self, corpus: str) -> int:
        """Returns the length of all documents of a corpus together."""
        query = "SELECT COALESCE(SUM(LENGTH(text)), 0) FROM documents WHERE corpus = ?"
        return int(self.database.query(query, (corpus,)).fetchone()[0])

    def some_chunks(self, corpus: str, chunker: str, most: int) -> list[str]:
        """Returns at most so many chunk ids, spread evenly over those of a corpus."""
        query = """SELECT c.id FROM chunks c JOIN documents d ON d.id = c.document_id
                   WHERE d.corpus = ? AND c.chunker = ? ORDER BY c.id"""
        ids = [row[0] for row in self.database.query(query, (corpus, chunker))]
        return ids[:: -(-len(ids) // most)] if ids else []

    def some_passages(self, corpus: str, chunker: str, most: int) -> list[str]:
        """Returns the passages of at most so many chunks, spread evenly over the chunk ids of a corpus."""
        chosen = self.some_chunks(corpus, chunker, most)
        found = self.chunks(chosen)
        return [passage(found[key].title, found[key].chunk.heading, found[key].chunk.text) for key in chosen]

    def indexes_of(self, document_id: str) -> set[tuple[str, str]]:
        """Returns the (chunker, fingerprint) pairs under which a document is complete."""
        rows = self.database.query("SELECT chunker, fingerprint FROM indexed WHERE document_id = ?", (document_id,))
        return {(chunker, fingerprint) for chunker, fingerprint in rows}

    # --- writing, each in one transaction: a reader sees a document whole, in one version, or not at all

    def commit(self, corpus: str, documents: Sequence[NewDocument]) -> None:
        """Adds documents, in place of older versions of the same sources."""
        with self.database.transaction() as connection:
            for new in documents:
                _insert(connection, new)
            _bump(connection, corpus)

    def delete(self, corpus: str, sources: Sequence[str], entries: Sequence[LedgerEntry] = ()) -> None:
        """Deletes documents with their chunks and their lines in the ledger, and writes other lines in their place."""
        if not sources:
            return
        with self.database.transaction() as connection:
            for source in sources:
                _delete(connection, "d.corpus = ? AND d.source = ?", (corpus, source))
                connection.execute("DELETE FROM ledger WHERE corpus = ? AND source = ?", (corpus, source))
            for entry in entries:
                write_entry(connection, corpus, entry)
            _bump(connection, corpus)


def check_corpus_name(name: str) -> None:
    """Raises UsageError for a name that cannot be that of a corpus."""
    if len(name) > 100 or not CORPUS_NAME.fullmatch(name):
        raise UsageError(
            f"'{name}' cannot name a corpus: use up to 100 letters and digits, joined by single '.', '_' or '-'."
        )


def _bump(connection: Connection, corpus: str) -> None:
    connection.execute("UPDATE corpora SET revision = revision + 1 WHERE name = ?", (corpus,))


def _delete(connection: Connection, where: str, values: tuple[str, ...]) -> None:
    """Deletes documents with their chunks, and notes which chunks the caches have to let go."""
    connection.execute(
        f"""INSERT INTO removed (corpus, chunker, chunk_id)
            SELECT d.corpus, c.chunker, c.id FROM documents d JOIN chunks c ON c.document_id = d.id WHERE {where}""",
        values,
    )
    connection.execute(f"DELETE FROM documents AS d WHERE {where}", values)


def _insert(connection: Connection, new: NewDocument) -> None:
    document = new.document
    values = (document.corpus, document.source, document.id)
    _delete(connection, "d.corpus = ? AND d.source = ? AND d.id != ?", values)
    connection.execute(
        "INSERT OR IGNORE INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            document.id,
            document.corpus,
            document.source,
            document.title,
            document.text,
            document.format,
            document.content_hash,
            json.dumps(document.pages),
            json.dumps([(heading.start, heading.level, heading.text) for heading in document.headings]),
            document.language,
            document.date,
        ),
    )
    for chunker, chunks in new.chunks.items():
        connection.executemany(
            "INSERT OR IGNORE INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    chunk.id,
                    chunk.document_id,
                    chunker,
                    chunk.start,
                    chunk.end,
                    chunk.page,
                    chunk.heading,
                    chunk.text,
                    passage_key(passage(document.title, chunk.heading, chunk.text)),
                )
                for chunk in chunks
            ),
        )
    connection.executemany(
        "INSERT OR IGNORE INTO indexed (corpus, chunker, fingerprint, document_id) VALUES (?, ?, ?, ?)",
        ((document.corpus, chunker, fingerprint, document.id) for chunker, fingerprint in new.indexes),
    )
    write_entry(connection, document.corpus, new.entry)
