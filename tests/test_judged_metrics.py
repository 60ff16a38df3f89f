"""Judged metrics against a scripted judge behind an OpenAI-compatible server: values, failures, limits, repeats."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time

import httpx
import pytest
import uvicorn

from eval.context_metrics import ContextScore
from eval.judge import PATIENCE, Judge, KeptReplies, judging_settings, key_of
from eval.judged_metrics import (
    ABSTAINED,
    AT_ONCE,
    JUDGED_METRICS,
    NEEDS_REFERENCE,
    NOTHING_FOUND,
    Sample,
    estimate_judging,
    score_judged,
)
from eval.ragas_gateway import NOT_A_NUMBER
from rag.embedders.registry import load_embedder
from rag.llm_settings import LlmSettings
from scripted_judge import bare, kind, server, verdict  # noqa: F401
from scripted_llm import Reply

QUESTION = "Which moon is the largest?"
CONTEXTS = ("Titan is the largest moon. It is cold.", "Rhea is icy.")
ANSWER = "Titan is the largest moon. It is cold. It is green."
SAMPLE = Sample(QUESTION, ANSWER, CONTEXTS, "Titan is the largest moon")


@pytest.fixture
def make(server, tmp_path):
    def made(calls=None, usd=None, **changes):
        options = {"model": "openai:judge", "base_url": f"{server.url}/v1", "timeout": 5.0} | changes
        return Judge(LlmSettings(**options), KeptReplies(tmp_path / "kept"), calls, usd, sleep=lambda seconds: None)

    return made


def scored(judge, *rows, **options):
    return score_judged(rows or [{"q": SAMPLE}], judge, load_embedder("hash"), **options)


def many(number, **changes):
    return {
        f"q{at:02}": Sample(f"{QUESTION} {at}", f"{ANSWER} Number {at}.", CONTEXTS, "Titan") for at in range(number)
    }


def wait_until(reached):
    deadline = time.monotonic() + 60
    while not reached() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert reached()


# --- values


def test_the_values_by_hand(make, server):
    [scores] = scored(make())
    values = {name.removeprefix("ragas."): score.value for name, score in scores.items()}
    question = load_embedder("hash").embed_queries([QUESTION, f"{ANSWER}?"])
    assert values == pytest.approx(
        {
            "Faithfulness": 2 / 3,
            "AnswerRelevancy": float(question[0] @ question[1]),
            "ContextPrecision": 1.0,  # the first of two contexts is useful
            "ContextRecall": 1.0,
            "FactualCorrectness": 0.5,  # one of three claims is in the reference, the reference's one in the answer
        },
        abs=1e-6,
    )
    assert len(server.asked) == 2 + 3 + 2 + 1 + 4
    assert {request.path for request in server.asked} == {"/v1/chat/completions"}
    assert all(request.body["response_format"] == {"type": "json_object"} for request in server.asked)
    assert all(request.body["temperature"] == 0.0 for request in server.asked)


@pytest.mark.parametrize(("provider", "as_json"), [("ollama", {"format": "json"}), ("anthropic", {})])
def test_every_kind_of_server_that_answers_can_judge(make, server, monkeypatch, provider, as_json):
    pytest.importorskip(f"langchain_{provider}")
    monkeypatch.setenv("JUDGE_KEY", "marker-5f3a9c1e7b2d4")
    [scores] = scored(make(model=f"{provider}:judge", base_url=server.url, key="JUDGE_KEY"))
    assert scores["ragas.Faithfulness"].value == 2 / 3
    assert scores["ragas.FactualCorrectness"].value == 0.5
    assert all(as_json.items() <= request.body.items() for request in server.asked)


def test_without_a_reference_the_metrics_that_need_one_are_left_out(make):
    [scores] = scored(make(), {"q": Sample(QUESTION, ANSWER, CONTEXTS)})
    assert set(scores) == set(JUDGED_METRICS) - set(NEEDS_REFERENCE)


def test_what_needs_no_judge_is_not_asked(make, server):
    abstention = Sample(QUESTION, "The documents do not say.", CONTEXTS, "", abstained=True)
    nothing = Sample(QUESTION, "", (), "Titan", abstained=True)
    failed = Sample(QUESTION, "", CONTEXTS, "", problem="there is no answer: no key")
    [scores] = scored(make(), {"abstained": abstention, "nothing": nothing, "failed": failed})
    assert server.asked == []
    faithful, relevant = scores["ragas.Faithfulness"], scores["ragas.AnswerRelevancy"]
    assert faithful.reasons == {"abstained": ABSTAINED, "nothing": ABSTAINED, "failed": failed.problem}
    assert (faithful.value, faithful.n, faithful.failed) == (None, 0, 3)
    assert (relevant.value, relevant.n, relevant.failed) == (0.0, 2, 1)
    assert scores["ragas.ContextRecall"].per_query == {"nothing": 0.0}
    assert scores["ragas.ContextPrecision"].reasons == {"nothing": NOTHING_FOUND}
    assert scores["ragas.FactualCorrectness"].per_query == {"nothing": 0.0}


# --- failures


def test_what_failed_is_counted_and_not_averaged(make, server):
    def forgetful(messages):
        prompt = messages[-1][1]
        if "Number 1." in prompt and kind(prompt) == "statements":
            return "no idea"
        if "Number 2." in prompt and kind(prompt) == "statements":
            return '{"statements": []}'
        return verdict(messages)

    server.say(Reply(forgetful))
    [scores] = scored(make(), many(4))
    faithful = scores["ragas.Faithfulness"]
    assert (faithful.n, faithful.failed, faithful.nan) == (2, 2, 1)
    assert faithful.value == 0.5  # two of four sentences each
    assert faithful.reasons == {
        "q01": "the judge's reply cannot be read: it holds no JSON object",
        "q02": NOT_A_NUMBER,
    }
    assert scores["ragas.ContextRecall"].failed == 0


def test_a_reply_that_cannot_be_read_is_asked_for_once_more_and_not_kept(make, server):
    server.say(Reply("nonsense"), Reply(verdict))
    [scores] = scored(make(), {"q": Sample(QUESTION, ANSWER, CONTEXTS)}, at_once=1)
    assert scores["ragas.Faithfulness"].value == 2 / 3
    assert len(server.asked) == 1 + 5


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_or_broken_server_is_asked_again(make, server, status):
    server.say(Reply(status=status), Reply(status=status), Reply(verdict))
    judge = make()
    [scores] = scored(judge, at_once=1)
    assert all(score.failed == 0 for score in scores.values())
    assert judge.spent.calls == len(server.asked) == 14


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(status=429), "429"),
        (Reply(status=500), "500"),
        (Reply(status=401, body={"error": {"message": "wrong key"}}), "wrong key"),
        (Reply(verdict, cut_after=1), "broke off"),
        (Reply(verdict, finish="length"), "cut at max_tokens = 2048"),
    ],
)
def test_a_judge_that_does_not_answer_leaves_failures_with_reasons(make, server, reply, reason):
    server.say(reply)
    [scores] = scored(make(), at_once=1)
    assert all((score.value, score.n, score.failed) == (None, 0, 1) for score in scores.values())
    assert all(reason in score.reasons["q"] for score in scores.values())


def test_a_judge_that_is_silent_is_given_up(make, server, monkeypatch):
    monkeypatch.setattr("rag.llm_stream.GRACE", 0.1)
    server.say(Reply(verdict, delay=30))
    [scores] = scored(make(timeout=0.2), {"q": Sample(QUESTION, ANSWER, CONTEXTS)}, at_once=2)
    assert scores["ragas.Faithfulness"].failed == 1
    assert "in time" in scores["ragas.Faithfulness"].reasons["q"]


def test_after_some_failures_in_a_row_no_more_is_sent(make, server):
    server.say(Reply(status=401, body={"error": {"message": "wrong key"}}))
    judge = make()
    [scores] = scored(judge, many(20), at_once=1)
    assert len(server.asked) == PATIENCE
    assert scores["ragas.Faithfulness"].failed == 20
    assert f"failed {PATIENCE} times in a row" in scores["ragas.Faithfulness"].reasons["q19"]


def test_a_server_without_json_mode_or_temperature_is_asked_without(make, server):
    def refuse(what):
        return Reply(status=400, body={"error": {"message": f"'{what}' is not supported by this model"}})

    server.say(refuse("response_format"), refuse("temperature"), Reply(verdict))
    [scores] = scored(make(), at_once=1)
    assert all(score.failed == 0 for score in scores.values())
    last = server.asked[-1].body
    assert "response_format" not in last
    assert "temperature" not in last


# --- kept replies, repeats


def test_what_was_asked_once_is_never_asked_again(make, server):
    first = scored(make(), many(5))
    number = len(server.asked)
    again = make()
    assert scored(again, many(5)) == first
    assert len(server.asked) == number
    assert again.spent.calls == 0
    assert again.spent.kept == 5 * 12  # four of which samples share


def test_rows_share_what_is_the_same(make, server):
    other = Sample(QUESTION, ANSWER, (CONTEXTS[0], "Dione is small."), SAMPLE.reference)
    rows = [{"q": SAMPLE}, {"q": other}, {"q": SAMPLE}]
    first, second, third = scored(make(), *rows)
    assert first == third
    assert second["ragas.Faithfulness"].value == 2 / 3
    expected = estimate_judging(rows, LlmSettings()).calls
    assert len(server.asked) == expected == 12 + 3  # other contexts: verdicts, one usefulness, attribution


def test_a_kill_loses_nothing_that_was_judged(make, server, tmp_path):
    server.say(Reply(verdict, delay=0.02))
    code = f"""
