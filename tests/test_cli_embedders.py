"""`rag embedders`: the table on a terminal and as JSON, and one real call of an embedder."""

import json
import socket

import pytest

from cli_contract import EMBEDDER, TRIAL, departures, one_line
from rag.embedders.hashing import HashEmbedder
from rag.embedders.registry import PROVIDERS, find_spec, table_specs
from rag.embedders.vendors import VENDORS

OWN = """
[embedders.mine]
provider = "hash"
model = "bag-of-words"
revision = "1"
dimension = 64
max_tokens = 0
query_prefix = "find the zebra: "
passage_prefix = "giraffe: "
usd_per_million_tokens = 0.0
languages = ["de"]
licence = "none"
source = "mine"
"""


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch, tmp_path):
    """No keys, no downloads, nothing in the cache of the hub, no servers."""
    for vendor in VENDORS.values():
        for variable in vendor.keys:
            monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("RAG_KEYS", str(tmp_path / "keys.toml"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))

    def refuse(*_, **__):
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", refuse)


@pytest.fixture
def embedders(rag, tmp_path):
    """Runs the command over a library that has an embedder of its own."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "rag.toml").write_text(OWN)
    return lambda *arguments: rag("--home", tmp_path / "home", "embedders", *arguments)


# --- the table


def test_the_table_reads_well_in_a_hundred_columns(embedders):
    ran = embedders()
    assert (ran.status, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert max(map(len, lines)) <= 100
    shown = [line.split()[0] for line in lines if line.startswith("  ") and not line.startswith("   ")]
    assert sorted(shown) == sorted([*table_specs(), "mine"])
    columns = {line.rfind("retrieval") for line in lines} - {-1}
    assert len(columns) == 1, "names never run into the columns"


def test_what_is_ready_comes_first_then_what_needs_least(embedders):
    titles = [line for line in embedders().out.splitlines() if line and line[0] not in " ?"]
    assert titles[:2] == ["Ready here", "Needs a download: allow it once with HF_HUB_OFFLINE=0"]
    kinds = [" ".join(title.rstrip(":").split()[:3]).rstrip(":") for title in titles[1:]]
    assert list(dict.fromkeys(kinds)) == ["Needs a download", "Needs a key", "Needs a server"]
    assert len(titles) == len(set(titles)), "embedders of one lack stand together"


def test_downloads_that_are_allowed_are_told(embedders, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    ran = embedders()
    assert "\nDownloaded at first use\n" in ran.out
    assert "Needs a download" not in ran.out
    assert " hash " in ran.out.partition("Downloaded")[0]


def test_facts_without_a_source_are_marked(embedders):
    rows = {line.split()[0]: line for line in embedders().out.splitlines() if line.startswith("  ")}
    assert "0.12?" in rows["cohere-embed-v4"]
    assert "0.13 " in rows["text-embedding-3-large"]
    assert "3072 (256-3072)" in rows["text-embedding-3-large"]
    assert "no limit" in rows["wordllama"]
    assert " de " in rows["mine"]


def test_only_those_that_are_ready(embedders):
    ran = embedders("--ready", "--json")
    names = [row["name"] for row in json.loads(ran.out)["embedders"]]
    assert {"minilm", "wordllama", "hash", "mine"} <= set(names)
    assert not set(names) & {"voyage-4", "e5-small-v2", "ollama-bge-m3"}
    assert all(not row["lacks"] for row in json.loads(ran.out)["embedders"])


def test_only_those_of_a_provider(embedders):
    for provider in PROVIDERS:
        rows = json.loads(embedders("--provider", provider, "--json").out)["embedders"]
        assert {row["provider"] for row in rows} <= {provider}
        assert [row["name"] for row in rows if row["name"] != "mine"] == [
            spec.name for spec in table_specs().values() if spec.provider == provider
        ]


def test_json_has_every_fact(embedders):
    ran = embedders("--json")
    rows = json.loads(ran.out)["embedders"]
    assert departures(rows, [EMBEDDER]) == []
    for row in rows:
        if row["name"] != "mine":
            spec = find_spec(row["name"])
            assert row["fingerprint"] == spec.fingerprint
            assert all(row[key] == getattr(spec, key) for key in ("model", "dimension", "query_prefix", "precision"))
            assert tuple(row["unconfirmed"]) == spec.unconfirmed
    lacking = {row["name"]: row["lacks"] for row in rows}
    assert lacking["voyage-4"] == "a key: set VOYAGE_API_KEY, or write it to keys.toml"
    assert lacking["hash"] == ""


# --- a test


def test_a_real_call_is_told(embedders):
    ran = embedders("test", "hash")
    assert (ran.status, ran.err) == (0, "")
    told = dict(line.split(maxsplit=1) for line in ran.out.replace(" query", "-query").splitlines())
    assert told["embedder"] == "hash (hash, float32)"
    assert told["dimension"] == "512"
    assert told["norm"] == "1.0000"
    assert told["prefixes"] == "same"
    assert told["second-query"].endswith(" ms")


def test_the_effect_of_prefixes_is_told(embedders):
    printed = json.loads(embedders("test", "mine", "--json").out)
    assert departures(printed, TRIAL) == []
    assert printed["dimension"] == 64
    assert 0.1 < printed["cosine"] < 0.99
    assert printed["norm"] == pytest.approx(1, abs=1e-4)
    assert min(printed["first_ms"], printed["second_ms"], printed["tokens_per_second"]) > 0
    assert f"cosine {printed['cosine']:.3f} of a text as query" in embedders("test", "mine").out


def test_what_computes_is_told_in_the_embedders_own_word(embedders, monkeypatch):
    monkeypatch.setattr(HashEmbedder, "backend", "bags", raising=False)
    assert json.loads(embedders("test", "hash", "--json").out)["backend"] == "bags"


def test_the_library_may_be_named_last(rag, embedders, tmp_path):
    assert embedders("test", "mine", "--json").status == 0
    ran = rag("embedders", "test", "mine", "--json", "--home", tmp_path / "home")
    assert json.loads(ran.out)["name"] == "mine"


# --- what is wrong


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("--provider", "statik"), 2, "No provider 'statik'. Did you mean 'static'?"),
        (("test", "minlm"), 2, "No embedder 'minlm'. Did you mean 'minilm'?"),
        (("test",), 2, "Missing argument 'NAME'"),
        (("tset", "minilm"), 2, "No such command 'tset'"),
        (("test", "voyage-4"), 1, "'voyage-4' cannot be used here: it needs a key: set VOYAGE_API_KEY"),
        (("test", "e5-small-v2"), 1, "it needs a download: allow it once with HF_HUB_OFFLINE=0"),
        (("test", "ollama-bge-m3"), 1, "it needs a server at http://127.0.0.1:11434"),
    ],
)
def test_an_error_is_one_line(embedders, arguments, status, said):
    line = one_line(embedders(*arguments), status, said)
    assert len(line) < 200, "seventy names are no help"


@pytest.mark.parametrize(
    ("rows", "said"), [([[0.0] * 3], "shape (1, 3) where (1, 512)"), ([[float("nan")] * 512], "not finite")]
)
def test_wrong_answers_are_told(embedders, monkeypatch, rows, said):
    import numpy as np

    monkeypatch.setattr(HashEmbedder, "embed_queries", lambda *_: np.array(rows, dtype=np.float32))
    one_line(embedders("test", "hash", "--json"), 1, "Embedder 'hash' gave", said)
