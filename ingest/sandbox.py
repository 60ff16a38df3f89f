"""Parsing in subprocesses with limits on memory and time: a hostile file costs its own entry, never the ingest."""

import contextlib
import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import IO, BinaryIO, NamedTuple, Self, cast

from ingest.archives import Member
from ingest.errors import NoTextError, ParseError, UnsupportedFormatError
from ingest.frames import FrameError, Message, read_frame, write_frame
from ingest.parsing import format_label
from rag.errors import RagError, UsageError
from rag.schema import Heading, ParsedDocument

MIN_MEMORY_MB = 512
"""With less address space lxml gives up on ordinary files, and says that they are damaged."""

_FILES_PER_CHILD = 200  # a fresh child now and then, so that no file pays for memory that earlier ones left behind
_START_SECONDS = 60.0
SECONDS_A_PAGE = 15.0
"""What each recognised page of a scan adds to a file's time: recognition takes two to five seconds of a quiet core."""

_CPU_LIMIT_REACHED = -24  # Popen's code for SIGXCPU, a signal that Windows lacks
_KILLED = -9
_ERRORS = {kind.__name__: kind for kind in (ParseError, NoTextError, UnsupportedFormatError)}


class Parsed(NamedTuple):
    """What became of a file: its format, its document, and the sha256 of its bytes in hexadecimal digits."""

    format: str
    document: ParsedDocument
    content_hash: str


class Archive(NamedTuple):
    """What became of a file that is an archive of files: its members, and the sha256 of its bytes."""

    members: tuple[Member, ...]
    content_hash: str


class ParserPool:
    """Parses files in up to `workers` child processes, which start when first needed and are used again.

    Each file has `seconds` of time and `memory_mb` of address space (on Linux). A child that exceeds them or crashes
    is replaced, and its file gets a ParseError. Threads may share a pool.
    """

    def __init__(self, workers: int = 1, memory_mb: int = 2048, seconds: float = 60) -> None:
        if workers < 1 or seconds <= 0 or memory_mb < MIN_MEMORY_MB:
            raise UsageError(
                f"A parser pool needs 1 worker, {MIN_MEMORY_MB} MB and some seconds at least; "
                f"it was given {workers}, {memory_mb} and {seconds}."
            )
        self._children = [_Child(memory_mb, seconds) for _ in range(workers)]
        self._idle: queue.LifoQueue[_Child] = queue.LifoQueue()
        for child in self._children:
            self._idle.put(child)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the children; a file that is being parsed gets a ParseError."""
        for child in self._children:
            child.close()

    def parse(self, path: Path) -> Parsed | Archive:
        """Parses a file, or lists what an archive holds.

        Raises ParseError, NoTextError or UnsupportedFormatError with the child's message.
        """
        return self._ask({"path": str(path.absolute())})

    def parse_member(self, path: Path, name: str) -> Parsed:
        """Parses a file in an archive; the hash is that of the member's bytes, errors are as for `parse`."""
        result = self._ask({"path": str(path.absolute()), "member": name})
        if isinstance(result, Archive):
            raise ParseError(f"The parser was asked for the member {name!r} and answered with an archive.")
        return result

    def _ask(self, request: Message) -> Parsed | Archive:
        child = self._idle.get()
        try:
            return child.ask(request)
        finally:
            self._idle.put(child)


