"""The library tab: a place on the page that its script fills from the library's own routes.

Not Gradio's components: they lose the folders of what is uploaded, keep what they show to one page, and draw long
lists slowly; a job belongs to the application and is seen by all its pages.
"""

import gradio as gr

MOUNT = '<div class="lib-mount"><span class="rag-wait">Opening the library …</span></div>'


class LibraryTab:
    """The empty place; `ui/library.js` does the rest."""

    def __init__(self) -> None:
        gr.Markdown(MOUNT, elem_id="library", container=False, show_label=False)
