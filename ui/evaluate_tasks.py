"""The tasks that the Evaluate tab offers: the library's own, the demo's, those uploaded, and folders of this computer.

Uploaded tasks lie in `<home>/uploaded-tasks/<name>/`; which folders were added is noted in `<home>/task-folders.json`.
"""

import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from eval.tasks.registry import LAYOUTS, LOADERS, load_task
from eval.tasks.retrieval import RetrievalTask
from eval.tasks.task import Task
from rag.errors import RagError, UsageError
from rag.holdouts import DEV, HOLDOUT, TEST, HoldoutTable
from rag.labels import LabelTable, check_task_name
from rag.library import Library
from rag.schema import content_id
from rag.task_folders import folder_of, write_folder
from ui.labelling import DEMO_TASK
from ui.task_selection import Selected, select_task

UPLOADED = "uploaded-tasks"
FOLDERS = "task-folders.json"
MOST_FOLDERS = 200


class Origin(Enum):
    """Where a task comes from."""

    LABELS = "labels"
    DEMO = "demo"
    UPLOADED = "uploaded"
    FOLDER = "folder"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be evaluated of an offered task: its id, the split, and the family as which its folder is read."""

    id: str
    family: str
    split: str


@dataclass(frozen=True, slots=True)
class Offered:
    """A task that can be chosen, read as its first family and split; `problem` tells why it cannot be evaluated.

    `corpus` is the one that the task is over, None where its folder brings its own texts.
    """

    id: str
    origin: Origin
    name: str
    folder: Path
    families: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    items: int = 0
    corpus: str | None = None
    problem: str = ""


class TaskShelf:
    """Lists the tasks and reads them; what was read of a folder is kept until one of its files changes."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._lock = threading.Lock()
        self._read: dict[tuple[Path, str, str], tuple[float, Task]] = {}

    # --- listing

    def all(self, local: bool) -> list[Offered]:
        """Returns the tasks in the order in which they are shown; folders of this computer only where it is `local`."""
        return [self._look(origin, id_, folder) for origin, id_, folder in self._places(local)]

    def _places(self, local: bool) -> Iterator[tuple[Origin, str, Path]]:
        for task in LabelTable(self._library.database).tasks():
            yield Origin.LABELS, f"labels/{task.name}", folder_of(self._library.home, task.name)
        if DEMO_TASK.is_dir():
            yield Origin.DEMO, "demo", DEMO_TASK
        uploaded = self._library.home / UPLOADED
        for folder in sorted(uploaded.iterdir()) if uploaded.is_dir() else ():
            if folder.is_dir() and not folder.name.startswith("."):
                yield Origin.UPLOADED, f"uploaded/{folder.name}", folder
        for folder in self._folders() if local else ():
            yield Origin.FOLDER, folder_id(folder), folder

    def _look(self, origin: Origin, id_: str, folder: Path) -> Offered:
        offered = Offered(id_, origin, folder.name, folder)
        try:
            if origin is Origin.LABELS:
                write_folder(self._library, folder.name)  # it may be behind: the corpus has changed, or a kill came
            families = families_of(folder)
            offered = replace(offered, families=families, splits=splits_of(folder))
            task = self._load(folder, families[0], offered.splits[0])
        except (RagError, OSError) as error:
            return replace(offered, problem=str(error))
        corpus = task.corpus if isinstance(task, RetrievalTask) else None
        problem = ""
        if corpus is not None and corpus not in self._library.corpora():
            problem = f"The corpus '{corpus}', whose documents it judges, is not in the library."
        return replace(
            offered, splits=self._parts(task, offered.splits), items=len(task.items), corpus=corpus, problem=problem
        )

    def _parts(self, task: Task, splits: tuple[str, ...]) -> tuple[str, ...]:
        """Returns the splits to choose from: of a sealed task the parts that it was sealed into, for its test."""
        if HoldoutTable(self._library.database).find(task.digest) is None:
            return splits
        return tuple(dict.fromkeys((DEV, HOLDOUT, *(split for split in splits if split != TEST))))

    # --- reading

    def open(self, wanted: Wanted, local: bool) -> Selected:
        """Reads a task that was chosen; raises UsageError where it is not there, is sealed, or cannot be read."""
        folder = self.folder(wanted.id, local)
        if wanted.id.startswith(f"{Origin.LABELS.value}/"):
            write_folder(self._library, folder.name)
        return select_task(self._library, folder, wanted.split, wanted.family)

    def folder(self, id_: str, local: bool) -> Path:
        """Returns the folder of an offered task; raises UsageError where there is none of that id."""
        found = next((folder for _, known, folder in self._places(local) if known == id_), None)
        if found is None:
            raise UsageError("This task is not there any more. Reload the page.")
        return found

    def _load(self, folder: Path, family: str, split: str) -> Task:
        key, changed = (folder, family, split), _changed(folder)
        with self._lock:
            kept = self._read.get(key)
        if kept is None or kept[0] != changed:
            kept = (changed, load_task(folder, split, family))
            with self._lock:
                self._read[key] = kept
        return kept[1]

    # --- folders of this computer, and uploads

    def add_folder(self, folder: Path) -> str:
        """Notes a folder and returns its task's id; raises UsageError where it is no task that can be read."""
        families = families_of(folder)
        load_task(folder, splits_of(folder)[0], families[0])
        self._note([*(each for each in self._folders() if each != folder), folder])
        return folder_id(folder)

    def forget(self, id_: str, local: bool) -> None:
        """Takes a folder from the list, or deletes an uploaded task; raises UsageError for what is neither."""
        folder = self.folder(id_, local)
        if id_.startswith("folder/"):
            self._note([each for each in self._folders() if each != folder])
        elif id_.startswith("uploaded/"):
            shutil.rmtree(folder)
        else:
            raise UsageError("This task is not of the kind that can be taken from the list here.")

    def adopt(self, name: str, fresh: Path) -> str:
        """Puts an uploaded task in its place and returns its id; raises UsageError where it cannot be read.

        `fresh` is a folder inside the library's home, which is gone afterwards. A task of that name is replaced.
        """
        check_task_name(name)
        load_task(fresh, splits_of(fresh)[0], families_of(fresh)[0])
        target = self._library.home / UPLOADED / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            shutil.rmtree(target)
        fresh.replace(target)
        return f"uploaded/{name}"

    def _folders(self) -> list[Path]:
        try:
            noted = json.loads((self._library.home / FOLDERS).read_text(encoding="utf-8"))
            return [Path(each) for each in noted if isinstance(each, str)]
        except (OSError, ValueError, TypeError):
            return []

    def _note(self, folders: list[Path]) -> None:
        text = json.dumps([str(each) for each in folders[-MOST_FOLDERS:]], indent=1)
        fresh = self._library.home / f".{FOLDERS}.new"
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(self._library.home / FOLDERS)


