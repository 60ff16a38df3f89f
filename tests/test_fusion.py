from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import UsageError
from rag.fusion import FUSIONS, fuse
from rag.ranking import by_score
from rag.schema import Leg, Scored

IDS = [f"c{number:02}" for number in range(30)]
WEIGHTS = st.integers(0, 4).map(lambda quarters: quarters / 4)


def ranking(scores):
    """Ranks as a leg does: by score, then id descending."""
    return [Scored(key, scores[key]) for key in by_score(scores)]


# Scores of a thousandth apart, so that their order survives scaling and float32.
RANKINGS = st.dictionaries(st.sampled_from(IDS), st.integers(-1000, 1000).map(lambda n: n / 1000), max_size=20).map(
    ranking
)
FULL_RANKINGS = RANKINGS.filter(bool)


def ids(results):
    return [result.chunk_id for result in results]


@given(RANKINGS, RANKINGS, WEIGHTS)
def test_rrf_is_the_formula(dense, lexical, weight):
    weights = {"dense": weight, "lexical": 1 - weight}
    fused = fuse({"dense": dense, "lexical": lexical}, weights, "rrf")

    expected = {}
    for leg, share in ((dense, weight), (lexical, 1 - weight)):
        for position, result in enumerate(leg):
            gain = Fraction(share) / (60 + position + 1)
            expected[result.chunk_id] = expected.get(result.chunk_id, 0) + gain
    assert {result.chunk_id: pytest.approx(result.score) for result in fused} == expected
    assert ids(fused) == by_score({result.chunk_id: result.score for result in fused})


@given(RANKINGS, RANKINGS, WEIGHTS)
def test_weighted_is_the_formula(dense, lexical, weight):
    fused = fuse({"dense": dense, "lexical": lexical}, {"dense": weight, "lexical": 1 - weight}, "weighted")

    expected = dict.fromkeys([*ids(dense), *ids(lexical)], 0.0)
    for leg, share in ((dense, weight), (lexical, 1 - weight)):
        scores = np.array([result.score for result in leg])
        scaled = (scores - scores.min()) / np.ptp(scores) if len(set(scores)) > 1 else np.ones(len(scores))
        for result, value in zip(leg, scaled, strict=True):
            expected[result.chunk_id] += share * value
    assert {result.chunk_id: pytest.approx(result.score) for result in fused} == expected
    assert ids(fused) == by_score({result.chunk_id: result.score for result in fused})


@pytest.mark.parametrize("method", FUSIONS)
@given(dense=RANKINGS, lexical=RANKINGS)
def test_weights_zero_and_one_give_the_order_of_a_leg(method, dense, lexical):
    legs = {"dense": dense, "lexical": lexical}
    for name, weights in (("dense", {"dense": 1, "lexical": 0}), ("lexical", {"dense": 0, "lexical": 1})):
        own = set(ids(legs[name]))
        fused = ids(fuse(legs, weights, method))
        if method == "rrf":
            assert fused[: len(own)] == ids(legs[name])
        else:
            assert [key for key in fused if key in own] == fused_alone(legs[name], method)


def fused_alone(leg, method):
    return ids(fuse({"only": leg}, {}, method))


@given(leg=RANKINGS, weight=WEIGHTS.filter(bool))
def test_an_empty_leg_abstains(leg, weight):
    for method in FUSIONS:
        fused = fuse({"dense": leg, "lexical": []}, {"dense": weight, "lexical": 1 - weight}, method)
        assert ids(fused) == ids(leg)
        assert all(set(result.legs) == {"dense"} for result in fused)
    assert fuse({"dense": [], "lexical": []}, {}) == []


@given(dense=FULL_RANKINGS, lexical=FULL_RANKINGS, weight=WEIGHTS, method=st.sampled_from(FUSIONS))
def test_the_order_of_the_legs_does_not_matter(dense, lexical, weight, method):
    weights = {"dense": weight, "lexical": 1 - weight}
    one = fuse({"dense": dense, "lexical": lexical}, weights, method)
    other = fuse({"lexical": lexical, "dense": dense}, weights, method)
    assert one == other


@given(dense=RANKINGS, lexical=RANKINGS, method=st.sampled_from(FUSIONS))
def test_every_result_tells_what_each_leg_contributed(dense, lexical, method):
    legs = {"dense": dense, "lexical": lexical}
    fused = fuse(legs, {}, method)
    for result in fused:
        told = {
            name: Leg(ids(leg).index(result.chunk_id) + 1, leg[ids(leg).index(result.chunk_id)].score)
            for name, leg in legs.items()
            if result.chunk_id in ids(leg)
        }
        assert result.legs == told
    assert sorted(ids(fused)) == sorted({*ids(dense), *ids(lexical)})


def test_an_unknown_fusion_is_named_with_the_nearest():
    with pytest.raises(UsageError, match=r"No fusion 'rff'. Did you mean 'rrf'"):
        fuse({}, {}, "rff")
