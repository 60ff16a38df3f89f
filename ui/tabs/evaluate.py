"""The evaluate tab: a place on the page that its script fills from its own routes."""

import gradio as gr

MOUNT = '<div class="evaluate-mount"><span class="rag-wait">Opening …</span></div>'


class EvaluateTab:
    """The empty place; `ui/evaluate.js` does the rest."""

    def __init__(self) -> None:
        gr.Markdown(MOUNT, elem_id="evaluate", container=False, show_label=False)
