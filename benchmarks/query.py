"""What a question costs: our retrievers beside LangChain's EnsembleRetriever (BM25Retriever + Chroma), in one process.

Both search the same chunks by the same vectors, 5,183 whole documents under minilm and about 50,000 chunks under
wordllama; k is the same. A question is timed from its text to the chunks looked up, its embedding included.
"""

import argparse
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers import ROOT
from benchmarks.tables import Table
from eval.metrics import score
from eval.tasks.retrieval import load_retrieval_task
from rag.cards import IndexCard
from rag.filters import Filter
from rag.index import BATCH, ChromaStore, open_chroma
from rag.library import Library
from rag.lock import writer_lock
from rag.passages import passage
from rag.reader import Reader
from rag.settings import Settings, read_settings
from ui.ingesting import ingest_paths

DATA = ROOT.parent / "shared" / "data" / "retrieval"
TASK = "scifact"
K = 10
COLUMNS = ("retriever", "p50 ms", "p95 ms", "CPU-ms", "× CPU", "nDCG@10")
THEIRS = "LangChain ensemble"

Ask = Callable[[str], Sequence[str]]
"""Finds the sources of the best chunks for a question, best first."""


@dataclass(frozen=True, slots=True)
class Size:
    """A corpus of the contest: its name, the data sets it is made of, how they are cut, and under what."""

    name: str
    folders: tuple[str, ...]
    chunker: str
    embedder: str
    filter: Filter


SIZES = {
    "5k": Size("query-5k", ("scifact",), "whole", "minilm", Filter(source="1*")),
    "50k": Size("query-50k", ("scifact", "medquad"), "recursive-800-0", "wordllama", Filter(source="1*")),
}


