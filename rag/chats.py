"""Saved conversations: what was asked and answered, with the evidence as it was, in the library's own file."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from sqlite3 import Connection
from typing import Any

from rag.database import Database
from rag.errors import UsageError

TITLE_LENGTH = 60
MOST = 200
"""Conversations that are listed; older ones are kept, and found again when newer ones are deleted."""


@dataclass(frozen=True, slots=True)
class SavedChat:
    """A conversation as a list shows it; `created` and `updated` are ISO 8601 in UTC."""

    id: str
    title: str
    created: str
    updated: str
    turns: int


@dataclass(frozen=True, slots=True)
class SavedTurn:
    """A turn as it was stored: the number of its row, and its record, which whoever stored it can read."""

    row: int
    record: Mapping[str, Any]


class ChatTable:
    """The conversations of a library, each of which belongs to one user; "" is everybody where there is no login.

    Whatever is asked for under another user's name is not there. A process that is not the library's writer may save
    conversations as well: SQLite lets one transaction follow the other, and nothing that is searched depends on them.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- reading

    def all(self, user: str, most: int = MOST) -> list[SavedChat]:
        """Returns a user's conversations, that with the latest turn first."""
        rows = self._database.query(
            """SELECT id, title, created, updated, (SELECT COUNT(*) FROM chat_turns t WHERE t.chat = c.id)
               FROM chats c WHERE user = ? ORDER BY updated DESC, id LIMIT ?""",
            (user, most),
        )
        return [SavedChat(*row) for row in rows]

    def find(self, user: str, chat: str) -> SavedChat | None:
        """Returns a conversation of the user by its id, None where there is none."""
        row = self._database.query(
            """SELECT id, title, created, updated, (SELECT COUNT(*) FROM chat_turns t WHERE t.chat = c.id)
               FROM chats c WHERE user = ? AND id = ?""",
            (user, chat),
        ).fetchone()
        return SavedChat(*row) if row else None

    def turns(self, user: str, chat: str) -> list[SavedTurn]:
        """Returns the turns of a conversation, in the order in which they were asked."""
        rows = self._database.query(
            """SELECT t.seq, t.record FROM chat_turns t JOIN chats c ON c.id = t.chat
               WHERE c.user = ? AND c.id = ? ORDER BY t.seq""",
            (user, chat),
        )
        return [SavedTurn(row, json.loads(record)) for row, record in rows]

    def questions(self, user: str, corpus: str, most: int = 100) -> list[str]:
        """Returns what a user has asked of a corpus, the latest first, each question once."""
        rows = self._database.query(
            """SELECT t.question FROM chat_turns t JOIN chats c ON c.id = t.chat
               WHERE c.user = ? AND t.corpus = ? GROUP BY t.question ORDER BY MAX(t.seq) DESC LIMIT ?""",
            (user, corpus, most),
        )
        return [row[0] for row in rows]

    def count_showing(self, document_ids: Sequence[str]) -> int:
        """Counts the conversations of all users that keep passages of any of the documents."""
        showing: set[str] = set()
        for document_id in document_ids:
            rows = self._database.query(
                "SELECT DISTINCT chat FROM chat_turns WHERE INSTR(record, ?) > 0", (document_id,)
            )
            showing.update(chat for (chat,) in rows)
        return len(showing)

    # --- writing

    def begin(self, user: str, question: str) -> str:
        """Returns the id of a new conversation, which its first question names; it is there once it has a turn."""
        chat = secrets.token_hex(10)
        now = _now()
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO chats (id, user, title, created, updated) VALUES (?, ?, ?, ?, ?)",
                (chat, user, title_of(question), now, now),
            )
        return chat

    def save(
        self, user: str, chat: str, row: int | None, corpus: str, question: str, record: Mapping[str, Any]
    ) -> int | None:
        """Adds a turn, or stores it anew in its row, and returns its row; None where the conversation was deleted."""
        with self._database.transaction() as connection:
            touched = connection.execute(
                "UPDATE chats SET updated = ? WHERE user = ? AND id = ?", (_now(), user, chat)
            ).rowcount
            if not touched:
                return None
            text = json.dumps(record)
            if row is not None and _replace(connection, chat, row, text):
                return row
            cursor = connection.execute(
                "INSERT INTO chat_turns (chat, corpus, question, record) VALUES (?, ?, ?, ?)",
                (chat, corpus, _storable(question), text),
            )
            return cursor.lastrowid

    def rename(self, user: str, chat: str, title: str) -> None:
        """Gives a conversation another title; raises UsageError for an empty one."""
        shown = title_of(title)
        if not shown:
            raise UsageError("A conversation needs a title: give it a word or two.")
        with self._database.transaction() as connection:
            connection.execute("UPDATE chats SET title = ? WHERE user = ? AND id = ?", (shown, user, chat))

    def delete(self, user: str, chat: str) -> None:
        """Deletes a conversation with its turns, from the disk as well."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM chats WHERE user = ? AND id = ?", (user, chat))
        self._database.checkpoint()


def title_of(question: str) -> str:
    """Returns the title that a question gives: its first words, on one line.

    >>> title_of("  What is    fusion? ")
    'What is fusion?'
    >>> title_of("word " * 30)
    'word word word word word word word word word word word word …'
    """
    words = " ".join(_storable(question).split())
    if len(words) <= TITLE_LENGTH:
        return words
    cut = words[: TITLE_LENGTH + 1].rpartition(" ")[0] or words[:TITLE_LENGTH]
    return f"{cut} …"


def _replace(connection: Connection, chat: str, row: int, text: str) -> bool:
    changed = connection.execute("UPDATE chat_turns SET record = ? WHERE chat = ? AND seq = ?", (text, chat, row))
    return changed.rowcount > 0


def _storable(text: str) -> str:
    """Returns text without halves of surrogate pairs, which SQLite does not take."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
