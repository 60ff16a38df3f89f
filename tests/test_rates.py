"""Requests keep the pace that an entry allows."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.rates import Pace
from wire_server import Time


def starts(pace, time, tokens):
    times = []
    for count in tokens:
        pace.wait(count, time.sleep)
        times.append(time.now)
    return times


@given(
    requests=st.sampled_from([0, 3, 60, 3000]),
    limit=st.sampled_from([0, 10_000, 1_000_000]),
    tokens=st.lists(st.integers(0, 30_000), min_size=1, max_size=60),
)
def test_no_minute_holds_more_than_the_limit_and_the_request_that_ends_it(requests, limit, tokens):
    time = Time()
    times = np.array(starts(Pace(requests, limit, time.clock), time, tokens))
    for first in range(len(times)):
        within = np.flatnonzero((times >= times[first]) & (times < times[first] + 60 - 1e-6))
        if requests:
            assert len(within) <= requests
        if limit:
            assert sum(tokens[row] for row in within[:-1]) <= limit


def test_without_limits_nothing_waits():
    time = Time()
    starts(Pace(0, 0, time.clock), time, [10_000] * 50)
    assert time.naps == []


def test_the_slower_limit_decides():
    time = Time()
    assert np.diff(starts(Pace(60, 6000, time.clock), time, [50, 400, 0, 0])) == pytest.approx([1, 4, 1])


def test_a_pause_holds_back_those_that_wait_already():
    time = Time()
    pace = Pace(60, 0, time.clock)
    pace.wait(0, time.sleep)

    def sleep(seconds):
        pace.pause(30)  # another request is told to wait meanwhile
        time.sleep(seconds)

    began = time.now
    pace.wait(0, sleep)
    assert time.now - began == pytest.approx(30)
    pace.pause(5)
    pace.pause(1)  # a shorter one does not end a longer one
    began = time.now
    pace.wait(0, time.sleep)
    assert time.now - began == pytest.approx(5)


def test_threads_take_turns():
    pace = Pace(600, 0, clock=lambda: 0.0)
    naps = []
    threads = [threading.Thread(target=pace.wait, args=(0, naps.append)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(naps) == pytest.approx([0.1 * turn for turn in range(1, 8)])
