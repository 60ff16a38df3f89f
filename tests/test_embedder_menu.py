"""The embedder menu and builds ordered from it, over real libraries and a vendor's stand-in."""

import re
from dataclasses import replace
from itertools import count

import pytest

from embedder_pages import (  # noqa: F401 - fixtures among them
    HOSTILE,
    MARKER,
    client,
    ended,
    holding,
    home,
    jobs,
    keyed,
    server,
    soup,
    states,
    text_of,
)
from file_builders import write
from rag.embedders.readiness import Lack, Lacking
from rag.embedders.registry import find_spec
from ui.embedder_builds import Builder, receiver_of
from ui.embedder_menu import GONE, options_html
from ui.embedder_states import LOOK_AGAIN, EmbedderStates, Standing, building_paces
from ui.jobs import Job, Kind, Order, State
from ui.meter import Meter
from wire_server import always


def shown(client, name):
    """How the menu says that an embedder stands."""
    return text_of(client.get("/embedders/menu?corpus=small").json()["options"], f"[data-name={name}] .emb-state")


def standing(states, corpus="small", job=None):
    return {state.name: state.standing for state in states.look(corpus, job)}


# --- how each embedder stands


def test_ready_ones_come_first_then_those_to_build_then_the_others_by_what_they_need(states, keyed):
    found = states.look("small")
    order = [state.standing for state in found]
    assert order == sorted(order, key=list(Standing).index)
    assert [state.name for state in found if state.standing is Standing.READY] == ["wordllama", "hash"]
    assert {"minilm", "paid", "given"} <= {state.name for state in found if state.standing is Standing.ABSENT}
    needs = [state.lacks.kind for state in found if state.standing is Standing.UNUSABLE]
    assert needs == sorted(needs, key=list(Lacking).index) and Lacking.KEY in needs
    assert len(found) == len(states._settings.embedders)


def test_an_embedder_without_its_key_cannot_serve_what_it_built(holding, jobs, client, keyed, monkeypatch):
    client.post("/embedders/build", json={"corpus": "small", "embedder": "given"})
    assert ended(jobs).state is State.DONE, jobs.last.message
    assert standing(EmbedderStates(holding.library, holding.settings))["given"] is Standing.READY
    monkeypatch.delenv("OPENAI_API_KEY")
    state = next(s for s in EmbedderStates(holding.library, holding.settings).look("small") if s.name == "given")
    assert state.standing is Standing.UNUSABLE and not state.serves and state.index.chunks == 10
    assert "OPENAI_API_KEY" in state.lacks.words


def test_an_index_that_lacks_documents_says_how_many_chunks_it_has(ingest, docs, tmp_path):
    ingest(docs, embedders=("hash", "wordllama"))
    write(tmp_path / "more", "more.txt", "More of the same.")
    made = ingest(tmp_path / "more", embedders=("hash",))
    states = EmbedderStates(made.library, made.settings).look("c")
    page = options_html(states)
    assert text_of(page, "[data-name=hash] .emb-state") == ["ready"]
    assert text_of(page, "[data-name=wordllama] .emb-state") == ["5 of 6 chunks"]
    assert soup(page).select_one("[data-name=wordllama]")["data-serves"] == "true"


def test_an_index_of_another_model_under_the_same_name_is_none(holding, states):
    specs = dict(holding.settings.embedders)
    specs["wordllama"] = replace(specs["wordllama"], revision="another")
    changed = EmbedderStates(holding.library, replace(holding.settings, embedders=specs))
    assert standing(changed)["wordllama"] is Standing.ABSENT
    del specs["wordllama"]
    gone = EmbedderStates(holding.library, replace(holding.settings, embedders=specs))
    assert standing(gone)["wordllama"] is Standing.UNUSABLE
    assert text_of(options_html(gone.look("small")), "[data-name=wordllama] small") == [GONE]


def test_what_is_lacking_is_looked_up_again_after_a_while_or_at_once_when_asked(holding, monkeypatch):
    now = [0.0]
    states = EmbedderStates(holding.library, holding.settings, clock=lambda: now[0])
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("RAG_KEYS", "/nowhere/keys.toml")
    assert states.lacking()["paid"].kind is Lacking.KEY
    monkeypatch.setenv("OPENAI_API_KEY", MARKER)
    assert states.lacking()["paid"] is not None
    assert states.lacking(fresh=True)["paid"] is None
    monkeypatch.delenv("OPENAI_API_KEY")
    assert states.lacking()["paid"] is None
    now[0] += LOOK_AGAIN + 1
    assert states.lacking()["paid"].kind is Lacking.KEY


