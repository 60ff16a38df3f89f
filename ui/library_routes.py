"""The HTTP routes of the Library tab: pieces of the page, jobs, uploads and documents."""

from collections.abc import Awaitable, Callable
from enum import Enum
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Body, FastAPI, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.requests import ClientDisconnect

from ingest.chunkers import load_chunker
from ingest.items import check_exists, root_of
from rag.catalogue import place_of
from rag.embedders.registry import find_spec
from rag.errors import LibraryLockedError, RagError, UsageError
from ui.document_html import document_html
from ui.holding import Holding
from ui.job_html import job_html
from ui.jobs import IngestJobs, JobRunningError, Kind, Order
from ui.kept_passages import kept_notes
from ui.library_html import parts_html, shell_html
from ui.library_view import Viewer
from ui.uploads import UploadError, clear_stale, store, upload_folder

PREFIX = "/library"
MOST_SOURCES = 1_000


class Asset(Enum):
    """The page's modules; the style sheets are written into the page."""

    BUILDS = "builds.js"
    CHAT = "chat.js"
    COMPARE = "compare.js"
    CHATS = "chats.js"
    COPYING = "copying.js"
    EMBEDDERS = "embedders.js"
    EVALUATE = "evaluate.js"
    EVALUATE_RESULTS = "evaluate_results.js"
    LABELS = "labels.js"
    LIBRARY = "library.js"
    MENU = "menu.js"
    READER = "reader.js"
    REPLAY = "replay.js"
    SERVER = "server.js"
    THUMBS = "thumbs.js"
    TALKING = "talking.js"
    UPLOAD = "upload.js"


def add_library_routes(app: FastAPI, holding: Holding, jobs: IngestJobs, local: bool) -> None:
    """Adds the routes to the application; only where this machine alone can ask (`local`) may a request name a folder.

    Every error that a person can act on is answered as JSON, {"error": what to say}.
    """
    clear_stale(holding.settings.home)
    viewer = Viewer(holding.library, holding.settings, local)
    router = APIRouter(prefix=PREFIX)
    _add_pages(router, holding, jobs, viewer)
    _add_jobs(router, holding, jobs, local)
    _add_uploads(router, holding)
    app.include_router(router)
    app.add_exception_handler(RagError, _explain)


async def _explain(request: Request, error: Exception) -> Response:
    """Answers with what an error says, under the status that suits its kind."""
    if isinstance(error, UploadError):
        status = error.status
    elif isinstance(error, JobRunningError | LibraryLockedError):
        status = HTTPStatus.CONFLICT
    elif isinstance(error, UsageError):
        status = HTTPStatus.BAD_REQUEST
    else:
        status = HTTPStatus.INTERNAL_SERVER_ERROR
    return JSONResponse({"error": str(error)}, status_code=status)


# --- pieces of the page


def _add_pages(router: APIRouter, holding: Holding, jobs: IngestJobs, viewer: Viewer) -> None:
    library = holding.library

    @router.get("/files/{name}")
    def asset(name: Asset) -> FileResponse:
        return FileResponse(Path(__file__).with_name(name.value), headers={"cache-control": "no-cache"})

    @router.get("/page", response_class=HTMLResponse)
    def page(corpus: str = "", show: str = "documents", q: str = "", page: int = 1, shell: bool = False) -> str:
        busy = jobs.last.order.corpus if jobs.last is not None and jobs.running else ""
        view = viewer.look(corpus[:200], show, q[:200], page, busy, at_once=shell)
        return shell_html(view, job_html(jobs.last, False)) if shell else parts_html(view)

    @router.get("/job")
    def job(outcomes: str = "all") -> dict[str, Any]:
        last = jobs.last
        return {
            "html": job_html(last, outcomes == "problems"),
            "running": jobs.running,
            "version": f"{last.number} {last.state.value}" if last else "",
        }

    @router.get("/document", response_class=HTMLResponse)
    def document(id: str, chunk: str | None = None, at: int | None = None) -> str:  # noqa: A002
        found = library.document(id)
        if found is None:
            raise UsageError("This document was changed or removed since. Ask again to find its new version.")
        newest = next((card.chunker for card in library.cards.all(found.corpus)), "")
        place = place_of(library, id, chunk, newest)
        if chunk is not None and place is None:
            raise UsageError("This chunk is not there any more: its document was cut anew. Ask again to find it.")
        return document_html(found, place, at)


