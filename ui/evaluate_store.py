"""Finished evaluations: `<home>/runs/evaluations/<time>-<tasks>/`, listed, opened, packed as a zip and deleted.

Beside what `rag eval --out` writes a folder holds evaluation.json (what was asked for, when, and how long it took) and
queries.json (what every row made of the queries). A folder of `rag eval --out` may be opened too.
"""

import io
import json
import re
import shutil
import threading
import time
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eval.drilldown import query_details
from eval.outputs import write_outputs
from eval.results import Results
from eval.saved import load_saved
from eval.tasks.retrieval import RetrievalTask
from eval.tasks.task import Task
from eval.verdicts import labels_of
from rag.errors import RagError, UsageError
from rag.library import Library
from ui.evaluate_documents import Documents, Saved
from ui.evaluate_progress import CellState, ProgressView
from ui.evaluate_tasks import folder_id
from ui.evaluate_thaw import thaw, with_evidence

FOLDER = "evaluations"
ABOUT, QUERIES = "evaluation.json", "queries.json"
OPENED = "opened-evaluations.json"
"""Which folders of `rag eval --out` were opened, in the library's folder."""
MOST_QUERIES = 500
"""Of a task, those on which its rows differ most, are told in detail."""
MOST_BYTES = 400 << 20
"""Of a file of an evaluation that is read."""
STALE = 3600
"""Seconds after which what is half written is of an application that was killed."""
KEPT = 3
"""Evaluations whose documents are kept in memory."""

_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,150}")
_UNFIT = re.compile(r"[^0-9A-Za-z]+")