import sys; sys.path.insert(0, "tests")
from pathlib import Path
import test_judged_metrics as t
kept = t.KeptReplies(Path({str(tmp_path / "kept")!r}))
t.scored(t.Judge(t.LlmSettings("openai:judge", base_url="{server.url}/v1"), kept), t.many(6))
"""
    process = subprocess.Popen([sys.executable, "-c", code])
    wait_until(lambda: len(server.asked) >= 20)
    process.kill()
    process.wait()
    before = len(server.asked)
    [again] = scored(make(), many(6))
    assert all(score.failed == 0 for score in again.values())
    whole = 6 * 12 - 5  # of one sample's claims of the reference, the others' are the same
    assert before < whole
    assert whole <= len(server.asked) <= whole + AT_ONCE  # requests that were under way are made again


def test_what_hears_of_the_progress_may_end_it(make, server):
    def stop(done, total):
        seen.append((done, total))
        if done == 8:
            raise InterruptedError

    seen = []
    with pytest.raises(InterruptedError):
        scored(make(), many(6), progress=stop)
    assert seen[-1] == (8, 30)
    assert len(server.asked) < 6 * 12 - 5


def test_control_c_ends_it_at_once(server, tmp_path):
    server.say(Reply(verdict, delay=60))
    code = f"""
