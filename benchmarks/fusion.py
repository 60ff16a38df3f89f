"""Hybrid retrieval against each of its legs, and RRF against weighted scores, with eval's paired tests."""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.query import DATA
from benchmarks.tables import Table
from eval.comparisons import TaskComparisons, compare
from eval.rows import EvalRow
from eval.runner import evaluate
from eval.tasks.retrieval import load_retrieval_task
from rag.fusion import FUSIONS
from rag.library import Library
from rag.reader import Reader
from rag.settings import Settings, read_settings
from ui.evaluating import SEED
from ui.ingesting import ingest_paths

TASKS = ("scifact", "cranfield", "medquad")
METRIC = "nDCG@10"
COLUMNS = ("a", "b", "a's mean", "b's mean", "difference", "95 % interval", "p", "p (Holm)", "wins/ties/losses")


def run(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks fusion", description=__doc__)
    parser.add_argument("--tasks", nargs="+", default=TASKS, metavar="NAME", help=f"of {', '.join(TASKS)}")
    parser.add_argument("--embedder", default="minilm", metavar="NAME")
    parser.add_argument("--home", type=Path, metavar="DIR", help="keep what was ingested there, for another time")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables as Markdown as well")
    asked = parser.parse_args(arguments)
    tables = []
    with tempfile.TemporaryDirectory() as work:
        settings = read_settings(asked.home or work)
        library = Library(settings.home, create=True)
        for name in asked.tasks:
            if not (DATA / name / "corpus.jsonl").is_file():
                print(f"{name} is skipped: there is no such task in {DATA}.")
                continue
            tables.append(table(name, compare(rows(library, settings, name, asked.embedder), SEED, METRIC)))
            print(f"{tables[-1].text()}\n", flush=True)
        library.close()
    if asked.markdown:
        asked.markdown.write_text("\n\n".join(each.markdown() for each in tables) + "\n", encoding="utf-8")


def rows(library: Library, settings: Settings, name: str, embedder: str) -> list[EvalRow]:
    """Evaluates both legs and both fusions of a task's whole documents; everything that is found in one search."""
    ingest_paths(library, settings, [DATA / name], name, [embedder], "whole")
    task = load_retrieval_task(DATA / name)
    documents = {chunk: source for chunk, _, source in library.chunk_passages(name, "whole")}
    reader = Reader(library, settings)
    ways = [("dense", None), ("lexical", None), *(("hybrid", fusion) for fusion in FUSIONS)]
    found = []
    for retriever, fusion in ways:
        opened = reader.open(name, embedder, retriever, "whole", fusion=fusion)
        row = evaluate(task, opened.retriever, documents, embedder=None, chunker="whole", metrics=(METRIC,))
        found.append(replace(row, retriever=f"{retriever} {fusion}" if fusion else retriever))
    return found


def table(name: str, compared: TaskComparisons) -> Table:
    """Returns every pair of a task's rows, the fusions first."""
    made = Table(f"{name}: {compared.metric}, {compared.compared[0].n} queries", COLUMNS)
    for pair in compared.compared:
        a, b = (compared.rows[position].label for position in (pair.a, pair.b))
        means, difference, low, high = (pair.mean_a, pair.mean_b), pair.difference, pair.ci_low, pair.ci_high
        record = (pair.wins, pair.ties, pair.losses)
        if pair.b > pair.a and "hybrid" in b and "hybrid" not in a:  # read as what the fusion adds
            a, b, means, difference = b, a, (pair.mean_b, pair.mean_a), -difference
            low, high = (None if high is None else -high), (None if low is None else -low)
            record = record[::-1]
        interval = "-" if low is None or high is None else f"{low:+.4f} to {high:+.4f}"
        made.rows.append(
            [
                a,
                b,
                f"{means[0]:.4f}",
                f"{means[1]:.4f}",
                f"{difference:+.4f}",
                interval,
                f"{pair.p:.4f}",
                f"{pair.p_holm:.4f}",
                "/".join(map(str, record)),
            ]
        )
    made.notes = ["Paired by query: bootstrap interval, sign-flip permutation test, Holm over the task's pairs."]
    return made
