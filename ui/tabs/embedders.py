"""The embedders tab: a place on the page that its script fills from the routes of the embedders."""

import gradio as gr

MOUNT = '<div class="emb-table-mount"><span class="rag-wait">Looking at the embedders …</span></div>'


class EmbeddersTab:
    """The empty place; `ui/embedders.js` does the rest."""

    def __init__(self) -> None:
        gr.Markdown(MOUNT, elem_id="embedders", container=False, show_label=False)
