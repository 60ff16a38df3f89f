"""The meter, read under a clock that the test moves."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.report import Outcome, Stopped
from ui.meter import NEWEST, STATUSES, WINDOW, Meter
from ui.words import duration


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def outcome(name, status="done", reason=""):
    return Outcome(name, f"/docs/{name}", status, reason)


def test_files_rate_and_time_left(clock):
    meter = Meter(clock)
    meter.start(4, 4000)
    assert (meter.snapshot().size.done, meter.snapshot().size.left) == (0, None)
    for name in ("a", "b"):
        clock.now += 10
        meter.item(outcome(name), 1000)
    reading = meter.snapshot()
    assert (reading.items, reading.items_expected, reading.seconds) == (2, 4, 20)
    assert (reading.size.rate, reading.size.left, reading.size.share) == (100, 20, 0.5)


def test_the_rate_is_the_recent_one(clock):
    meter = Meter(clock)
    meter.start(1, 100_000)
    for _ in range(100):
        clock.now += 1
        meter.embedded("slow", 1)
    for _ in range(int(2 * WINDOW)):
        clock.now += 1
        meter.embedded("slow", 10)
    assert meter.snapshot().embedders["slow"].rate == pytest.approx(10, rel=0.05)
    clock.now += 10 * WINDOW  # nothing has come lately: the mean over all the time is all that can be said
    whole = 100 + 10 * int(2 * WINDOW)
    assert meter.snapshot().embedders["slow"].rate == pytest.approx(whole / meter.snapshot().seconds)


def test_vectors_of_files_still_unread_are_promised_by_their_bytes(clock):
    meter = Meter(clock)
    meter.start(10, 10_000)
    meter.planned("minilm", 50)
    clock.now += 5
    meter.embedded("minilm", 50)
    meter.item(outcome("a"), 1000)
    pace = meter.snapshot().embedders["minilm"]
    assert (pace.done, pace.expected, pace.rate, pace.left, pace.bound) == (50, 500, 10, 45, "about")
    meter.planned("minilm", 700)  # more than the bytes had promised
    pace = meter.snapshot().embedders["minilm"]
    assert (pace.expected, pace.bound) == (750, "at least")
    for _ in range(9):
        meter.item(outcome("b"), 1000)
    meter.embedded("minilm", 700)
    pace = meter.snapshot().embedders["minilm"]
    assert (pace.done, pace.expected, pace.left, pace.share, pace.bound) == (750, 750, 0, 1, "")


def test_an_embedder_with_nothing_missing_is_done(clock):
    meter = Meter(clock)
    meter.start(1, 10)
    meter.planned("hash", 0)
    assert (meter.snapshot().embedders["hash"].share, meter.snapshot().embedders["hash"].left) == (1, 0)


def test_counts_are_full_where_the_lists_are_cut(clock):
    meter = Meter(clock)
    meter.start(3 * NEWEST, 0)
    for number in range(3 * NEWEST):
        meter.item(outcome(str(number), ("done", "failed", "skipped")[number % 3], "why"), 0)
    meter.item(outcome("gone", "deleted"), 0)
    reading = meter.snapshot()
    assert reading.counts == dict.fromkeys(STATUSES, 0) | {
        "done": NEWEST, "skipped": NEWEST, "failed": NEWEST, "deleted": 1,
    }  # fmt: skip
    assert reading.items == reading.items_expected == 3 * NEWEST
    assert reading.newest[0].source == "gone" and len(reading.newest) == NEWEST
    assert {each.status for each in reading.problems} == {"failed", "skipped"}


def test_stop_ends_the_ingest_at_its_next_word(clock):
    meter = Meter(clock)
    meter.start(1, 1)
    meter.stop()
    for call in (
        lambda: meter.start(1, 1),
        lambda: meter.item(outcome("a"), 1),
        lambda: meter.planned("hash", 1),
        lambda: meter.embedded("hash", 1),
    ):
        with pytest.raises(Stopped):
            call()
    assert meter.stopping and meter.snapshot().items == 0


def test_a_finished_meter_stands_still(clock):
    meter = Meter(clock)
    clock.now += 7
    meter.finish()
    clock.now += 100
    assert meter.snapshot().seconds == 7


def test_threads_lose_nothing():
    meter = Meter()
    meter.start(800, 800)

    def work():
        for _ in range(100):
            meter.item(outcome("x"), 1)
            meter.planned("hash", 2)
            meter.embedded("hash", 2)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reading = meter.snapshot()
    assert (reading.items, reading.size.done, reading.embedders["hash"].done) == (800, 800, 1600)


@given(st.lists(st.tuples(st.sampled_from(["item", "planned", "embedded", "wait"]), st.integers(0, 50)), max_size=60))
def test_no_reading_is_ever_beyond_its_bounds(steps):
    clock = Clock()
    meter = Meter(clock)
    meter.start(100, 1000)
    for step, amount in steps:
        if step == "wait":
            clock.now += amount / 10
        elif step == "item":
            meter.item(outcome("x"), amount)
        else:
            getattr(meter, step)("hash", amount)
        reading = meter.snapshot()
        for pace in (reading.size, *reading.embedders.values()):
            assert 0 <= pace.share <= 1 and pace.rate >= 0
            assert pace.left is None or pace.left >= 0


@pytest.mark.parametrize(
    ("seconds", "told"), [(0, "0:00"), (9.6, "0:10"), (75, "1:15"), (3600, "1:00:00"), (90061, "25:01:01")]
)
def test_durations(seconds, told):
    assert duration(seconds) == told
