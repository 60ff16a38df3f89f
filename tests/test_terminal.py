"""Documents command no terminal: what they say is shown, on a terminal as it would be on paper."""

import os
import pty
import subprocess
import sys

from file_builders import write


def test_the_escapes_of_a_document_do_not_reach_a_terminal(tmp_path, ingest):
    hostile = "The zeppelin \x1b]0;owned\x07\x1b[2J\x1b[31m flies \u202eover\x9b1m the sea."
    write(tmp_path / "docs", "note.md", f"# A heading\n\n{hostile}\n")
    ingest(tmp_path / "docs").library.close()
    command = [sys.executable, "-c", "from ui.cli import main; main()", "--home", str(tmp_path / "home")]
    main, side = pty.openpty()
    ran = subprocess.run([*command, "search", "zeppelin"], stdout=side, stderr=subprocess.PIPE, timeout=60)
    os.close(side)
    shown = b""
    try:
        while piece := os.read(main, 65_536):
            shown += piece
    except OSError:  # Linux tells the end of a terminal so
        pass
    assert ran.returncode == 0, ran.stderr
    assert b"zeppelin" in shown and b"flies" in shown
    assert b"\x1b" not in shown and b"\x07" not in shown and "\u202e".encode() not in shown
