"""The same vectors scored by us and by mteb: python -m benchmarks agreement [--embedder NAME]... [--markdown FILE].

mteb runs in the peers' environment, is handed the vectors of our embedder, and scores them by its own code; ours come
from an evaluation over a fresh library. What differs is the scoring alone, so six decimals should agree.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.peers import MAKE, PYTHON, ROOT
from benchmarks.tables import Table
from eval.embedding_runner import embeds_as_queries
from eval.tasks.labelled_texts import LabelledTask
from eval.tasks.registry import load_task
from eval.tasks.retrieval import RetrievalTask
from eval.tasks.sts import StsTask
from rag.embedders.registry import load_embedder
from rag.library import Library
from rag.passages import passage
from rag.stored_embedder import StoredEmbedder

DATA = ROOT.parent / "shared" / "data"
RETRIEVAL = (
    "scifact",
    "cranfield",
    "medquad",
    "xquad-en",
    "xquad-de",
    "xquad-zh",
    "mtragun-ref",
    "chunking-eval",
)
TASKS = {
    "stsb": DATA / "sts" / "stsb",
    "banking77": DATA / "classification" / "banking77",
    "trec_coarse": DATA / "classification" / "trec_coarse",
    **{name: DATA / "retrieval" / name for name in RETRIEVAL},
}
METRICS = {"sts": "cosine_spearman", "classification": "accuracy", "retrieval": "nDCG@10"}
SIX_DECIMALS = 5e-7


def run(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks agreement", description=__doc__)
    parser.add_argument("--embedder", action="append", dest="embedders", metavar="NAME", help="wordllama and minilm")
    parser.add_argument("--task", action="append", dest="tasks", choices=TASKS, help="else all")
    parser.add_argument("--python", type=Path, default=PYTHON, help="a Python that has mteb")
    parser.add_argument("--home", type=Path, help="a library to evaluate over, else a fresh one")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table as Markdown as well")
    asked = parser.parse_args(arguments)
    missing = [str(folder) for folder in TASKS.values() if not folder.is_dir()]
    if missing:
        sys.exit(f"There is no {missing[0]}: the tasks are no part of the project.")
    if not asked.python.is_file():
        sys.exit(f"mteb is not there: {MAKE}")
    table = Table("Agreement with mteb", ("task", "metric", "embedder", "ours", "mteb", "difference"))
    table.notes.append("mteb rounds what it finds in retrieval to five decimals, and so do we to compare.")
    agree = True
    with tempfile.TemporaryDirectory(prefix="rag-agreement-") as fresh:
        home = asked.home or Path(fresh)
        for name in asked.embedders or ["wordllama", "minilm"]:
            for folder in (TASKS[task] for task in asked.tasks or TASKS):
                family = load_task(folder).family
                ours, theirs = score_ours(folder, name, home), score_mteb(folder, family, name, home, asked.python)
                difference = (round(ours, 5) if family == "retrieval" else ours) - theirs
                agree &= abs(difference) < SIX_DECIMALS
                row = [folder.name, METRICS[family], name, f"{ours:.6f}", f"{theirs:.6f}", f"{difference:+.0e}"]
                print("  ".join(row), file=sys.stderr)
                table.rows.append(row)
    print(table.text())
    if asked.markdown:
        asked.markdown.write_text(table.markdown() + "\n", encoding="utf-8")
    if not agree:
        sys.exit("Some scores differ in the first six decimals.")


def score_ours(folder: Path, embedder: str, home: Path) -> float:
    """Evaluates with `rag eval` and returns the main metric."""
    with tempfile.TemporaryDirectory(prefix="rag-agreement-") as out:
        command = [sys.executable, "-m", "ui.cli", "--home", str(home), "eval", str(folder), "--embedder", embedder]
        command += ["--retriever", "dense", "--no-ragas", "--out", out]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        [row] = json.loads((Path(out) / "results.json").read_text(encoding="utf-8"))["rows"]
    return float(row["metrics"][METRICS[row["family"]]]["value"])


def score_mteb(folder: Path, family: str, name: str, home: Path, python: Path) -> float:
    """Has mteb score the vectors that our evaluation has left in the library, of all texts of a task."""
    library = Library(home)
    embedder = StoredEmbedder(library, load_embedder(name))
    queries, passages = texts_of(folder)
    as_queries = family == "retrieval" or embeds_as_queries(embedder.spec)
    with tempfile.TemporaryDirectory(prefix="rag-agreement-") as scratch:
        path = Path(scratch) / "vectors.npz"
        np.savez(
            path,
            texts=np.array(queries),
            vectors=embedder.embed_queries(queries) if as_queries else embedder.embed_passages(queries),
            passages=np.array(list(passages), dtype=str),
            passage_vectors=embedder.embed_passages(list(passages.values())),
        )
        library.close()
        command = [str(python), "-m", "benchmarks.peers.mteb_agreement", str(path), f"{family}={folder}"]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
        done = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return float(json.loads(done.stdout.strip().splitlines()[-1])["scores"][str(folder)])


def texts_of(folder: Path) -> tuple[list[str], dict[str, str]]:
    """Returns the texts that are embedded as queries, and documents as mteb reads them with the passages that we embed.

    They differ in white space around a document's text, which we leave out.
    """
    task = load_task(folder)
    if isinstance(task, RetrievalTask):
        with (folder / "corpus.jsonl").open(encoding="utf-8") as lines:
            documents = [json.loads(line) for line in lines]
        passages = {
            f"{each.get('title', '')} {each['text']}".strip(): passage(each.get("title", ""), "", each["text"].strip())
            for each in documents
        }
        return list(dict.fromkeys(task.queries.values())), passages
    if isinstance(task, StsTask):
        sentences = [sentence for pair in task.pairs.values() for sentence in (pair.sentence1, pair.sentence2)]
        return list(dict.fromkeys(sentences)), {}
    if isinstance(task, LabelledTask):
        return list(dict.fromkeys(each.text for part in (task.train, task.test) for each in part.values())), {}
    raise TypeError(f"{task.family} tasks are not compared")
