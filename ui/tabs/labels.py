"""The labels tab: a place on the page that its script fills from its own routes."""

import gradio as gr

MOUNT = '<div class="labels-mount"><span class="rag-wait">Opening …</span></div>'


class LabelsTab:
    """The empty place; `ui/labels.js` does the rest."""

    def __init__(self) -> None:
        gr.Markdown(MOUNT, elem_id="labels", container=False, show_label=False)