class _Child:
    """One child process, started when a file comes and replaced when it is gone; parses one file at a time."""

    def __init__(self, memory_mb: int, seconds: float) -> None:
        self._memory_mb = memory_mb
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._files = 0
        self._is_closed = False
        self._starting = threading.Lock()  # so that no process is started behind the back of `close`
        self._parsing = threading.Lock()

    def ask(self, request: Message) -> Parsed | Archive:
        with self._parsing:
            process = self._running()
            deadline = _Deadline(process, self._seconds)
            self._files += 1
            try:
                return self._exchange(process, deadline, request)
            finally:
                if deadline.has_passed or self._files >= _FILES_PER_CHILD or process.poll() is not None:
                    self._stop()

    def close(self) -> None:
        with self._starting:
            self._is_closed = True
            if self._process:
                self._process.kill()
        with self._parsing:  # what was being parsed ends now
            self._stop()

    def _running(self) -> "subprocess.Popen[bytes]":
        with self._starting:
            if self._is_closed:
                raise ParseError("The parser pool is closed. Open another one to parse more files.")
            if self._process:
                return self._process
            self._process = process = _start()
        self._files = 0
        limits = {"memory_mb": self._memory_mb, "seconds": self._seconds}
        ready = None
        with _Deadline(process, _START_SECONDS), contextlib.suppress(FrameError):
            ready = self._send(process, limits)
        if ready is None:
            self._stop()
            raise RagError(
                f"The process that parses files does not start within {self._memory_mb} MB and {_START_SECONDS:g} s. "
                f"Allow it more, or run '{sys.executable} -m ingest.sandbox_worker' to see what is wrong."
            )
        return process

    def _exchange(
        self, process: "subprocess.Popen[bytes]", deadline: "_Deadline", request: Message
    ) -> Parsed | Archive:
        """Has a file parsed and returns the document or the archive, or raises the error, of the child's answer."""
        label = "parser"
        try:
            with deadline:
                answer = self._send(process, request)
                if answer and answer["status"] == "parsing":
                    label = f"{format_label(str(answer['format']))} parser"
                    answer = self._read(process)
                while answer and answer["status"] == "page recognised":
                    deadline.extend(SECONDS_A_PAGE)
                    answer = self._read(process)
            if answer is None:
                raise ParseError(f"The {label} {self._death(process, deadline)}.")
            if answer["status"] == "out of memory":
                self._stop()
                raise ParseError(f"The {label} was stopped: it used more than {self._memory_mb} MB.")
            return _result(answer)
        except (ValueError, KeyError, TypeError) as error:  # FrameError is a ValueError
            self._stop()
            raise ParseError(f"The {label} was stopped: its answer was no document ({error!r}).") from error

    def _send(self, process: "subprocess.Popen[bytes]", message: Message) -> Message | None:
        """Sends a message and returns the answer; None where the child is gone."""
        try:
            write_frame(_pipe(process.stdin), message)
        except BrokenPipeError:
            return None
        return self._read(process)

    def _read(self, process: "subprocess.Popen[bytes]") -> Message | None:
        return read_frame(_pipe(process.stdout), self._memory_mb << 20)

    def _death(self, process: "subprocess.Popen[bytes]", deadline: "_Deadline") -> str:
        """Says how a child ended that gave no answer."""
        code = process.wait()
        if self._is_closed:
            return "was stopped: the pool was closed"
        if deadline.has_passed or code == _CPU_LIMIT_REACHED:
            return f"was stopped: more than {self._seconds:g} s"
        if code == _KILLED:
            return "was killed by the system, most likely for want of memory"
        if code < 0:
            return f"crashed with signal {-code}; it may have needed more than {self._memory_mb} MB"
        return f"ended with exit code {code}"

    def _stop(self) -> None:
        """Ends the process and frees its pipes; the next file starts another."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):  # closing writes what is left to a process that is gone
                _pipe(pipe).close()


class _Deadline:
    """Kills a process if the `with` block lasts longer than so many seconds; pipes on Windows know no timeout."""

    def __init__(self, process: "subprocess.Popen[bytes]", seconds: float) -> None:
        self.has_passed = False
        self._process = process
        self._end = time.monotonic() + seconds
        self._timer = self._make_timer()

    def _make_timer(self) -> threading.Timer:
        timer = threading.Timer(max(0.0, self._end - time.monotonic()), self._pass)
        timer.daemon = True
        return timer

    def _pass(self) -> None:
        self.has_passed = True
        self._process.kill()

    def extend(self, seconds: float) -> None:
        """Grants so many seconds more."""
        self._timer.cancel()
        self._end += seconds
        self._timer = self._make_timer()
        self._timer.start()

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *error: object) -> None:
        self._timer.cancel()


def _start() -> "subprocess.Popen[bytes]":
    """Starts a child in a session of its own, so that Ctrl-C in the terminal reaches the parent only.

    -P keeps modules in the current folder, which may be the folder that is ingested, out of the child.
    """
    root = str(Path(__file__).resolve().parent.parent)
    search_path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "ingest.sandbox_worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": search_path},
        start_new_session=True,
    )


def _pipe(pipe: IO[bytes] | None) -> BinaryIO:
    return cast(BinaryIO, pipe)  # never None: `_start` asks for pipes


def _result(answer: Message) -> Parsed | Archive:
    """Returns what an answer holds, or raises its error; KeyError, TypeError or ValueError where it is neither."""
    if answer["status"] == "error":
        raise _ERRORS[answer["kind"]](str(answer["message"]))
    if answer["status"] == "archive":
        members = tuple(
            Member(str(name), int(size), str(refusal), bool(failed))
            for name, size, refusal, failed in answer["members"]
        )
        return Archive(members, str(answer["content_hash"]))
    document = answer["document"]
    parsed = ParsedDocument(
        title=str(document["title"]),
        text=str(document["text"]),
        pages=tuple(map(int, document["pages"])),
        headings=tuple(Heading(int(h["start"]), int(h["level"]), str(h["text"])) for h in document["headings"]),
        warnings=tuple(map(str, document["warnings"])),
        date=str(document["date"]),
    )
    return Parsed(str(answer["format"]), parsed, str(answer["content_hash"]))
