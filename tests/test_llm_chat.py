"""Chats in which a language model completes the question and writes the answer, over a real library and a real wire."""

import threading
import time
from dataclasses import replace

import pytest

from rag import keys
from rag.llm_settings import LlmSettings
from rag.reader import Reader
from rag.schema import Usage
from scripted_llm import Reply, ScriptedLlm
from ui.conversation import Chat, Choices, Conversation, State
from ui.render import answer_html

FIRST = "Which of its moons is the largest moon of Saturn?"


@pytest.fixture(scope="module")
def server():
    with ScriptedLlm() as serving:
        yield serving


@pytest.fixture
def chat(server, small_library, monkeypatch, tmp_path):
    monkeypatch.setenv("RAG_KEYS", str(tmp_path / "keys.toml"))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr(keys, "_held", set())
    server.asked.clear()
    llm = LlmSettings(
        model="openai:tiny",
        base_url=f"{server.url}/v1",
        timeout=5.0,
        usd_per_million_input=1.0,
        usd_per_million_output=1.0,
    )
    return Chat(Reader(small_library.library, replace(small_library.settings, llm=llm)))


def choices(llm="openai:tiny", **changes):
    return Choices(**{"corpus": "small", "embedder": "wordllama", "retriever": "hybrid", "k": 4, "weight": 0.5,
                      "fusion": "rrf", "llm": llm, **changes})  # fmt: skip


def test_a_turn_streams_is_cited_and_priced(chat, server):
    server.say("Titan is the largest moon of Saturn [1]. So they say [88].")
    conversation = Conversation()
    states = list(chat.ask(conversation, FIRST, choices()))
    assert len({turn.answer for turn in states}) > 3
    turn = conversation.turns[0]
    assert (turn.state, turn.answer) == (State.DONE, "Titan is the largest moon of Saturn [1]. So they say.")
    assert turn.citations[0].quote == "Titan is the largest of its many moons."
    assert turn.usage == Usage(120, 30, pytest.approx(150e-6)) and turn.searched_for == ""
    assert turn.cost is not None and turn.cost.usd == pytest.approx(150e-6)
    assert sum(part.dropped for part in turn.parts) == 1
    assert all(part.text or part.usage or part.dropped or part.notice for part in turn.parts)  # no signs of life


def test_a_follow_up_is_completed_searched_for_and_paid_for_once_more(chat, server):
    conversation = Conversation()
    server.say("Titan [1].", "Which moon of Saturn is the largest moon?", "Titan again [1].")
    list(chat.ask(conversation, FIRST, choices()))
    list(chat.ask(conversation, "Sure about that?", choices()))
    turn = conversation.turns[1]
    assert turn.searched_for == "Which moon of Saturn is the largest moon?" and turn.answer == "Titan again [1]."
    assert "Titan" in turn.hits[0].chunk.text
    assert turn.usage == Usage(240, 60, pytest.approx(300e-6))
    assert "Question: Sure about that?" in server.asked[-1].last
    assert ("assistant", "Titan.") in server.asked[-1].messages


def test_without_a_model_a_follow_up_is_completed_by_rules(chat, server):
    conversation = Conversation()
    list(chat.ask(conversation, "How is green tea brewed?", choices(llm=None)))
    list(chat.ask(conversation, "And black?", choices(llm=None)))
    list(chat.ask(conversation, "How often should I replace the bicycle chain?", choices(llm=None)))
    first, second, third = conversation.turns
    assert (first.searched_for, second.searched_for) == ("", "And black? green tea brewed")
    assert "Black tea takes boiling water." in second.answer and server.asked == []
    assert third.searched_for == "" and "three thousand kilometres" in third.answer


def test_an_abstention_after_a_paid_completion_tells_what_that_cost(chat, server):
    conversation = Conversation()
    server.say("Titan [1].", "zzyzx qwrtp vfbdx")
    list(chat.ask(conversation, FIRST, choices()))
    list(chat.ask(conversation, "And zzyzx?", choices()))
    turn = conversation.turns[1]
    assert turn.abstained and turn.usage == Usage(120, 30, pytest.approx(150e-6)) and len(server.asked) == 2


