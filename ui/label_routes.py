"""The HTTP routes of labels: thumbs on chunks, the queue, and the tasks that they make."""

import io
import zipfile
from typing import Annotated, Any

from fastapi import APIRouter, Body, FastAPI, Query, Request
from fastapi.responses import HTMLResponse, Response
from starlette.concurrency import run_in_threadpool

from rag.errors import UsageError
from rag.labels import BY_HAND, GRADES, plain_question
from rag.task_folders import corpus_lines, task_files, write_folders
from ui.embedder_states import EmbedderStates
from ui.generating import generate
from ui.generating_plain import PLAIN
from ui.holding import Holding
from ui.label_html import MOST_GENERATED, generated_html, imported_html, queue_html, shell_html, tasks_part
from ui.labelling import Labelling, task_states
from ui.question_import import import_questions
from ui.visitors import user_of

PREFIX = "/labels"
MOST_CHUNKS = 200
MOST_SEEN = 1_000
MOST_TABLE = 8 << 20


def add_label_routes(app: FastAPI, holding: Holding) -> None:
    """Adds the routes to the application; errors are answered as the Library tab's are."""
    library = holding.library
    write_folders(library)  # what was killed between a label and its folder is made good
    labelling = Labelling(holding.reader, EmbedderStates(library, holding.settings))
    router = APIRouter(prefix=PREFIX)
    _add_thumbs(router, labelling)
    _add_queue(router, holding, labelling)
    _add_tasks(router, holding, labelling)
    _add_making(router, holding)
    app.include_router(router)


def _add_thumbs(router: APIRouter, labelling: Labelling) -> None:
    @router.post("/judge")
    def judge(
        request: Request,
        chunk: Annotated[str, Body()],
        question: Annotated[str, Body()],
        grade: Annotated[int | None, Body()] = None,
        origin: Annotated[str, Body()] = "thumb",
    ) -> dict[str, int | None]:
        """Keeps a judgement, or with null takes it back."""
        if (grade is not None and grade not in GRADES) or origin not in BY_HAND:
            raise UsageError(f"A label has one of the grades {', '.join(map(str, GRADES))}. Reload the page.")
        labelling.judge(chunk, question, grade, origin, user_of(request))
        return {"grade": grade}

    @router.post("/grades")
    def grades(
        request: Request, question: Annotated[str, Body()], chunks: Annotated[list[str], Body()]
    ) -> dict[str, int]:
        return labelling.grades(question, chunks[:MOST_CHUNKS], user_of(request))


def _add_queue(router: APIRouter, holding: Holding, labelling: Labelling) -> None:
    library = holding.library

    @router.post("/queue", response_class=HTMLResponse)
    def queue(request: Request, corpus: Annotated[str, Body()], question: Annotated[str, Body()]) -> str:
        return queue_html(labelling.queue(library.corpus_or_only(corpus), plain_question(question), user_of(request)))

    @router.post("/next")
    def next_question(
        request: Request, corpus: Annotated[str, Body()], seen: Annotated[list[str] | None, Body()] = None
    ) -> dict[str, str]:
        name = library.corpus_or_only(corpus)
        found = labelling.next_question(name, user_of(request), (seen or [])[-MOST_SEEN:])
        if found is None:
            raise UsageError(
                f"There is no other question about '{name}' yet. Type one, or import a task: rag labels import DIR"
            )
        return {"question": found}


def _add_tasks(router: APIRouter, holding: Holding, labelling: Labelling) -> None:
    library = holding.library

    @router.get("/page", response_class=HTMLResponse)
    def page(shell: bool = False, corpus: str = "") -> str:
        tasks = task_states(library)
        if not shell:
            return tasks_part(tasks)
        corpora = searchable(holding)
        return shell_html(corpora, corpus if corpus in corpora else first_of(corpora), tasks)

    @router.post("/delete", response_class=HTMLResponse)
    def delete(name: Annotated[str, Body(embed=True)]) -> str:
        labelling.delete(name)
        return tasks_part(task_states(library))

    @router.get("/export/{name}.zip")
    def export(name: str, documents: bool = False) -> Response:
        task = labelling.table.task(name)
        files: dict[str, Any] = dict(task_files(library, task))
        if documents:
            files["corpus.jsonl"] = "".join(corpus_lines(library, task.corpus))
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for path, content in files.items():
                entry = zipfile.ZipInfo(f"{task.name}/{path}")  # dated 1980: equal labels make equal bytes
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, content.encode("utf-8"))
        headers = {"content-disposition": f'attachment; filename="{task.name}.zip"'}
        return Response(packed.getvalue(), media_type="application/zip", headers=headers)


def _add_making(router: APIRouter, holding: Holding) -> None:
    library = holding.library

    async def import_table(
        request: Request, corpus: str, name: Annotated[str, Query(max_length=1_000)], partial: bool = False
    ) -> HTMLResponse:
        data = b""
        async for piece in request.stream():
            data += piece
            if len(data) > MOST_TABLE:
                raise UsageError(f"The table is larger than {MOST_TABLE >> 20} MiB. Import it with: rag labels import")
        done = await run_in_threadpool(import_questions, library, name, data, None, corpus, partial)
        return HTMLResponse(imported_html(name, done))

    router.add_api_route("/import", import_table, methods=["POST"])

    @router.post("/generate", response_class=HTMLResponse)
    def generate_questions(
        corpus: Annotated[str, Body()], count: Annotated[int, Body()], methods: Annotated[list[str], Body()]
    ) -> str:
        if not 1 <= count <= MOST_GENERATED or not methods or not set(methods) <= set(PLAIN):
            raise UsageError(f"Choose between 1 and {MOST_GENERATED} questions, and at least one way to make them.")
        return generated_html(generate(library, corpus, count, methods))


def searchable(holding: Holding) -> list[str]:
    """Returns the corpora that hold an index."""
    return [name for name in holding.library.corpora() if holding.library.cards.all(name)]


def first_of(corpora: list[str]) -> str:
    """Returns the corpus that is chosen where none was: the same as in the chat."""
    return next((name for name in ("default", "demo") if name in corpora), corpora[0] if corpora else "")
