"""`rag ingest --watch` keeps a corpus in step with a folder."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cli_contract import one_line
from file_builders import write
from rag.library import Library

ROOT = Path(__file__).parents[1]
PATIENCE = 60


@pytest.fixture
def watching(tmp_path, docs):
    """A running `rag ingest --watch` over the folder, with its library inside the folder that it watches."""
    command = [sys.executable, "-m", "ui.cli", "--home", str(docs / "library"), "ingest", str(docs)]
    process = subprocess.Popen(
        [*command, "--embedder", "hash", "--watch"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    lines = []
    threading.Thread(target=lambda: lines.extend(iter(process.stdout.readline, "")), daemon=True).start()
    yield process, lines
    process.kill()
    process.communicate()


def until(holds):
    """Waits until something holds; how long it takes is the machine's business."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.1)


def test_what_changes_in_the_folder_changes_in_the_corpus(docs, watching):
    process, lines = watching
    until(lambda: any("watching" in line for line in lines))
    library = Library(docs / "library")
    assert len(library.sources("default")) == 3

    write(docs, "new.txt", "A comet was seen over the harbour.")
    until(lambda: "new.txt" in library.sources("default"))
    write(docs, "bread.txt", "Rye bread needs a long bake.")
    (docs / "rivers.md").unlink()
    until(lambda: "rivers.md" not in library.sources("default"))
    until(lambda: any("Rye" in document.text for document in library.documents("default")))
    assert sorted(library.sources("default")) == ["bread.txt", "new.txt", "sub/tea.txt"]
    library.close()

    time.sleep(3)
    told = len(lines)
    time.sleep(3)
    assert len(lines) == told, "its own writes must not wake it"
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=PATIENCE) == 130


def test_watch_and_json_do_not_go_together(rag, docs, tmp_path):
    one_line(rag("--home", tmp_path / "h", "ingest", docs, "--watch", "--json"), 2, "--watch")
