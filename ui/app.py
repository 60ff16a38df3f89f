"""The web application: the Gradio page inside a FastAPI app with a strict policy, served over one open library."""

import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rag.errors import LibraryLockedError, RagError
from rag.library import Library
from rag.lock import holder
from rag.reader import Reader
from rag.settings import Settings

if TYPE_CHECKING:  # seconds to import: left to the functions, after the port is known to be free
    import gradio as gr
    from fastapi import FastAPI

    from ui.access import Access
    from ui.holding import Holding
    from ui.jobs import IngestJobs

TITLE = "RAG Embedder Bakeoff"
FOLDER = Path(__file__).parent
TOP = f"<div class='rag-top'><b>{TITLE}</b><span>Chat with your documents under any embedder</span>{{}}</div>"
ACCOUNT = "<form action='login'><button>Account</button></form>"  # a link would open a window of its own in Gradio
MODULES = ("chat", "library", "embedders", "builds", "compare", "labels", "evaluate")
"""The scripts that the page begins with; they import the others."""
STYLES = ("style", "chat", "replay", "library", "reader", "embedders", "compare", "labels", "evaluate")
"""The style sheets, which are written into the page in this order."""
PLOTS = FOLDER.parent / "eval" / "plots.css"
WAITING = 64
"""Questions that may wait for their turn; more are refused."""
WARMING_GRACE = 10
"""Seconds that a model which is being loaded ahead is given when the application stops."""
UPLOAD_LIMIT = "1kb"
"""Of Gradio's own route for uploads, which nothing here uses: files come through `ui.uploads`, with their folders."""


def build_app(reader: Reader, settings: Settings, login: bool = False) -> "gr.Blocks":
    """Builds the Gradio page over a reader that all its visitors share; `login` tells whether they have accounts."""
    import gradio as gr

    from ui.conversation import Chat
    from ui.tabs.chat import AT_ONCE, ChatTab
    from ui.tabs.compare import CompareTab
    from ui.tabs.embedders import EmbeddersTab
    from ui.tabs.evaluate import EvaluateTab
    from ui.tabs.labels import LabelsTab
    from ui.tabs.library import LibraryTab

    quiet = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    with gr.Blocks(title=TITLE, fill_width=True, analytics_enabled=False) as page:
        gr.Markdown(TOP.format(ACCOUNT if login else ""), elem_id="top", container=False)
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab("Chat", id="chat") as chat_tab:
                chat = ChatTab(Chat(reader), settings)
            with gr.Tab("Library", id="library"):
                LibraryTab()
            with gr.Tab("Embedders", id="embedders"):
                EmbeddersTab()
            with gr.Tab("Compare", id="compare"):
                CompareTab()
            with gr.Tab("Labels", id="labels"):
                LabelsTab()
            with gr.Tab("Evaluate", id="evaluate"):
                EvaluateTab()
        page.load(**chat.arrival, **quiet)
        chat_tab.select(**chat.arrival, **quiet)  # the library may have grown meanwhile
    page.queue(max_size=WAITING, default_concurrency_limit=AT_ONCE, api_open=False)
    return page


def make_server_app(page: "gr.Blocks", holding: "Holding", jobs: "IngestJobs", access: "Access") -> "FastAPI":
    """Mounts the page in a FastAPI app with the library's routes; `access` says who may come, and under which names."""
    import gradio as gr
    from fastapi import FastAPI

    from ui.access import close_to_strangers
    from ui.compare_routes import add_compare_routes
    from ui.embedder_routes import add_embedder_routes
    from ui.evaluate_routes import add_evaluate_routes
    from ui.label_routes import add_label_routes
    from ui.library_routes import add_library_routes
    from ui.visitors import user_of

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/healthz")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    add_library_routes(app, holding, jobs, local=access.only_here)
    add_embedder_routes(app, holding, jobs)
    add_label_routes(app, holding)
    add_compare_routes(app, holding)
    app.state.evaluations = add_evaluate_routes(app, holding, local=access.only_here)
    modules = "".join(f'<script type="module" src="library/files/{name}.js"></script>' for name in MODULES)
    gr.mount_gradio_app(
        app,
        page,
        path="/",
        show_error=False,
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        enable_monitoring=False,
        max_file_size=UPLOAD_LIMIT,
        theme=_theme(),
        css_paths=[PLOTS, *(FOLDER / f"{name}.css" for name in STYLES)],
        head=modules,
        favicon_path=str(FOLDER / "favicon.svg"),
        auth_dependency=user_of,
    )
    close_to_strangers(app, access)
    return app


