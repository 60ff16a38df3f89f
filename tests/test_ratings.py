"""Bradley-Terry strengths against scikit-learn's logistic regression, and votes that plain likelihood cannot take."""

import math
import time
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from eval.ratings import Ballot, fit, preference, rate

NAMES = ("dense hash", "dense minilm", "hybrid minilm", "lexical")


def votes_of(strengths, count, seed, sides=2, ties=0.2):
    """Draws votes in which the stronger is preferred as Bradley and Terry say."""
    generator = np.random.default_rng(seed)
    names = list(strengths)
    drawn = []
    for _ in range(count):
        chosen = [names[i] for i in generator.permutation(len(names))[:sides]]
        odds = np.exp([strengths[name] for name in chosen])
        winner = None if generator.random() < ties else chosen[generator.choice(sides, p=odds / odds.sum())]
        drawn.append(Ballot(tuple(chosen), winner))
    return drawn


def by_regression(ballots, prior):
    """Strengths by logistic regression without an intercept; a tie is a win and a loss of half the weight."""
    names = sorted({name for ballot in ballots for name in ballot.contestants})
    rows, outcomes, weights = [], [], []

    def add(winner, loser, weight):
        row = np.zeros(len(names))
        for name, sign in ((winner, 1), (loser, -1)):
            if name is not None:
                row[names.index(name)] = sign
        for sign in (1, -1):  # both outcomes, so that the regression has two classes
            rows.append(sign * row)
            outcomes.append(sign)
            weights.append(weight / 2)

    for ballot in ballots:
        for one, other in combinations(ballot.contestants, 2):
            if ballot.winner is None:
                add(one, other, 0.5)
                add(other, one, 0.5)
            elif ballot.winner in (one, other):
                add(ballot.winner, other if ballot.winner == one else one, 1)
    for name in names if prior else ():
        add(name, None, prior / 2)
        add(None, name, prior / 2)
    model = LogisticRegression(fit_intercept=False, C=1e9, tol=1e-10, max_iter=10_000)
    model.fit(np.array(rows), np.array(outcomes), sample_weight=np.array(weights))
    strengths = model.coef_[0] if prior else model.coef_[0] - model.coef_[0].mean()
    return dict(zip(names, strengths, strict=True))


@pytest.mark.parametrize("prior", [0.0, 1.0])
@pytest.mark.parametrize("sides", [2, 3, 4])
def test_strengths_are_those_of_logistic_regression(prior, sides):
    true = dict(zip(NAMES, (-1.0, 0.2, 0.9, -0.1), strict=True))
    ballots = votes_of(true, 300, seed=5, sides=sides)
    found = {rating.name: rating.strength for rating in rate(ballots, seed=1, resamples=2, prior=prior)}
    assert found == pytest.approx(by_regression(ballots, prior), abs=1e-4)


@settings(max_examples=20)
@given(st.lists(st.tuples(st.permutations(NAMES), st.integers(2, 4), st.integers(0, 4)), min_size=1, max_size=12))
def test_any_votes_have_strengths_with_the_prior(drawn):
    ballots = [Ballot(tuple(order[:n]), order[pick] if pick < n else None) for order, n, pick in drawn]
    found = {rating.name: rating.strength for rating in rate(ballots, seed=1, resamples=2)}
    assert found == pytest.approx(by_regression(ballots, 1.0), abs=1e-3)
    assert all(map(math.isfinite, found.values()))


def test_true_strengths_are_within_the_intervals_of_many_votes():
    true = dict(zip(NAMES, (-1.0, 0.0, 0.8, 0.2), strict=True))
    ratings = rate(votes_of(true, 3000, seed=9, ties=0), seed=1, prior=0.01)
    assert [rating.name for rating in ratings] == ["hybrid minilm", "lexical", "dense minilm", "dense hash"]
    for rating in ratings:
        assert rating.low < true[rating.name] < rating.high
        assert rating.high - rating.low < 0.4


def test_intervals_cover_what_they_promise():
    true = {"a": 0.6, "b": 0.0, "c": -0.6}
    covered = [
        rating.low <= true[rating.name] <= rating.high
        for seed in range(60)
        for rating in rate(votes_of(true, 200, seed, ties=0), seed=3, resamples=200, prior=0.01)
    ]
    assert 0.88 <= np.mean(covered) <= 0.99


def test_a_perfect_winner_is_strong_and_no_more():
    ratings = rate([Ballot(("a", "b"), "a")] * 3, seed=1)
    first, last = ratings
    assert (first.name, first.wins, first.losses, last.losses) == ("a", 3, 0, 3)
    assert 0.6 < preference(first.strength, last.strength) < 0.95
    assert first.low == first.high == first.strength  # every sample of equal votes is the same
    many = rate([Ballot(("a", "b"), "a")] * 30, seed=1)
    assert many[0].strength > first.strength


def test_groups_that_never_met_are_compared_with_the_average():
    ratings = {r.name: r for r in rate([Ballot(("a", "b"), "a"), Ballot(("c", "d"), "c")] * 5, seed=1)}
    assert ratings["a"].strength == pytest.approx(ratings["c"].strength)
    assert ratings["b"].strength == pytest.approx(-ratings["a"].strength)


def test_ties_alone_leave_everybody_average_and_count():
    ratings = rate([Ballot(("a", "b", "c"), None)] * 4, seed=1)
    assert [(r.strength, r.ties, r.votes) for r in ratings] == [(pytest.approx(0), 4, 4)] * 3


def test_nothing_and_one_vote():
    assert rate([], seed=1) == []
    assert [r.low for r in rate([Ballot(("a", "b"), "a")], seed=1)] == [None, None]


def test_equal_seeds_give_equal_intervals_and_the_order_of_votes_does_not_matter_to_strengths():
    ballots = votes_of(dict.fromkeys(NAMES, 0.0), 50, seed=2)
    assert rate(ballots, seed=4) == rate(ballots, seed=4)
    assert rate(ballots, seed=4) != rate(ballots, seed=5)
    turned = rate(ballots[::-1], seed=4)
    assert {r.name: r.strength for r in turned} == pytest.approx({r.name: r.strength for r in rate(ballots, seed=4)})


def test_a_thousand_votes_between_a_dozen_are_rated_in_a_moment():
    ballots = votes_of({f"c{number}": number / 6 for number in range(12)}, 1000, seed=1)
    started = time.process_time()
    rate(ballots, seed=1)
    assert time.process_time() - started < 10


def test_fit_takes_many_tables_at_once():
    tables = np.random.default_rng(1).integers(0, 9, (5, 4, 4)).astype(float)
    np.testing.assert_allclose(fit(tables), [fit(table) for table in tables], atol=1e-7)
