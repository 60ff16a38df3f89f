"""Batches that hold every text once, waste little on padding and are no larger than they may be."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rag.embedders.batches import padded, plan_batches

LENGTHS = st.lists(st.integers(1, 300), max_size=80)


@given(LENGTHS, st.integers(1, 2000), st.sampled_from([1, 8, 16]))
def test_every_row_is_in_one_batch_and_none_is_too_large(lengths, most, multiple):
    batches = plan_batches(lengths, most, multiple)
    assert sorted(row for rows in batches for row in rows) == list(range(len(lengths)))
    for rows in batches:
        width = padded(max(lengths[row] for row in rows), multiple)
        assert len(rows) == 1 or len(rows) * width <= most


@given(LENGTHS, st.integers(1, 2000))
def test_no_batch_could_have_taken_the_next_text_too(lengths, most):
    batches = plan_batches(lengths, most)
    for rows, _ in pairwise(batches):
        assert (len(rows) + 1) * max(lengths[row] for row in rows) > most


def test_little_is_padded():
    lengths = [2 + number * 37 % 255 for number in range(200)]
    width = [padded(max(lengths[row] for row in rows), 8) * len(rows) for rows in plan_batches(lengths, 1024, 8)]
    unsorted = [max(lengths[first : first + 8]) * 8 for first in range(0, 200, 8)]
    assert sum(lengths) < sum(width) < 1.1 * sum(lengths) < sum(unsorted)
