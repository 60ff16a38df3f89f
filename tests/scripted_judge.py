"""A judge whose verdicts follow from the texts: it answers ragas' prompts as the scripted server's language model."""

import json

import pytest

from rag import keys
from scripted_llm import Reply, ScriptedLlm


def given(prompt):
    """The input that stands at the end of one of ragas' prompts."""
    return json.loads(prompt[prompt.rindex("\ninput: ") + len("\ninput: ") : prompt.rindex("\nOutput: ")])


def sentences(text):
    return [part.strip() for part in text.replace("\n", ". ").split(". ") if part.strip(" .")]


def kind(prompt):
    """What a prompt asks for."""
    for name, words in (
        ("statements", "Break down each sentence"),
        ("claims", "Decompose and break down"),
        ("verdicts", "judge the faithfulness of a series"),
        ("question", "Generate a question for the given answer"),
        ("useful", "verify if the context was useful"),
        ("attributed", "can be attributed to the given context"),
    ):
        if words in prompt:
            return name
    raise AssertionError(f"the judge does not know this prompt: {prompt[:200]}")


def verdict(messages):
    """Replies: a sentence is a statement, supported where the other text holds it; a question repeats the answer."""
    prompt = messages[-1][1]
    asked, text = kind(prompt), given(prompt)
    if asked == "statements":
        reply = {"statements": sentences(text["answer"])}
    elif asked == "claims":
        reply = {"claims": sentences(text["response"])}
    elif asked == "verdicts":
        held = [(statement, statement.strip(".") in text["context"]) for statement in text["statements"]]
        reply = {"statements": [{"statement": one, "reason": "", "verdict": int(is_in)} for one, is_in in held]}
    elif asked == "question":
        reply = {"question": f"{text['response']}?", "noncommittal": 0}
    elif asked == "useful":
        reply = {"reason": "", "verdict": int(text["answer"] in text["context"])}
    else:
        held = [(one, one.strip(".") in text["context"]) for one in sentences(text["answer"])]
        reply = {"classifications": [{"statement": one, "reason": "", "attributed": int(is_in)} for one, is_in in held]}
    return json.dumps(reply)


# --- fixtures

VARIABLES = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY",
             "http_proxy", "https_proxy", "all_proxy")  # fmt: skip


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAG_KEYS", str(tmp_path / "keys.toml"))
    monkeypatch.setattr(keys, "_held", set())


@pytest.fixture
def server():
    with ScriptedLlm(Reply(verdict)) as serving:
        yield serving
