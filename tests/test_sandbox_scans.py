"""A long scan gets more time with each page that is recognised, but only then."""

import subprocess

import pytest

from ingest import sandbox
from ingest.errors import ParseError
from ingest.sandbox import ParserPool

REAL_POPEN = subprocess.Popen

SLOW_SCAN = """
import sys, time
from ingest.frames import read_frame, write_frame
requests, replies = sys.stdin.buffer, sys.stdout.buffer
limits = read_frame(requests, 1 << 20)
write_frame(replies, {"status": "ready"})
read_frame(requests, 1 << 20)
write_frame(replies, {"status": "parsing", "format": "pdf"})
for _ in range(PAGES):
    time.sleep(0.4)
    write_frame(replies, {"status": "page recognised"})
time.sleep(PAUSE)
document = {"title": "", "text": "read", "date": "", "pages": [], "headings": [], "warnings": []}
write_frame(replies, {"status": "document", "format": "pdf", "content_hash": "x", "document": document})
time.sleep(60)
"""


@pytest.mark.parametrize(("pause", "is_read"), [(0.0, True), (30.0, False)])
def test_each_recognised_page_grants_more_time(monkeypatch, tmp_path, pause, is_read):
    script = SLOW_SCAN.replace("PAGES", "5").replace("PAUSE", str(pause))
    monkeypatch.setattr(
        sandbox.subprocess, "Popen", lambda command, **options: REAL_POPEN([*command[:2], "-c", script], **options)
    )
    monkeypatch.setattr(sandbox, "SECONDS_A_PAGE", 0.6)
    path = tmp_path / "scan.pdf"
    path.touch()
    with ParserPool(seconds=1) as pool:
        if is_read:
            assert pool.parse(path).document.text == "read"
        else:
            with pytest.raises(ParseError, match="PDF parser was stopped: more than 1 s"):
                pool.parse(path)
