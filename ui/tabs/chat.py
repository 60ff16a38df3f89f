"""The chat tab: what to search and how on the left, the conversation in the middle, its evidence on the right."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from rag.fusion import FUSIONS
from rag.retrievers import MAX_QUERY_CHARACTERS, NAMES
from rag.settings import Settings
from ui.conversation import Chat, Choices, Conversation
from ui.embedder_menu import mount_html
from ui.embedder_states import EmbedderStates
from ui.render import answer_html, escaped, evidence_html, question_html, status_html

DEMO = "demo"
EXAMPLES = (
    "What is reciprocal rank fusion?",
    "How would I notice that a vendor quietly changed the model behind an endpoint?",
    "Wie viele Wörter passen ungefähr in ein Fenster von 256 Token?",
    "How long should sourdough proof in the fridge?",
)
"""Questions that the demo corpus answers, in two languages, and one that it does not."""

MOST_CHUNKS = 30
AT_ONCE = 4
"""Questions answered at the same time; more wait for their turn."""

NO_CORPUS = (
    "<div class='rag-welcome'><h2>No documents yet</h2>"
    "<p>Add a folder or some files, and ask about them under any embedder.</p>"
    "<p><a class='rag-go' href='?tab=library'>Add documents</a></p>"
    "<p class='rag-or'>or in a terminal</p><pre>rag --home {home} ingest PATH --corpus NAME</pre></div>"
)
WELCOME = (
    "<div class='rag-welcome'><h2>Ask your documents</h2>"
    "<p>Every sentence of an answer is quoted from a document and cited. "
    "Switch the embedder between two questions and compare what each one finds.</p></div>"
)
INVITATION = "Ask the documents"
FUSION_LABELS = {"rrf": "reciprocal rank (rrf)", "weighted": "weighted scores"}

Updates = dict[Any, Any]


class ChatTab:
    """The components of the tab and what happens when they are used."""

    def __init__(self, chat: Chat, settings: Settings) -> None:
        self._chat = chat
        self._library = chat.reader.library
        self._settings = settings
        self._states = EmbedderStates(self._library, settings)
        self._draw()

    # --- the components

    def _draw(self) -> None:
        self.conversation = gr.State(Conversation())
        self.wanted = gr.Textbox(elem_id="wanted", container=False)  # hidden; a corpus, set by "Ask it" in the library
        with gr.Row(elem_id="columns"):
            with gr.Column(elem_id="choices", min_width=0):
                self._draw_choices()
            with gr.Column(elem_id="talk", min_width=0):
                self._draw_talk()
            with gr.Column(elem_id="evidence", min_width=0):
                self.evidence = _html(evidence_html(None), "evidence-panel")
        self._connect()

    def _draw_choices(self) -> None:
        with gr.Row(elem_id="summary"):
            self.status = _html("", "status")
            gr.Button("Search settings", elem_id="choices-toggle", size="sm", variant="secondary")
        with gr.Column(elem_id="knobs", min_width=0):
            self.corpus = gr.Dropdown(label="Corpus", choices=[], elem_id="corpus")
            self.embedder = gr.Textbox(elem_id="embedder-chosen", container=False)  # hidden; its menu sets it
            self.menu = _html(mount_html(None, None, self._settings.retriever), "embedder-mount")
            self.retriever = gr.Radio(
                label="Retriever", choices=list(NAMES), value=self._settings.retriever, elem_id="retriever"
            )
            hybrid = self._settings.retriever == "hybrid"
            self.weight = gr.Slider(
                label="Dense weight",
                minimum=0,
                maximum=1,
                step=0.05,
                value=self._settings.weight,
                visible=hybrid,
                buttons=[],
                elem_id="weight",
            )
            self.fusion = gr.Dropdown(
                label="Fusion",
                choices=[(FUSION_LABELS[name], name) for name in FUSIONS],
                value=self._settings.fusion,
                visible=hybrid,
                elem_id="fusion",
            )
            self.k = gr.Slider(
                label="Chunks to find",
                minimum=1,
                maximum=MOST_CHUNKS,
                step=1,
                value=min(self._settings.k, MOST_CHUNKS),
                buttons=[],
                elem_id="k",
            )

    def _draw_talk(self) -> None:
        self.messages = gr.Chatbot(
            elem_id="messages",
            show_label=False,
            container=False,
            render_markdown=False,
            latex_delimiters=[],
            allow_tags=False,
            buttons=[],
            feedback_options=None,
            layout="bubble",
            height=None,
            placeholder=WELCOME,
        )
        with gr.Row(elem_id="ask"):
            self.box = gr.Textbox(
                elem_id="question",
                label="Question",
                show_label=False,
                container=False,
                placeholder=INVITATION,
                lines=1,
                max_lines=6,
                max_length=MAX_QUERY_CHARACTERS,
                autofocus=True,
                scale=1,
            )
            self.send = gr.Button("Send", variant="primary", elem_id="send", scale=0, min_width=76)
            self.stop = gr.Button("Stop", variant="stop", elem_id="stop", scale=0, min_width=76, visible=False)
            self.clear = gr.Button("Clear", variant="secondary", elem_id="clear", scale=0, min_width=76)

    # --- what happens

    def _connect(self) -> None:
        quiet = {"show_progress": "hidden", "api_visibility": "private"}
        knobs = [self.corpus, self.embedder, self.retriever, self.k, self.weight, self.fusion]
        talk = [self.messages, self.evidence, self.box, self.send, self.stop]
        asking = {
            "fn": self._ask,
            "inputs": [self.conversation, self.box, *knobs],
            "outputs": talk,
            "concurrency_limit": AT_ONCE,
            "concurrency_id": "ask",
            **quiet,
        }
        asked = gr.on([self.send.click, self.box.submit], trigger_mode="multiple", **asking)
        example = self.messages.example_select(self._take_example, None, self.box, queue=False, **quiet).then(**asking)
        running = [asked, example]
        self.stop.click(self._stop, self.conversation, talk, cancels=running, queue=False, **quiet)
        self.clear.click(self._clear, self.conversation, talk, cancels=running, queue=False, **quiet)
        self.messages.select(self._show_evidence, self.conversation, self.evidence, queue=False, **quiet)
        self.corpus.input(
            self._choose_corpus,
            [self.corpus, self.embedder, self.retriever],
            [self.embedder, self.menu, self.status, self.messages],
            queue=False,
            **quiet,
        )
        gr.on(
            [self.retriever.input, self.embedder.change],  # its menu is no keyboard, which alone makes an input event
            self._choose_search,
            [self.corpus, self.embedder, self.retriever],
            [self.menu, self.weight, self.fusion, self.status],
            queue=False,
            **quiet,
        )

    def arrive(self, retriever: str, corpus: str | None, embedder: str | None, wanted: str = "") -> Updates:
        """Fills the choices from the library as it is when the tab is opened; what was chosen before stays chosen.

        A corpus that is `wanted` is chosen instead, once.
        """
        names = self._library.corpora()
        names = [name for name in names if self._library.cards.all(name)]
        if not names:
            home = escaped(str(self._settings.home))
            return {
                self.messages: gr.Chatbot(placeholder=NO_CORPUS.format(home=home), examples=None),
                self.status: '<div class="rag-status">No corpus yet</div>',
                self.corpus: gr.Dropdown(choices=[], value=None, interactive=False),
                self.embedder: "",
                self.menu: mount_html(None, None, retriever),
                self.box: gr.Textbox(interactive=False, placeholder="Add documents first"),
                self.send: gr.Button(interactive=False),
                self.wanted: "",
            }
        if wanted in names:
            corpus = wanted
        if corpus not in names:
            corpus = next((name for name in ("default", DEMO) if name in names), names[0])
        chosen, menu, status, messages = self._choose_corpus(corpus, embedder, retriever)
        return {
            self.corpus: gr.Dropdown(choices=names, value=corpus, interactive=True),
            self.embedder: chosen,
            self.menu: menu,
            self.status: status,
            self.messages: messages,
            self.box: gr.Textbox(interactive=True, placeholder=INVITATION),
            self.send: gr.Button(interactive=True),
            self.wanted: "",
        }

    @property
    def arrival(self) -> dict[str, Any]:
        """What the events are bound with that open the tab."""
        inputs = [self.retriever, self.corpus, self.embedder, self.wanted]
        outputs = [self.messages, self.status, self.corpus, self.embedder, self.menu, self.box, self.send, self.wanted]
        return {"fn": self.arrive, "inputs": inputs, "outputs": outputs}

    def _ask(
        self,
        conversation: Conversation,
        question: str,
        corpus: str | None,
        embedder: str | None,
        retriever: str,
        k: int,
        weight: float,
        fusion: str,
    ) -> Iterator[tuple[Any, ...]]:
        """Streams the turn of a question; an empty one does nothing, nor does one that comes during an answer.

        The latter is decided here: Gradio's `trigger_mode="once"` drops questions for a second after Stop as well.
        """
        if not question.strip() or not corpus or conversation.running:
            yield (gr.skip(),) * 5
            return
        choices = Choices(corpus, None if retriever == "lexical" else embedder, retriever, int(k), weight, fusion)
        shown: tuple[int, bool] | None = None
        for turn in self._chat.ask(conversation, question, choices):
            state = (len(turn.hits), turn.running)
            evidence = evidence_html(turn) if state != shown else gr.skip()  # not anew for every sentence
            shown = state
            yield _messages(conversation), evidence, *_buttons(running=turn.running, asked=shown == (0, True))

    def _take_example(self, chosen: gr.SelectData) -> str:
        return str(chosen.value["text"])

    def _stop(self, conversation: Conversation) -> tuple[Any, ...]:
        conversation.stop()
        last = conversation.turns[-1] if conversation.turns else None
        return _messages(conversation), evidence_html(last), *_buttons(running=False)

    def _clear(self, conversation: Conversation) -> tuple[Any, ...]:
        conversation.clear()
        return [], evidence_html(None), *_buttons(running=False)

    def _show_evidence(self, conversation: Conversation, chosen: gr.SelectData) -> str:
        """Shows the evidence of the turn whose question or answer was clicked."""
        index = chosen.index[0] if isinstance(chosen.index, list | tuple) else chosen.index
        turns = conversation.turns
        return evidence_html(turns[index // 2] if index // 2 < len(turns) else None)

    def _choose_corpus(self, corpus: str, embedder: str | None, retriever: str) -> tuple[str, str, str, Any]:
        """Chooses one of the corpus's own embedders and, for the demo, offers questions that suit it."""
        chosen = self._serving(corpus, embedder)
        examples = [{"text": example} for example in EXAMPLES] if corpus == DEMO else None
        return (
            chosen,
            mount_html(corpus, chosen, retriever),
            self._status_html(corpus, chosen, retriever),
            gr.Chatbot(examples=examples, placeholder=WELCOME),
        )

    def _choose_search(self, corpus: str, embedder: str | None, retriever: str) -> tuple[Any, Any, Any, Any]:
        """Shows what the retriever needs: an embedder, a weight and a fusion, or none of them."""
        hybrid = retriever == "hybrid"
        chosen = self._serving(corpus, embedder) if corpus else None
        return (
            mount_html(corpus, chosen, retriever),
            gr.Slider(visible=hybrid),
            gr.Dropdown(visible=hybrid),
            self._status_html(corpus, chosen, retriever) if corpus else gr.skip(),
        )

    # --- the library's state

    def _serving(self, corpus: str, embedder: str | None) -> str:
        """Returns the embedder that was chosen where it serves, else the settings' one, else that with most chunks."""
        states = self._states.look(corpus)
        serving = {state.name: state.index.chunks for state in states if state.serves and state.index}
        for name in (embedder, self._settings.embedder):
            if name in serving:
                return name
        newest = self._library.cards.all(corpus)[0].embedder  # where none can be used, the question tells why
        return max(serving, key=lambda name: serving[name], default=newest)

    def _status_html(self, corpus: str, embedder: str | None, retriever: str) -> str:
        """Returns what is searched, in a line: chunks, embedder and how much of the corpus it covers."""
        cards = self._library.cards.all(corpus)
        card = cards[0] if retriever == "lexical" or embedder is None else self._library.cards.find(corpus, embedder)
        most = max(each.documents for each in cards if each.chunker == card.chunker)
        return status_html(card, most, retriever)


def _html(value: str, name: str) -> gr.Markdown:
    """Makes a component for our own HTML; gr.HTML would need `unsafe-eval` in the page's policy, Markdown does not."""
    return gr.Markdown(value, elem_id=name, container=False, latex_delimiters=[], show_label=False)


def _messages(conversation: Conversation) -> list[dict[str, str]]:
    """Returns the conversation as Gradio's messages, two for a turn."""
    messages = []
    for turn in conversation.turns:
        messages.append({"role": "user", "content": question_html(turn)})
        messages.append({"role": "assistant", "content": answer_html(turn)})
    return messages


def _buttons(running: bool, asked: bool = False) -> tuple[Any, ...]:
    """Returns the updates of box, Send and Stop; the box is emptied when its question has been taken."""
    return ("" if asked else gr.skip(), gr.Button(visible=not running), gr.Button(visible=running))