def run(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks query", description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=tuple(SIZES))
    parser.add_argument("--home", type=Path, metavar="DIR", help="keep what was ingested there, for another time")
    parser.add_argument("--queries", type=int, default=200, metavar="N", help="of ours (200)")
    parser.add_argument("--slow-queries", type=int, default=40, metavar="N", help="of LangChain's (40)")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables as Markdown as well")
    asked = parser.parse_args(arguments)
    if not (DATA / TASK / "corpus.jsonl").is_file():
        print(f"Skipped: there is no {TASK} in {DATA}.")
        return
    tables = []
    with tempfile.TemporaryDirectory() as work:
        settings = read_settings(asked.home or work)
        library = Library(settings.home, create=True)
        for size in (SIZES[name] for name in asked.sizes):
            tables.append(contest(library, settings, size, asked.queries, asked.slow_queries))
            print(f"{tables[-1].text()}\n", flush=True)
        library.close()
    if asked.markdown:
        asked.markdown.write_text("\n\n".join(table.markdown() for table in tables) + "\n", encoding="utf-8")


def contest(library: Library, settings: Settings, size: Size, many: int, few: int) -> Table:
    """Measures every retriever over one corpus."""
    card = indexed(library, settings, size)
    questions = list(load_retrieval_task(DATA / TASK).queries.values())
    table = Table(f"A question over {card.chunks:,} chunks under {size.embedder}, k = {K}", COLUMNS)
    with writer_lock(settings.home), open_chroma(library) as chroma:
        chroma.sync(card)
        theirs = peers(library, card, settings)
        contenders = {**ours(library, settings, chroma, card, size), **theirs}
        costs = {name: timed(ask, questions[: few if name in theirs else many]) for name, ask in contenders.items()}
        scored = quality(contenders) if size.folders == (TASK,) else {}
    hybrid = costs["hybrid, Chroma"].cpu
    for name, cost in costs.items():
        found = f"{scored[name]:.4f}" if name in scored else "-"
        table.rows.append(
            [name, f"{cost.p50:.2f}", f"{cost.p95:.2f}", f"{cost.cpu:.2f}", f"{cost.cpu / hybrid:.1f}", found]
        )
    table.notes = [
        f"CPU-ms: of the whole process, the mean of {min(many, len(questions))} questions ({few} of LangChain's).",
        f"× CPU is against our hybrid over Chroma. Filtered: source {size.filter.source}.",
        f"nDCG@10: of {TASK}'s test split; {os.cpu_count()} processors.",
    ]
    return table


def indexed(library: Library, settings: Settings, size: Size) -> IndexCard:
    """Ingests the data sets of a corpus, unless they have been before."""
    for folder in size.folders:
        ingest_paths(library, settings, [DATA / folder], size.name, [size.embedder], size.chunker)
    return library.cards.find(size.name, size.embedder, size.chunker)


# --- who is measured


def ours(library: Library, settings: Settings, chroma: ChromaStore, card: IndexCard, size: Size) -> dict[str, Ask]:
    """Returns our retrievers, each opened anew for a question, as the chat does."""
    exact, approximate = Reader(library, settings), Reader(library, settings, chroma)

    def ask(reader: Reader, retriever: str, question: str, **options: Any) -> list[str]:
        opened = reader.open(card.corpus, card.embedder, retriever, card.chunker, **options)
        return [hit.source for hit in opened.retriever.retrieve(question, K)]

    return {
        "dense, exact": partial(ask, exact, "dense"),
        "dense, Chroma": partial(ask, approximate, "dense"),
        "lexical": partial(ask, exact, "lexical"),
        "hybrid, exact": partial(ask, exact, "hybrid"),
        "hybrid, Chroma": partial(ask, approximate, "hybrid"),
        "hybrid filtered, exact": partial(ask, exact, "hybrid", filter=size.filter),
        "hybrid filtered, Chroma": partial(ask, approximate, "hybrid", filter=size.filter),
        "hybrid, MMR 0.5": partial(ask, approximate, "hybrid", mmr=0.5),
    }


def peers(library: Library, card: IndexCard, settings: Settings) -> dict[str, Ask]:
    """Returns LangChain's retrievers over the same chunks and vectors, as its guides put them together."""
    from langchain_classic.retrievers import EnsembleRetriever
    from langchain_community.retrievers import BM25Retriever
    from langchain_community.vectorstores import Chroma
    from langchain_core.documents import Document

    from rag.langchain_adapter import EmbedderAsLangChain

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the class has moved to a package of its own, and is the same there
        store = Chroma("theirs", EmbedderAsLangChain(card.embedder, settings.embedders))
    documents = []
    for ids, vectors in library.vectors.blocks(card.corpus, card.chunker, card.fingerprint, BATCH):
        stored = library.chunks(ids)
        texts = [passage(stored[i].title, stored[i].chunk.heading, stored[i].chunk.text) for i in ids]
        metadatas = [{"source": stored[i].source} for i in ids]
        store._collection.add(ids=ids, embeddings=vectors, documents=texts, metadatas=metadatas)
        documents += [Document(text, metadata=facts) for text, facts in zip(texts, metadatas, strict=True)]
    words = BM25Retriever.from_documents(documents, k=K)
    near = store.as_retriever(search_kwargs={"k": K})
    both = EnsembleRetriever(retrievers=[words, near], weights=[0.5, 0.5])

    def ask(retriever: Any, question: str) -> list[str]:
        return [document.metadata["source"] for document in retriever.invoke(question)[:K]]

    return {
        "LangChain BM25Retriever": partial(ask, words),
        "LangChain Chroma": partial(ask, near),
        THEIRS: partial(ask, both),
    }


# --- what is measured


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds of a question: median and 95th percentile by the wall clock, and mean of the processor."""

    p50: float
    p95: float
    cpu: float


def timed(ask: Ask, questions: Sequence[str]) -> Times:
    """Times questions one after the other; the first ones are asked before, so that everything is loaded."""
    for question in questions[:3]:
        ask(question)
    wall = []
    began = time.process_time()
    for question in questions:
        start = time.perf_counter()
        ask(question)
        wall.append(1000 * (time.perf_counter() - start))
    cpu = 1000 * (time.process_time() - began) / len(questions)
    return Times(float(np.quantile(wall, 0.5)), float(np.quantile(wall, 0.95)), cpu)


def quality(contenders: Mapping[str, Ask]) -> dict[str, float]:
    """Returns nDCG@10 on the task; where filters are set it would tell nothing."""
    task = load_retrieval_task(DATA / TASK)
    found = {}
    for name, ask in contenders.items():
        if "filtered" in name:
            continue
        ranked = {query_id: dict(ranks(ask(text))) for query_id, text in task.queries.items()}
        values = score(task.qrels, ranked, ("nDCG@10",))["nDCG@10"].values()
        found[name] = sum(values) / len(values)
    return found


def ranks(sources: Sequence[str]) -> Iterator[tuple[str, float]]:
    """Yields each document once with a score that falls with its rank."""
    for rank, source in enumerate(dict.fromkeys(sources)):
        yield source, 1.0 / (1 + rank)
