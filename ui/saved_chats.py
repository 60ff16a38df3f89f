"""Conversations that are kept in the library: each finished turn is saved, and opened again as it was."""

import logging
import sqlite3
from dataclasses import replace

from rag.chats import ChatTable, SavedChat
from rag.errors import RagError
from rag.library import Library
from ui.conversation import ChatTurn, Conversation
from ui.failures import explain
from ui.saved_turns import from_record, to_record

log = logging.getLogger(__name__)


class SavedChats:
    """Saves conversations and opens them; a library that cannot be written is told in the conversation itself."""

    def __init__(self, library: Library) -> None:
        self._table = ChatTable(library.database)

    def all(self, user: str) -> list[SavedChat]:
        """Returns the user's conversations, that with the latest turn first."""
        return self._table.all(user)

    def keep(self, conversation: Conversation) -> None:
        """Saves the finished turns that are not saved as they are now.

        Where that fails the conversation says why in `unsaved`, and what is missing is saved with the next turn.
        """
        try:
            for turn in list(conversation.turns):
                if not turn.running and conversation.saved.get(turn.number, (None, None))[1] is not turn:
                    self._save(conversation, turn)
        except (sqlite3.Error, OSError) as error:
            log.warning("A conversation was not saved: %s", error)
            conversation.unsaved = explain(error) or str(error)
        else:
            conversation.unsaved = ""

    def _save(self, conversation: Conversation, turn: ChatTurn) -> None:
        user = conversation.user or ""
        if conversation.chat is None:
            conversation.chat = self._table.begin(user, conversation.turns[0].question)
        row = conversation.saved.get(turn.number, (None, None))[0]
        written = self._table.save(user, conversation.chat, row, turn.choices.corpus, turn.question, to_record(turn))
        if written is None:  # deleted meanwhile, from another page: what goes on here is a conversation of its own
            conversation.chat = None
            conversation.saved.clear()
            for known in conversation.turns:
                if not known.running:
                    self._save(conversation, known)
            return
        conversation.saved[turn.number] = (written, turn)

    def open(self, conversation: Conversation, chat: str) -> bool:
        """Makes a saved conversation of the same user the current one; tells whether it is there.

        Raises RagError where its turns cannot be read; the conversation stays what it was then.
        """
        user = conversation.user or ""
        if self._table.find(user, chat) is None:
            return False
        stored = self._table.turns(user, chat)
        turns = [from_record(turn.record) for turn in stored]
        conversation.clear()
        for read, kept in zip(turns, stored, strict=True):
            conversation.asked += 1
            turn = replace(read, number=conversation.asked)
            conversation.turns.append(turn)
            conversation.saved[turn.number] = (kept.row, turn)
        conversation.chat = chat
        return True

    def rename(self, user: str, chat: str, title: str) -> None:
        """Gives a conversation another title; raises UsageError for an empty one."""
        self._table.rename(user, chat, title)

    def delete(self, user: str, chat: str) -> None:
        """Deletes a conversation; raises RagError where the library cannot be written."""
        try:
            self._table.delete(user, chat)
        except (sqlite3.Error, OSError) as error:
            raise RagError(f"The conversation is still there: {explain(error) or error}") from error
