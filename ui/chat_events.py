"""What happens in the chat: questions are answered, answered again and replayed, evidence shown, conversations kept."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gradio as gr

from rag.errors import RagError, UsageError
from rag.retrievers import NAMES
from ui.chat_choices import ChoicesColumn
from ui.chat_parts import TalkParts
from ui.chats_html import chats_html
from ui.conversation import Chat, ChatTurn, Conversation
from ui.evidence_html import evidence_html
from ui.fusing import fuse_anew
from ui.render import answer_html, escaped, question_html
from ui.replay import compare, replay
from ui.replay_html import replay_html
from ui.saved_chats import SavedChats
from ui.visitors import user_of

Updates = dict[Any, Any]
Message = dict[str, str]
Drawn = dict[int, tuple[ChatTurn, list[Message]]]
"""The messages of turns by their numbers, with the turns as they were drawn."""


class ChatEvents:
    """Handlers of Gradio's events; each takes the conversation of its page and returns what changes there."""

    def __init__(self, chat: Chat, saved: SavedChats, parts: TalkParts, knobs: ChoicesColumn) -> None:
        self._chat = chat
        self._saved = saved
        self._parts = parts
        self._knobs = knobs
        self._library = chat.reader.library

    # --- asking

    def ask(self, conversation: Conversation, question: str, *values: Any) -> Iterator[Updates]:
        """Streams the turn of a question; an empty one does nothing, nor does one that comes during an answer.

        The latter is decided here: Gradio's `trigger_mode="once"` drops questions for a second after Stop as well.
        """
        nothing = {self._parts.box: gr.skip()}
        if not question.strip() or not values[0] or conversation.running:
            yield nothing
            return
        try:
            choices = self._knobs.read(*values)
        except UsageError:  # the filter's own note tells why; the question stays in its box
            yield nothing
            return
        yield from self._stream(conversation, self._chat.ask(conversation, question, choices))

    def ask_again(self, conversation: Conversation, command: str, weight: float, fusion: str) -> Iterator[Updates]:
        """Streams a new answer to an old question, from what its legs give under another weight."""
        turn = conversation.turn(_read(command).get("turn"))
        if turn is None or conversation.running:
            yield {self._parts.box: gr.skip()}
            return
        choices = replace(turn.choices, weight=float(weight), fusion=fusion)
        yield from self._stream(conversation, self._chat.ask_again(conversation, turn, choices))

    def _stream(self, conversation: Conversation, steps: Iterator[ChatTurn]) -> Iterator[Updates]:
        parts = self._parts
        shown: tuple[int, bool] | None = None
        drawn: Drawn = {}
        for turn in steps:
            state = (len(turn.hits), turn.running)
            taken = {parts.box: ""} if shown is None else {}
            evidence = {} if state == shown else {parts.evidence: self.evidence_html(conversation)}
            shown = state  # evidence is not drawn anew for every sentence
            yield {parts.messages: messages(conversation, drawn), **evidence, **taken}
        yield {parts.chats: self.chats_html(conversation), parts.last: conversation.chat or ""}

    def stop(self, conversation: Conversation) -> Updates:
        """Ends the running turn; what is written of its answer stays."""
        self._chat.stop(conversation)
        return self.talk(conversation)

    def replay(self, conversation: Conversation, command: str) -> Any:
        """Asks the question of a turn again under another embedder or retriever, and compares the two."""
        asked = _read(command)
        turn = conversation.turn(asked.get("turn"))
        if turn is None or turn.running:
            return gr.skip()
        retriever = str(asked.get("retriever"))
        embedder = None if retriever == "lexical" else str(asked.get("embedder"))
        again = replay(self._chat, conversation, turn, replace(turn.choices, retriever=retriever, embedder=embedder))
        return replay_html(turn, again, compare(turn.hits, again.hits), str(asked.get("request")))

    # --- evidence

    def show_evidence(self, conversation: Conversation, chosen: gr.SelectData) -> str:
        """Shows the evidence of the turn whose question or answer was clicked."""
        index = chosen.index[0] if isinstance(chosen.index, list | tuple) else chosen.index
        turns = conversation.turns
        if index // 2 < len(turns):
            conversation.shown = turns[index // 2].number
        return self.evidence_html(conversation)

    def fuse(self, conversation: Conversation, weight: float, fusion: str) -> Any:
        """Fuses what the shown turn has fetched under the slider's weight; nothing is searched."""
        turn = conversation.turn(conversation.shown)
        if turn is None or turn.running or not turn.legs:
            return gr.skip()
        return self.evidence_html(conversation, float(weight), fusion)

    def evidence_html(self, conversation: Conversation, weight: float | None = None, fusion: str = "") -> str:
        """Returns the evidence that is to be shown, fused anew where a weight other than the turn's is given."""
        turn = conversation.turn(conversation.shown)
        if turn is None:
            return evidence_html(None)
        place = (conversation.turns.index(turn) + 1, len(conversation.turns))
        choices = turn.choices
        if weight is None or not turn.legs or (weight, fusion) == (choices.weight, choices.fusion):
            return evidence_html(turn, place)
        return evidence_html(turn, place, fuse_anew(self._library, turn.hits, turn.legs, choices.k, weight, fusion))

    # --- saved conversations

    def obey(self, conversation: Conversation, command: str, retriever: str, request: gr.Request) -> Updates:
        """Does what the page's script asks for: a new conversation, an old one, another title, or none any more."""
        asked = _read(command)
        conversation.user = user_of(request)
        chat, do = str(asked.get("chat", "")), asked.get("do")
        try:
            if do == "rename":
                self._saved.rename(conversation.user, chat, str(asked.get("title", "")))
            elif do == "delete":
                self._saved.delete(conversation.user, chat)
                do = "new" if conversation.chat == chat else do
            if do == "new":
                self._chat.stop(conversation)
                conversation.clear()
                return self.talk(conversation)
            if do == "open":
                return self._open(conversation, chat, retriever)
        except RagError as error:
            gr.Warning(escaped(str(error)))
        return {self._parts.chats: self.chats_html(conversation)}

    def _open(self, conversation: Conversation, chat: str, retriever: str) -> Updates:
        """Opens a saved conversation, and chooses its last corpus and embedder where they are there."""
        self._chat.stop(conversation)
        if not self._saved.open(conversation, chat) or not conversation.turns:
            return self.talk(conversation)
        choices = conversation.turns[-1].choices
        if choices.corpus not in self._library.corpora() or not self._library.cards.all(choices.corpus):
            return self.talk(conversation)
        chosen = self._knobs.choose_corpus(choices.corpus, choices.embedder, retriever)
        return {**self.talk(conversation), **chosen, self._knobs.corpus: choices.corpus}

    # --- pieces of the page

    def talk(self, conversation: Conversation) -> Updates:
        """Returns everything that shows the conversation."""
        return {
            self._parts.messages: messages(conversation),
            self._parts.evidence: self.evidence_html(conversation),
            self._parts.chats: self.chats_html(conversation),
            self._parts.last: conversation.chat or "",
        }

    def chats_html(self, conversation: Conversation) -> str:
        """Returns the list of the user's saved conversations."""
        return chats_html(self._saved.all(conversation.user or ""), conversation.chat, conversation.unsaved)


def messages(conversation: Conversation, drawn: Drawn | None = None) -> list[Message]:
    """Returns the conversation as Gradio's messages, two for a turn; those that are `drawn` already are not drawn anew.

    A long conversation would otherwise be drawn as a whole for every word that a language model adds to it.
    """
    known = {} if drawn is None else drawn
    turns = list(conversation.turns)  # another event may open a conversation meanwhile
    for turn in turns:
        if turn.number not in known or known[turn.number][0] is not turn:
            question, answer = question_html(turn), answer_html(turn)
            pair = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
            known[turn.number] = (turn, pair)
    return [message for turn in turns for message in known[turn.number][1]]


def read_wanted(text: str | None) -> dict[str, str]:
    """Returns the corpus, embedder and retriever that another tab wants the chat to search, "" for what it leaves open.

    The library names a corpus alone, an evaluation all three.
    """
    asked = _read(text) if text and text.startswith("{") else {"corpus": text}
    told = {name: str(asked.get(name) or "") for name in ("corpus", "embedder", "retriever")}
    return told if told["retriever"] in NAMES else told | {"retriever": ""}


def _read(command: str) -> dict[str, Any]:
    """Returns what the page's script asks for, nothing where it is no command."""
    try:
        asked = json.loads(command)
    except ValueError:
        return {}
    return asked if isinstance(asked, dict) else {}
