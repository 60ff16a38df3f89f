"""The Embedders tab, and keys, which none of its answers may hold; over real libraries and a vendor's stand-in."""

import logging
import re
from dataclasses import replace

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
from rag.embedders.readiness import Lack, Lacking
from rag.embedders.registry import find_spec
from ui.embedder_menu import mount_html, need_html, options_html
from ui.embedder_states import EmbedderState, Standing
from ui.embedder_table_html import parts_html, shell_html
from ui.jobs import State
from wire_server import always


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
