"""Uploaded files: stored under the library by corpus and relative path, whole or not at all."""

import errno
import os
import re
import secrets
import shutil
import time
import unicodedata
from collections.abc import AsyncIterator
from http import HTTPStatus
from io import BufferedWriter
from pathlib import Path, PurePosixPath

from rag.errors import RagError
from rag.library import CORPUS_NAME

FOLDER = "uploads"
INCOMING = ".incoming"  # no corpus can have this name
LIMIT = 1 << 30
"""Bytes of one file."""
KEPT_FREE = 256 << 20
"""Bytes of the disk that uploads leave free: the library must be able to write what it makes of them."""
STALE = 3600
"""Seconds after which a file that is still incoming is of an upload that was killed."""

MOST_BYTES = 200
"""Of one name in UTF-8; file systems take 255."""
MOST_PATH = 900
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\\\ud800-\udfff\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
_DRIVE = re.compile(r"[A-Za-z]:")


class UploadError(RagError):
    """A file was not taken; `status` is HTTP's word for why."""

    def __init__(self, message: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(message)
        self.status = status


def upload_folder(home: Path, corpus: str) -> Path:
    """Returns the folder of a corpus's uploaded files; raises UploadError for a name that cannot be a corpus."""
    if len(corpus) > 100 or not CORPUS_NAME.fullmatch(corpus):
        raise UploadError(f"'{corpus[:100]}' cannot name a corpus: use letters and digits, joined by '.', '_' or '-'.")
    return home / FOLDER / corpus


def relative_path(text: str) -> PurePosixPath:
    """Returns a path as a browser sends it, composed as NFC, or raises UploadError where it could lead astray.

    >>> str(relative_path("notes/tea.md"))
    'notes/tea.md'
    """
    path = unicodedata.normalize("NFC", text)
    shown = path[:80].encode("utf-8", "replace").decode()
    if _UNFIT.search(path) or _DRIVE.match(path) or path.startswith("/"):
        raise UploadError(f"{shown!r} cannot be a file's path here: it must be relative, without control characters.")
    parts = path.split("/")
    for part in parts:
        if part in ("", ".", "..") or part != part.strip() or part.endswith("."):
            raise UploadError(f"{shown!r} cannot be a file's path here: '{part}' is no name.")
        if part.startswith("."):
            raise UploadError(f"{shown!r} is hidden, and hidden files are not ingested.")
        if _RESERVED.fullmatch(part) or (os.name == "nt" and re.search(r'[<>:"|?*]', part)):
            raise UploadError(f"{shown!r} cannot be a file's path here: '{part}' is a reserved name.")
        if len(part.encode()) > MOST_BYTES:
            raise UploadError(f"{shown!r} has a name of more than {MOST_BYTES} bytes. Shorten it.")
    if len(path.encode()) > MOST_PATH:
        raise UploadError(f"{shown!r} is a path of more than {MOST_PATH} bytes. Shorten it.")
    return PurePosixPath(path)


async def store(home: Path, corpus: str, path: str, length: int | None, body: AsyncIterator[bytes]) -> Path:
    """Writes the body to the disk as it comes, then puts it into its place, over an older version; returns the place.

    Raises UploadError where the file is too large, the disk too full, the path unfit, or the body shorter than
    `length` bytes.
    """
    from starlette.concurrency import run_in_threadpool

    target = _target(upload_folder(home, corpus), relative_path(path))
    _check_room(home, length or 0)
    incoming = home / FOLDER / INCOMING
    incoming.mkdir(parents=True, exist_ok=True)
    part = incoming / secrets.token_hex(16)
    try:
        received = 0
        with part.open("xb") as file:
            async for piece in body:
                received += len(piece)
                if received > LIMIT:
                    raise _too_large()
                await run_in_threadpool(file.write, piece)
            await run_in_threadpool(_settle, file)
        if length is not None and received != length:
            raise UploadError(f"Only {received:,} of {length:,} bytes have come. Send the file again.")
        target.parent.mkdir(parents=True, exist_ok=True)
        part.replace(target)
    except OSError as error:
        raise _disk_error(error, path) from error
    finally:
        part.unlink(missing_ok=True)
    return target


def _settle(file: BufferedWriter) -> None:
    file.flush()
    os.fsync(file.fileno())


def _target(folder: Path, path: PurePosixPath) -> Path:
    """Returns where a file goes; raises UploadError where a link leads out of the folder."""
    target = folder.joinpath(*path.parts)
    if not target.parent.resolve().is_relative_to(folder.resolve()):
        raise UploadError(f"'{path}' would leave the folder of the corpus.")
    return target


def _check_room(home: Path, length: int) -> None:
    if length > LIMIT:
        raise _too_large()
    free = shutil.disk_usage(home).free
    if free - length < KEPT_FREE:
        raise UploadError(
            f"The disk of {home} has {free >> 20:,} MiB left; uploads leave {KEPT_FREE >> 20} MiB free. Make room.",
            HTTPStatus.INSUFFICIENT_STORAGE,
        )


def _too_large() -> UploadError:
    return UploadError(
        f"The file has more than {LIMIT >> 20:,} MiB. Put it on this computer's disk and ingest it from there.",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    )


def _disk_error(error: OSError, path: str) -> UploadError:
    if error.errno in (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY):
        message = f"'{path}' cannot be stored: a file and a folder would have the same name. Rename one of them."
        return UploadError(message, HTTPStatus.CONFLICT)
    if error.errno == errno.ENOSPC:
        return UploadError("The disk is full. Make room and try again.", HTTPStatus.INSUFFICIENT_STORAGE)
    return UploadError(f"'{path}' cannot be stored: {error.strerror}.", HTTPStatus.INTERNAL_SERVER_ERROR)


def is_upload(home: Path, path: Path) -> bool:
    """Tells whether a file is a copy that was uploaded, and not the user's own."""
    return path.parent.resolve().is_relative_to((home / FOLDER).resolve())


def clear_empty_folders(home: Path, corpus: str) -> None:
    """Deletes the folders of a corpus in which removed files have left nothing."""
    folders = [Path(folder) for folder, _, _ in os.walk(upload_folder(home, corpus), topdown=False)]
    for folder in folders:
        if not any(folder.iterdir()):
            folder.rmdir()


def clear_stale(home: Path) -> None:
    """Deletes what killed uploads have left; those that are still coming are younger."""
    incoming = home / FOLDER / INCOMING
    for part in incoming.iterdir() if incoming.is_dir() else ():
        if part.stat().st_mtime < time.time() - STALE:
            part.unlink(missing_ok=True)
