"""Runs an embedder, or words alone, through a task that retrieves nothing, and scores what comes out.

These tasks are symmetric, no text is searched for another, so all their texts are embedded on one side of a model. E5,
which has a prefix for either side, wants "query: " for all that is not retrieval
(https://huggingface.co/intfloat/e5-base-v2), and so queries are the rule. A prefix that only queries have is an
instruction to search, as of BGE (https://huggingface.co/BAAI/bge-base-en-v1.5): those models take texts of other tasks
bare, as they take passages, and MTEB runs them so.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import median
from typing import Any, cast

from eval.metrics import PerQuery
from eval.rows import COST_FIELDS, EvalRow
from eval.tasks.anomaly import NEIGHBOURS, score_anomaly
from eval.tasks.classification import (
    DRAWING_SEED,
    EXPERIMENTS,
    MAX_ITERATIONS,
    SAMPLES_PER_LABEL,
    Embed,
    score_classification,
)
from eval.tasks.clustering import STARTS, score_clustering
from eval.tasks.labelled_texts import LabelledTask
from eval.tasks.sts import StsTask, score_sts
from eval.tasks.task import Task
from eval.word_features import WordFeatures
from rag.embedders.spec import Embedder, EmbedderSpec
from rag.stored_embedder import StoredEmbedder

LEXICAL = "lexical"
FAMILIES = ("classification", "clustering", "anomaly", "sts")

_TIMED_TEXTS = 20


def evaluate_embedder(
    task: Task,
    embedder: Embedder,
    *,
    seed: int,
    cost: Mapping[str, float | None] | None = None,
    provenance: Mapping[str, Any] | None = None,
    setfit: bool = False,
) -> EvalRow:
    """Evaluates one embedder on a task of classification, clustering, anomaly detection or sentence similarity.

    Equal tasks, vectors and seeds give equal rows. Of a `StoredEmbedder` the cost is what its purpose has ever spent,
    of any other what was spent here, unless `cost` says otherwise; `query_ms_p50` is the median time of one text that
    is embedded alone, always measured. `setfit` adds `setfit_accuracy` to classification where the embedder can be
    tuned (see `eval.setfit_head`). Raises ValueError for a task of another family.
    """
    spec, as_queries = embedder.spec, embeds_as_queries(embedder.spec)
    embed = _Timed(embedder.embed_queries if as_queries else embedder.embed_passages)
    per_item = _score(task, embed, seed)
    facts = {"model": spec_facts(spec), "protocol": protocol_of(task.family), **_notes(task)}
    costs: dict[str, float | None] = {"bytes_per_vector": 4 * spec.dimension}
    if setfit and task.family == "classification":
        from eval.setfit_head import BATCH, PAIRS_PER_TEXT, score_setfit, why_not_tunable

        reason = why_not_tunable(spec)
        facts["setfit"] = reason or {"pairs_per_text": PAIRS_PER_TEXT, "batch": BATCH, "epochs": 1, "seed": seed}
        if not reason:
            started = time.perf_counter()
            per_item["setfit_accuracy"] = score_setfit(cast(LabelledTask, task), spec, seed)
            costs["setfit_seconds"] = time.perf_counter() - started
    if isinstance(embedder, StoredEmbedder):
        latency = _median_ms(task, partial(embedder.embed_anew, as_queries=as_queries))
        costs |= {"embed_seconds": embedder.spent.seconds, "usd": embedder.spent.usd}
    else:
        costs["embed_seconds"] = embed.seconds
        latency = _median_ms(task, embed)
    return _row(task, spec.name, None, per_item, {**costs, **(cost or {}), "query_ms_p50": latency}, facts, provenance)


def evaluate_words(task: Task, *, seed: int, provenance: Mapping[str, Any] | None = None) -> EvalRow:
    """Evaluates TF-IDF of the words in the place of an embedder, by the same protocol.

    Word weights are learned from the training texts, or from the scored ones of a family that learns from none.
    """
    started = time.perf_counter()
    features = WordFeatures(_fitted_on(task))
    fitting = time.perf_counter() - started
    embed = _Timed(features.embed)
    per_item = _score(task, embed, seed)
    facts = {
        "model": {"model": "TF-IDF of words", "vocabulary": features.vocabulary},
        "protocol": protocol_of(task.family),
        **_notes(task),
    }
    costs = {"embed_seconds": fitting + embed.seconds, "query_ms_p50": _median_ms(task, features.embed)}
    return _row(task, None, LEXICAL, per_item, costs, facts, provenance)


class _Timed:
    """Calls what embeds, and adds up the seconds that it takes."""

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self.seconds = 0.0

    def __call__(self, texts: Sequence[str]) -> Any:
        started = time.perf_counter()
        vectors = self._embed(texts)
        self.seconds += time.perf_counter() - started
        return vectors


def embeds_as_queries(spec: EmbedderSpec) -> bool:
    """Tells whether an embedder takes the texts of symmetric tasks as queries, else as passages."""
    return not spec.query_prefix or bool(spec.passage_prefix)


def protocol_of(family: str) -> dict[str, Any]:
    """Returns what a reader must know to repeat a figure of a family."""
    protocols: dict[str, dict[str, Any]] = {
        "classification": {
            "name": "MTEB: logistic regression and nearest centroid on frozen vectors",
            "samples_per_label": SAMPLES_PER_LABEL,
            "experiments": EXPERIMENTS,
            "max_iterations": MAX_ITERATIONS,
            "drawing_seed": DRAWING_SEED,
        },
        "clustering": {"name": "k-means over the scored texts, k = their labels", "starts": STARTS},
        "anomaly": {"name": "mean cosine distance to the nearest normal training texts", "neighbours": NEIGHBOURS},
        "sts": {"name": "cosine of the pair"},
    }
    return protocols[family]


def spec_facts(spec: EmbedderSpec) -> dict[str, Any]:
    """Returns what of an embedder tells which vectors were used."""
    keys = ("fingerprint", "provider", "model", "revision", "dimension", "max_tokens", "precision")
    side = {"embedded_as": "queries", "prefix": spec.query_prefix}
    if not embeds_as_queries(spec):
        side = {"embedded_as": "passages", "prefix": spec.passage_prefix}
    return {"name": spec.name, **{key: getattr(spec, key) for key in keys}, **side}


def _score(task: Task, embed: Embed, seed: int) -> PerQuery:
    if isinstance(task, StsTask):
        return score_sts(task, embed)
    if isinstance(task, LabelledTask) and task.family == "classification":
        return score_classification(task, embed)
    if isinstance(task, LabelledTask) and task.family == "clustering":
        return score_clustering(task, embed, seed)
    if isinstance(task, LabelledTask) and task.family == "anomaly":
        return score_anomaly(task, embed)
    raise ValueError(f"'{task.name}' is a {task.family} task, which is no task of {', '.join(FAMILIES)}")


def _fitted_on(task: Task) -> list[str]:
    if isinstance(task, StsTask):
        return [sentence for pair in task.pairs.values() for sentence in (pair.sentence1, pair.sentence2)]
    if isinstance(task, LabelledTask) and task.family != "clustering":
        return [each.text for each in task.train.values()]
    return list(task.items.values())


def _notes(task: Task) -> dict[str, Any]:
    notes = getattr(task, "notes", ())
    return {"notes": list(notes)} if notes else {}


def _median_ms(task: Task, embed: Callable[[Sequence[str]], Any]) -> float:
    """Measures single texts, one after the other; the first one is embedded twice to warm up."""
    pairs = task.pairs.values() if isinstance(task, StsTask) else ()
    texts = [pair.sentence1 for pair in pairs] or list(task.items.values())
    embed(texts[:1])
    milliseconds = []
    for text in texts[:_TIMED_TEXTS]:
        started = time.perf_counter()
        embed([text])
        milliseconds.append((time.perf_counter() - started) * 1000)
    return median(milliseconds)


def _row(
    task: Task,
    embedder: str | None,
    retriever: str | None,
    per_item: PerQuery,
    cost: Mapping[str, float | None],
    facts: Mapping[str, Any],
    provenance: Mapping[str, Any] | None,
) -> EvalRow:
    return EvalRow(
        task=task.name,
        family=task.family,
        embedder=embedder,
        retriever=retriever,
        chunker=None,
        run={},
        per_query=per_item,
        cost={name: None for name in COST_FIELDS} | dict(cost),
        task_digest=task.digest,
        provenance={**facts, **(provenance or {})},
    )
