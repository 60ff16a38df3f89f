"""The child of a parser pool: `python -m ingest.sandbox_worker`, one file after another within limits.

The parent sends {"memory_mb": ..., "seconds": ...} once, then {"path": ...} for each file, with "member" for a file in
an archive. The child answers {"status": "ready"}, and for each file {"status": "parsing", "format": ...} and then
"document", "archive", "error" or "out of memory"; before that {"status": "page recognised"} for each page of a scan.
"""

import contextlib
import hashlib
import io
import math
import os
import queue
import sys
import threading
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from ingest import ocr
from ingest.archives import OpenArchive
from ingest.errors import ParseError, UnsupportedFormatError
from ingest.frames import Message, read_frame, write_frame
from ingest.parsing import choose_parser, is_archive, run_parser
from rag.offline import go_quiet

_MAX_REQUEST_BYTES = 1 << 20


def main() -> None:
    """Serves the parent until it closes the pipe."""
    go_quiet()
    requests, replies = _take_pipes()
    limits = read_frame(requests, _MAX_REQUEST_BYTES)
    if limits is None:
        return
    _limit_memory(int(limits["memory_mb"]))
    write_frame(replies, {"status": "ready"})
    waiting: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(requests, waiting), daemon=True).start()
    last = _LastArchive()

    def grant_time() -> None:
        write_frame(replies, {"status": "page recognised"})
        _limit_cpu(float(limits["seconds"]))

    ocr.page_recognised = grant_time
    while True:
        request = waiting.get()
        _limit_cpu(float(limits["seconds"]))
        write_frame(replies, _answer(request, last, replies))


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Returns the pipes to the parent, and points stdin and stdout elsewhere: a library may print at will."""
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    return requests, replies


def _receive(requests: BinaryIO, waiting: "queue.SimpleQueue[Message]") -> None:
    """Queues requests, and ends the process when the parent is gone, even while a file is being parsed."""
    while True:
        request = read_frame(requests, _MAX_REQUEST_BYTES)
        if request is None:
            os._exit(0)
        waiting.put(request)


def _answer(request: Message, last: "_LastArchive", replies: BinaryIO) -> Message:
    path = Path(request["path"])
    try:
        if "member" in request:
            return _parse_member(last.open(path), str(request["member"]), replies)
        return _parse(path.read_bytes(), path.name, replies)
    except MemoryError:
        return {"status": "out of memory"}
    except ParseError as error:
        return {"status": "error", "kind": type(error).__name__, "message": str(error)}
    except OSError as error:
        message = f"The file cannot be read: {error.strerror or type(error).__name__}."
        return {"status": "error", "kind": ParseError.__name__, "message": message}


def _parse(data: bytes, name: str, replies: BinaryIO) -> Message:
    if is_archive(data, name):
        write_frame(replies, {"status": "parsing", "format": "zip"})
        members = OpenArchive(io.BytesIO(data)).members
        return {"status": "archive", "content_hash": hashlib.sha256(data).hexdigest(), "members": members}
    parser = choose_parser(data, name)
    write_frame(replies, {"status": "parsing", "format": parser.FORMAT})
    document = run_parser(parser, data, name)
    content_hash = hashlib.sha256(data).hexdigest()
    return {"status": "document", "format": parser.FORMAT, "content_hash": content_hash, "document": asdict(document)}


def _parse_member(archive: OpenArchive, member: str, replies: BinaryIO) -> Message:
    data, name = archive.read(member), PurePosixPath(member).name
    if is_archive(data, name):
        raise UnsupportedFormatError("It is an archive in an archive; unpack it.")
    return _parse(data, name, replies)


class _LastArchive:
    """The archive of which the last member was parsed: its next one need not read a long directory again."""

    def __init__(self) -> None:
        self._version: tuple[object, ...] = ()
        self._file: BinaryIO | None = None
        self._archive: OpenArchive | None = None

    def open(self, path: Path) -> OpenArchive:
        """Opens an archive, or returns it where it is open and has not changed since; raises OSError, ParseError."""
        status = path.stat()
        version = (path, status.st_ino, status.st_size, status.st_mtime_ns)
        if self._archive is None or self._version != version:
            self._archive = None
            if self._file:
                self._file.close()
            self._file = path.open("rb")
            self._archive, self._version = OpenArchive(self._file), version
        return self._archive


def _limit_memory(memory_mb: int) -> None:
    """Bounds the address space where the system can; macOS and Windows are left with the limit on time."""
    if sys.platform == "win32":
        return
    import resource

    for kind, limit in ((resource.RLIMIT_AS, memory_mb << 20), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (limit, limit))


def _limit_cpu(seconds: float) -> None:
    """Grants the next file its processor time, counted from what the process has used so far.

    The parent's clock runs out first for a parser that only computes; this limit holds also when the parent is stopped.
    """
    if sys.platform == "win32":
        return
    import resource

    usage = resource.getrusage(resource.RUSAGE_SELF)
    limit = math.ceil(usage.ru_utime + usage.ru_stime + seconds) + 1
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CPU, (limit, hard))


if __name__ == "__main__":
    main()