@pytest.mark.parametrize("reply", [Reply("One two three", hang_after=2), Reply("One", delay=60)])
def test_stop_ends_the_request_at_once_from_another_thread(chat, server, reply):
    server.say("Warm [1].")
    list(chat.ask(Conversation(), FIRST, choices()))
    server.say(reply)
    conversation, states = Conversation(), []
    thread = threading.Thread(target=lambda: states.extend(chat.ask(conversation, FIRST, choices())))
    thread.start()
    until = time.monotonic() + 10
    while time.monotonic() < until and (
        len(server.asked) < 2 or (reply.hang_after and conversation.turns[0].answer != "One two")
    ):
        time.sleep(0.01)
    stopped = time.monotonic()
    chat.stop(conversation)
    assert server.wait_left() - stopped < 1
    thread.join(5)
    assert conversation.turns[0].state is State.STOPPED
    assert conversation.turns[0].answer == ("One two" if reply.hang_after else "")


def test_a_page_that_is_closed_ends_the_request(chat, server):
    server.say(Reply("One two three", hang_after=2))
    steps = chat.ask(Conversation(), FIRST, choices())
    while not next(steps).answer:
        pass
    closed = time.monotonic()
    steps.close()
    assert server.wait_left() - closed < 1


def test_what_was_written_stays_and_the_failure_is_told(chat, server):
    server.say(Reply("Titan is the largest moon [1]. And", error_after=8))
    conversation = Conversation()
    list(chat.ask(conversation, FIRST, choices()))
    turn = conversation.turns[0]
    assert (
        turn.state is State.FAILED
        and "broke off" in turn.error
        and turn.answer.startswith("Titan is the largest moon [1]")
    )
    assert len(turn.citations) == 1 and turn.usage.estimated
    server.say("Better [1].")
    list(chat.ask(conversation, FIRST, choices()))
    assert conversation.turns[1].state is State.DONE


def test_a_missing_key_is_told_before_anything_is_searched(chat):
    chat.reader.settings = replace(chat.reader.settings, llm=LlmSettings(model="openai:tiny"))
    conversation = Conversation()
    list(chat.ask(conversation, FIRST, choices()))
    assert "OPENAI_API_KEY" in conversation.turns[0].error and conversation.turns[0].hits == ()


HOSTILE = (
    "Look [1] ![x](http://evil.example/?q=1) <img src='http://evil.example/x'> <script>alert(1)</script> "
    "[here](javascript:alert(1)) [99] [click](http://evil.example) \x1b[2J\u202e<a href='http://evil.example'>y</a>"
)


def test_what_a_model_writes_is_text_on_the_page(chat, server):
    server.say(HOSTILE)
    conversation = Conversation()
    list(chat.ask(conversation, FIRST, choices()))
    shown = answer_html(conversation.turns[0])
    assert conversation.turns[0].answer.startswith("Look [1] ![x](http://evil.example/?q=1) <img")
    for mark in ("<img", "<script", "href='", 'href="http', 'href="javascript', "\x1b", "\u202e", "[99]"):
        assert mark not in shown
    assert "&lt;script&gt;" in shown and shown.count('href="#evidence') == 1


def test_eight_people_get_their_own_answers(chat, server):
    server.say(Reply(lambda messages: f"{messages[-1][1].rpartition('Question: ')[2]} Titan [1].", pause=0.002))
    conversations = [Conversation() for _ in range(8)]

    def ask(number):
        list(chat.ask(conversations[number], f"Is Titan the largest moon of Saturn number {number}?", choices()))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for number, conversation in enumerate(conversations):
        (turn,) = conversation.turns
        assert turn.state is State.DONE, turn.error
        assert turn.answer == f"Is Titan the largest moon of Saturn number {number}? Titan [1]."


def test_a_wait_is_told_while_it_lasts_and_a_cut_for_good(chat, server):
    server.say(Reply(status=429, headers={"retry-after": "0.5"}), Reply("Titan [1].", finish="length"))
    conversation = Conversation()
    states = list(chat.ask(conversation, FIRST, choices()))
    assert any("trying again" in turn.notice for turn in states)
    (turn,) = conversation.turns
    assert turn.notice == "" and [part.notice for part in turn.parts if part.notice] == [
        "The answer was cut at max_tokens = 1024."
    ]
