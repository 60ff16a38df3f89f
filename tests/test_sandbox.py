"""The parser pool against children that crash, hang, eat memory or lie: each costs its own file and nothing else."""

import contextlib
import hashlib
import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ingest import sandbox
from ingest.frames import FrameError, read_frame, write_frame
from ingest.parsing import NoTextError, ParseError, UnsupportedFormatError
from ingest.sandbox import ParserPool
from rag.errors import RagError, UsageError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the crashes are made with POSIX signals")

# A worker whose plain text parser does what the file says; all else is the real one.
MISBEHAVING = """
import ctypes, os, signal, sys, time
from ingest import sandbox_worker
from ingest.parsers import plain_text

parse = plain_text.parse

def misbehave(data, name):
    what, started = data.decode().split()[0], time.process_time()
    if what == "signal": os.kill(os.getpid(), int(data.split()[1]))
    if what == "segfault": ctypes.string_at(0)
    if what == "sleep": time.sleep(60)
    if what == "spin":
        while True: pass
    while what == "burn" and time.process_time() - started < 1.2: pass
    if what == "cpu":
        import resource
        return parse(str(resource.getrlimit(resource.RLIMIT_CPU)[0]).encode(), name)
    if what == "exit": os._exit(3)
    if what == "memory": [bytes(1 << 28) for _ in range(100)]
    if what == "raise": raise ValueError("bad \\x1b[31m" + "x" * 999)
    if what == "print": print("noise " * 9999, flush=True); os.write(1, b"noise")
    if what == "session": return parse(str((os.getsid(0) == os.getpid(), os.getppid())).encode(), name)
    if what == "limit":
        import resource
        sandbox_worker._limit_cpu(0)
        while True: pass
    return parse(data, name)

plain_text.parse = misbehave
if {lie!r}: sandbox_worker.write_frame = lambda pipe, message, write=sandbox_worker.write_frame: write(
    pipe, message if message["status"] in ("ready", "parsing") else {lie})
sandbox_worker.main()
"""


REAL_POPEN = subprocess.Popen
Write = Callable[..., Path]


def replace_worker(monkeypatch: pytest.MonkeyPatch, lie: object = None) -> None:
    """Lets pools start the misbehaving worker, which answers with `lie` if there is one, by the real command line."""

    def start(command: list[str], **options: Any) -> "subprocess.Popen[bytes]":
        return REAL_POPEN([*command[:2], "-c", MISBEHAVING.format(lie=lie)], **options)

    monkeypatch.setattr(sandbox.subprocess, "Popen", start)


@pytest.fixture
def misbehaving(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_worker(monkeypatch)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(text: str, name: str = "a.txt") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode())
        return path

    return write_file


def test_a_document_comes_back_whole(tmp_path: Path) -> None:
    text = "# One\n\nGrüße, 世界 🙂\n\n## Two\n"
    path = tmp_path / "a\udcff b.md"  # a file name that is not valid UTF-8
    path.write_bytes(text.encode())
    with ParserPool() as pool:
        kind, document, content_hash = pool.parse(path)
    assert kind == "markdown"
    assert content_hash == hashlib.sha256(text.encode()).hexdigest()
    assert document.text == text
    assert [(h.start, h.level, h.text) for h in document.headings] == [(0, 1, "One"), (text.index("##"), 2, "Two")]


