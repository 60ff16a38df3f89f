"""Which tasks an evaluation is over: folders read as families, parts of them, each once and by a name of its own."""

import getpass
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from eval.tasks.registry import LAYOUTS, detect_family, load_task
from eval.tasks.subsets import subset
from eval.tasks.task import Task
from rag.errors import UsageError, unknown_name
from rag.holdouts import DEV, HOLDOUT, TEST, HoldoutTable, Seal
from rag.library import Library

LABEL_SOURCES = ("human", "vote", "import", "synthetic")


@dataclass(frozen=True, slots=True)
class Selected:
    """A task to be evaluated, and the seal of the one that it is the hold-out of."""

    task: Task
    seal: Seal | None = None


def select_tasks(
    library: Library,
    folders: Sequence[Path],
    split: str,
    families: Sequence[str],
    labels: str | None,
    say: Callable[[str], None],
) -> list[Selected]:
    """Reads the folders, each as every named family that its files allow, or else as the one that they tell.

    `dev` and `holdout` are the parts of a sealed task, unless the folder has a split of that name. With `labels` only
    the items of that label source are left. Raises UsageError for a sealed test split, for tasks of one name in
    different folders, and as `load_task` does.
    """
    chosen: dict[tuple[Path, str], Selected] = {}
    for folder in folders:
        for family in _families_of(folder, families):
            selected = select_task(library, folder, split, family)
            key = (folder.resolve(), selected.task.family)
            if key in chosen:
                say(f"{folder} is named twice; it is evaluated once")
                continue
            if labels:
                selected = replace(selected, task=_labelled_by(selected.task, labels))
            chosen[key] = selected
    return list(named_apart(list(chosen.values())))


def check_not_sealed(library: Library, task: Task) -> None:
    """Raises UsageError for the whole test split of a sealed task: it holds what is held out."""
    seal = HoldoutTable(library.database).find(task.digest) if task.split == TEST else None
    if seal is None:
        return
    if len(seal.items) == len(task.items):
        raise UsageError(f"{task.folder} is sealed as a whole. Its figures are those of --split {HOLDOUT}.")
    raise UsageError(
        f"{task.folder} is sealed: {len(seal.items)} of its {len(task.items)} items are held out. "
        f"Use --split {DEV} while you choose, and --split {HOLDOUT} for the figures in the end."
    )


def record_opening(library: Library, selected: Selected, rows: Sequence[str]) -> int | None:
    """Records that held-out items are looked at, and returns how often they were with this time; None without seal."""
    if selected.seal is None:
        return None
    return HoldoutTable(library.database).open(selected.seal, rows, _user())


def select_task(library: Library, folder: Path, split: str, family: str | None) -> Selected:
    """Reads one folder as one family; raises UsageError as `select_tasks` does, but for equal names."""
    table = HoldoutTable(library.database)
    if split not in (TEST, DEV, HOLDOUT) or has_split(folder, split, family):
        task = load_task(folder, split, family)
        check_not_sealed(library, task)
        return Selected(task)
    if not has_split(folder, TEST, family):
        return Selected(load_task(folder, split, family))  # which says what splits there are
    whole = load_task(folder, TEST, family)
    seal = table.find(whole.digest)
    if seal is None:
        changed = table.of_folder(str(folder.resolve()))
        if changed:
            raise UsageError(
                f"{folder} has changed since it was sealed on {changed.sealed[:10]}: its judgements or texts are "
                f"others. Seal it as it is now: rag eval seal {folder}"
            )
        raise UsageError(f"{folder} has no split '{split}', and is not sealed. To seal it: rag eval seal {folder}")
    kept = seal.items if split == HOLDOUT else whole.items.keys() - seal.items
    return Selected(subset(whole, kept, split), seal if split == HOLDOUT else None)


def _families_of(folder: Path, families: Sequence[str]) -> list[str | None]:
    """Returns the named families that a folder is a task of; raises UsageError where it is one of none of them."""
    if len(families) < 2:
        return list(families) or [None]
    found: list[str | None] = []
    refused: list[UsageError] = []
    for family in dict.fromkeys(families):
        if family not in LAYOUTS:
            raise unknown_name("task family", family, LAYOUTS)
        try:
            found.append(detect_family(folder, family))
        except UsageError as error:
            refused.append(error)
    if not found:
        raise refused[0]
    return found


def has_split(folder: Path, split: str, family: str | None) -> bool:
    """Tells whether the folder has the file of a split, whatever its family."""
    if (folder / "qrels").is_dir() and family in (None, "retrieval"):
        return (folder / "qrels" / f"{split}.tsv").is_file()
    return split == TEST or (folder / f"{split}.jsonl").is_file()


def _labelled_by(task: Task, source: str) -> Task:
    if source not in LABEL_SOURCES:
        raise unknown_name("label source", source, LABEL_SOURCES)
    sources = getattr(task, "sources", {})
    if not sources:
        raise UsageError(f"{task.folder} does not say where its labels are from (labels.jsonl). Leave --labels out.")
    kept = [item for item, of in sources.items() if of == source]
    if not kept:
        counts = ", ".join(f"{count} {of}" for of, count in sorted(Counter(sources.values()).items()))
        raise UsageError(f"{task.folder} has no item with {source} labels only. It has: {counts}.")
    return subset(task, kept, f"{task.split} ({source} labels)")


def named_apart(chosen: Sequence[Selected]) -> Iterator[Selected]:
    """Names tasks of one folder by their families too; raises UsageError for equal names of different folders."""
    by_name: dict[str, list[Selected]] = {}
    for selected in chosen:
        by_name.setdefault(selected.task.name, []).append(selected)
    for selected in chosen:
        task = selected.task
        namesakes = by_name[task.name]
        if len(namesakes) == 1:
            yield selected
            continue
        places = sorted({str(each.task.folder.resolve()) for each in namesakes})
        if len(places) > 1:
            raise UsageError(
                f"Two tasks are named '{task.name}': {places[0]} and {places[1]}. Rename one of the folders, "
                "or evaluate them apart."
            )
        renamed: Task = replace(task, name=f"{task.name}.{task.family}")  # type: ignore[type-var]
        yield replace(selected, task=renamed)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
