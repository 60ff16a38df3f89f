"""A disk that is full, whatever the ingest was writing: one clear line, an intact library, the rest once there is room.

The library lies on a small file system of its own, mounted in a namespace and gone with the last process in there.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from file_builders import write

ROOT = Path(__file__).parents[1]
RAG = Path(sys.executable).with_name("rag")
FILES = 400
UNSHARE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]

# what each command prints and its status go into files outside
INSIDE = """
mkdir -p "$DISK" && mount -t tmpfs -o size=$SIZE none "$DISK" || exit 99
run() { name=$1; shift; "$RAG" "$@" > "$TOLD/$name.out" 2> "$TOLD/$name.err"; echo $? > "$TOLD/$name.status"; }
run ingest ingest "$DOCS" --embedder hash --embedder wordllama --json
run doctor doctor
run search search "note" --retriever lexical --json
run indexes indexes --json
mount -o remount,size=500M "$DISK" || exit 98
run again ingest "$DOCS" --embedder hash --embedder wordllama --json
run last doctor
"""


def why_not():
    """Tells why no file system can be mounted here, in one line; empty where it can."""
    if shutil.which("unshare") is None:
        return "no mount namespace: 'unshare' is not installed"
    tried = subprocess.run([*UNSHARE, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, text=True)
    return f"no mount namespace: {tried.stderr.strip()}" if tried.returncode else ""


REASON = why_not()
if REASON and os.environ.get("REQUIRE_NAMESPACE") == "1":
    raise RuntimeError(f"{REASON}, but REQUIRE_NAMESPACE=1.")
pytestmark = [pytest.mark.namespace, pytest.mark.skipif(bool(REASON), reason=REASON)]


@pytest.fixture(scope="module")
def docs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("disk") / "docs"
    for number in range(FILES):
        sections = [
            f"## Part {part}\n\nIn note {number} part {part} follows. " + "It goes on. " * 60 for part in range(4)
        ]
        write(folder, f"note-{number}.md", f"# Note {number}\n\n" + "\n\n".join(sections))
    return folder


class Told:
    """What the commands printed where the library, or a folder of it, lies on a disk of a given size."""

    def __init__(self, docs, folder, size, part=""):
        home, self._folder = folder / "home", folder / "told"
        self._folder.mkdir()
        told = {"RAG": RAG, "RAG_HOME": home, "DISK": home / part, "SIZE": size, "DOCS": docs, "TOLD": self._folder}
        environment = os.environ | {name: str(value) for name, value in told.items()}
        command = [*UNSHARE, "sh", "-c", INSIDE]
        ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=300)
        assert ran.returncode == 0, ran.stderr.decode()

    def status(self, name):
        return int(self.read(f"{name}.status"))

    def read(self, name):
        return (self._folder / name).read_text(encoding="utf-8")

    def json(self, name):
        return json.loads(self.read(f"{name}.out"))


FULL = {
    "before the first documents": ("", "4M"),
    "among the documents": ("", "12M"),
    "at the caches": ("", "19M"),
    "at the first vectors in Chroma": ("chroma", "1M"),
    "at a graph of Chroma": ("chroma", "8M"),
}


@pytest.mark.parametrize(("part", "size"), FULL.values(), ids=FULL)
def test_a_full_disk(docs, tmp_path, part, size):
    told = Told(docs, tmp_path, size, part)
    assert (told.status("ingest"), told.read("ingest.out")) == (1, "")
    (line,) = told.read("ingest.err").splitlines()
    assert line.startswith("rag: ")
    assert "full" in line
    assert "Nothing is lost" in line or "What is finished is kept" in line

    assert told.status("search") == told.status("indexes") == 0, "on a full disk it can still be read"
    done = max(index["documents"] for index in told.json("indexes")["indexes"])
    doctor = told.read("doctor.out")
    assert "ok   library.db: whole" in doctor
    assert doctor.count("BAD") == doctor.count("Let it end") + doctor.count("Rebuilt from")
    assert told.status("doctor") == int("BAD" in doctor)
    assert told.read("doctor.err") == ""

    assert (told.status("again"), told.read("again.err")) == (0, "")
    counts = told.json("again")["documents"]
    assert counts["unchanged"] + counts["done"] == FILES
    assert counts["unchanged"] >= done
    if part:  # only the cache was full
        assert counts["unchanged"] == FILES
    assert told.status("last") == 0, told.read("last.out")
    assert "chroma: whole and up to date" in told.read("last.out")
