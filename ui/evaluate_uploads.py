"""Uploaded tasks: their files come one by one, or as a zip, and become a task as a whole or not at all."""

import re
import shutil
import time
import zipfile
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path, PurePosixPath

from rag.errors import UsageError
from ui.evaluate_tasks import UPLOADED, TaskShelf
from ui.uploads import KEPT_FREE, UploadError

INCOMING = ".incoming"
MOST = 256 << 20
"""Bytes of a task's files together, as they are on the disk."""
STALE = 3600
"""Seconds after which files that are still incoming are of an upload that was given up."""

_TOKEN = re.compile(r"[0-9a-f]{32}")
_FILE = re.compile(r"(?:corpus|queries|answers|labels|votes|train|test|dev|validation)\.jsonl|task\.toml")
_QRELS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}\.tsv")
_ZIP = re.compile(r"[^/\\\x00-\x1f]{1,150}\.zip", re.IGNORECASE)


def place_of(path: str) -> PurePosixPath | None:
    """Returns where in a task's folder a file belongs, by its name; None for what is none of its files.

    >>> [str(place_of(path)) for path in ("mine/queries.jsonl", "test.tsv", "../etc/passwd", "a/qrels/dev.tsv")]
    ['queries.jsonl', 'qrels/test.tsv', 'None', 'qrels/dev.tsv']
    """
    name = path.replace("\\", "/").rpartition("/")[2]
    if _FILE.fullmatch(name):
        return PurePosixPath(name)
    return PurePosixPath("qrels", name) if _QRELS.fullmatch(name) else None


class TaskUploads:
    """Takes the files of tasks that come through the page."""

    def __init__(self, home: Path, shelf: TaskShelf) -> None:
        self._home = home
        self._incoming = home / UPLOADED / INCOMING
        self._shelf = shelf
        self._clear_stale()

    async def store(self, token: str, path: str, body: AsyncIterator[bytes]) -> str:
        """Writes a file as it comes and returns its name; raises UploadError for one that no task has."""
        folder = self._folder(token)
        name = path.replace("\\", "/").rpartition("/")[2]
        place = PurePosixPath("packed.zip") if _ZIP.fullmatch(name) else place_of(path)
        if place is None:
            raise UploadError(f"'{name[:100]}' is no file of a task. Choose a zip, .jsonl, .tsv or task.toml.")
        if shutil.disk_usage(self._home).free < KEPT_FREE + MOST:
            raise UploadError("The disk is nearly full. Make room and try again.", HTTPStatus.INSUFFICIENT_STORAGE)
        target = folder.joinpath(*place.parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        received = sum(each.stat().st_size for each in folder.rglob("*") if each.is_file() and each != target)
        with target.open("wb") as file:
            async for piece in body:
                received += len(piece)
                if received > MOST:
                    raise _too_large()
                file.write(piece)
        return name

    def adopt(self, token: str, name: str) -> str:
        """Makes a task of what has come and returns its id; raises UsageError where it is none, and forgets it."""
        folder = self._folder(token)
        try:
            if not folder.is_dir():
                raise UploadError("No file has come. Choose them again.")
            packed = folder / "packed.zip"
            if packed.is_file():
                _unpack(packed, folder)
                packed.unlink()
            return self._shelf.adopt(name, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _folder(self, token: str) -> Path:
        if not _TOKEN.fullmatch(token):
            raise UploadError("This upload has no name that can be one. Reload the page.")
        return self._incoming / token

    def _clear_stale(self) -> None:
        for folder in self._incoming.iterdir() if self._incoming.is_dir() else ():
            if folder.stat().st_mtime < time.time() - STALE:
                shutil.rmtree(folder, ignore_errors=True)


def _unpack(packed: Path, folder: Path) -> None:
    """Takes a task's own files out of a zip, wherever in it they are, and never more bytes than a task may have."""
    left = MOST
    try:
        with zipfile.ZipFile(packed) as archive:
            for member in archive.infolist():
                place = None if member.is_dir() else place_of(member.filename)
                if place is None:
                    continue
                target = folder.joinpath(*place.parts)
                if target.exists():
                    raise UsageError(f"The zip has two files for {place}. Pack one task at a time.")
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, target.open("wb") as file:
                    while piece := source.read(1 << 16):
                        left -= len(piece)
                        if left < 0:
                            raise _too_large()
                        file.write(piece)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise UsageError(f"The zip cannot be read: {error}. Pack the task's files again.") from error


def _too_large() -> UploadError:
    return UploadError(
        f"The task has more than {MOST >> 20} MiB. Put it on this computer's disk and add its folder.",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    )
