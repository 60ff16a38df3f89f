"""The SQLite file of a library: a connection for each thread, transactions, and the schema as migrations."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakSet

from rag.errors import RagError

MIGRATIONS = (
    """
    CREATE TABLE corpora (
        name     TEXT PRIMARY KEY,
        revision INTEGER NOT NULL DEFAULT 0,  -- grows with every change of the corpus; the caches compare it
        created  TEXT NOT NULL
    );
    CREATE TABLE documents (
        id           TEXT PRIMARY KEY,
        corpus       TEXT NOT NULL REFERENCES corpora (name) ON DELETE CASCADE,
        source       TEXT NOT NULL,
        title        TEXT NOT NULL,
        text         TEXT NOT NULL,
        format       TEXT NOT NULL,
        content_hash TEXT NOT NULL,
        pages        TEXT NOT NULL,  -- JSON: offset of each page
        headings     TEXT NOT NULL,  -- JSON: [start, level, text] of each heading
        UNIQUE (corpus, source)
    );
    CREATE TABLE chunks (
        id          TEXT PRIMARY KEY,
        document_id TEXT NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
        chunker     TEXT NOT NULL,
        start       INTEGER NOT NULL,
        "end"       INTEGER NOT NULL,
        page        INTEGER,
        heading     TEXT NOT NULL,
        text        TEXT NOT NULL,
        passage     BLOB NOT NULL  -- sha256 of the passage
    );
    CREATE INDEX chunks_by_document ON chunks (document_id, chunker);
    CREATE INDEX chunks_by_passage ON chunks (passage);
    CREATE TABLE trash (  -- passages of deleted chunks, whose vectors may have to go
        passage BLOB PRIMARY KEY
    ) WITHOUT ROWID;
    CREATE TRIGGER chunk_to_trash AFTER DELETE ON chunks
        BEGIN INSERT OR IGNORE INTO trash VALUES (old.passage); END;
    CREATE TABLE vectors (
        fingerprint TEXT NOT NULL,
        passage     BLOB NOT NULL,
        vector      BLOB NOT NULL,  -- float32, little-endian, unit length
        UNIQUE (fingerprint, passage)
    );
    CREATE INDEX vectors_by_passage ON vectors (passage);
    CREATE TABLE index_cards (
        corpus      TEXT NOT NULL REFERENCES corpora (name) ON DELETE CASCADE,
        chunker     TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        card        TEXT NOT NULL,  -- JSON
        canary      BLOB NOT NULL,
        PRIMARY KEY (corpus, chunker, fingerprint)
    );
    CREATE TABLE indexed (  -- a row: this document is complete, and may be found, under this index
        document_id TEXT NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
        chunker     TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        PRIMARY KEY (document_id, chunker, fingerprint)
    ) WITHOUT ROWID;
    CREATE TABLE ledger (
        corpus       TEXT NOT NULL REFERENCES corpora (name) ON DELETE CASCADE,
        source       TEXT NOT NULL,
        path         TEXT NOT NULL,
        root         TEXT NOT NULL,  -- the folder or file that was given to ingest
        content_hash TEXT NOT NULL,
        status       TEXT NOT NULL,  -- done, skipped or failed
        reason       TEXT NOT NULL,
        updated      TEXT NOT NULL,
        PRIMARY KEY (corpus, source)
    );
    CREATE INDEX ledger_by_path ON ledger (corpus, path);
    CREATE TABLE chroma_state (  -- which revision of its corpus a collection holds; clean is 0 while it is written
        collection TEXT PRIMARY KEY,
        revision   INTEGER NOT NULL,
        clean      INTEGER NOT NULL
    );
    """,
    """
    -- ISO 639-1, empty where it cannot be told
    ALTER TABLE documents ADD COLUMN language TEXT NOT NULL DEFAULT '';
    -- of the passage, uncut; NULL for vectors older than the column
    ALTER TABLE vectors ADD COLUMN tokens INTEGER;
    CREATE TABLE additions (  -- takes the place of `indexed`; in its order a cache catches up
        seq         INTEGER PRIMARY KEY AUTOINCREMENT,
        corpus      TEXT NOT NULL,
        chunker     TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        document_id TEXT NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
        UNIQUE (document_id, chunker, fingerprint)
    );
    INSERT INTO additions (corpus, chunker, fingerprint, document_id)
        SELECT d.corpus, i.chunker, i.fingerprint, d.id FROM indexed i JOIN documents d ON d.id = i.document_id;
    DROP TABLE indexed;
    ALTER TABLE additions RENAME TO indexed;
    CREATE INDEX indexed_by_index ON indexed (corpus, chunker, fingerprint, seq);
    CREATE TABLE removed (  -- chunks that were deleted, until every cache has let them go
        seq      INTEGER PRIMARY KEY AUTOINCREMENT,
        corpus   TEXT NOT NULL,
        chunker  TEXT NOT NULL,
        chunk_id TEXT NOT NULL
    );
    CREATE INDEX removed_by_chunker ON removed (corpus, chunker, seq);
    DROP TABLE chroma_state;
    CREATE TABLE chroma_state (  -- how far a collection has caught up with `indexed` and `removed`
        collection TEXT PRIMARY KEY,
        corpus     TEXT NOT NULL,
        chunker    TEXT NOT NULL,
        added      INTEGER NOT NULL,
        removed    INTEGER NOT NULL
    );
    """,
    """
    -- share of some of its vectors that find themselves; NULL for a collection that was filled before the column
    ALTER TABLE chroma_state ADD COLUMN found REAL
    """,
    """
    CREATE TABLE spending (  -- on each index; written with the vectors that it was spent on
        corpus      TEXT NOT NULL REFERENCES corpora (name) ON DELETE CASCADE,
        chunker     TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        passages    INTEGER NOT NULL,
        tokens      INTEGER NOT NULL,  -- as sent; 0 where nobody counted
        seconds     REAL NOT NULL,
        usd         REAL NOT NULL,
        PRIMARY KEY (corpus, chunker, fingerprint)
    ) WITHOUT ROWID;
    INSERT INTO spending
        SELECT corpus, chunker, fingerprint, json_extract(card, '$.embedded'), 0, json_extract(card, '$.seconds'),
               json_extract(card, '$.usd') FROM index_cards
    """,
    """
    -- ISO 8601, empty where nobody knows it or the document is older than the column
    ALTER TABLE documents ADD COLUMN date TEXT NOT NULL DEFAULT '';
    -- holds all that a filter asks of a document, so that no text is read for it
    CREATE INDEX documents_by_facts ON documents (corpus, source, format, language, date, id)
    """,
    """
    CREATE TABLE label_tasks (
        name    TEXT PRIMARY KEY,
        corpus  TEXT NOT NULL,  -- no reference: labels outlive the documents that they judge
        created TEXT NOT NULL
    );
    CREATE TABLE label_queries (
        task TEXT NOT NULL REFERENCES label_tasks (name) ON DELETE CASCADE,
        id   TEXT NOT NULL,
        text TEXT NOT NULL,
        kind TEXT NOT NULL,
        PRIMARY KEY (task, id)
    );
    CREATE TABLE labels (
        task   TEXT NOT NULL REFERENCES label_tasks (name) ON DELETE CASCADE,
        query  TEXT NOT NULL,
        source TEXT NOT NULL,
        span   TEXT NOT NULL,  -- the judged passage as it was, empty for the whole document
        start  INTEGER NOT NULL,
        grade  INTEGER NOT NULL,
        origin TEXT NOT NULL,  -- thumb, vote, queue or import
        user   TEXT NOT NULL,  -- empty without a login
        time   TEXT NOT NULL,
        PRIMARY KEY (task, query, source, span, user),
        FOREIGN KEY (task, query) REFERENCES label_queries (task, id) ON DELETE CASCADE
    );
    CREATE TABLE votes (
        seq      INTEGER PRIMARY KEY AUTOINCREMENT,
        corpus   TEXT NOT NULL,
        question TEXT NOT NULL,
        sides    TEXT NOT NULL,  -- JSON: each contestant with what it found, in the order in which they were shown
        verdict  TEXT NOT NULL,  -- a side's letter, tie or bad
        blind    INTEGER NOT NULL,
        user     TEXT NOT NULL,
        time     TEXT NOT NULL
    );
    CREATE INDEX votes_by_corpus ON votes (corpus, seq)
    """,
    """
    CREATE TABLE chats (  -- conversations
        id      TEXT PRIMARY KEY,
        user    TEXT NOT NULL,  -- empty without a login
        title   TEXT NOT NULL,
        created TEXT NOT NULL,
        updated TEXT NOT NULL
    );
    CREATE INDEX chats_by_user ON chats (user, updated);
    CREATE TABLE chat_turns (  -- in the order of their questions
        seq      INTEGER PRIMARY KEY AUTOINCREMENT,
        chat     TEXT NOT NULL REFERENCES chats (id) ON DELETE CASCADE,
        corpus   TEXT NOT NULL,  -- no reference: what was said outlives what it was about
        question TEXT NOT NULL,
        record   TEXT NOT NULL  -- JSON: the turn with its hits, their texts as they were
    );
    CREATE INDEX chat_turns_by_chat ON chat_turns (chat, seq)
    """,
    """
    CREATE TABLE text_embedders (  -- under whose fingerprints vectors of texts in no index are stored
        fingerprint TEXT PRIMARY KEY,
        embedder    TEXT NOT NULL,
        canary      BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE text_spending (  -- on those vectors, written with them
        fingerprint TEXT NOT NULL,
        purpose     TEXT NOT NULL,  -- such as the task that they were computed for
        passages    INTEGER NOT NULL,
        tokens      INTEGER NOT NULL,
        seconds     REAL NOT NULL,
        usd         REAL NOT NULL,
        PRIMARY KEY (fingerprint, purpose)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE holdouts (  -- sealed tasks; no reference: the tasks are folders of the user's
        digest TEXT PRIMARY KEY,  -- of the whole test split
        folder TEXT NOT NULL,
        items  TEXT NOT NULL,  -- JSON: the ids that are held out
        seed   INTEGER NOT NULL,
        sealed TEXT NOT NULL
    );
    CREATE TABLE holdout_openings (  -- evaluations of held-out items
        seq    INTEGER PRIMARY KEY AUTOINCREMENT,
        digest TEXT NOT NULL REFERENCES holdouts (digest),
        user   TEXT NOT NULL,
        time   TEXT NOT NULL,
        rows   TEXT NOT NULL  -- JSON: what was scored
    )
    """,
)

ABOUT_THE_DISK = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}
"""Primary result codes that say nothing against the file itself."""


class _Connection(sqlite3.Connection):
    """A connection that can be referred to weakly: that of a thread which has ended is closed with the thread."""


class Database:
    """A SQLite file in WAL mode, so that readers in other threads and processes never wait for the writer.

    With `read_only` no byte of it changes: neither its schema, nor by what a killed process left in the log.
    """

    def __init__(self, path: Path, read_only: bool = False) -> None:
        self.path = path
        self._read_only = read_only
        self._local = threading.local()
        self._connections: WeakSet[_Connection] = WeakSet()
        self._migrate()

    def _connect(self) -> "_Connection":
        connection: _Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(
                self._address(),
                uri=True,
                timeout=30,
                isolation_level=None,
                check_same_thread=False,
                factory=_Connection,
            )
            if self._read_only:
                connection.execute("PRAGMA query_only = ON")
            else:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")  # what is acknowledged survives a power cut as well
                connection.execute("PRAGMA foreign_keys = ON")
                connection.execute("PRAGMA secure_delete = ON")  # a deleted document leaves the disk, not only tables
            self._local.connection = connection
            self._connections.add(connection)
        return connection

    def _address(self) -> str:
        """Returns the file's URI.

        A connection that may only read leaves two empty files where there is no log, and one that may write moves what
        is in the log into the file when it closes; so the one is right without a log and the other with one.
        """
        log = self.path.with_name(f"{self.path.name}-wal")
        has_log = self._read_only and log.is_file() and log.stat().st_size > 0
        return f"{self.path.absolute().as_uri()}?mode={'ro' if has_log else 'rwc'}"

    def _migrate(self) -> None:
        try:
            version = self._version()
            if version > len(MIGRATIONS):
                raise RagError(
                    f"{self.path} was written by a newer version of this program (schema {version}, this one knows "
                    f"{len(MIGRATIONS)}). Update the program, or use another library with --home."
                )
            if self._read_only and version < len(MIGRATIONS):
                self.close()
                raise RagError(
                    f"{self.path} was written by an older version of this program, and nothing may be written to it "
                    "now. Bring it up to date first: rag indexes"
                )
            for number in range(version, len(MIGRATIONS)):
                with self.transaction() as connection:
                    if self._version() > number:  # another process was faster
                        continue
                    for statement in MIGRATIONS[number].split(";\n"):  # executescript would commit each by itself
                        connection.execute(statement)
                    connection.execute(f"PRAGMA user_version = {number + 1}")
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in ABOUT_THE_DISK:
                raise
            raise RagError(f"{self.path} cannot be opened as a library: {error}. Restore it from a backup.") from error

    def _version(self) -> int:
        return int(self._connect().execute("PRAGMA user_version").fetchone()[0])

    def query(self, sql: str, parameters: tuple[object, ...] = ()) -> sqlite3.Cursor:
        """Runs one reading statement on this thread's connection."""
        return self._connect().execute(sql, parameters)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Gives a connection inside a writing transaction that is committed as a whole, or not at all."""
        connection = self._connect()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # SQLite itself rolls back after some errors, such as a full disk
                connection.execute("ROLLBACK")
            raise

    def checkpoint(self) -> None:
        """Moves the write-ahead log into the file and empties it: it still holds what was deleted since.

        While another process reads, the log keeps its place until the next call or until the last reader has closed.
        """
        self._connect().execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Closes the connections of all threads."""
        for connection in list(self._connections):
            connection.close()
        self._connections.clear()
        self._local = threading.local()
