"""How well answerable questions are told from others, and what is refused at the threshold that is shipped."""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from benchmarks.questions import (
    DEMO,
    MTRAG,
    SHARED,
    XQUAD,
    Question,
    demo_questions,
    halve_xquad,
    ingest_once,
    mtrag_questions,
    xquad_questions,
)
from benchmarks.tables import Table
from rag.answerability import ENOUGH
from rag.library import Library
from rag.reader import Reader
from rag.settings import read_settings

RETRIEVALS = (
    ("hybrid", "minilm"),
    ("dense", "minilm"),
    ("hybrid", "wordllama"),
    ("hybrid", "hash"),
    ("lexical", None),
)
COLUMNS = (
    "retrieval",
    "AUROC",
    "95 % interval",
    "refused, answerable",
    "95 % interval",
    "refused, not",
    "95 % interval",
)
RESAMPLES, SEED, HITS = 1000, 0, 8


def run(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks abstention", description=__doc__)
    parser.add_argument("--tuned", action="store_true", help="show the halves that were tuned on instead of the others")
    parser.add_argument("--every", type=int, default=2, metavar="N", help="ask every Nth question of xQuAD (2)")
    parser.add_argument("--home", type=Path, metavar="DIR", help="keep what was ingested there, for another time")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables as Markdown as well")
    asked = parser.parse_args(arguments)
    tables = []
    with tempfile.TemporaryDirectory() as work:
        settings = read_settings(asked.home or work)
        library = Library(settings.home, create=True)
        reader = Reader(library, settings)
        ingest_once(library, settings, DEMO, "demo")
        sets = {"demo": demo_questions(library)}
        if (SHARED / MTRAG).is_dir():
            ingest_once(library, settings, SHARED / MTRAG, MTRAG)
            sets[MTRAG] = [question for question in mtrag_questions() if question.half != asked.tuned]
        for name in XQUAD:
            if (SHARED / name).is_dir():
                folder = Path(work) / f"{name}-half"
                kept = halve_xquad(name, folder)
                ingest_once(library, settings, folder, folder.name)
                questions = [question for question in xquad_questions(name, kept) if question.half != asked.tuned]
                sets[folder.name] = questions[:: asked.every]
        for corpus, questions in sets.items():
            tables.append(table(reader, corpus, questions))
            print(f"{tables[-1].text()}\n", flush=True)
        library.close()
    if asked.markdown:
        asked.markdown.write_text("\n\n".join(each.markdown() for each in tables) + "\n", encoding="utf-8")


def table(reader: Reader, corpus: str, questions: Sequence[Question]) -> Table:
    """Asks the questions under every retrieval."""
    labels = np.array([question.answerable for question in questions])
    made = Table(f"{corpus}: {labels.sum()} answerable questions, {(~labels).sum()} others", COLUMNS)
    for retriever, embedder in RETRIEVALS:
        opened = reader.open(corpus, embedder, retriever)
        hits = [opened.retriever.retrieve(question.text, HITS) for question in questions]
        score = opened.answerability.score
        scores = np.array([score(question.text, found) for question, found in zip(questions, hits, strict=True)])
        refused = scores < ENOUGH
        cells = (
            interval(labels, lambda rows, scores=scores: roc_auc_score(labels[rows], scores[rows])),
            interval(labels, lambda rows, refused=refused: refused[rows][labels[rows]].mean()),
            interval(labels, lambda rows, refused=refused: refused[rows][~labels[rows]].mean()),
        )
        made.rows.append([f"{retriever} {embedder or ''}".strip(), *(cell for pair in cells for cell in pair)])
    return made


def interval(labels: np.ndarray, measure) -> tuple[str, str]:
    """Returns a measure of all rows, and its bootstrap interval; both kinds of questions are resampled apart."""
    chance = np.random.default_rng(SEED)
    kinds = [np.flatnonzero(labels), np.flatnonzero(~labels)]
    drawn = [
        measure(np.concatenate([chance.choice(kind, kind.size) for kind in kinds if kind.size]))
        for _ in range(RESAMPLES)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return f"{measure(np.arange(labels.size)):.3f}", f"{low:.3f} to {high:.3f}"
