"""What runs a local model: tokens a CPU-second on real passages, how near to the model, how fast one question.

One process, the contenders in turns, on the threads that this process may use. The machine's own peak at multiplying
matrices is measured beside them, in each precision, so that a share of what is possible can be told.

sentence-transformers is measured twice. As it comes, a thread of torch that waits for another one spins, and is charged
for it: the busier the machine, the worse it looks. On one thread nothing waits, and that ratio holds on a busy machine.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from benchmarks.contenders import ENVIRONMENT, MODEL
from benchmarks.ingest import SHARED
from benchmarks.tables import Table
from rag.embedders.registry import find_spec, load_embedder

EMBEDDER = "minilm"
LAYERS, HIDDEN = 6, 384
"""Of MiniLM: by these its operations are counted."""
MEASURED, FIRST = 256, 2_000
"""How many documents, from which on."""
ROUNDS, QUESTIONS = 3, 200
MATRIX = 1_536

ALONE = "the same on one thread"

Embed = Callable[[Sequence[str]], np.ndarray]
T = TypeVar("T")


@dataclass(slots=True)
class Contender:
    """One who embeds: its code to load it anew, the precision of its products, and what was measured."""

    name: str
    precision: str
    embed: Embed
    load: str
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    vectors: np.ndarray | None = None


def run(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks embed", description=__doc__)
    parser.add_argument("--data", type=Path, default=SHARED / "scifact", metavar="DIR", help="a BEIR folder")
    parser.add_argument("--quality", action="store_true", help="nDCG@10 of each on all of DIR as well; takes minutes")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables as Markdown as well")
    asked = parser.parse_args(arguments)
    if not (asked.data / "corpus.jsonl").is_file():
        sys.exit(f"There is no {asked.data / 'corpus.jsonl'}. Name a BEIR folder with --data DIR.")
    documents = texts_of(asked.data / "corpus.jsonl")
    questions = texts_of(asked.data / "queries.jsonl")
    contenders = load_contenders()
    tables = [speed(contenders, documents[FIRST : FIRST + MEASURED] or documents, questions[:QUESTIONS])]
    print(tables[-1].text(), flush=True)
    if asked.quality:
        tables.append(quality([one for one in contenders if one.name != ALONE], asked.data))
        print(f"\n{tables[-1].text()}", flush=True)
    if asked.markdown:
        asked.markdown.write_text("\n\n".join(table.markdown() for table in tables) + "\n", encoding="utf-8")


def texts_of(path: Path) -> list[str]:
    """Reads title and text of the records of a BEIR file."""
    with path.open(encoding="utf-8") as lines:
        return [f"{record.get('title', '')} {record['text']}".strip() for record in map(json.loads, lines)]


def load_contenders() -> list[Contender]:
    """Loads sentence-transformers as it comes, and ours in each precision."""
    from sentence_transformers import SentenceTransformer

    from rag.embedders.torch import TorchModel

    theirs = SentenceTransformer(MODEL, device="cpu")
    torch = TorchModel(Path(MODEL), find_spec(EMBEDDER).max_tokens)

    def encode(texts: Sequence[str]) -> np.ndarray:
        return theirs.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)

    found = [
        Contender(
            "sentence-transformers, its defaults",
            "float32",
            encode,
            f"from sentence_transformers import SentenceTransformer; SentenceTransformer({MODEL!r}).encode(['a'])",
        ),
        Contender(ALONE, "float32", lambda texts: on_one_thread(lambda: encode(texts)), ""),
        Contender("ours, torch", "float32", torch.vectors, ""),
    ]
    for precision in ("float32", "bfloat16", "int8"):
        spec = replace(find_spec(EMBEDDER), name=precision, precision=precision)
        embedder = load_embedder(precision, {precision: spec})
        name = f"ours, {getattr(embedder, 'backend', '')}" + (" (default)" if precision == "bfloat16" else "")
        entry = {"bfloat16": EMBEDDER, "int8": f"{EMBEDDER}-int8"}.get(precision)
        load = f"from rag.embedders.registry import *; load_embedder({entry!r}).embed_queries(['a'])" if entry else ""
        found.append(Contender(name, precision, embedder.embed_passages, load))
    return found


# --- speed


def speed(contenders: Sequence[Contender], passages: Sequence[str], questions: Sequence[str]) -> Table:
    """Measures every contender on the same passages, in turns, and on questions one by one."""
    spec = find_spec(EMBEDDER)
    lengths = [min(count, spec.max_tokens) for count in load_embedder(EMBEDDER).count_tokens(passages)]
    tokens = sum(lengths)
    for contender in contenders:
        contender.embed(passages[:32])
    for _ in range(ROUNDS):
        for contender in contenders:
            cpu, wall = time.process_time(), time.perf_counter()
            contender.vectors = contender.embed(passages)
            contender.cpu.append(time.process_time() - cpu)
            contender.wall.append(time.perf_counter() - wall)
    peaks = {precision: matrix_peak(precision) for precision in ("float32", "bfloat16", "int8")}
    operations = sum(length * operations_of_a_token(length) for length in lengths) / tokens
    reference, theirs = contenders[0].vectors, statistics.median(contenders[0].cpu)
    alone = next(statistics.median(contender.cpu) for contender in contenders if contender.name == ALONE)
    assert reference is not None
    table = Table(
        f"{len(passages)} passages of {tokens:,} tokens",
        (
            "",
            "tokens a CPU-s",
            "×",
            "× one thread",
            "tokens a s",
            "of the peak",
            "cosine",
            "least",
            "query p50 ms",
            "p95",
            "start CPU-s",
        ),
    )
    for contender in contenders:
        cpu = statistics.median(contender.cpu)
        cosines = (np.asarray(contender.vectors) * reference).sum(axis=1) / (
            np.linalg.norm(np.asarray(contender.vectors), axis=1) * np.linalg.norm(reference, axis=1)
        )
        p50, p95 = latency(contender, questions)
        table.rows.append(
            [
                contender.name,
                f"{tokens / cpu:,.0f}",
                f"{theirs / cpu:.2f}",
                f"{alone / cpu:.2f}",
                f"{tokens / statistics.median(contender.wall):,.0f}",
                f"{tokens / cpu * operations / peaks[contender.precision]:.0%}",
                f"{cosines.mean():.5f}",
                f"{cosines.min():.5f}",
                f"{p50:.1f}",
                f"{p95:.1f}",
                f"{start_up(contender.load):.1f}" if contender.load else "",
            ]
        )
    told = ", ".join(f"{name} {peak / 1e9:.0f}" for name, peak in peaks.items())
    table.notes += [
        f"Peak at multiplying matrices of {MATRIX}, one thread, G operations a CPU-second: {told}.",
        f"{operations / 1e6:.1f} M operations a token. Tokens are those of the model, without padding, cut at "
        f"{spec.max_tokens}.",
        f"Medians of {ROUNDS} rounds in turns; cosines to the first row. A start: a new process, one text.",
        f"× is against the first row, and against it on one thread. Load of the machine at the end: "
        f"{os.getloadavg()[0]:.1f}.",
    ]
    return table


def operations_of_a_token(length: int) -> float:
    """Counts multiplications and additions: four square products, two to four times the width and back, attention."""
    return LAYERS * (2 * 12 * HIDDEN**2 + 4 * HIDDEN * length)


def matrix_peak(precision: str) -> float:
    """Returns the operations a CPU-second of the best product of two matrices on one thread that we know of.

    torch's library leaves half of what float32 can do unused on some processors, so OpenVINO's counts as well.
    """
    import torch
    from threadpoolctl import threadpool_limits

    kinds = {"float32": torch.float32, "bfloat16": torch.bfloat16, "int8": torch.int8}
    one = torch.randint(-9, 9, (MATRIX, MATRIX)).to(kinds[precision])
    products: list[Callable[[], object]] = [lambda: (torch._int_mm if precision == "int8" else torch.mm)(one, one)]
    if precision != "int8":
        products.append(openvino_product(one.float().numpy(), "f32" if precision == "float32" else "bf16"))
    with threadpool_limits(1):
        taken = on_one_thread(lambda: [seconds for product in products for seconds in repeated(product)])
    return 2 * MATRIX**3 / min(taken)


def repeated(work: Callable[[], object]) -> list[float]:
    """Returns the CPU-seconds of each of several times, after a first one."""
    work()
    taken = []
    for _ in range(8):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return taken


def on_one_thread(work: Callable[[], T]) -> T:
    """Does some work while torch has one thread."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return work()
    finally:
        torch.set_num_threads(threads)


