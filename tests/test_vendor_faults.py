"""Each vendor's real client against a local server that errs: right vectors or an error that helps, nothing twice."""

import socket
from dataclasses import replace

import numpy as np
import pytest

from rag.embedders.spec import UnfinishedError
from rag.errors import RagError
from vendor_clients import KEY, PATHS, TEXTS, WITH_INDEX, load, nothing_twice, right
from wire_server import Fault, always

pytest_plugins = ["vendor_clients"]


# --- faults that pass


def test_the_vendors_pause_is_kept(vendor, server):
    server.fail(Fault(status=429, headers={"retry-after": "17"}))
    embedder = load(vendor, server)
    right(embedder.embed_passages(TEXTS), TEXTS)
    assert embedder.time.naps == [17]
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529])
def test_what_may_pass_is_tried_again(vendor, server, status):
    server.fail(Fault(status=status, times=2, body={"detail": "later", "message": "later", "error": "later"}))
    embedder = load(vendor, server)
    right(embedder.embed_passages(TEXTS), TEXTS)
    assert len(server.requests) == 3
    first, second = embedder.time.naps
    assert 1 <= first <= 2
    assert 2 <= second <= 3
    nothing_twice(server)


def test_an_answer_that_does_not_come_is_asked_for_again(vendor, server):
    server.fail(Fault(delay=0.6))
    embedder = load(vendor, server, timeout=0.3)
    right(embedder.embed_passages(TEXTS), TEXTS)
    assert len(server.requests) == 2


@pytest.mark.parametrize("fault", [Fault(cut=True), Fault(garble=True), Fault(status=200, garble=True, times=3)])
def test_an_answer_that_breaks_off_is_asked_for_again(vendor, server, fault):
    server.fail(replace(fault))
    right(load(vendor, server).embed_passages(TEXTS), TEXTS)
    assert len(server.requests) == 1 + fault.times


@pytest.mark.parametrize("vendor", sorted(WITH_INDEX))
def test_rows_out_of_order_are_put_right_by_their_numbers(vendor, server):
    server.fail(always(reverse=True))
    right(load(vendor, server).embed_passages(TEXTS), TEXTS)


def test_missing_rows_are_asked_for_again_and_the_others_are_not(vendor, server):
    server.fail(Fault(rows=lambda number, row, text: None if number in (2, 7) else row))
    right(load(vendor, server).embed_passages(TEXTS), TEXTS)
    again = [TEXTS[2], TEXTS[7]] if vendor in WITH_INDEX else TEXTS  # without numbers nobody knows which are missing
    assert server.requests[1].texts == again


def test_numbers_that_are_none_are_asked_for_once_more(vendor, server):
    server.fail(Fault(rows=lambda number, row, text: np.nan * row if number in (2, 7) else row))
    right(load(vendor, server).embed_passages(TEXTS), TEXTS)
    assert [request.texts for request in server.requests] == [TEXTS, [TEXTS[2], TEXTS[7]]]
    nothing_twice(server)


def test_a_query_is_tried_less_often(vendor, server):
    server.fail(always(status=500))
    embedder = load(vendor, server)
    with pytest.raises(RagError, match="did not embed 1 of 1 queries for 'mine'"):
        embedder.embed_queries(["a"])
    assert len(server.requests) == 3
    assert sum(embedder.time.naps) < 6


# --- faults that stay


def test_another_width_is_an_error_at_once(vendor, server):
    with pytest.raises(RagError, match=r"vectors of 64 dimensions, where its entry says 48\. Correct `dimension`"):
        load(vendor, server, dimension=48).embed_passages(TEXTS)
    assert len(server.requests) == 1


@pytest.mark.parametrize("spoilt", [np.nan, np.inf, 0])
def test_a_passage_without_a_vector_is_named_and_the_others_are_kept(vendor, server, spoilt):
    server.fail(always(rows=lambda number, row, text: np.full_like(row, spoilt) if text == TEXTS[4] else row))
    with pytest.raises(UnfinishedError, match="did not embed 1 of 10 passages") as caught:
        load(vendor, server).embed_passages(TEXTS)
    assert f"{TEXTS[4]!r}" in str(caught.value)
    assert sorted(caught.value.vectors) == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    rows = list(caught.value.vectors)
    right(np.array([caught.value.vectors[row] for row in rows]), [TEXTS[row] for row in rows])
    assert [request.texts for request in server.requests] == [TEXTS, [TEXTS[4]]]


