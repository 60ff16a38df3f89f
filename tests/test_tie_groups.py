from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.tie_groups import letters, tie_groups

PAIRS = list(combinations(range(6), 2))


@given(st.permutations(range(6)), st.sets(st.sampled_from(PAIRS)))
@settings(max_examples=150, deadline=None)
def test_two_rows_share_a_letter_exactly_if_they_are_not_separable(ranking, separable):
    shown = letters(6, tie_groups(ranking, separable))
    for a, b in PAIRS:
        assert bool(set(shown[a]) & set(shown[b])) == ((a, b) not in separable)
    assert all(shown)
    assert "a" in shown[ranking[0]]


@pytest.mark.parametrize(
    ("separable", "expected"),
    [([], ("a", "a", "a")), ([(0, 2)], ("b", "ab", "a")), ([*PAIRS[:2], (1, 2)], ("c", "b", "a"))],
)
def test_letters_are_in_the_order_of_the_ranking(separable, expected):
    assert letters(3, tie_groups([2, 1, 0], separable)) == expected


def test_rows_out_of_the_ranking_have_no_letter_and_many_groups_have_one_each():
    assert letters(3, tie_groups([2, 0], [(0, 2)])) == ("b", "", "a")
    many = letters(60, [{row} for row in range(60)])
    assert len(set(many)) == 60
    assert all(len(letter) == 1 for letter in many)
    assert tie_groups([], []) == ()