def test_errors_keep_their_kind(write: Write, tmp_path: Path) -> None:
    with ParserPool() as pool:
        for path, kind, message in [
            (write("", "a.md"), NoTextError, "0 bytes"),
            (write("%!PS-Adobe-3.0", "a.ps"), UnsupportedFormatError, "PostScript"),
            (write("text", "a.pdf"), ParseError, "named .pdf"),
            (tmp_path / "missing", ParseError, "No such file"),
            (tmp_path, ParseError, "directory"),
        ]:
            with pytest.raises(ParseError, match=message) as caught:
                pool.parse(path)
            assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"signal {int(signal.SIGABRT)}", "The plain text parser crashed with signal 6"),
        ("segfault", "crashed with signal 11"),
        (f"signal {int(signal.SIGKILL)}", "killed by the system, most likely for want of memory"),
        ("exit", "ended with exit code 3"),
        ("memory", "was stopped: it used more than 512 MB"),
        ("raise", r"ValueError: bad \[31mxxx"),
    ],
)
def test_a_child_that_dies_costs_only_its_file(misbehaving: None, write: Write, text: str, message: str) -> None:
    with ParserPool(memory_mb=512, seconds=20) as pool:
        assert pool.parse(write("good before")).document.text == "good before"
        with pytest.raises(ParseError, match=message) as caught:
            pool.parse(write(text))
        assert str(caught.value).isprintable() and len(str(caught.value)) < 400
        assert pool.parse(write("good after")).document.text == "good after"


@pytest.mark.parametrize("text", ["sleep", "spin"])
def test_a_child_that_takes_too_long_is_stopped(misbehaving: None, write: Write, text: str) -> None:
    with ParserPool(seconds=0.5) as pool:
        pool.parse(write("warm"))
        started = time.monotonic()
        with pytest.raises(ParseError, match=r"The plain text parser was stopped: more than 0\.5 s"):
            pool.parse(write(text))
        assert time.monotonic() - started < 5
        assert pool.parse(write("good after")).document.text == "good after"


def test_processor_time_is_limited_too(misbehaving: None, write: Write) -> None:
    with ParserPool(seconds=30) as pool, pytest.raises(ParseError, match="was stopped: more than 30 s"):
        pool.parse(write("limit"))  # lowers its own limit to what the parent would set, for the test's sake


def test_each_file_has_its_own_processor_time(misbehaving: None, write: Write) -> None:
    with ParserPool(seconds=20) as pool:
        before, _, after = (int(pool.parse(write(text)).document.text.split()[-1]) for text in ("cpu", "burn 0", "cpu"))
    assert before >= 21
    assert after >= before + 1  # burning took more than a second


def test_printing_does_not_disturb_the_pipe(misbehaving: None, write: Write) -> None:
    with ParserPool() as pool:
        assert pool.parse(write("print")).document.text == "print"


@pytest.mark.parametrize(
    "lie",
    [
        {"status": "what"},
        {"status": "document", "format": "x", "content_hash": "y", "document": {"title": "no text"}},
        {"status": "document", "format": "x", "content_hash": "y", "document": 3},
        {"status": "error", "kind": "SystemExit", "message": "m"},
        {"status": "archive", "content_hash": "y", "members": [["name", "size", "", False]]},
        {"no": "status"},
    ],
)
def test_a_child_that_lies_is_not_believed(monkeypatch: pytest.MonkeyPatch, write: Write, lie: object) -> None:
    replace_worker(monkeypatch, lie)
    with ParserPool() as pool, pytest.raises(ParseError, match="its answer was no document"):
        pool.parse(write("text"))


def test_a_child_that_answers_a_member_with_an_archive_is_not_believed(
    monkeypatch: pytest.MonkeyPatch, write: Write
) -> None:
    replace_worker(monkeypatch, {"status": "archive", "content_hash": "y", "members": [["a.txt", 1, "", False]]})
    with ParserPool() as pool, pytest.raises(ParseError, match="answered with an archive"):
        pool.parse_member(write("text"), "a.txt")


def test_frames() -> None:
    pipe = io.BytesIO()
    write_frame(pipe, {"text": "世界 \udcff"})
    whole = pipe.getvalue()
    assert read_frame(io.BytesIO(whole), 100) == {"text": "世界 \udcff"}
    assert read_frame(io.BytesIO(b""), 100) is None
    assert read_frame(io.BytesIO(whole[:-1]), 100) is None
    for broken, limit in ((whole, 5), (whole[:8] + b"x" * 99, 100), (b"\0" * 7 + b"\1" + b"1", 100)):
        with pytest.raises(FrameError):
            read_frame(io.BytesIO(broken), limit)