LENGTH = {
    "openai": {"error": {"message": "This model's maximum context length is 8192 tokens, however you requested 9000"}},
    "tei": {"message": "Input validation error: `inputs` must have less than 512 tokens. Given: 785"},
    "mistral": {"object": "error", "message": "Too many tokens in batch. Max is 16384 got 17555"},
    "ollama": {"error": "the input length exceeds the context length"},
    "cohere": {"message": "texts[4] is too long: the maximum is 512 tokens"},
    "voyage": {"detail": "The example at index 4 in your batch has too many tokens and does not fit into the model."},
    "google": {"error": {"code": 400, "message": "The input exceeds the maximum number of tokens allowed (2048)."}},
}  # fmt: skip


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_passage_that_is_too_long_is_found_and_named_with_what_to_do(vendor, server, status):
    long = "A passage that goes on and on,  \n and on until nobody reads it any more, least of all a model."
    texts = [*TEXTS[:6], long, *TEXTS[6:]]
    server.fail(always(status=status, body=LENGTH[vendor], when=lambda sent: long in sent))
    embedder = load(vendor, server)
    with pytest.raises(UnfinishedError, match="--chunker heading-400-50") as caught:
        embedder.embed_passages(texts)
    message = str(caught.value)
    assert f"the first is '{' '.join(long.split())[:60]}'" in message
    assert next(iter(words for words in ("tokens", "length") if words in message))
    assert sorted(caught.value.vectors) == [row for row in range(11) if row != 6]
    nothing_twice(server)
    assert embedder.time.naps == []


def test_a_request_that_is_wrong_as_such_is_given_up_soon(vendor, server):
    server.fail(always(status=400, body={"error": {"message": "no such option"}, "detail": "no such option"}))
    texts = [f"text {number}" for number in range(100)]
    with pytest.raises(UnfinishedError, match=r"did not embed 100 of 100 passages.*no such option"):
        load(vendor, server, batch=100).embed_passages(texts)
    assert len(server.requests) < 50  # four batches at once


def test_a_model_that_is_not_there_ends_it(vendor, server):
    server.fail(
        always(status=404, body={"error": {"message": "no model"}, "detail": "no model", "message": "no model"})
    )
    remedy = (
        "Run: ollama pull a-model" if vendor == "ollama" else r"Correct `model` or `base_url` of the entry \[mine\]"
    )
    with pytest.raises(RagError, match=rf"404: .*no model.*{remedy}"):
        load(vendor, server).embed_passages(TEXTS)
    assert len(server.requests) == 1


def test_a_server_that_stays_out_of_order_is_given_up(vendor, server):
    server.fail(always(status=500))
    embedder = load(vendor, server)
    with pytest.raises(UnfinishedError, match="did not embed 10 of 10 passages"):
        embedder.embed_passages(TEXTS)
    assert len(server.requests) == 6 + 2 * 2  # the batch, and both its halves
    assert sum(embedder.time.naps) < 120


def test_a_passage_that_breaks_the_server_is_found(vendor, server):
    server.fail(always(status=500, when=lambda sent: TEXTS[3] in sent))
    with pytest.raises(UnfinishedError, match=f"the first is {TEXTS[3]!r}") as caught:
        load(vendor, server).embed_passages(TEXTS)
    assert len(caught.value.vectors) == 9
    nothing_twice(server)


def test_a_vendor_that_asks_for_an_hour_is_not_waited_for(vendor, server):
    server.fail(always(status=429, headers={"retry-after": "3600"}))
    embedder = load(vendor, server)
    with pytest.raises(UnfinishedError, match="requests_per_minute"):
        embedder.embed_passages(TEXTS)
    assert len(server.requests) == 1
    assert embedder.time.naps == []


def test_nobody_at_the_address_is_told_by_the_address(vendor, server):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    address = f"http://someone:{KEY}@127.0.0.1:{port}{PATHS.get(vendor, '')}"
    embedder = load(vendor, server, base_url=address)
    with pytest.raises(UnfinishedError, match=rf"Is http://127.0.0.1:{port}\S* running") as caught:
        embedder.embed_passages(TEXTS)
    assert KEY not in str(caught.value)
    assert len(embedder.time.naps) == 5