def test_a_corpus_is_not_counted_anew_at_every_commit_of_a_job(ingest, docs, tmp_path):
    made = ingest(docs)
    write(tmp_path / "more", "more.txt", "More of the same.")
    states = EmbedderStates(made.library, made.settings, clock=count().__next__)  # counting takes a second
    job = Job(1, Order(Kind.INGEST, "c", embedders=("hash",)), Meter())
    before = states.look("c", job)[0].index
    ingest(tmp_path / "more")
    assert states.look("c", job)[0].index == before
    assert states.look("c")[0].index.chunks == before.chunks + 1


# --- a build that runs


def running(corpus="small", done=3, planned=6, **order):
    now = [0.0]
    meter = Meter(lambda: now[0])
    meter.planned("minilm", planned)
    now[0] = 10.0
    meter.embedded("minilm", done)
    return Job(1, Order(Kind.BACKFILL, corpus, embedders=("minilm",), **order), meter)


def test_a_build_says_how_much_is_done_of_all_that_it_takes(states):
    pace = building_paces(running(), "small", {"minilm": 30})["minilm"]
    assert (pace.done, pace.expected, round(pace.left)) == (3, 30, 90)
    assert building_paces(running(), "small", {})["minilm"].expected == 6
    assert building_paces(running(), "other", {}) == {}
    assert building_paces(replace_state(running(), State.DONE), "small", {}) == {}
    found = states.look("small", running(), {"minilm": 30})
    assert text_of(options_html(found), "[data-name=minilm] .emb-state") == ["building 10 %"]


def replace_state(job, state, message=""):
    job.state, job.message = state, message
    return job


def test_a_build_that_has_computed_all_is_not_yet_ready(states):
    found = states.look("small", running(done=6))
    assert text_of(options_html(found), "[data-name=minilm] .emb-state") == ["building 99 %"]
    assert text_of(options_html(states.look("small", running(done=0))), "[data-name=minilm] .emb-state") == ["building"]


@pytest.mark.parametrize(
    ("state", "buttons", "told"),
    [
        (State.RUNNING, ["stop"], "Building minilm"),
        (State.STOPPED, ["resume", "dismiss"], "was cancelled. What was done is kept."),
        (State.INTERRUPTED, ["resume", "dismiss"], "was interrupted"),
        (State.FAILED, ["resume", "dismiss"], f"minilm was not built: The disk is full. {HOSTILE}"),
        (State.DONE, [], ""),
    ],
)
def test_a_build_offers_what_can_be_done_about_it(states, state, buttons, told):
    from ui.embedder_menu import job_note_html

    job = replace_state(running(), state, f"The disk is full. {HOSTILE}")
    page = job_note_html(job, "small", states.look("small", job))
    assert [button["data-emb"] for button in soup(page).select("button")] == buttons
    assert told in soup(page).get_text() and not soup(page).select("img")
    assert job_note_html(job, "other", []) == ""
    job.order = replace(job.order, kind=Kind.INGEST)
    assert job_note_html(job, "small", []) == ""


# --- offers and orders


def test_an_offer_says_chunks_time_and_price(client):
    page = client.get("/embedders/offer", params={"corpus": "small", "embedder": "minilm", "answering": "hash"}).text
    first, second = text_of(page, "p")
    assert re.fullmatch(r"Build the index of small under minilm : 10 chunks, (a moment|about \d+ s), free\.", first)
    assert second == "hash answers meanwhile."
    assert not soup(page).select("[data-consent]")


def test_an_embedder_that_is_ready_needs_nothing_and_one_that_lacks_something_says_what(client, monkeypatch):
    monkeypatch.setattr(
        "ui.embedder_states.find_lack",
        lambda spec: (
            Lack(Lacking.KEY, "a key: set CO_API_KEY, or write it to keys.toml") if spec.name == "paid" else None
        ),
    )
    page = client.get("/embedders/offer", params={"corpus": "small", "embedder": "paid"}).text
    assert "paid cannot be used here yet: it needs a key: set CO_API_KEY" in soup(page).get_text()
    assert text_of(page, "code") == ["CO_API_KEY"] and not soup(page).select("[data-emb=build]")
    reply = client.post("/embedders/build", json={"corpus": "small", "embedder": "paid", "agreed": True, "usd": 9})
    assert reply.status_code == 500 and "it needs a key" in reply.json()["error"]
    page = client.get("/embedders/offer", params={"corpus": "small", "embedder": "hash"}).text
    assert "0 chunks, a moment, free" in soup(page).get_text()