def test_threads_parse_side_by_side(misbehaving: None, write: Write) -> None:
    paths = [write(f"text {n}", f"{n}.txt") for n in range(12)]
    with ParserPool(workers=2) as pool, ThreadPoolExecutor(4) as threads:
        texts = [parsed.document.text for parsed in threads.map(pool.parse, paths)]
        assert len({child._process.pid for child in pool._children}) == 2
    assert texts == [f"text {n}" for n in range(12)]


def test_children_end_with_the_pool_and_close_stops_what_runs(misbehaving: None, write: Write) -> None:
    pool = ParserPool(seconds=60)
    sleeping = write("sleep")
    caught = []

    def parse() -> None:
        try:
            pool.parse(sleeping)
        except ParseError as error:
            caught.append(str(error))

    thread = threading.Thread(target=parse)
    thread.start()
    child = pool._children[0]
    while child._files == 0:
        time.sleep(0.01)
    process = child._process
    time.sleep(0.2)
    pool.close()
    thread.join(5)
    assert not thread.is_alive()
    assert caught and "the pool was closed" in caught[0]
    assert process.poll() is not None
    with pytest.raises(RagError, match="closed"):
        pool.parse(sleeping)


@pytest.mark.parametrize("text", ["text", "sleep"])
def test_the_child_ends_when_the_parent_dies(write: Write, tmp_path: Path, text: str) -> None:
    """Kills a parent whose child is idle, or in the middle of a file, and waits for the child to go."""
    worker = tmp_path / "worker.py"
    worker.write_text(MISBEHAVING.format(lie=None))
    script = f"""
import subprocess, sys, threading
from pathlib import Path
from ingest import sandbox
real = subprocess.Popen
sandbox.subprocess.Popen = lambda command, **options: real([*command[:2], {str(worker)!r}], **options)
pool = sandbox.ParserPool()
pool.parse(Path({str(write("warm", "warm.txt"))!r}))
threading.Thread(target=pool.parse, args=(Path({str(write(text))!r}),)).start()
print(pool._children[0]._process.pid, flush=True)
sys.stdin.read()
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with parent:
        pid = int(parent.stdout.readline())
        time.sleep(0.3)
        parent.kill()
    for _ in range(100):
        if not is_running(pid):
            return
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    pytest.fail("the child outlived its parent")


def is_running(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    with contextlib.suppress(ProcessLookupError):
        if not Path("/proc").is_dir():
            os.kill(pid, 0)
            return True
    return False


def test_the_child_has_its_own_session(misbehaving: None, write: Write) -> None:
    with ParserPool() as pool:
        assert pool.parse(write("session")).document.text == str((True, os.getpid()))


def test_the_child_is_light_and_ignores_modules_in_the_current_folder(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("raise SystemExit('imported')", "csv.py")
    monkeypatch.chdir(tmp_path)
    with ParserPool() as pool:
        assert pool.parse(write("text")).document.text == "text"
    heavy = ("torch", "gradio", "chromadb", "langchain_core", "lxml", "docx", "pypdfium2", "bs4")
    code = f"import sys, ingest.sandbox_worker; sys.exit(str([name for name in {heavy} if name in sys.modules]))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert found.stderr.strip() == "[]"


def test_a_child_that_cannot_start_says_so(monkeypatch: pytest.MonkeyPatch, write: Write) -> None:
    monkeypatch.setattr(sandbox.sys, "executable", "/bin/false")
    with ParserPool() as pool, pytest.raises(RagError, match="does not start") as caught:
        pool.parse(write("text"))
    assert not isinstance(caught.value, ParseError)  # no fault of the file


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"seconds": 0}, {"memory_mb": 100}])
def test_wrong_limits(wrong: dict) -> None:
    with pytest.raises(UsageError, match="at least"):
        ParserPool(**wrong)
