"""The HTTP routes of embedders: the chat's menu, building an index from it, the Embedders tab and its tests."""

import logging
import threading
from typing import Annotated, Any

from fastapi import APIRouter, Body, FastAPI
from fastapi.responses import HTMLResponse

from ingest.chunkers import load_chunker
from rag.embedders.registry import find_spec
from rag.embedders.trial import Trial, try_embedder
from rag.errors import RagError
from ui.embedder_builds import Builder
from ui.embedder_menu import job_note_html, offer_html, options_html, refusal_html
from ui.embedder_states import EmbedderStates, Standing
from ui.embedder_table_html import parts_html, shell_html
from ui.failures import explain
from ui.holding import Holding
from ui.jobs import IngestJobs

PREFIX = "/embedders"

log = logging.getLogger(__name__)


def add_embedder_routes(app: FastAPI, holding: Holding, jobs: IngestJobs) -> None:
    """Adds the routes to the application; errors are answered as the Library tab's are."""
    states = EmbedderStates(holding.library, holding.settings)
    router = APIRouter(prefix=PREFIX)
    _add_menu(router, holding, jobs, states)
    _add_table(router, holding, states)
    app.include_router(router)


def _add_menu(router: APIRouter, holding: Holding, jobs: IngestJobs, states: EmbedderStates) -> None:
    builder = Builder(holding, jobs, states)
    library = holding.library

    def _known(chunker: str | None) -> str | None:
        if chunker is not None:
            load_chunker(chunker, holding.settings.embedders, holding.settings.embedder)
        return chunker

    @router.get("/menu")
    def menu(corpus: str) -> dict[str, Any]:
        job = jobs.last
        found = states.look(corpus, job, builder.expected(corpus)) if corpus in library.corpora() else []
        return {
            "options": options_html(found),
            "note": job_note_html(job, corpus, found),
            "running": jobs.running,
        }

    @router.get("/offer", response_class=HTMLResponse)
    def offer(corpus: str, embedder: str, answering: str = "", chunker: str | None = None) -> str:
        """Tells what choosing an embedder would take: nothing, a build, or what it lacks."""
        states.lacking(fresh=True)
        known = {state.name: state for state in states.look(library.corpus_or_only(corpus), jobs.last)}
        state = known.get(embedder)
        if state is None:
            find_spec(embedder, holding.settings.embedders)
            raise RagError(f"'{embedder}' is not there any more. Reload the page.")
        if state.standing is Standing.UNUSABLE:
            return refusal_html(state)
        return offer_html(builder.offer(corpus, embedder, _known(chunker)), answering[:200], state.serves)

    @router.post("/build")
    def build(
        corpus: Annotated[str, Body()],
        embedder: Annotated[str, Body()],
        chunker: Annotated[str | None, Body()] = None,
        agreed: Annotated[bool, Body()] = False,
        usd: Annotated[float | None, Body()] = None,
    ) -> dict[str, int]:
        return {"job": builder.build(corpus, embedder, _known(chunker), agreed, usd).number}


def _add_table(router: APIRouter, holding: Holding, states: EmbedderStates) -> None:
    specs = holding.settings.embedders
    tried: dict[str, Trial | str] = {}
    testing = threading.Lock()

    @router.get("/page", response_class=HTMLResponse)
    def page(shell: bool = False) -> str:
        return (shell_html if shell else parts_html)(specs, states.lacking(fresh=True), tried)

    @router.post("/test", response_class=HTMLResponse)
    def test(name: Annotated[str, Body(embed=True)]) -> str:
        """Makes one real call, one embedder at a time: two large models at once may be too much for a machine."""
        find_spec(name, specs)
        with testing:
            try:
                tried[name] = try_embedder(name, specs)
            except Exception as error:
                # A model's own code may raise anything: it is told in its row, and logged where it is no clear error.
                tried[name] = explain(error) or f"It broke: {type(error).__name__}. The terminal tells more."
                if not isinstance(error, RagError):
                    log.exception("A test of an embedder failed.")
        return parts_html(specs, states.lacking(fresh=True), tried)
