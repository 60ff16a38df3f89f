from dataclasses import replace
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
import pytrec_eval

from eval.rows import EvalRow
from eval.runner import evaluate, fold_to_documents
from eval.spans import GoldenSpans, Place
from eval.tasks.retrieval import RetrievalTask
from rag.errors import RagError
from rag.schema import Scored

DOCUMENTS = 40
QUERIES = 30


def make_task():
    queries = {f"q{number}": str(number) for number in range(QUERIES)}
    return RetrievalTask(
        name="toy",
        folder=Path("toy"),
        split="test",
        queries=queries,
        qrels={query_id: {f"d{int(text):02}": 2, f"d{int(text) + 1:02}": 1} for query_id, text in queries.items()},
        corpus="demo",
        has_documents=False,
        kinds=dict.fromkeys(queries, ""),
        unanswerable={},
        left_out=(),
        answers=(),
        digest="0",
    )


class ArrayRanker:
    """Ranks two chunks of every document by cosine similarity; the query's text is the row of its vector."""

    name = "dense"

    def __init__(self, documents, queries):
        self.chunks = [(f"d{number:02}#{part}", number) for number in range(DOCUMENTS) for part in range(2)]
        self.documents, self.queries = documents, queries
        self.asked = []

    def rank(self, queries, k):
        self.asked.append((list(queries), k))
        rankings = []
        for query in queries:
            scores = self.documents @ self.queries[int(query)]
            hits = [Scored(chunk, float(np.float32(scores[number]))) for chunk, number in self.chunks]
            rankings.append(sorted(hits, key=lambda hit: (hit.score, hit.chunk_id), reverse=True)[:k])
        return rankings


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def make_rankers():
    generator = np.random.default_rng(0)
    topics = unit(generator.normal(size=(DOCUMENTS, 32)))
    near = unit(topics + 0.15 * generator.normal(size=topics.shape))
    constant = np.full_like(topics, 32**-0.5)
    noise = unit(generator.normal(size=topics.shape) + 3)
    return {
        "good": ArrayRanker(topics, near),
        "constant": ArrayRanker(constant, constant),
        "random and offset": ArrayRanker(noise, unit(generator.normal(size=topics.shape) + 3)),
    }


CHUNKS = {f"d{number:02}#{part}": f"d{number:02}" for number in range(DOCUMENTS) for part in range(2)}


def run(ranker, **options):
    return evaluate(make_task(), ranker, CHUNKS, embedder="toy", chunker="none", **options)


@pytest.mark.parametrize("metric", ["nDCG@10", "R@100", "RR@10", "AP", "P@5"])
def test_nonsense_embedders_rank_below_a_real_one(metric):
    # depth 12 chunks: 6 of 40 documents, so that even recall can tell nonsense from sense
    means = {name: fmean(run(ranker, depth=12).per_query[metric].values()) for name, ranker in make_rankers().items()}
    assert max(means, key=means.get) == "good"
    assert max(means["constant"], means["random and offset"]) < 0.5 * means["good"]


def test_a_row_holds_run_scores_and_costs():
    row = run(make_rankers()["good"], cost={"embed_seconds": 2.0, "usd": 0.0, "bytes_per_vector": 128}, depth=20)
    assert isinstance(row, EvalRow)
    assert (row.task, row.family, row.embedder, row.retriever, row.chunker) == (
        "toy", "retrieval", "toy", "dense", "none",
    )  # fmt: skip
    assert list(row.per_query) == ["nDCG@10", "R@100", "RR@10", "AP", "P@5", "Judged@10"]
    assert row.cost.keys() == {"embed_seconds", "query_ms_p50", "bytes_per_vector", "usd"}
    assert row.cost["embed_seconds"] == 2.0
    assert row.cost["query_ms_p50"] > 0
    assert all(len(scores) == 10 for scores in row.run.values())  # 20 chunks are ten documents of two
    assert row.provenance["depth"] == 20


