"""The compare tab: a place on the page that its script fills from its own routes."""

import gradio as gr

MOUNT = '<div class="compare-mount"><span class="rag-wait">Opening …</span></div>'


class CompareTab:
    """The empty place; `ui/compare.js` does the rest."""

    def __init__(self) -> None:
        gr.Markdown(MOUNT, elem_id="compare", container=False, show_label=False)
