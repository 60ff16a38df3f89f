"""Eight people at one server over HTTP, as the page asks: how long an answer takes, alone and beside an ingest."""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))  # where the page's way of asking is spoken

from people import Person, chat_together, percentile  # noqa: E402

PEOPLE = 8
QUESTIONS = 12


def run(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks together", description=__doc__)
    parser.add_argument("--people", type=int, default=PEOPLE)
    parser.add_argument("--questions", type=int, default=QUESTIONS, help="of each person, one right after the other")
    parser.add_argument("--embedder", default="minilm")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        home, more = Path(folder) / "home", Path(folder) / "more"
        rag(home, "ingest", str(ROOT / "corpus" / "documents"), "--corpus", "demo", "--embedder", options.embedder)
        write_more(more)
        server = subprocess.Popen(
            [*command(home), "ui", "--port", "0", "--no-browser"], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        try:
            url = server.stdout.readline().strip()
            print(f"{options.people} people, {options.questions} questions each, hybrid under {options.embedder}\n")
            print(f"{'':<20}{'answers':>8}{'a second':>10}{'first word p50':>16}{'p95':>8}", end="")
            print(f"{'answer p50':>12}{'p95':>8}{'worst':>8}")
            report("alone", url, options)
            body = {"corpus": "more", "embedders": [options.embedder], "folder": str(more)}
            httpx.post(f"{url}/library/ingest", json=body, timeout=30).raise_for_status()
            report("beside an ingest", url, options)
            running = httpx.get(f"{url}/library/job", timeout=30).json()["running"]
            print(f"\nThe ingest was {'still running' if running else 'over'} at the end.")
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=60)


def report(name: str, url: str, options: argparse.Namespace) -> None:
    people = [Person(url, "demo", options.embedder) for _ in range(options.people)]
    asked = questions_of(options.people, options.questions)
    started = time.perf_counter()
    chat_together(people, asked)
    seconds = time.perf_counter() - started
    failures = [person.failure for person in people if person.failure]
    if failures:
        sys.exit(f"{len(failures)} people saw an error: {failures[0]}")
    for person, own in zip(people, asked, strict=True):
        if person.told[-1].questions != own:
            sys.exit("A conversation was mixed up.")
        person.leave()
    told = [each for person in people for each in person.told]
    first, whole = [each.first_seconds for each in told], [each.seconds for each in told]
    cells = (percentile(first, 50), percentile(first, 95), percentile(whole, 50), percentile(whole, 95), max(whole))
    widths = (14, 6, 10, 6, 6)
    shown = "".join(f"{value:>{width}.2f} s" for value, width in zip(cells, widths, strict=True))
    print(f"{name:<20}{len(told):>8}{len(told) / seconds:>10.1f}{shown}")


def questions_of(people: int, count: int) -> list[list[str]]:
    """Deals the questions of the demo task out, each person's beginning elsewhere in the list."""
    lines = (ROOT / "corpus" / "task" / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    return [[texts[(person * 17 + number) % len(texts)] for number in range(count)] for person in range(people)]


def write_more(folder: Path) -> None:
    """Writes documents that take minutes to embed: the demo's own, each sentence of every copy a little different."""
    folder.mkdir()
    for source in sorted((ROOT / "corpus" / "documents").glob("*.md")):
        text = source.read_text(encoding="utf-8")
        for number in range(20):
            (folder / f"{source.stem}-{number}.md").write_text(text.replace(". ", f" {number}. "), encoding="utf-8")


def command(home: Path) -> list[str]:
    return [sys.executable, "-c", "from ui.cli import main; main()", "--home", str(home)]


def rag(home: Path, *arguments: str) -> None:
    subprocess.run([*command(home), *arguments], check=True, cwd=ROOT, capture_output=True, env=dict(os.environ))
