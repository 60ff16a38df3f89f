"""The components of the chat's conversation and evidence, and what they say while there is nothing to show."""

from dataclasses import dataclass

import gradio as gr

from rag.retrievers import MAX_QUERY_CHARACTERS
from ui.chat_choices import html
from ui.chats_html import chats_html
from ui.evidence_html import evidence_html

STORED = "rag-chat"
"""The browser's own note of which conversation it had open."""

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
SHEET_HEAD = (
    '<div class="rag-sheet-head"><b>{title}</b>'
    '<button type="button" class="rag-icon rag-sheet-close rag-sheet-x" title="Close"><i>Close</i></button></div>'
)
"""What a column has on a small screen, where it is a sheet over the conversation."""
BAR = (
    '<div class="rag-bar"><button type="button" class="rag-sheet-open-choices">Chats and settings</button>'
    '<span class="rag-bar-status"></span></div>'
)
"""What a small screen has in the place of the left column."""


@dataclass(frozen=True, slots=True)
class TalkParts:
    """What shows a conversation: its messages and evidence, the box for the next question, and the list of all.

    `last` is the browser's note of the conversation that it has open.
    """

    messages: gr.Chatbot
    evidence: gr.Markdown
    box: gr.Textbox
    send: gr.Button
    stop: gr.Button
    chats: gr.Markdown
    last: gr.BrowserState

    @property
    def shown(self) -> list[gr.components.Component]:
        """What an event of the conversation may change."""
        return [self.messages, self.evidence, self.box, self.send, self.chats, self.last]


def hidden(name: str) -> gr.Textbox:
    """Makes a box that nobody sees: the page's script writes a command into it, whose change is an event."""
    return gr.Textbox(elem_id=name, container=False)


def draw_chats() -> gr.Markdown:
    """Draws the head of the left column: a new conversation, and those that are saved."""
    html(SHEET_HEAD.format(title="Chats and settings"), "choices-head")
    gr.Button("New chat", elem_id="new-chat", size="sm", variant="secondary")
    return html(chats_html((), None), "chats")


def draw_evidence() -> gr.Markdown:
    """Draws the right column."""
    html(SHEET_HEAD.format(title="Evidence"), "evidence-head")
    return html(evidence_html(None), "evidence-panel")


def draw_messages() -> gr.Chatbot:
    """Draws the conversation, below the bar of a small screen."""
    html(BAR, "bar")
    return gr.Chatbot(
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


def draw_box() -> tuple[gr.Textbox, gr.Button, gr.Button]:
    """Draws the box for a question, Send and Stop."""
    with gr.Row(elem_id="ask"):
        box = gr.Textbox(
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
        # Which of the two is seen is the style sheet's: Gradio loses one of two quick changes of what is visible.
        send = gr.Button("Send", variant="primary", elem_id="send", scale=0, min_width=76)
        stop = gr.Button("Stop", variant="stop", elem_id="stop", scale=0, min_width=76)
    return box, send, stop
