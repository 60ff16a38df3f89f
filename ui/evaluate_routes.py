"""The HTTP routes of the Evaluate tab: what can be evaluated, the evaluation that runs, and those that are finished."""

import threading
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Body, FastAPI, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.requests import ClientDisconnect

from rag.errors import UsageError
from ui.embedder_builds import TOLERANCE
from ui.embedder_states import EmbedderStates
from ui.evaluate_html import job_html, list_html, shell_html
from ui.evaluate_jobs import EvaluationJobs, EvaluationOrder
from ui.evaluate_plan import Plan, Planner
from ui.evaluate_queries import Asked, queries_html
from ui.evaluate_query_html import gold_html, query_html
from ui.evaluate_results_html import results_html
from ui.evaluate_setup_html import Candidate, plan_html, setup_html, tasks_html
from ui.evaluate_store import EvaluationStore
from ui.evaluate_tasks import TaskShelf, Wanted
from ui.evaluate_thaw import thaw
from ui.evaluate_uploads import TaskUploads
from ui.holding import Holding
from ui.library_routes import own_folder
from ui.uploads import UploadError

PREFIX = "/evaluate"
CONTROL = "control"
"""The provider of the embedders that know nothing: no candidates."""
REPORT = "report.html"


def add_evaluate_routes(app: FastAPI, holding: Holding, local: bool) -> EvaluationJobs:
    """Adds the routes to the application and returns the evaluations, which are to be closed when it ends.

    Errors are answered as the Library tab's are; only a `local` request may name a folder of this computer.
    """
    shelf, store = TaskShelf(holding.library), EvaluationStore(holding.library)
    jobs = EvaluationJobs(holding, shelf, store, local)
    planner = Planner(holding.library, holding.settings, shelf, local)
    router = APIRouter(prefix=PREFIX)
    _add_setup(router, holding, shelf, planner, local)
    _add_tasks(router, TaskUploads(holding.settings.home, shelf), shelf, local)
    _add_jobs(router, jobs, planner)
    _add_results(router, store, jobs, local)
    _add_queries(router, holding, store, local)
    app.include_router(router)
    return jobs


# --- what can be evaluated


def _add_setup(router: APIRouter, holding: Holding, shelf: TaskShelf, planner: Planner, local: bool) -> None:
    states = EmbedderStates(holding.library, holding.settings)

    @router.get("/setup", response_class=HTMLResponse)
    def setup() -> str:
        return setup_html(shelf.all(local), _candidates(holding, states), local)

    @router.post("/plan", response_class=HTMLResponse)
    def plan(order: Annotated[dict[str, Any], Body(embed=True)]) -> str:
        return plan_html(planner.plan(_order(order)))


def _candidates(holding: Holding, states: EmbedderStates) -> list[Candidate]:
    lacking = states.lacking(fresh=True)
    corpora: dict[str, list[str]] = {}
    for card in holding.library.cards.all():
        if card.corpus not in corpora.setdefault(card.embedder, []) and card.documents:
            corpora[card.embedder].append(card.corpus)
    return [
        Candidate(name, spec, lacking[name], tuple(corpora.get(name, ())))
        for name, spec in holding.settings.embedders.items()
        if spec.provider != CONTROL
    ]


def _order(fields: dict[str, Any]) -> EvaluationOrder:
    """Reads what the page sends; raises UsageError for what it cannot have sent."""
    try:
        tasks = tuple(Wanted(str(each["id"]), str(each["family"]), str(each["split"])) for each in fields["tasks"])
        lists = {
            key: tuple(dict.fromkeys(map(str, fields.get(key, ())))) for key in ("embedders", "retrievers", "chunkers")
        }
        controls, ragas = bool(fields.get("controls")), bool(fields.get("ragas", True))
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError("This order cannot be read. Reload the page.") from error
    return EvaluationOrder(tasks, **lists, controls=controls, ragas=ragas)


def _add_tasks(router: APIRouter, uploads: TaskUploads, shelf: TaskShelf, local: bool) -> None:
    @router.post("/folder")
    def folder(folder: Annotated[str, Body(embed=True)]) -> dict[str, str]:
        id_ = shelf.add_folder(own_folder(folder, local))
        return {"html": tasks_html(shelf.all(local), local, id_)}

    @router.post("/forget")
    def forget(task: Annotated[str, Body(embed=True)]) -> dict[str, str]:
        shelf.forget(task, local)
        return {"html": tasks_html(shelf.all(local), local)}

    @router.post("/adopt")
    def adopt(upload: Annotated[str, Body()], name: Annotated[str, Body()]) -> dict[str, str]:
        id_ = uploads.adopt(upload, name)
        return {"html": tasks_html(shelf.all(local), local, id_)}

    async def upload(request: Request, upload: str, path: Annotated[str, Query(max_length=4_000)]) -> JSONResponse:
        try:
            return JSONResponse({"stored": await uploads.store(upload, path, request.stream())})
        except ClientDisconnect:  # nobody hears the answer
            raise UploadError("The upload broke off.") from None

    handler: Callable[..., Awaitable[JSONResponse]] = upload
    router.add_api_route("/upload", handler, methods=["POST"])


