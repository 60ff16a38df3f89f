"""The library's one writer: a file lock that names its holder to whoever comes second."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rag.errors import LibraryLockedError

FILE = "writer.lock"
HOLDER = "writer.json"


@contextmanager
def writer_lock(home: Path) -> Iterator[None]:
    """Holds the library for writing; raises LibraryLockedError, at once, where another process holds it.

    The operating system frees the lock when its process ends, however it ends.
    """
    from filelock import FileLock, Timeout

    home.mkdir(parents=True, exist_ok=True)
    lock = FileLock(home / FILE, thread_local=False)  # taken by one thread of the application, freed by another
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise LibraryLockedError(
            f"The library at {home} is being written by {holder(home)}. Wait for it to end, or stop it, and try again; "
            "searching, asking and evaluating work meanwhile."
        ) from None
    try:
        command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:200]
        (home / HOLDER).write_text(json.dumps({"pid": os.getpid(), "command": command}), encoding="utf-8")
        yield
    finally:
        (home / HOLDER).unlink(missing_ok=True)
        lock.release()


def is_held_here(home: Path) -> bool:
    """Tells whether this very process is the library's writer, so that all its threads may write."""
    try:
        return bool(json.loads((home / HOLDER).read_text(encoding="utf-8"))["pid"] == os.getpid())
    except (OSError, ValueError, KeyError):
        return False


def holder(home: Path) -> str:
    """Describes the process that holds the library, as far as it left its name."""
    try:
        written = json.loads((home / HOLDER).read_text(encoding="utf-8"))
        return f"process {written['pid']} ({written['command']})"
    except (OSError, ValueError, KeyError):
        return "another process"
