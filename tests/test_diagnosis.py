import pytest

from eval.diagnosis import diagnose


def test_relevant_documents_are_counted_by_where_they_rank():
    ranking = {f"d{place:03}": 1.0 - place / 1000 for place in range(1, 201)}
    qrels = {"a": {"d001": 1, "d010": 2, "d011": 1, "d100": 1, "d101": 1, "gone": 1, "d002": 0}, "b": {"d001": 1}}
    found = diagnose(qrels, {"a": ranking})
    assert found.relevant == 7
    assert (found.first, found.low, found.beyond) == pytest.approx((2 / 7, 2 / 7, 3 / 7))
    assert [name for name, _ in found.shares] == ["in the first 10", "at 11 to 100", "below 100 or not found"]
    assert sum(share for _, share in found.shares) == pytest.approx(1)


@pytest.mark.parametrize(
    ("places", "words"),
    [([1, 2], None), ([1, 50], "a reranker"), ([1, 50, 101], "a reranker"), ([1, 150], "not found at all")],
)
def test_advice_follows_from_the_larger_share_of_what_is_missed(places, words):
    run = {"q": {f"d{place:03}": 1.0 - place / 1000 for place in range(1, 201)}}
    advice = diagnose({"q": {f"d{place:03}": 1 for place in places}}, run).advice
    assert advice is None if words is None else words in advice


def test_nothing_relevant_is_nothing_missed():
    assert diagnose({"q": {"d": 0}}, {}).shares[0][1] == 0
