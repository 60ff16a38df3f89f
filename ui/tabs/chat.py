"""The chat tab: conversations and choices on the left, the conversation in the middle, its evidence on the right."""

from typing import Any

import gradio as gr

from rag.errors import RagError
from rag.settings import Settings
from ui.chat_choices import ChoicesColumn, html
from ui.chat_events import ChatEvents, Updates, messages, read_wanted
from ui.chat_parts import (
    INVITATION,
    NO_CORPUS,
    STORED,
    WELCOME,
    TalkParts,
    draw_box,
    draw_chats,
    draw_evidence,
    draw_messages,
    hidden,
)
from ui.conversation import Chat, Conversation
from ui.embedder_menu import mount_html
from ui.examples import examples
from ui.render import escaped
from ui.saved_chats import SavedChats
from ui.visitors import user_of

DEMO = "demo"
EXAMPLES = (
    "What is reciprocal rank fusion?",
    "How would I notice that a vendor quietly changed the model behind an endpoint?",
    "Wie viele Wörter passen ungefähr in ein Fenster von 256 Token?",
    "How long should sourdough proof in the fridge?",
)
"""Questions that the demo corpus answers, in two languages, and one that it does not."""

AT_ONCE = 4
"""Questions answered at the same time; more wait for their turn."""


class ChatTab:
    """The components of the tab, what they are bound with, and how it is opened."""

    def __init__(self, chat: Chat, settings: Settings) -> None:
        self._library = chat.reader.library
        self._settings = settings
        self._saved = chat.keeper = SavedChats(self._library)
        self._draw(chat)
        self._events = ChatEvents(chat, self._saved, self.parts, self.knobs)
        self._connect()

    def _draw(self, chat: Chat) -> None:
        self.conversation = gr.State(Conversation())
        last = gr.BrowserState("", storage_key=STORED, secret=STORED)
        self.wanted = hidden("wanted")  # what "Ask it" in the library, or an evaluation, has the chat search
        self.command, self.again, self.replaying = hidden("chat-command"), hidden("chat-again"), hidden("chat-replay")
        self.replayed = html("", "replay-result")  # hidden as well; the script shows it in a dialog
        with gr.Row(elem_id="columns"):
            with gr.Column(elem_id="choices", min_width=0):
                chats = draw_chats()
                self.knobs = ChoicesColumn(chat.reader)
            with gr.Column(elem_id="talk", min_width=0):
                talk = draw_messages()
                box, send, stop = draw_box()
            with gr.Column(elem_id="evidence", min_width=0):
                evidence = draw_evidence()
        self.parts = TalkParts(talk, evidence, box, send, stop, chats, last)

    def _connect(self) -> None:
        quiet = {"show_progress": "hidden", "api_visibility": "private"}
        at_once = {"queue": False, **quiet}
        slowly = {"concurrency_limit": AT_ONCE, "concurrency_id": "ask", **quiet}
        parts, knobs, events, own = self.parts, self.knobs, self._events, self.conversation
        weight = [knobs.weight, knobs.fusion]

        asking = {"fn": events.ask, "inputs": [own, parts.box, *knobs.inputs], "outputs": parts.shown, **slowly}
        asked = gr.on([parts.send.click, parts.box.submit], trigger_mode="multiple", **asking)
        example = parts.messages.example_select(_example, None, parts.box, **at_once).then(**asking)
        again = self.again.change(events.ask_again, [own, self.again, *weight], parts.shown, **slowly)
        parts.stop.click(events.stop, own, parts.shown, cancels=[asked, example, again], **at_once)
        self.replaying.change(events.replay, [own, self.replaying], self.replayed, **slowly)

        parts.messages.select(events.show_evidence, own, parts.evidence, **at_once)
        moved = [knobs.weight.input, knobs.fusion.input]
        gr.on(moved, events.fuse, [own, *weight], parts.evidence, trigger_mode="always_last", **at_once)

        opened = [*parts.shown, knobs.corpus, *knobs.chosen_with_corpus]
        self.command.change(events.obey, [own, self.command, knobs.retriever], opened, **at_once)
        chosen = [knobs.corpus, knobs.embedder, knobs.retriever]
        knobs.corpus.input(self._choose_corpus, chosen, [*knobs.chosen_with_corpus, parts.messages], **at_once)
        knobs.connect(quiet)

    # --- opening the tab

    @property
    def arrival(self) -> dict[str, Any]:
        """What the events are bound with that open the tab."""
        knobs, parts = self.knobs, self.parts
        return {
            "fn": self.arrive,
            "inputs": [self.conversation, parts.last, knobs.retriever, knobs.corpus, knobs.embedder, self.wanted],
            "outputs": [*parts.shown, *knobs.chosen_with_corpus, *knobs.search, knobs.corpus, self.wanted],
        }

    def arrive(
        self,
        conversation: Conversation,
        last: str,
        retriever: str,
        corpus: str | None,
        embedder: str | None,
        wanted: str,
        request: gr.Request,
    ) -> Updates:
        """Fills the tab from the library as it is when it is opened; what was chosen before stays chosen.

        A corpus that is `wanted`, perhaps with an embedder and a retriever, is chosen instead, once. A page that was
        just loaded goes on with the conversation that its browser had open last.
        """
        is_new = conversation.user is None
        conversation.user = user_of(request)
        names = [name for name in self._library.corpora() if self._library.cards.all(name)]
        if not names:
            return self._empty(retriever)
        before, asked = corpus, read_wanted(wanted)
        if asked["corpus"] in names:
            corpus, embedder = asked["corpus"], asked["embedder"] or embedder
            retriever = asked["retriever"] or retriever
        elif is_new and last and self._restore(conversation, last):
            corpus, embedder = conversation.turns[-1].choices.corpus, conversation.turns[-1].choices.embedder
        if corpus not in names:
            corpus = next((name for name in ("default", DEMO) if name in names), names[0])
        return {
            **self._events.talk(conversation),
            **self.knobs.choose_corpus(corpus, embedder, retriever, keep_filter=corpus == before),
            **(self.knobs.choose_retriever(retriever) if asked["retriever"] else {}),
            self.parts.messages: gr.Chatbot(
                messages(conversation), examples=self._examples(corpus), placeholder=WELCOME
            ),
            self.parts.box: gr.Textbox(interactive=True, placeholder=INVITATION),
            self.parts.send: gr.Button(interactive=True),
            self.knobs.corpus: gr.Dropdown(choices=names, value=corpus, interactive=True),
            self.wanted: "",
        }

    def _restore(self, conversation: Conversation, last: str) -> bool:
        """Opens the conversation that a browser had open last; tells whether there is something of it."""
        try:
            return self._saved.open(conversation, last) and bool(conversation.turns)
        except RagError:  # of another version: it is in the list, and told when it is chosen there
            return False

    def _empty(self, retriever: str) -> Updates:
        home = escaped(str(self._settings.home))
        return {
            self.parts.messages: gr.Chatbot(placeholder=NO_CORPUS.format(home=home), examples=None),
            self.parts.box: gr.Textbox(interactive=False, placeholder="Add documents first"),
            self.parts.send: gr.Button(interactive=False),
            self.knobs.status: '<div class="rag-status">No corpus yet</div>',
            self.knobs.corpus: gr.Dropdown(choices=[], value=None, interactive=False),
            self.knobs.embedder: "",
            self.knobs.menu: mount_html(None, None, retriever),
            self.wanted: "",
        }

    def _choose_corpus(self, corpus: str, embedder: str | None, retriever: str) -> Updates:
        """Chooses one of the corpus's own embedders, and offers questions that suit the corpus."""
        shown = gr.Chatbot(examples=self._examples(corpus), placeholder=WELCOME)
        return {**self.knobs.choose_corpus(corpus, embedder, retriever), self.parts.messages: shown}

    def _serving(self, corpus: str, embedder: str | None) -> str:
        return self.knobs.serving(corpus, embedder)

    def _examples(self, corpus: str) -> list[dict[str, str]] | None:
        found = EXAMPLES if corpus == DEMO else examples(self._library, corpus)
        return [{"text": example} for example in found] or None


def _example(chosen: gr.SelectData) -> str:
    """Returns the example question that was clicked."""
    return str(chosen.value["text"])
