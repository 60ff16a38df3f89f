"""Chat models through LangChain's real clients, against a local server that speaks their formats and errs by script."""

import asyncio
import importlib.util
import re
import threading
import time

import pytest

from rag import keys
from rag.errors import MissingDependencyError, UsageError
from rag.keys import MissingKeyError
from rag.llm import ChatModel, LlmError, added, load_llm
from rag.llm_settings import PROVIDERS, LlmSettings, chosen
from rag.llm_stream import GRACE, Stream
from rag.schema import Usage
from scripted_llm import Reply, ScriptedLlm

KEY = "marker-5f3a9c1e7b2d4"
ASKED = [("system", "Be brief."), ("user", "Hello?")]
VARIABLES = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE", "ANTHROPIC_API_KEY", "GOOGLE_API_KEY",
             "GEMINI_API_KEY", "OLLAMA_API_KEY", "OLLAMA_HOST", "LANGSMITH_GATEWAY", "HTTP_PROXY", "HTTPS_PROXY",
             "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")  # fmt: skip


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    """An environment without keys and proxies."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAG_KEYS", str(tmp_path / "keys.toml"))
    monkeypatch.setattr(keys, "_held", set())


@pytest.fixture
def server():
    with ScriptedLlm() as serving:
        yield serving


@pytest.fixture(params=["openai", "ollama", "anthropic"])
def load(request, server):
    """Makes models of each kind of server; pauses take no time and are kept in `naps`."""
    if importlib.util.find_spec(PROVIDERS[request.param].package) is None:
        pytest.skip(f"{PROVIDERS[request.param].package} is not installed")

    def made(**changes):
        url = server.url + ("/v1" if request.param == "openai" else "")
        settings = LlmSettings(**{"model": f"{request.param}:tiny:1b", "base_url": url, "timeout": 5.0, **changes})
        naps = []
        model = ChatModel(settings, naps.append)
        model.naps = naps
        return model

    made.provider = request.param
    return made


def heard(model, messages=ASKED):
    """The text, the usage and the notices of one answer."""
    pieces = list(model.stream(messages))
    usages = [piece.usage for piece in pieces if piece.usage]
    assert len(usages) == 1
    return "".join(piece.text for piece in pieces), usages[0], [piece.notice for piece in pieces if piece.notice]


# --- answers


def test_an_answer_streams_and_is_counted_and_priced(server, load):
    server.say("The heron waits at the pond.")
    model = load(usd_per_million_input=2.0, usd_per_million_output=10.0)
    pieces = list(model.stream(ASKED))
    assert sum(piece.text != "" for piece in pieces) > 3
    assert "".join(piece.text for piece in pieces) == "The heron waits at the pond."
    assert pieces[-1].usage == Usage(120, 30, pytest.approx((120 * 2 + 30 * 10) / 1e6))
    assert server.asked[0].messages == ASKED
    assert server.asked[0].body["model"] == "tiny:1b"


def test_what_is_set_is_sent_and_the_rest_is_left_to_the_server(server, load):
    heard(load())
    heard(load(temperature=0.25, max_tokens=77, context_tokens=4000))
    first, second = (asked.body.get("options", asked.body) for asked in server.asked)
    assert "temperature" not in first and second["temperature"] == 0.25
    assert 77 in [second.get(name) for name in ("max_completion_tokens", "num_predict", "max_tokens")]
    if load.provider == "ollama":
        assert second["num_ctx"] == 4000  # else Ollama cuts what is longer than its own default


def test_a_server_that_counts_nothing_gets_an_estimate(server, load):
    if load.provider == "anthropic":
        pytest.skip("its format always counts")
    server.say(Reply("The heron waits at the pond.", usage=None))
    _, usage, _ = heard(load())
    assert usage.estimated and 2 <= usage.input_tokens <= 12 and 4 <= usage.output_tokens <= 12


@pytest.mark.parametrize("cut", [["<think>secret", " thoughts</think>\n\nYes."], list("<think>a\nb</think> Yes.")])
def test_thoughts_are_no_part_of_an_answer(server, load, cut):
    server.say(Reply(cut))
    assert heard(load())[0] == "Yes."


@pytest.mark.parametrize("text", ["<thin", "< think> is a tag", "Is <think> a tag? </think>"])
def test_what_only_looks_like_thoughts_stays(server, load, text):
    server.say(text)
    assert heard(load())[0] == text


def test_connections_are_used_again_by_threads(server, load):
    server.say(Reply(lambda messages: messages[-1][1] * 3, pause=0.001))
    model, answers = load(), {}

    def ask(number):
        answers[number] = heard(model, [("user", f"<{number}>")])[0]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert answers == {number: f"<{number}>" * 3 for number in range(8)}
    assert load_llm(model.settings) is load_llm(model.settings)


# --- stopping


@pytest.mark.parametrize("reply", [Reply("one two three", hang_after=1), Reply("one two three", delay=60)])
def test_closing_ends_the_request_at_once_also_before_the_first_word(server, load, reply):
    model = load()
    heard(model)  # the client is loaded
    server.say(reply)
    stream = model.stream(ASKED)
    piece = next(stream)
    while reply.hang_after and not piece.text:
        piece = next(stream)
    while len(server.asked) < 2:
        next(stream)
    closed = time.monotonic()
    stream.close()
    assert server.wait_left() - closed < 1
    server.say("Still there.")
    assert heard(model)[0] == "Still there."


def test_silence_gives_signs_of_life(server, load):
    server.say(Reply("Yes.", delay=0.9))
    model = load()
    model.load()
    times = []
    for piece in model.stream(ASKED):
        times.append(time.monotonic())
        if piece.text:
            break
    assert len(times) >= 3


# --- what goes wrong


def failure(model):
    with pytest.raises(LlmError) as raised:
        heard(model)
    told = str(raised.value)
    assert raised.value.__cause__ is None and raised.value.__context__ is None
    assert "\n" not in told and KEY not in told
    return told


@pytest.mark.parametrize(
    ("status", "message", "words"),
    [
        (401, "Incorrect API key", "No key was sent: name the variable"),
        (400, "API key not valid. Please pass a valid API key", "No key was sent"),
        (402, "Insufficient balance", "Add credit"),
        (404, "model not found", "tiny:1b"),
        (400, "This model's maximum context length is 8192 tokens", "Set `context_tokens`"),
        (400, "the request exceeds the available context size", "Set `context_tokens`"),
        (413, "prompt is too long: 9000 tokens", "Set `context_tokens`"),
        (400, "temperature does not go with this model", "Correct the table [llm]"),
    ],
)
def test_a_refusal_is_told_once_and_says_what_to_do(server, load, status, message, words):
    server.say(Reply(status=status, body={"error": message if load.provider == "ollama" else {"message": message}}))
    told = failure(load())
    assert message in told and str(status) in told and words in told
    assert len(server.asked) == 1


def test_a_model_that_ollama_lacks_comes_with_the_command(server, load):
    server.say(Reply(status=404, body={"error": "model 'tiny:1b' not found"}))
    assert ("ollama pull tiny:1b" in failure(load())) == (load.provider == "ollama")


def test_a_busy_server_is_asked_again_and_the_pause_is_told(server, load):
    server.say(Reply(status=429), Reply(status=503), "At last.")
    model = load()
    text, _, notices = heard(model)
    assert text == "At last." and len(notices) == 2 and "trying again in 1 s" in notices[0]
    assert 2.9 <= sum(model.naps) <= 3.1


def test_a_server_that_stays_busy_or_asks_for_too_long_a_pause_is_told(server, load):
    server.say(Reply(status=429))
    assert "429" in failure(load()) and len(server.asked) == 3
    if load.provider != "ollama":  # its client keeps no headers
        server.say(Reply(status=429, headers={"retry-after": "90"}))
        assert "Wait 90 s" in failure(load()) and len(server.asked) == 4


def test_a_server_that_is_not_there_is_named(load):
    told = failure(load(base_url="http://user:pass-word-1@127.0.0.1:9/v1"))
    assert "http://127.0.0.1:9/v1 running" in told and "pass-word-1" not in told


def test_no_answer_in_time(server, load):
    server.say(Reply("Late.", delay=3))
    told = failure(load(timeout=0.3))
    assert "in time" in told and "timeout" in told and len(server.asked) == 1


@pytest.mark.parametrize("fault", [{"cut_after": 2}, {"error_after": 2}, {"finish": None}])
def test_what_was_written_before_a_break_was_passed_on_and_the_break_is_told(server, load, fault):
    server.say(Reply("One two three four.", **fault))
    written = ""
    with pytest.raises(LlmError, match=r"broke off its answer.*kept") as raised:
        for piece in load().stream(ASKED):
            written += piece.text
    assert written == ("One two three four." if "finish" in fault else "One two ")
    assert len(server.asked) == 1 and ("ran out of memory" in str(raised.value)) == ("error_after" in fault)


def test_a_break_before_the_first_word_is_tried_again(server, load):
    server.say(Reply("Never.", cut_after=0), "Now.")
    assert heard(load())[0] == "Now." and len(server.asked) == 2


def test_a_client_that_does_not_notice_the_silence_is_left():
    class Deaf:
        async def astream(self, messages):
            await asyncio.sleep(60)
            yield None

    stream = Stream(Deaf(), ASKED, timeout=0.1 - GRACE)
    with pytest.raises(TimeoutError):
        list(stream)
    stream.close()


# --- keys


def test_a_key_goes_to_its_own_vendor_alone(server, load, monkeypatch):
    for name in ("OPENAI_API_KEY", "OLLAMA_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, KEY)
    heard(load())
    assert KEY not in str(server.asked[0].headers)
    monkeypatch.setenv("MY_KEY", KEY)
    heard(load(key="MY_KEY"))
    sent = {name.lower(): value for name, value in server.asked[1].headers.items()}
    assert KEY in (sent.get("x-api-key"), sent.get("authorization", "").removeprefix("Bearer "))


def test_a_refused_key_is_never_shown_and_looked_for_again(server, load, monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    model = load(key="MY_KEY")
    server.say(Reply(status=401, body={"error": {"message": f"wrong key {KEY}"}}))
    assert "the environment variable MY_KEY" in failure(model)
    monkeypatch.setenv("MY_KEY", "another-" + KEY)
    server.say("Welcome.")
    assert heard(model)[0] == "Welcome."
    assert "another-" in str(server.asked[-1].headers)


@pytest.mark.parametrize("model", ["openai:m", "openai:m:1"])
def test_a_missing_key_names_its_variable_before_anything_is_sent(model):
    with pytest.raises(MissingKeyError, match=r"OPENAI_API_KEY.*keys\.toml.*https://platform"):
        ChatModel(LlmSettings(model=model)).load()
    with pytest.raises(MissingKeyError, match="MY_KEY"):
        ChatModel(LlmSettings(model=model, base_url="http://127.0.0.1:9", key="MY_KEY")).load()


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_missing_package_comes_with_the_command(provider, monkeypatch):
    find = importlib.util.find_spec
    package = PROVIDERS[provider].package
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == package else find(name, *rest))
    with pytest.raises(MissingDependencyError) as raised:
        ChatModel(LlmSettings(model=f"{provider}:m")).load()
    extra = PROVIDERS[provider].extra
    assert str(raised.value).endswith(f"pip install -e '.[{extra}]'" if extra else "make setup")


def test_the_extras_that_errors_name_are_there():
    import tomllib
    from pathlib import Path

    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for provider in PROVIDERS.values():
        wanted = provider.package.replace("_", "-")
        if provider.extra:
            (found,) = project["optional-dependencies"][provider.extra]
            assert re.fullmatch(rf"{wanted}([<>=].*)?", found)


# --- choosing


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("opnai:gpt", "Did you mean 'openai'"),
        ("gpt-5", "PROVIDER:MODEL"),
        ("ollama:", "PROVIDER:MODEL"),
        (None, "No language model is named"),
    ],
)
def test_a_model_that_cannot_be_is_refused_with_a_hint(model, words):
    with pytest.raises(UsageError, match=words):
        chosen(LlmSettings(), model)


def test_what_is_chosen_keeps_what_goes_with_it():
    own = LlmSettings(
        model="openai:a", base_url="http://here/v1", key="K", usd_per_million_input=1, usd_per_million_output=2
    )
    assert chosen(own) is own
    other = chosen(own, "openai:b")
    assert (other.base_url, other.key, other.usd(1, 1)) == ("http://here/v1", "K", None)
    assert (chosen(own, "ollama:b").base_url, chosen(own, "ollama:b").key) == ("", "")
    assert chosen(own, None, "http://there/v1").key == ""  # one server's key is not another's
    with pytest.raises(UsageError, match="http"):
        chosen(own, None, "here:8000")


def test_usages_are_added_up():
    assert added(None, None) is None
    assert added(Usage(1, 2, 0.5), None) == Usage(1, 2, 0.5)
    assert added(Usage(1, 2, 0.5), Usage(3, 4, 0.25, True)) == Usage(4, 6, 0.75, True)
    assert added(Usage(1, 2, None), Usage(3, 4, 0.25)).usd is None


def test_nothing_heavy_is_imported_before_it_is_used():
    import subprocess
    import sys

    code = "import sys, rag.llm_answerer, rag.llm_rewriting; print([m for m in sys.modules if 'langchain' in m])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