import sys; sys.path.insert(0, "tests")
from pathlib import Path
import test_judged_metrics as t
judge = t.Judge(t.LlmSettings("openai:judge", base_url="{server.url}/v1"), t.KeptReplies(Path({str(tmp_path)!r})))
try:
    t.scored(judge)
except KeyboardInterrupt:
    print(judge.stopped)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    wait_until(lambda: len(server.asked) >= 4)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert out == "judging was cancelled\n"
    assert len(server.asked) == 4


def test_each_repeat_is_judged_anew_and_the_spread_is_told(make, server):
    turns, lock = {}, threading.Lock()

    def moody(messages):
        prompt = messages[-1][1]
        if kind(prompt) != "attributed":
            return verdict(messages)
        with lock:
            turns[prompt] = turns.get(prompt, 0) + 1
            return json.dumps({"classifications": [{"statement": "s", "reason": "", "attributed": turns[prompt] % 2}]})

    server.say(Reply(moody))
    [scores] = scored(make(), many(3), repeats=3)
    recall = scores["ragas.ContextRecall"]
    assert [set(times.values()) for times in recall.repeats] == [{1.0}, {0.0}, {1.0}]
    assert recall.value == pytest.approx(2 / 3)
    assert recall.spread == pytest.approx((1 / 3) ** 0.5)  # of the means 1, 0, 1
    assert scores["ragas.Faithfulness"].spread == 0.0
    number = len(server.asked)
    assert scored(make(), many(3), repeats=3) == [scores]
    assert len(server.asked) == number


def test_the_spread_is_over_queries_that_were_judged_each_time():
    times = ({"a": 1.0, "b": 0.0}, {"a": 0.5, "b": None})
    assert ContextScore({"a": 0.75, "b": 0.0}, {}, times).spread == pytest.approx(0.125**0.5)
    assert ContextScore({"a": 1.0}, {}, times[:1]).spread is None
    assert ContextScore({"a": 1.0}).spread is None


def test_a_key_holds_all_that_can_change_a_reply():
    settings = LlmSettings("openai:a", base_url="http://127.0.0.1:1/v1", temperature=0.0)
    changed = [
        LlmSettings("openai:b", base_url="http://127.0.0.1:1/v1", temperature=0.0),
        LlmSettings("openai:a", base_url="http://127.0.0.1:2/v1", temperature=0.0),
        LlmSettings("openai:a", base_url="http://127.0.0.1:1/v1", temperature=0.5),
        LlmSettings("openai:a", base_url="http://127.0.0.1:1/v1", temperature=0.0, max_tokens=99),
    ]
    assert len({key_of(each, "p", 0) for each in [settings, *changed]} | {key_of(settings, "p", 1)}) == 6
    assert key_of(LlmSettings("openai:a", key="ONE"), "p") == key_of(LlmSettings("openai:a", key="TWO"), "p")


def test_a_damaged_reply_is_asked_for_again(make, server, tmp_path):
    scored(make())
    number = len(server.asked)
    first, second, *_ = sorted((tmp_path / "kept").rglob("*.json"))
    first.write_text('"no verdict at all"', encoding="utf-8")
    second.write_text('{"cut', encoding="utf-8")
    scored(make())
    assert len(server.asked) == number + 2


# --- limits