def test_what_is_paid_is_built_only_for_the_price_that_was_agreed_to(client, jobs, server, keyed):
    page = client.get("/embedders/offer", params={"corpus": "small", "embedder": "paid"}).text
    button = soup(page).select_one("[data-emb=build]")
    cost = float(button["data-usd"])
    assert cost == pytest.approx(20e-6 * sum(map(int, re.findall(r", (\d+) tokens", button["data-consent"]))))
    assert f"This costs ${cost:.4f}" in button["data-consent"]
    order = {"corpus": "small", "embedder": "paid"}
    for refused in ({}, {"agreed": True}, {"agreed": True, "usd": cost / 2}, {"usd": cost}):
        reply = client.post("/embedders/build", json=order | refused)
        assert reply.status_code == 400, refused
        assert "agree" in reply.json()["error"] or "Choose it again" in reply.json()["error"]
    assert server.requests == []
    assert client.post("/embedders/build", json=order | {"agreed": True, "usd": cost}).status_code == 200
    assert ended(jobs).state is State.DONE, jobs.last.message
    assert cost <= jobs.last.order.budget <= 1.11 * cost
    assert shown(client, "paid") == ["ready"]


def test_a_price_that_rose_since_it_was_asked_for_is_not_paid(holding, jobs, states, keyed, server, ingest, tmp_path):
    builder = Builder(holding, jobs, states)
    before = builder.offer("small", "paid").work.usd
    for number in range(5):
        write(tmp_path / "more", f"{number}.txt", f"Number {number} of the documents that came later. " * 9)
    ingest(tmp_path / "more", corpus="small", embedders=("hash", "wordllama"))
    with pytest.raises(Exception, match=r"costs about \$.* by now"):
        builder.build("small", "paid", None, agreed=True, usd=before)
    assert server.requests == []


def test_a_smaller_budget_of_the_settings_holds_for_builds_too(holding, jobs, keyed):
    settings = replace(holding.settings, budget_usd=0.000001)
    holding.settings = settings
    builder = Builder(holding, jobs, EmbedderStates(holding.library, settings))
    builder.build("small", "paid", None, agreed=True, usd=1.0)
    assert ended(jobs).state is State.FAILED and "The budget of $0.000001" in jobs.last.message


def test_a_second_build_and_unknown_names_are_refused_with_a_sentence(client, jobs, server, keyed):
    server.fail(always(delay=0.3))
    assert client.post("/embedders/build", json={"corpus": "small", "embedder": "given"}).status_code == 200
    reply = client.post("/embedders/build", json={"corpus": "small", "embedder": "minilm"})
    assert reply.status_code == 409 and "backfill of 'small' is still running" in reply.json()["error"]
    jobs.stop()
    ended(jobs)
    reply = client.post("/embedders/build", json={"corpus": "small", "embedder": "minlm"})
    assert reply.status_code == 400 and "Did you mean 'minilm'?" in reply.json()["error"]
    reply = client.get("/embedders/offer", params={"corpus": "smal", "embedder": "minilm"})
    assert reply.status_code == 400 and "Did you mean 'small'?" in reply.json()["error"]
    assert client.get("/embedders/menu?corpus=nowhere").json()["options"] == ""


def test_a_stopped_build_goes_on_where_it_stood(client, jobs, server, keyed):
    server.fail(always(delay=0.2))
    client.post("/embedders/build", json={"corpus": "small", "embedder": "given"})
    client.post("/library/stop")
    assert ended(jobs).state in (State.STOPPED, State.DONE)
    server.faults.clear()
    client.post("/library/resume")
    assert ended(jobs).state is State.DONE
    assert shown(client, "given") == ["ready"]


def test_who_receives_the_text_is_said(holding):
    paid = holding.settings.embedders["paid"]
    assert receiver_of(paid) == ""  # this machine
    assert receiver_of(replace(paid, base_url="")) == "OpenAI"
    assert receiver_of(replace(paid, base_url="https://models.example.com:8443/v1")) == "models.example.com"
    assert receiver_of(find_spec("hash")) == receiver_of(find_spec("minilm")) == ""
    assert (
        receiver_of(replace(paid, provider="langchain", model="mine:embed", base_url="")) == "whatever mine:embed calls"
    )


# --- which embedder a page begins with


def test_a_page_begins_with_an_embedder_that_serves(holding, small_library):
    import gradio as gr

    from ui.conversation import Chat
    from ui.tabs.chat import ChatTab

    with gr.Blocks():
        tab = ChatTab(Chat(holding.reader), holding.settings)
    assert tab._serving("small", "wordllama") == "wordllama"
    assert tab._serving("small", "minilm") == tab._serving("small", None) == "hash"
    other = replace(holding.settings, embedder="minilm")
    with gr.Blocks():
        tab = ChatTab(Chat(holding.reader), other)
    assert tab._serving("small", None) in ("hash", "wordllama")
