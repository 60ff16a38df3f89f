import numpy as np
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from rag.ranking import by_score, min_max, top_k

# Few distinct values make ties; the two in the middle are one float32.
SCORES = st.one_of(
    st.sampled_from([0.0, -1.0, 0.5, 0.1, 0.1 + 1e-12, 2.0]), st.floats(-1e6, 1e6, allow_nan=False, width=64)
)
IDS = st.text("abcdef", min_size=1, max_size=3)


@given(st.lists(SCORES, max_size=40), st.integers(-1, 50))
def test_top_k_equals_a_full_sort(scores, k):
    array = np.array(scores, dtype=np.float64)
    full = sorted(range(len(scores)), key=lambda position: (np.float32(scores[position]), position), reverse=True)
    assert top_k(array, k).tolist() == full[: max(k, 0)]


@given(st.lists(SCORES, min_size=1, max_size=300).map(np.array), st.data())
def test_a_shorter_list_is_the_start_of_a_longer_one(scores, data):
    k = data.draw(st.integers(1, len(scores)))
    assert top_k(scores, k).tolist() == top_k(scores, len(scores))[:k].tolist()


@given(st.dictionaries(IDS, SCORES, max_size=30))
def test_by_score_is_score_then_id_descending(scores):
    assert by_score(scores) == sorted(scores, key=lambda key: (np.float32(scores[key]), key), reverse=True)


@given(st.dictionaries(IDS, SCORES, min_size=2, max_size=30), st.data())
def test_the_order_is_that_of_trec_eval(scores, data):
    """trec_eval finds the one relevant document at the rank where our order has it."""
    relevant = data.draw(st.sampled_from(sorted(scores)))
    judged = pytrec_eval.RelevanceEvaluator({"q": {relevant: 1}}, {"recip_rank"})
    reciprocal = judged.evaluate({"q": scores})["q"]["recip_rank"]
    assert round(1 / reciprocal) == by_score(scores).index(relevant) + 1


@given(st.dictionaries(IDS, SCORES, max_size=30), st.integers(1, 10))
def test_top_k_over_ascending_ids_and_by_score_agree(scores, k):
    ids = sorted(scores)
    positions = top_k(np.array([scores[key] for key in ids]), k)
    assert [ids[position] for position in positions] == by_score(scores)[:k]


@given(st.lists(st.floats(-1e3, 1e3), max_size=20))
def test_min_max_keeps_order_and_fills_the_unit_interval(scores):
    scaled = min_max(scores)
    assert len(scaled) == len(scores)
    assert all(0 <= value <= 1 for value in scaled)
    for one, scaled_one in zip(scores, scaled, strict=True):
        for other, scaled_other in zip(scores, scaled, strict=True):
            assert one > other or scaled_one <= scaled_other
    if len(set(scores)) > 1:
        assert (min(scaled), max(scaled)) == (0, 1)
    else:
        assert set(scaled) <= {1.0}
