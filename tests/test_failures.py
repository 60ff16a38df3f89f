"""What a vendor's refusal says, and how long it asks to wait."""

import time
from email.utils import formatdate

import pytest

from rag import keys
from rag.embedders import failures
from rag.embedders.failures import RequestError, asked_wait, breakdown, refusal, words_of


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "17"}, 17),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-3"}, 0),
        ({"retry-after-ms": "250", "retry-after": "17"}, 0.25),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"x-ratelimit-reset": "20"}, 20),
        ({"x-ratelimit-reset-requests": "1m30s", "x-ratelimit-remaining-requests": "0"}, 90),
        ({"x-ratelimit-reset-tokens": "6m0s", "x-ratelimit-remaining-tokens": "0"}, 360),
        ({"x-ratelimit-reset-tokens": "120ms", "x-ratelimit-remaining-tokens": "0"}, 0.12),
        ({"x-ratelimit-reset-tokens": "6m0s", "x-ratelimit-remaining-tokens": "12"}, None),
        ({"content-type": "text/html"}, None),
        ({}, None),
    ],
)
def test_a_pause_is_read_in_every_form(headers, seconds):
    assert asked_wait(headers) == (seconds if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize("name", ["retry-after", "x-ratelimit-reset"])
@pytest.mark.parametrize("ahead", [40, -40])
def test_a_moment_is_read_as_the_seconds_until_it(name, ahead):
    moment = time.time() + ahead
    for text in (str(int(moment)), formatdate(moment, usegmt=True)):
        assert asked_wait({name: text}) == pytest.approx(max(0, ahead), abs=2)


def test_google_says_it_in_the_body():
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}]
    assert asked_wait({}, {"error": {"code": 429, "details": details}}) == 34.5


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": {"message": "too fast", "type": "requests"}}, "too fast"),
        ({"message": "too fast"}, "too fast"),
        ({"detail": "too fast"}, "too fast"),
        ({"detail": [{"loc": ["body", "model"], "msg": "too fast"}]}, "too fast"),
        ({"error": "too fast", "error_type": "Overloaded"}, "too fast"),
        ('{"error": "too fast"}', "too fast"),
        (b'{"object": "error", "message": "too fast"}', "too fast"),
        ("<html>too fast</html>", "<html>too fast</html>"),
        ([{"error": {"message": "too fast"}}], "too fast"),
        (None, ""),
    ],
)
def test_the_sentence_for_people_is_found_in_any_vendors_body(body, words):
    assert words_of(body) == words


@pytest.mark.parametrize(
    ("status", "told", "kind"),
    [
        (401, "wrong key", failures.KEY),
        (403, "not allowed", failures.KEY),
        (402, "pay", failures.CREDIT),
        (404, "no model", failures.NAME),
        (301, "", failures.NAME),
        (429, "slow down", failures.BUSY),
        (529, "overloaded", failures.BUSY),
        (500, "oops", failures.SERVER),
        (200, "no JSON", failures.BROKEN),
        (400, "no such option", failures.REFUSED),
        (400, "the input length exceeds the context length", failures.LENGTH),
        (413, "batch size 33 > maximum allowed batch size 32", failures.REFUSED),
        (422, "Input validation error: `inputs` must have less than 512 tokens. Given: 785", failures.LENGTH),
        (400, "Invalid 'input[29]': maximum input length is 8192 tokens.", failures.LENGTH),
        (400, "Too many tokens overall, split into more batches.", failures.LENGTH),
    ],
)
def test_the_status_and_the_words_decide_what_kind_it_is(status, told, kind):
    assert refusal(status, {}, {"message": told}).kind is kind


def test_credit_that_is_used_up_is_not_waited_for():
    """OpenAI says so with the status of a rate limit."""
    body = {"message": "You exceeded your current quota.", "type": "insufficient_quota", "code": "insufficient_quota"}
    assert refusal(429, {"retry-after": "1"}, body).kind is failures.CREDIT


def test_a_reason_is_one_line_and_not_endless():
    reason = RequestError(failures.SERVER, "<html>\n  " + "very long " * 100).reason
    assert "\n" not in reason
    assert len(reason) == failures.LONGEST_REASON


def test_a_key_is_masked_before_the_reason_is_cut_so_that_no_half_of_it_is_left(monkeypatch):
    monkeypatch.setattr(keys, "_held", {"marker-5f3a9c1e7b2d"})
    reason = RequestError(failures.SERVER, "x" * (failures.LONGEST_REASON - 8) + " marker-5f3a9c1e7b2d").reason
    assert "marker" not in reason


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TimeoutError("slow"), failures.TIMEOUT),
        (ConnectionError("nobody"), failures.UNREACHABLE),
        (ConnectionRefusedError("nobody"), failures.UNREACHABLE),
        (ValueError("no JSON"), failures.BROKEN),
        (KeyError("data"), failures.BROKEN),
    ],
)
def test_what_has_no_status_is_told_by_its_class_or_by_what_it_came_from(error, kind):
    assert breakdown(error).kind is kind
    wrapped = RuntimeError("the client's own")
    wrapped.__cause__ = error
    assert breakdown(wrapped).kind is kind