@pytest.mark.parametrize("limit", [0, 1, 7, 30])
def test_no_more_requests_than_allowed(make, server, limit):
    judge = make(calls=limit)
    rows = [many(6), {query: Sample(s.question, s.answer, CONTEXTS[:1], "Titan") for query, s in many(6).items()}]
    scores = scored(judge, *rows)
    assert len(server.asked) == judge.spent.calls == limit
    reasons = {reason for row in scores for score in row.values() for reason in score.reasons.values()}
    assert reasons == {f"the limit of {limit} requests was reached"}
    for row in scores:
        for score in row.values():
            assert score.n + score.failed == 6


def test_a_limit_leaves_rows_that_can_be_compared(make):
    rows = [many(8), {query: Sample(s.question, s.answer, CONTEXTS[:1], "Titan") for query, s in many(8).items()}]
    first, second = scored(make(calls=40), *rows, at_once=1)
    for metric in JUDGED_METRICS:
        judged = [
            {query for query, value in row[metric].per_query.items() if value is not None} for row in (first, second)
        ]
        assert len(judged[0] ^ judged[1]) <= 1


def test_requests_that_are_made_again_count(make, server):
    server.say(Reply(status=500))
    judge = make(calls=2)
    scored(judge, at_once=1)
    assert len(server.asked) == 2


def test_a_limit_in_dollars(make, server):
    judge = make(usd=0.001, usd_per_million_input=1.0, usd_per_million_output=1.0)  # 150 tokens a request
    [scores] = scored(judge, many(6), at_once=1)
    assert len(server.asked) == 7
    assert judge.spent.usd == pytest.approx(7 * 150e-6)
    assert "the limit of 0.001 dollars was reached" in scores["ragas.ContextRecall"].reasons.values()


def test_the_estimate_is_what_is_asked(make, server):
    rows = [many(4), many(3)]
    settings = LlmSettings("openai:judge", usd_per_million_input=2.0, usd_per_million_output=8.0)
    estimate = estimate_judging(rows, settings, repeats=2)
    scored(make(), *rows, repeats=2)
    assert estimate.samples == 7
    assert estimate.calls == len(server.asked)
    read = sum(len(request.last) for request in server.asked) / 4
    assert estimate.input_tokens == pytest.approx(read, rel=0.35)
    assert estimate.usd == pytest.approx((2 * estimate.input_tokens + 8 * estimate.output_tokens) / 1e6)


def test_a_judge_is_steady_and_has_room():
    assert judging_settings(LlmSettings()).temperature == 0.0
    assert judging_settings(LlmSettings(temperature=0.7)).temperature == 0.7
    assert judging_settings(LlmSettings()).max_tokens == 2048
    assert judging_settings(LlmSettings(max_tokens=4000)).max_tokens == 4000


# --- inside a server, and the network


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_it_judges_inside_a_running_server_and_leaves_its_loop_alone(make, server, loop):
    if loop == "uvloop":
        pytest.importorskip("uvloop")

    async def app(scope, receive, send):
        running = asyncio.get_running_loop()
        before = type(running).run_until_complete
        [scores] = scored(make())  # in the loop's own thread
        patched = type(running).run_until_complete is not before or "nest_asyncio" in sys.modules
        body = json.dumps({name: score.value for name, score in scores.items()} | {"patched": patched}).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    serving = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_level="critical", loop=loop))
    thread = threading.Thread(target=serving.run, daemon=True)
    thread.start()
    wait_until(lambda: serving.started)
    try:
        port = serving.servers[0].sockets[0].getsockname()[1]
        answer = httpx.get(f"http://127.0.0.1:{port}/", timeout=120, trust_env=False).json()
    finally:
        serving.should_exit = True
        thread.join(10)
    assert answer.pop("patched") is False
    assert answer["ragas.Faithfulness"] == 2 / 3
    assert set(answer) == set(JUDGED_METRICS)


def test_nothing_but_the_judge_is_spoken_to(server, tmp_path):
    code = f"""
import json, socket, sys
sys.path.insert(0, "tests")
reached = set()
real = socket.socket.connect
def connect(self, address):
    reached.add(address[:2])
    return real(self, address)
socket.socket.connect = connect
looked_up = socket.getaddrinfo
socket.getaddrinfo = lambda host, *a, **k: (reached.add((host, "name")), looked_up(host, *a, **k))[1]
from pathlib import Path
import test_judged_metrics as t
judge = t.Judge(t.LlmSettings("openai:judge", base_url="{server.url}/v1"), t.KeptReplies(Path({str(tmp_path)!r})))
[scores] = t.scored(judge)
print(json.dumps([scores["ragas.Faithfulness"].value, sorted({{str(a[0]) for a in reached}})]))
"""
    environment = {**os.environ, "HOME": str(tmp_path), "LANGSMITH_TRACING": "true", "LANGSMITH_API_KEY": "none"}
    environment.pop("RAGAS_DO_NOT_TRACK", None)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [2 / 3, ["127.0.0.1"]]
