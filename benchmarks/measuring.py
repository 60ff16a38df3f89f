"""What a command costs with all it starts: CPU-seconds, wall seconds, peak memory of the process tree. Linux only."""

import ctypes
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

CPUS = 2
INTERVAL = 0.05
PATIENCE = 5.0  # seconds that a process may outlive the command that started it
PAGE = os.sysconf("SC_PAGE_SIZE")
PR_SET_CHILD_SUBREAPER = 36

THREADS = {name: str(CPUS) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")}


class CommandError(Exception):
    """A measured command that failed; the message ends with the last of what it said."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a command cost, and what it printed.

    `cpu_seconds` is user and system time of the command and of all its descendants, as the kernel accounts for them.
    `peak_mib` is the highest sum, over samples 50 ms apart, of the anonymous memory of every process in the tree and
    the file-backed memory of the process that has most of it, so that libraries which several map count once.
    """

    cpu_seconds: float
    wall_seconds: float
    peak_mib: float
    output: str


def measure(command: Sequence[str], environment: Mapping[str, str]) -> Cost:
    """Runs a command on two CPUs with two threads and returns its cost; raises CommandError where it fails."""
    _adopt_orphans()
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        before = _cpu_of_children()
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=errors, env={**environment, **THREADS})
        os.sched_setaffinity(process.pid, sorted(os.sched_getaffinity(0))[:CPUS])
        peak = 0
        while process.poll() is None:
            peak = max(peak, _memory(process.pid))
            time.sleep(INTERVAL)
        wall = time.perf_counter() - started
        _reap_orphans(command)
        cpu = _cpu_of_children() - before
        if process.returncode:
            said = "\n".join(_read(errors).splitlines()[-15:])
            raise CommandError(f"{' '.join(command)}\nended with status {process.returncode}:\n{said}")
        return Cost(cpu, wall, peak / 2**20, _read(output))


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


# --- CPU time


def _adopt_orphans() -> None:
    """Makes this process the parent of what a command leaves behind, so that its CPU time is counted here."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _reap_orphans(command: Sequence[str]) -> None:
    """Waits for what a command left behind; raises CommandError where something of it goes on running."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(INTERVAL)
        except ChildProcessError:
            return
    raise CommandError(f"{' '.join(command)}\nleft a process behind that still runs after {PATIENCE:.0f} s.")


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


# --- memory


def _memory(root: int) -> int:
    """Returns the memory of a process tree at this moment, in bytes; see `Cost`."""
    anonymous, file_backed = 0, 0
    for process in _tree(root):
        try:
            _, resident, shared, *_ = map(int, Path(f"/proc/{process}/statm").read_text().split())
        except (OSError, ValueError):  # it has ended meanwhile
            continue
        anonymous += resident - shared
        file_backed = max(file_backed, shared)
    return (anonymous + file_backed) * PAGE


def _tree(root: int) -> Iterator[int]:
    """Yields a process and its descendants."""
    yield root
    for children in Path(f"/proc/{root}/task").glob("*/children"):
        try:
            pids = children.read_text().split()
        except OSError:  # the thread has ended meanwhile
            continue
        for pid in pids:
            yield from _tree(int(pid))
