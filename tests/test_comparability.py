import pytest

from eval.comparability import why_not_comparable
from eval.rows import EvalRow

SAME = {
    "corpus": "demo",
    "level": "documents",
    "depth": 1000,
    "label_sources": {"human": 3},
    "protocol": {"name": "MTEB", "experiments": 10},
    "split": "test",
    "label_pool": ["hash", "minilm"],
}


def row(metric="nDCG@10", queries=3, digest="1", **provenance):
    per_query = {metric: {f"q{number}": 0.5 for number in range(queries)}}
    facts = {**SAME, **provenance}
    return EvalRow("toy", "retrieval", "hash", "dense", "none", {}, per_query, {}, digest, facts)


def test_rows_of_equal_facts_can_be_compared():
    assert why_not_comparable(row(), row(), "nDCG@10") is None
    assert why_not_comparable(row(), row(label_pool=("minilm", "hash")), "nDCG@10") is None
    untold = EvalRow("toy", "retrieval", "hash", "dense", "none", {}, row().per_query, {}, "1", {})
    assert why_not_comparable(row(), untold, "nDCG@10") is None


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (row(metric="nDCG@5"), "not scored by nDCG@10"),
        (row(queries=2), "different queries: 1 only in dense hash, 0 only"),
        (row(digest="2"), "different judgements"),
        (row(split="dev"), "different splits: test for dense hash, dev for"),
        (row(corpus="other"), "different documents were searched: demo"),
        (row(level="chunks"), "different levels: documents"),
        (row(depth=100), "different depths: 1000 for dense hash, 100 for dense hash"),
        (row(label_sources={"synthetic": 3}), "different sources: human 3 for dense hash, synthetic 3"),
        (row(label_pool=["hash"]), "different pools: hash, minilm for"),
        (row(protocol={"name": "MTEB", "experiments": 5}), "different protocols"),
    ],
)
def test_every_reason_is_named(other, words):
    assert words in why_not_comparable(row(), other, "nDCG@10")
    assert why_not_comparable(other, row(), "nDCG@10")


def test_a_metric_is_not_tested_beyond_what_was_retrieved():
    shallow = row(metric="R@100", depth=50)
    assert (
        why_not_comparable(shallow, shallow, "R@100") == "R@100 looks at more than the 50 passages that were retrieved"
    )