# --- the evaluation that runs


def _add_jobs(router: APIRouter, jobs: EvaluationJobs, planner: Planner) -> None:
    planned: list[tuple[EvaluationOrder, Plan]] = []
    planning = threading.Lock()

    @router.post("/start")
    def start(
        order: Annotated[dict[str, Any], Body()],
        agreed: Annotated[bool, Body()] = False,
        usd: Annotated[float | None, Body()] = None,
    ) -> dict[str, int]:
        """Starts an evaluation; what sends texts away or costs money has to be agreed to."""
        wanted = _order(order)
        jobs.check(wanted)
        with planning:
            plan = next((each for known, each in planned if known == wanted), None) or planner.plan(wanted)
            planned[:] = [(wanted, plan)]
        if plan.problem:
            planned.clear()
            raise UsageError(plan.problem)
        if plan.receivers and not agreed:
            raise UsageError(f"Texts would be sent to {', '.join(plan.receivers)}: agree to it first.")
        if plan.usd and (usd is None or plan.usd > usd * TOLERANCE):
            raise UsageError(f"This costs about ${plan.usd:.4f} by now. Look at it again and start it then.")
        number = jobs.start(wanted).number
        planned.clear()
        return {"job": number}

    @router.get("/job")
    def job() -> dict[str, Any]:
        last = jobs.last
        return {
            "html": job_html(last),
            "running": jobs.running,
            "version": f"{last.number} {last.state.value}" if last else "",
            "saved": last.saved if last else "",
        }

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


# --- those that are finished


def _add_results(router: APIRouter, store: EvaluationStore, jobs: EvaluationJobs, local: bool) -> None:
    @router.get("/page", response_class=HTMLResponse)
    def page(id: str = "") -> str:  # noqa: A002
        return shell_html(store.all(local), id, jobs.last, local)

    @router.get("/list", response_class=HTMLResponse)
    def listed(id: str = "") -> str:  # noqa: A002
        return list_html(store.all(local), id)

    @router.get("/results", response_class=HTMLResponse)
    def results(id: str, task: int = 0) -> str:  # noqa: A002
        documents = store.open(id, local)
        return results_html(documents, thaw(documents), task, (documents.saved.folder / REPORT).is_file())

    @router.post("/open")
    def open_folder(folder: Annotated[str, Body(embed=True)]) -> dict[str, str]:
        return {"id": store.add_folder(own_folder(folder, local))}

    @router.post("/delete", response_class=HTMLResponse)
    def delete(id: Annotated[str, Body(embed=True)]) -> str:  # noqa: A002
        store.delete(id, local)
        return list_html(store.all(local), "")

    @router.get("/download")
    def download(id: str) -> Response:  # noqa: A002
        name = store.open(id, local).saved.folder.name
        headers = {"content-disposition": f'attachment; filename="{_plain(name)}.zip"'}
        return Response(store.packed(id, local), media_type="application/zip", headers=headers)

    @router.get("/report")
    def report(id: str) -> FileResponse:  # noqa: A002
        path = store.file(id, REPORT, local)
        return FileResponse(path, filename=f"{_plain(path.parent.name)}.html", media_type="application/octet-stream")


def _plain(name: str) -> str:
    return "".join(each if each.isascii() and (each.isalnum() or each in "._-") else "-" for each in name)[:150]


# --- their queries


def _add_queries(router: APIRouter, holding: Holding, store: EvaluationStore, local: bool) -> None:
    @router.get("/queries", response_class=HTMLResponse)
    def queries(
        id: str,  # noqa: A002
        task: int = 0,
        show: str = "",
        kind: Annotated[str, Query(max_length=200)] = "",
        q: Annotated[str, Query(max_length=200)] = "",
        page: int = 1,
    ) -> str:
        return queries_html(store.open(id, local), Asked(task, show, kind, q, max(1, page)))

    @router.get("/query", response_class=HTMLResponse)
    def query(id: str, query: str, task: int = 0) -> str:  # noqa: A002
        return query_html(store.open(id, local), task, query, holding.library)

    @router.get("/gold", response_class=HTMLResponse)
    def gold(id: str, query: str, task: int = 0) -> str:  # noqa: A002
        """Returns the panel that stands beside the chat's evidence while the query is asked there."""
        return gold_html(store.open(id, local), task, query, holding.library)
