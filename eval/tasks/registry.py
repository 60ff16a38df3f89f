"""Which task family a folder holds, told by its files; a new family is one layout here and one file beside this one."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from eval.tasks.anomaly import load_anomaly_task
from eval.tasks.chunking import load_span_task
from eval.tasks.classification import load_classification_task
from eval.tasks.clustering import load_clustering_task
from eval.tasks.retrieval import load_retrieval_task
from eval.tasks.sts import load_sts_task
from eval.tasks.task import Task
from rag.errors import UsageError, unknown_name


@dataclass(frozen=True, slots=True)
class Layout:
    """The files that make a task folder, and fields that the first record of some of them must have."""

    files: tuple[str, ...]
    fields: Mapping[str, frozenset[str]]

    def fits(self, folder: Path) -> bool:
        """Tells whether the folder has the files and their first records the fields."""
        return all((folder / name).exists() for name in self.files) and all(
            wanted <= _first_fields(folder / name) for name, wanted in self.fields.items()
        )

    def __str__(self) -> str:
        return " + ".join(
            f"{name} ({', '.join(sorted(self.fields[name]))})" if name in self.fields else name for name in self.files
        )


_LABELLED = frozenset({"text", "label"})
_LABELLED_TEXTS = Layout(("train.jsonl", "test.jsonl"), {"train.jsonl": _LABELLED, "test.jsonl": _LABELLED})

LAYOUTS: Mapping[str, tuple[Layout, ...]] = {
    "retrieval": (
        Layout(("corpus.jsonl", "queries.jsonl", "qrels"), {}),
        Layout(("task.toml", "queries.jsonl", "qrels"), {}),
    ),
    "classification": (_LABELLED_TEXTS,),
    "clustering": (_LABELLED_TEXTS,),
    "anomaly": (_LABELLED_TEXTS,),
    "sts": (Layout(("test.jsonl",), {"test.jsonl": frozenset({"sentence1", "sentence2", "score"})}),),
    "spans": (Layout(("questions.jsonl", "corpora"), {"questions.jsonl": frozenset({"text", "corpus_id", "spans"})}),),
}
"""Task families in the order in which a folder is tried; the first that fits is the folder's, unless one is named."""

LOADERS: Mapping[str, Callable[[Path, str], Task]] = {
    "retrieval": load_retrieval_task,
    "spans": load_span_task,
    "classification": load_classification_task,
    "clustering": load_clustering_task,
    "anomaly": load_anomaly_task,
    "sts": load_sts_task,
}
"""What reads the folder of each family that this version evaluates, given the folder and the split."""


def detect_family(folder: Path, family: str | None = None) -> str:
    """Returns the task family of a folder, which is the named one where its files allow that.

    Raises UsageError for an unknown family, a folder that is no task of that family or of any, and a family that this
    version does not evaluate.
    """
    if family is not None and family not in LAYOUTS:
        raise unknown_name("task family", family, LAYOUTS)
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder. Name the folder of a task.")
    candidates = {family: LAYOUTS[family]} if family else LAYOUTS
    found = next((name for name, layouts in candidates.items() if any(layout.fits(folder) for layout in layouts)), None)
    if found is None:
        raise UsageError(f"{folder} is not a task folder. Looked for: {_describe(candidates)}.")
    if found not in LOADERS:
        raise UsageError(
            f"{folder} is a {found} task. This version evaluates {', '.join(sorted(LOADERS))} tasks only: "
            "leave this folder out."
        )
    return found


def load_task(folder: Path, split: str = "test", family: str | None = None) -> Task:
    """Reads a task folder as a task of its family, or of the named one; raises UsageError as `detect_family` does."""
    return LOADERS[detect_family(folder, family)](folder, split)


def _describe(candidates: Mapping[str, tuple[Layout, ...]]) -> str:
    return "; ".join(f"{name}: {' or '.join(map(str, layouts))}" for name, layouts in candidates.items())


def _first_fields(path: Path) -> set[str]:
    """Returns the field names of a JSON Lines file's first record, none where that is not a JSON object."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        line = file.readline()
    try:
        record = json.loads(line)
    except ValueError:
        return set()
    return set(record) if isinstance(record, dict) else set()