def folder_id(folder: Path) -> str:
    """Returns the id of a folder of this computer: its path may hold characters that a page cannot."""
    return f"folder/{content_id(str(folder))[:16]}"


def families_of(folder: Path) -> tuple[str, ...]:
    """Returns the families as which a folder can be evaluated; raises UsageError where there is none."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder, or it is not there any more.")
    fitting = [name for name, layouts in LAYOUTS.items() if any(layout.fits(folder) for layout in layouts)]
    known = tuple(name for name in fitting if name in LOADERS)
    if known:
        return known
    if fitting:
        raise UsageError(f"This version does not evaluate {fitting[0]} tasks.")
    raise UsageError(
        "This is no task. It needs queries.jsonl with qrels/ and either corpus.jsonl or task.toml; or train.jsonl and "
        "test.jsonl with text and label; or test.jsonl with sentence1, sentence2 and score."
    )


def splits_of(folder: Path) -> tuple[str, ...]:
    """Returns the splits that a folder has, `test` first where it is there."""
    files = (folder / "qrels").glob("*.tsv") if (folder / "qrels").is_dir() else folder.glob("*.jsonl")
    names = {path.stem for path in files if path.is_file() and not path.name.startswith(".")} - {"train"}
    if not (folder / "qrels").is_dir():
        names &= {"test", "dev", "validation"}
    return tuple(sorted(names, key=lambda name: (name != "test", name))) or ("test",)


def _changed(folder: Path) -> float:
    """Returns when one of a task's files was changed last."""
    return max((path.stat().st_mtime for path in (*folder.glob("*"), *folder.glob("qrels/*"))), default=0.0)
