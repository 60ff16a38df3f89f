"""What `rag eval seal` does and says."""

from pathlib import Path

import click

from eval.tasks.registry import load_task
from rag.errors import UsageError
from rag.holdouts import DEV, HOLDOUT, TEST, HoldoutTable, choose
from rag.settings import Settings
from ui.labelling import refresh_tasks
from ui.options import opened_library, print_json
from ui.task_selection import has_split


def tell_seal(settings: Settings, folder: Path, share: float, seed: int, family: str | None, as_json: bool) -> int:
    """Seals a task, says so and returns the exit status.

    Raises UsageError for a task that is sealed, and for one whose own splits have the names that a seal gives.
    """
    refresh_tasks(settings.home, [folder])
    task = load_task(folder, TEST, family)
    held_out = choose(task.items, share, seed)
    names = [HOLDOUT] if share == 1 else [HOLDOUT, DEV]
    taken = next((name for name in names if has_split(folder, name, family)), None)
    if taken:
        remedy = ", or hold out all of test with --share 1" if taken == DEV else ""
        raise UsageError(f"{folder} has a split '{taken}' of its own. Rename that{remedy}.")
    with opened_library(settings, create=True) as library:
        made = HoldoutTable(library.database).seal(task.digest, str(folder.resolve()), held_out, seed)
    left = len(task.items) - len(held_out)
    if as_json:
        document = {"task": task.name, "digest": made.digest, "seed": seed, "sealed": made.sealed}
        print_json({**document, "holdout": sorted(held_out), "dev": sorted(task.items.keys() - held_out)})
        return 0
    click.echo(f"{task.name}: {len(held_out)} of {len(task.items)} items are held out, {left} are left")
    if left:
        click.echo(f"  while you choose:  rag eval {folder} --split {DEV}")
    click.echo(f"  in the end, once:  rag eval {folder} --split {HOLDOUT}")
    return 0
