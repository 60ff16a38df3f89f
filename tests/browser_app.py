"""Runs the application in a process of its own, and a stranger's server beside it, for tests in a browser."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium_path() -> str:
    """Returns where Chromium is; skips the test where there is none, unless REQUIRE_BROWSER=1."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        if os.environ.get("REQUIRE_BROWSER") == "1":
            raise RuntimeError("No Chromium on PATH, but REQUIRE_BROWSER=1.")
        pytest.skip("no chromium, chromium-browser or google-chrome on PATH")
    return found


class Outside:
    """A server of a stranger, who counts what reaches it."""

    def __init__(self):
        self.paths = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.paths.append(self.path)
                self.send_response(200)
                self.end_headers()

            do_POST = do_HEAD = do_OPTIONS = do_GET  # noqa: N815

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def start(home, **options):
    """Starts the application on a free port and returns its process and address; options are those of `Popen`."""
    command = [
        sys.executable,
        "-c",
        "from ui.cli import main; main()",
        "--home",
        str(home),
        "ui",
        "--port",
        "0",
        "--no-browser",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1], **options)
    url = process.stdout.readline().strip()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url), url
    return process, url


def stop(process):
    process.send_signal(signal.SIGTERM)
    return process.wait(timeout=20)