# --- jobs


def _add_jobs(router: APIRouter, holding: Holding, jobs: IngestJobs, local: bool) -> None:
    settings = holding.settings

    def checked(embedders: list[str], chunker: str | None) -> None:
        for name in embedders:
            find_spec(name, settings.embedders)
        if chunker is not None:
            load_chunker(chunker, settings.embedders, settings.embedder)

    @router.post("/ingest")
    def ingest(
        corpus: Annotated[str, Body()],
        embedders: Annotated[list[str], Body()],
        chunker: Annotated[str | None, Body()] = None,
        folder: Annotated[str | None, Body()] = None,
    ) -> dict[str, int]:
        uploads = upload_folder(settings.home, corpus)
        checked(embedders, chunker)
        path = uploads if folder is None else own_folder(folder, local)
        check_exists(path)
        order = Order(Kind.INGEST, corpus, paths=(str(path),), embedders=tuple(embedders), chunker=chunker)
        return {"job": jobs.start(order).number}

    @router.get("/kept")
    def kept(corpus: str, source: str) -> dict[str, list[str]]:
        return {"notes": kept_notes(holding.library, holding.library.corpus_or_only(corpus), [source])}

    @router.post("/remove")
    def remove(corpus: Annotated[str, Body()], sources: Annotated[list[str], Body()]) -> dict[str, int]:
        known = holding.library.sources(holding.library.corpus_or_only(corpus))
        unknown = [source for source in sources if source not in known]
        if unknown or not sources or len(sources) > MOST_SOURCES:
            named = f"'{unknown[0]}' is not there" if unknown else "name between 1 and 1,000 of them"
            raise UsageError(f"These documents cannot be removed from '{corpus}': {named}. Reload the page.")
        return {"job": jobs.start(Order(Kind.REMOVE, corpus, sources=tuple(sources))).number}

    @router.post("/stop")
    def stop() -> dict[str, bool]:
        jobs.stop()
        return {"running": jobs.running}

    @router.post("/resume")
    def resume() -> dict[str, int]:
        return {"job": jobs.resume().number}

    @router.post("/dismiss")
    def dismiss() -> dict[str, bool]:
        jobs.dismiss()
        return {"running": jobs.running}


def own_folder(text: str, local: bool) -> Path:
    """Returns a folder of this computer that a request names; raises UsageError where it may not, or need not."""
    if not local:
        raise UsageError("A folder of this computer can be named only while nobody else can reach the page.")
    path = Path(text.strip()).expanduser()
    if not path.is_absolute():
        raise UsageError(f"'{text[:200]}' is not a whole path: begin it with / or ~.")
    return root_of(path)


# --- uploads


def _add_uploads(router: APIRouter, holding: Holding) -> None:
    home = holding.settings.home

    async def upload(request: Request, corpus: str, path: Annotated[str, Query(max_length=4_000)]) -> JSONResponse:
        length = request.headers.get("content-length", "")
        try:
            stored = await store(home, corpus, path, int(length) if length.isdigit() else None, request.stream())
        except ClientDisconnect:  # nobody hears the answer: the upload was cancelled, or its page closed
            raise UploadError("The upload broke off.") from None
        return JSONResponse({"stored": stored.relative_to(upload_folder(home, corpus)).as_posix()})

    handler: Callable[..., Awaitable[JSONResponse]] = upload
    router.add_api_route("/upload", handler, methods=["POST"])
