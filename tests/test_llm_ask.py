"""`rag ask --llm`: the answer as it is written, its JSON, and errors in one line."""

import json
import shutil

import pytest

from rag import keys
from scripted_llm import Reply, ScriptedLlm

QUESTION = "Which of its moons is the largest moon of Saturn?"


@pytest.fixture(scope="module")
def server():
    with ScriptedLlm() as serving:
        yield serving


@pytest.fixture
def ask(rag, home, server, monkeypatch, tmp_path):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAG_KEYS", str(tmp_path / "keys.toml"))
    monkeypatch.setattr(keys, "_held", set())
    server.asked.clear()

    def asked(*options, at=home, question=QUESTION):
        return rag("--home", at, "ask", question, "--embedder", "wordllama", *options)

    return asked


@pytest.fixture
def llm(server):
    return ("--llm", "openai:tiny", "--llm-base-url", f"{server.url}/v1")


def test_the_answer_is_printed_with_its_sources_and_the_rest_on_stderr(ask, llm, server):
    server.say("Titan is the largest moon [1]. Nobody knows why [42].")
    ran = ask(*llm)
    assert ran.status == 0
    first, blank, source = ran.out.splitlines()
    assert (first, blank) == ("Titan is the largest moon [1]. Nobody knows why.", "")
    assert source.startswith("[1] planets.md, characters ")
    assert "1 citations pointed to no chunk" in ran.err and "120 tokens read, 30 written" in ran.err


def test_json_keeps_the_contract_and_adds_what_the_model_used(ask, llm, server):
    server.say("Titan is the largest moon [1]. Bread is baked [1][42].")
    plain, written = (json.loads(ask(*options, "--json").out) for options in ((), llm))
    assert set(written) - set(plain) == {"llm", "usage", "dropped_citations", "weak_citations"}
    assert {key: written[key] for key in plain if key not in ("answer", "citations")} == {
        key: plain[key] for key in plain if key not in ("answer", "citations")
    }
    assert written["llm"] == "openai:tiny" and written["answer"] == "Titan is the largest moon [1]. Bread is baked [1]."
    assert written["usage"] == {"input_tokens": 120, "output_tokens": 30, "usd": None, "estimated": False}
    assert (written["dropped_citations"], written["weak_citations"]) == (1, 1)
    assert all(set(citation) == set(plain["citations"][0]) for citation in written["citations"])


def test_an_abstention_costs_nothing(ask, llm, server):
    printed = json.loads(ask(*llm, "--json", question="zzyzx qwrtp").out)
    assert printed["abstained"] and printed["usage"] is None and server.asked == []


def test_an_answer_that_breaks_off_is_kept_and_the_command_fails(ask, llm, server):
    server.say(Reply("Titan is the largest moon [1]. And", error_after=8))
    ran = ask(*llm)
    assert ran.status == 1 and ran.out.startswith("Titan is the largest moon [1].") and "broke off" in ran.err
    ran = ask(*llm, "--json")
    assert ran.status == 1 and json.loads(ran.out)["failure"] in ran.err


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (("--llm", "opnai:tiny"), 2, "Did you mean 'openai'"),
        (("--llm", "gpt-5"), 2, "PROVIDER:MODEL"),
        (("--llm-base-url", "http://127.0.0.1:9"), 2, "No language model is named"),
        (("--llm", "openai:tiny", "--llm-base-url", "nowhere"), 2, "http://"),
        (("--llm", "openai:tiny"), 1, "OPENAI_API_KEY"),
        (("--llm", "openai:tiny", "--llm-base-url", "http://127.0.0.1:9/v1"), 1, "running, and reachable"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(ask, options, status, words):
    ran = ask(*options)
    assert (ran.status, ran.out) == (status, "")
    assert words in ran.err.splitlines()[-1] and "Traceback" not in ran.err


def test_the_model_of_the_settings_answers_unless_it_is_turned_off(ask, server, copied):
    at = copied()
    (at / "rag.toml").write_text(f'[llm]\nmodel = "openai:tiny"\nbase_url = "{server.url}/v1"\n')
    server.say("Titan [1].")
    assert ask(at=at).out.startswith("Titan [1].")
    assert "[1] Titan" not in ask("--llm", "none", at=at).out and len(server.asked) == 1
    shutil.rmtree(at)