class EvaluationStore:
    """The evaluations of a library."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._home = library.home
        self.folder = library.home / "runs" / FOLDER
        self._lock = threading.Lock()
        for part in self.folder.glob(".*.part"):  # of an application that was killed while it wrote
            if part.stat().st_mtime < time.time() - STALE:
                shutil.rmtree(part, ignore_errors=True)
        self._kept: OrderedDict[tuple[str, float], Documents] = OrderedDict()

    # --- saving

    def save(self, results: Results, order: Mapping[str, Any], progress: ProgressView) -> str:
        """Writes an evaluation into a folder of its own, as a whole or not at all, and returns its id."""
        now = datetime.now(UTC)
        tasks = [each.task.name for each in results.tasks]
        words = _UNFIT.sub("-", "-".join(dict.fromkeys(tasks))).strip("-")[:60] or "tasks"
        id_ = self._free(f"{now:%Y-%m-%dT%H%M%S}-{words}")
        fresh = self.folder / f".{id_}.part"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        text_of = Texts(self._library, results)
        write_outputs(fresh, results, text_of)
        failed = [cell for cell in progress.cells if cell.state is CellState.FAILED]
        about = {
            "created": now.isoformat(timespec="seconds"),
            "seconds": round(progress.seconds, 1),
            "tasks": tasks,
            "rows": len(results.rows),
            "leaders": [labels_of(each.rows)[each.compared.ranking[0]] for each in results.tasks],
            "order": order,
            "notes": [
                *(f"{_named(cell.task, cell.retriever, cell.embedder)} failed: {cell.error}" for cell in failed),
                *progress.notes,
            ],
        }
        _write(fresh / ABOUT, about)
        _write(fresh / QUERIES, query_details(results, text_of, limit=MOST_QUERIES))
        fresh.replace(self.folder / id_)
        return id_

    # --- listing and opening

    def all(self, local: bool) -> list[Saved]:
        """Returns the evaluations, the newest first; folders that were opened only where the request is `local`."""
        own = [self._look(folder.name, folder, True) for folder in self._folders()]
        others = [self._look(folder_id(folder), folder, False) for folder in (self._opened() if local else ())]
        return [*sorted(filter(None, own), key=lambda each: each.id, reverse=True), *filter(None, others)]

    def open(self, id_: str, local: bool) -> Documents:
        """Reads an evaluation; raises UsageError where there is none of that id, RagError for one that is damaged."""
        saved = self._find(id_, local)
        key = (id_, (saved.folder / "results.json").stat().st_mtime)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        queries = saved.folder / QUERIES
        documents = Documents(
            saved,
            _read(saved.folder / "results.json"),
            _read(saved.folder / "comparisons.json"),
            _read(queries) if queries.is_file() else {},
        )
        if not isinstance(documents.results.get("rows"), list) or not isinstance(
            documents.comparisons.get("tasks"), list
        ):
            raise UsageError(f"{saved.folder} holds no evaluation that this version can read.")
        if not documents.queries:
            documents = replace(documents, queries=self._details(documents))
        with self._lock:
            self._kept[key] = documents
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return documents

    def add_folder(self, folder: Path) -> str:
        """Notes a folder of `rag eval --out` and returns its id; raises UsageError where it is none."""
        for name in ("results.json", "comparisons.json"):
            if not (folder / name).is_file():
                raise UsageError(f"{folder} holds no {name}: name a folder that `rag eval --out` has written.")
        self._note([*(each for each in self._opened() if each != folder), folder])
        return folder_id(folder)

    # --- taking out

    def packed(self, id_: str, local: bool) -> bytes:
        """Returns all files of an evaluation as a zip."""
        saved = self._find(id_, local)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            for path in sorted(saved.folder.rglob("*")):
                if path.is_file() and not path.is_symlink() and not path.name.startswith("."):
                    archive.write(path, f"{saved.folder.name}/{path.relative_to(saved.folder).as_posix()}")
        return packed.getvalue()

    def delete(self, id_: str, local: bool) -> None:
        """Deletes an evaluation; one that was opened from elsewhere is only taken from the list."""
        saved = self._find(id_, local)
        if saved.is_own:
            shutil.rmtree(saved.folder)
        else:
            self._note([each for each in self._opened() if each != saved.folder])

    def file(self, id_: str, name: str, local: bool) -> Path:
        """Returns where a file of an evaluation is; raises UsageError where it has none of that name."""
        path = self._find(id_, local).folder / name
        if not path.is_file():
            raise UsageError(f"This evaluation has no {name}.")
        return path

    # --- inside

    def _find(self, id_: str, local: bool) -> Saved:
        saved = None
        if _ID.fullmatch(id_):
            saved = self._look(id_, self.folder / id_, True)
        elif local and id_.startswith("folder/"):
            saved = next((self._look(id_, each, False) for each in self._opened() if id_ == folder_id(each)), None)
        if saved is None:
            raise UsageError("This evaluation is not there any more. Reload the page.")
        return saved

    def _free(self, id_: str) -> str:
        """Returns an id that no folder has yet: two evaluations may end within one second."""
        names = (id_, *(f"{id_}-{number}" for number in range(2, 1000)))
        return next(name for name in names if not (self.folder / name).exists())

    def _details(self, documents: Documents) -> Mapping[str, Any]:
        """Finds out what became of each query from the runs and the evidence; nothing where these were not written."""
        try:
            results = with_evidence(thaw(documents), load_saved(documents.saved.folder))
        except RagError:
            return {}
        return query_details(results, Texts(self._library, results), limit=MOST_QUERIES) if results else {}

    def _folders(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return [each for each in self.folder.iterdir() if each.is_dir() and _ID.fullmatch(each.name)]

    def _look(self, id_: str, folder: Path, is_own: bool) -> Saved | None:
        """Returns what the list shows, None where there is no evaluation any more."""
        if not (folder / "results.json").is_file():
            return None
        try:
            about = _read(folder / ABOUT) if (folder / ABOUT).is_file() else self._about(folder)
            return Saved(
                id_,
                folder,
                str(about["created"]),
                about.get("seconds"),
                tuple(map(str, about["tasks"])),
                int(about["rows"]),
                is_own,
                tuple(map(str, about.get("notes", ()))),
                tuple(map(str, about.get("leaders", ()))),
            )
        except (RagError, KeyError, TypeError, ValueError):
            return Saved(id_, folder, "", None, (folder.name,), 0, is_own, ("This evaluation is damaged.",))

    def _about(self, folder: Path) -> dict[str, Any]:
        rows = _read(folder / "results.json")["rows"]
        written = datetime.fromtimestamp((folder / "results.json").stat().st_mtime, UTC)
        return {
            "created": written.isoformat(timespec="seconds"),
            "tasks": list(dict.fromkeys(row["task"] for row in rows)),
            "rows": len(rows),
        }

    def _opened(self) -> list[Path]:
        try:
            noted = json.loads((self._home / OPENED).read_text(encoding="utf-8"))
            return [Path(each) for each in noted if isinstance(each, str)]
        except (OSError, ValueError, TypeError):
            return []

    def _note(self, folders: list[Path]) -> None:
        _write(self._home / OPENED, [str(each) for each in folders])


class Texts:
    """The titles and texts of the documents that an evaluation ranked, read from the library when they are needed."""

    def __init__(self, library: Library, results: Results) -> None:
        self._library = library
        self._corpora = {
            id(each.task): str(row.provenance["corpus"])
            for each in results.tasks
            for row in each.rows
            if "corpus" in row.provenance
        }
        self._sources: dict[str, dict[str, str]] = {}

    def __call__(self, task: Task, source: str) -> tuple[str, str] | None:
        """Returns the title and the text of a document, None where the corpus lacks it."""
        corpus = self._corpora.get(id(task))
        if corpus is None or not isinstance(task, RetrievalTask):
            return None
        if corpus not in self._sources:
            self._sources[corpus] = self._library.sources(corpus)
        document = self._library.document(self._sources[corpus].get(source, ""))
        return (document.title, document.text) if document else None


def _named(*words: str | None) -> str:
    return " ".join(filter(None, words))


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UsageError(f"{path} has more than {MOST_BYTES >> 20} MiB and is not opened here.")
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{path} is not there any more.") from None
    except ValueError as error:
        raise UsageError(f"{path} is damaged: {error}") from error
    if not isinstance(document, dict):
        raise UsageError(f"{path} is no document of an evaluation.")
    return document


def _write(path: Path, document: object) -> None:
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(json.dumps(document, ensure_ascii=False, allow_nan=False), encoding="utf-8")
    fresh.replace(path)