def openvino_product(matrix: np.ndarray, hint: str) -> Callable[[], object]:
    """Returns the product of a matrix with itself as OpenVINO computes it on one thread."""
    import openvino
    from openvino import opset13 as operations

    given = operations.parameter(matrix.shape, np.float32)
    model = openvino.Model([operations.matmul(given, operations.constant(matrix), False, False)], [given])
    settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": hint}
    request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()
    return lambda: request.infer({0: matrix}, share_inputs=True, share_outputs=True)


def latency(contender: Contender, questions: Sequence[str]) -> tuple[float, float]:
    """Returns the median and the 95th percentile of the milliseconds that one question takes."""
    taken = []
    for question in questions:
        started = time.perf_counter()
        contender.embed([question])
        taken.append((time.perf_counter() - started) * 1000)
    return float(np.percentile(taken, 50)), float(np.percentile(taken, 95))


def start_up(code: str) -> float:
    """Returns the CPU-seconds of a process that loads a contender and embeds one text."""
    taken = []
    for _ in range(ROUNDS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=ENVIRONMENT)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(taken)


# --- quality


def quality(contenders: Sequence[Contender], folder: Path) -> Table:
    """Measures nDCG@10 of exact search over title and text."""
    import ir_measures
    from ir_measures import Qrel, ScoredDoc, nDCG

    ids = {name: record_ids(folder / f"{name}.jsonl") for name in ("corpus", "queries")}
    lines = (folder / "qrels" / "test.tsv").read_text(encoding="utf-8").splitlines()[1:]
    qrels = [Qrel(query, document, int(score)) for query, document, score in (line.split("\t") for line in lines)]
    judged = {qrel.query_id for qrel in qrels}
    questions = [
        (query, text)
        for query, text in zip(ids["queries"], texts_of(folder / "queries.jsonl"), strict=True)
        if query in judged
    ]
    documents = texts_of(folder / "corpus.jsonl")
    table = Table(f"nDCG@10 on {folder.name}, {len(questions)} queries", ("", "nDCG@10", "to the first", "CPU-s"))
    first = None
    for contender in contenders:
        started = time.process_time()
        passages = contender.embed(documents)
        asked = np.vstack([contender.embed([text]) for _, text in questions])
        cpu = time.process_time() - started
        scores = asked @ passages.T
        run = [
            ScoredDoc(query, ids["corpus"][place], float(row[place]))
            for (query, _), row in zip(questions, scores, strict=True)
            for place in np.argsort(-row)[:100]
        ]
        value = ir_measures.calc_aggregate([nDCG @ 10], qrels, run)[nDCG @ 10]
        first = value if first is None else first
        table.rows.append([contender.name, f"{value:.4f}", f"{value - first:+.4f}", f"{cpu:.0f}"])
    return table


def record_ids(path: Path) -> list[str]:
    """Reads the ids of the records of a BEIR file."""
    with path.open(encoding="utf-8") as lines:
        return [str(json.loads(line)["_id"]) for line in lines]