def test_queries_go_in_batches_and_are_timed_one_by_one():
    ranker = make_rankers()["good"]
    run(ranker, batch=20, depth=50)
    sizes = [(len(queries), k) for queries, k in ranker.asked]
    assert sizes[:2] == [(20, 50), (10, 50)]
    assert sizes[2:] == [(1, 10)] * (QUERIES + 1)


def test_documents_take_their_best_chunk_and_keep_trec_order():
    hits = [Scored("a1", 0.5), Scored("b1", 0.9), Scored("a2", 0.9 + 1e-12), Scored("c1", 0.9), Scored("a3", 0.1)]
    folded = fold_to_documents(hits, {"a1": "a", "a2": "a", "a3": "a", "b1": "b", "c1": "c"})
    assert list(folded.values()) == pytest.approx([0.9, 0.9, 0.9])
    assert len({np.float32(value) for value in folded.values()}) == 3  # no tie is left for another tool to break
    assert list(folded) == ["c", "b", "a"]  # all three are one float32, so ids decide
    for rank, document in enumerate(folded, start=1):
        found = pytrec_eval.RelevanceEvaluator({"q": {document: 1}}, {"recip_rank"}).evaluate({"q": folded})
        assert found["q"]["recip_rank"] == pytest.approx(1 / rank)


def test_a_document_whose_id_is_the_query_s_is_kept():
    assert fold_to_documents([Scored("q1", 1.0)], {"q1": "q1"}) == {"q1": 1.0}


def test_a_document_of_the_query_s_own_id_is_left_out_where_the_task_says_so():
    task = make_task()
    queries = {f"d{number:02}": str(number) for number in range(QUERIES)}
    qrels = {f"d{number:02}": {f"d{number + 1:02}": 1} for number in range(QUERIES)}
    task = replace(task, queries=queries, qrels=qrels)
    ranker = make_rankers()["good"]
    kept, ignored = (
        evaluate(replace(task, ignore_identical_ids=ignore), ranker, CHUNKS, embedder="toy", chunker="none")
        for ignore in (False, True)
    )
    for query in queries:
        assert query in kept.run[query]
        assert list(ignored.run[query]) == [document for document in kept.run[query] if document != query]


def test_a_row_says_where_the_labels_of_its_queries_are_from():
    ranker = make_rankers()["good"]
    assert "label_sources" not in run(ranker).provenance
    task = replace(make_task(), sources={"q1": "synthetic", "q2": "human", "q3": "synthetic"})
    row = evaluate(task, ranker, CHUNKS, embedder="toy", chunker="none")
    assert row.provenance["label_sources"] == {"human": 1, "synthetic": 2}


def test_spans_are_scored_from_the_first_chunks_of_a_query():
    task, ranker = make_task(), make_rankers()["good"]
    golden = GoldenSpans({"q3": (Place("d03", 5, 15),)}, lost=2)
    asked = []

    def places_of(chunks):
        asked.append(list(chunks))
        return {chunk: (0, 10) if chunk.endswith("#0") else (10, 20) for chunk in chunks}

    options = {"golden": golden, "places_of": places_of}
    row = evaluate(task, ranker, CHUNKS, embedder="toy", chunker="none", **options)
    assert row.per_query["span_recall@5"] == {"q3": 1.0}
    assert row.per_query["span_precision@5"] == {"q3": 10 / 50}
    assert len(asked) == 1 and set(asked[0][:2]) == {"d03#0", "d03#1"}
    assert row.provenance["answers_not_found"] == 2


def test_a_chunk_of_no_known_document_is_refused():
    with pytest.raises(RagError, match="chunk 'x'"):
        fold_to_documents([Scored("x", 1.0)], {})


def test_a_retriever_that_skips_queries_is_refused():
    ranker = make_rankers()["good"]
    ranker.rank = lambda queries, k: [[]]
    with pytest.raises(RagError, match="1 rankings for 30 queries"):
        run(ranker)