def _theme() -> "gr.Theme":
    """Returns a restrained theme; fonts are the system's own, so that nothing is loaded from elsewhere."""
    import gradio as gr

    sans = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "Helvetica Neue", "Arial", "sans-serif"]
    mono = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "Liberation Mono", "monospace"]
    return gr.themes.Base(
        primary_hue=gr.themes.colors.indigo,
        neutral_hue=gr.themes.colors.zinc,
        radius_size=gr.themes.sizes.radius_md,
        font=sans,
        font_mono=mono,
    ).set(
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_text_color="white",
    )


def serve(settings: Settings, host: str, port: int, open_browser: bool, access: "Access") -> None:
    """Serves the application until it is stopped by Ctrl-C or SIGTERM, then closes Chroma and the library.

    Raises RagError, before anything is loaded, where the port is taken.
    """
    listener = _listen(host, port)
    url = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
    with ExitStack() as stack:
        stack.callback(listener.close)
        # Uvicorn stops in order on SIGTERM and then raises the signal again: it must end this block, not the process.
        previous = signal.signal(signal.SIGTERM, _end)
        stack.callback(signal.signal, signal.SIGTERM, previous)
        try:
            holding = _open_library(settings, stack)
            _run(holding, access, listener, lambda: _announce(url, open_browser), stack)
        except KeyboardInterrupt:
            pass


def _end(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _listen(host: str, port: int) -> socket.socket:
    """Takes the port at once, so that a browser that comes early waits instead of being refused."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise RagError(
            f"Port {port} of {host} cannot be used: {error.strerror}. "
            f"Stop what uses it, or choose another: rag ui --port {port + 1}"
        ) from error
    listener.listen(128)
    return listener


def _open_library(settings: Settings, stack: ExitStack) -> "Holding":
    """Opens the library, for writing and with Chroma where it can; else for reading, with exact search."""
    from ui.holding import Holding

    library = Library(settings.home, create=True)
    stack.callback(library.close)
    holding = Holding(library, settings)
    stack.callback(holding.close)
    if library.cards.all():  # else left unlocked, so that `rag ingest` can fill it beside the page that says so
        try:
            holding.acquire()
        except LibraryLockedError:
            click.echo(
                f"rag: read-only, with exact search: the library is being written by {holder(settings.home)}.", err=True
            )
    return holding


def _run(
    holding: "Holding", access: "Access", listener: socket.socket, ready: Callable[[], None], stack: ExitStack
) -> None:
    import uvicorn

    from ui.connections import server_config
    from ui.conversation import Chat
    from ui.jobs import IngestJobs

    reader = holding.reader
    jobs = IngestJobs(holding)
    stack.callback(jobs.close)  # before Chroma and the library are
    page = build_app(reader, reader.settings, login=access.accounts is not None)
    app = make_server_app(page, holding, jobs, access)
    stack.callback(app.state.evaluations.close)

    warming = threading.Thread(target=Chat(reader).warm_up, name="warm up", daemon=True)
    # A model that is still loading when Python ends takes the process down with it (SIGABRT).
    stack.callback(lambda: warming.join(WARMING_GRACE) if warming.is_alive() else None)

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready()
            warming.start()

    Server(server_config(app)).run(sockets=[listener])


def _announce(url: str, open_browser: bool) -> None:
    click.echo(url)
    sys.stdout.flush()
    if open_browser:
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
