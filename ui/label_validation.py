"""Looks over a task of the library, or one in a folder of its own, against the documents that it judges."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eval.tasks.checking import Finding, check_task, folder_documents
from eval.tasks.registry import load_task
from eval.tasks.retrieval import RetrievalTask
from rag.errors import UsageError
from rag.labels import LabelTable
from rag.library import FILE, Library
from rag.settings import Settings
from rag.task_folders import folder_of, write_folder


@dataclass(frozen=True, slots=True)
class Validated:
    """A task and what is to be said of it."""

    task: RetrievalTask
    findings: Sequence[Finding]


def validate(settings: Settings, name: str, corpus: str | None = None, split: str = "test") -> Validated:
    """Looks over a task that is named as one of the library's, else as a folder.

    Raises UsageError for one that is neither, for a folder of another family, and for what makes it unreadable.
    """
    library = Library(settings.home) if (settings.home / FILE).is_file() else None
    try:
        return _validate(library, _folder(library, name), corpus, split)
    finally:
        if library:
            library.close()


def validate_task(library: Library, name: str) -> Validated:
    """Looks over a task of the library."""
    return _validate(library, write_folder(library, LabelTable(library.database).task(name).name), None, "test")


def _folder(library: Library | None, name: str) -> Path:
    known = [task.name for task in LabelTable(library.database).tasks()] if library else []
    if library and name in known:
        return write_folder(library, name)
    if not Path(name).is_dir():
        listed = f" Known: {', '.join(known)}." if known else ""
        where = folder_of(library.home, name) if library else name
        raise UsageError(f"'{name}' is neither a folder nor a task of the library ({where}).{listed}")
    return Path(name)


def _validate(library: Library | None, folder: Path, corpus: str | None, split: str) -> Validated:
    task = load_task(folder, split)
    if not isinstance(task, RetrievalTask):
        raise UsageError(f"{folder} is a {task.family} task; reading it has found nothing wrong with its lines.")
    if task.corpus is None:
        known, text_of = folder_documents(task)
        return Validated(task, check_task(task, known, text_of))
    if library is None:
        raise UsageError(f"{folder} judges documents of the corpus '{task.corpus}', and there is no library yet.")
    sources = library.sources(library.corpus_or_only(corpus or task.corpus))

    def text_in_library(source: str) -> str | None:
        document = library.document(sources[source]) if library and source in sources else None
        return document.text if document else None

    return Validated(task, check_task(task, sources, text_in_library))
