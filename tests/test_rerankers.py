"""Rerankers: the vendors' real clients against the local server, a real cross-encoder, a search that one reorders."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from rag.errors import MissingDependencyError, RagError, UsageError
from rag.keys import MissingKeyError
from rag.reader import Reader
from rag.rerankers import registry
from rag.rerankers.cross_encoder import CrossEncoderReranker
from rag.rerankers.registry import PROVIDERS, find_reranker, load_reranker, table_rerankers
from rag.rerankers.reranked import CANDIDATES, RerankedRetriever
from rag.rerankers.spec import RerankerSpec
from rag.settings import read_settings
from tiny_model import TEACHER
from vendor_clients import KEY, server, serving  # noqa: F401  # fixtures
from wire_server import Fault, Time, always, relevance, tokens

VENDORS = ("cohere", "voyage", "tei")
ADDRESS = {"voyage": "/v1"}
QUERY = "which river is long"
PASSAGES = [f"river number {number} is {'long ' * (number % 9)}and cold" for number in range(70)]


def spec_of(provider, server, **facts):  # noqa: F811
    blank = RerankerSpec(
        name="mine", provider=provider, model="a-model", revision="", max_tokens=0, languages=("any",), licence="-",
        source="-", base_url=server.url + ADDRESS.get(provider, ""), timeout=5.0,
    )  # fmt: skip
    return replace(blank, **facts)


def load(provider, server, **facts):  # noqa: F811
    import importlib

    module, _, name = PROVIDERS[provider].partition(":")
    time = Time()
    made = getattr(importlib.import_module(module), name)(spec_of(provider, server, **facts), time.sleep, time.clock)
    made.time = time
    return made


@pytest.fixture(params=VENDORS)
def provider(request):
    return request.param


# --- what a vendor is asked, and what comes of its answer


def test_each_passage_gets_its_own_score(provider, server):  # noqa: F811
    scores = load(provider, server).score(QUERY, PASSAGES)
    np.testing.assert_allclose(scores, [relevance(QUERY, text) for text in PASSAGES], atol=1e-6)
    assert len(set(np.round(scores, 6))) > 5
    assert sorted(server.texts) == sorted(PASSAGES)
    assert {request.body["query"] for request in server.requests} == {QUERY}


def test_requests_keep_to_the_vendors_size(provider, server):  # noqa: F811
    load(provider, server).score(QUERY, PASSAGES)
    sizes = sorted(len(request.texts) for request in server.requests)
    assert sizes == ([6, 32, 32] if provider == "tei" else [70])


def test_no_passages_ask_nothing_and_empty_ones_are_sent_as_something(provider, server):  # noqa: F811
    reranker = load(provider, server)
    assert reranker.score(QUERY, []) == []
    assert server.requests == []
    assert len(reranker.score("", ["", "half \ud83d", "a"])) == 3
    assert server.texts == [".", "half ?", "a"]


def test_the_key_goes_to_the_vendor_alone(provider, server, monkeypatch):  # noqa: F811
    for variable in ("CO_API_KEY", "VOYAGE_API_KEY"):
        monkeypatch.setenv(variable, KEY)
    load(provider, server).score(QUERY, PASSAGES[:2])
    assert KEY not in str(server.requests[0].headers)
    monkeypatch.setenv("TEST_KEY", KEY)
    load(provider, server, key="TEST_KEY").score(QUERY, PASSAGES[:2])
    assert KEY in str(server.requests[1].headers)


def test_a_missing_key_says_which_variable_to_set(server, monkeypatch):  # noqa: F811
    for provider, variable in (("cohere", "CO_API_KEY"), ("voyage", "VOYAGE_API_KEY")):
        with pytest.raises(MissingKeyError, match=f"'mine' needs a key: set the environment variable {variable}"):
            load(provider, server, base_url="").score(QUERY, PASSAGES)


def test_money_is_counted_by_the_entrys_prices(server):  # noqa: F811
    voyage = load("voyage", server, usd_per_million_tokens=50.0)
    voyage.score(QUERY, PASSAGES[:3])
    assert voyage.billed_usd == pytest.approx(50e-6 * sum(tokens(QUERY) + tokens(text) for text in PASSAGES[:3]))
    cohere = load("cohere", server, usd_per_thousand_searches=2.0)
    cohere.score(QUERY, PASSAGES)
    cohere.score(QUERY, PASSAGES * 2)  # 140 passages are two searches
    assert cohere.billed_usd == pytest.approx(0.006)
    assert load("tei", server).billed_usd == 0


# --- what goes wrong


def test_what_passes_is_tried_again(provider, server):  # noqa: F811
    for fault in (Fault(status=500), Fault(status=429, headers={"retry-after": "7"}), Fault(cut=True)):
        server.faults = [fault]
        reranker = load(provider, server)
        assert len(reranker.score(QUERY, PASSAGES[:5])) == 5
        assert len(reranker.time.naps) >= 1
        if fault.status == 429:
            assert 7 in reranker.time.naps


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (always(status=401), "Check the key"),
        (always(status=404), r"Correct `model` or `base_url` of the entry \[mine\]"),
        (always(status=500), "did not rerank .*Try again later"),
        (always(garble=True), r"Does http:.* speak the format of|broke off"),
        (
            always(rows=lambda number, score, text: None if text == PASSAGES[1] else score),
            "did not rerank 1 of 4 .*scores are missing",
        ),
        (always(rows=lambda number, score, text: math.nan if text == PASSAGES[1] else score), "did not rerank 1 of 4"),
    ],
    ids=["key", "name", "server", "garbled", "lost", "nan"],
)
def test_what_stays_wrong_is_told_in_one_line(provider, server, fault, told, monkeypatch):  # noqa: F811
    monkeypatch.setenv("TEST_KEY", KEY)
    server.faults = [fault]
    with pytest.raises(RagError, match=told) as caught:
        load(provider, server, key="TEST_KEY").score(QUERY, PASSAGES[:4])
    assert "\n" not in str(caught.value)
    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_server_that_is_not_there_is_named(provider, server):  # noqa: F811
    with pytest.raises(RagError, match=r"Is http://127\.0\.0\.1:9.* running, and reachable"):
        load(provider, server, base_url="http://127.0.0.1:9").score(QUERY, PASSAGES[:2])


def test_a_vendor_is_given_up_on_before_a_person_walks_away(provider, server):  # noqa: F811
    server.faults = [always(status=503)]
    reranker = load(provider, server)
    with pytest.raises(RagError):
        reranker.score(QUERY, PASSAGES[:2])
    assert len(server.requests) <= 3
    assert sum(reranker.time.naps) < 15


# --- a cross-encoder


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory):
    """A cross-encoder of one layer with random weights, and MiniLM's tokenizer."""
    import shutil

    import torch
    from transformers import BertConfig, BertForSequenceClassification

    folder = tmp_path_factory.mktemp("models") / "tiny-reranker"
    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        if (TEACHER / name).is_file():
            shutil.copy(TEACHER / name, folder)
    config = BertConfig(
        vocab_size=30_522, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        num_labels=1,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(5)
        BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def test_a_cross_encoder_scores_as_sentence_transformers_does(encoder_folder):
    from sentence_transformers import CrossEncoder

    reranker = load_reranker(str(encoder_folder))
    assert isinstance(reranker, CrossEncoderReranker)
    theirs = CrossEncoder(str(encoder_folder)).predict([(QUERY, text) for text in PASSAGES[:20]])
    np.testing.assert_allclose(reranker.score(QUERY, PASSAGES[:20]), theirs, atol=1e-5)
    assert reranker.score(QUERY, []) == []


def test_a_cross_encoder_that_is_not_here_says_how_to_get_it():
    with pytest.raises(MissingDependencyError, match="HF_HUB_OFFLINE=0"):
        load_reranker("minilm-reranker").score(QUERY, PASSAGES[:1])


def test_a_classifier_is_no_reranker(encoder_folder, tmp_path):
    import shutil

    from transformers import BertConfig, BertForSequenceClassification

    folder = shutil.copytree(encoder_folder, tmp_path / "classifier")
    config = BertConfig.from_pretrained(folder, num_labels=3)
    BertForSequenceClassification(config).save_pretrained(folder)
    with pytest.raises(RagError, match="gives 3 numbers for a passage"):
        load_reranker(str(folder)).score(QUERY, PASSAGES[:2])


# --- names


def test_every_entry_of_the_table_names_a_provider_and_a_source():
    for name, spec in table_rerankers().items():
        assert spec.name == name
        assert spec.provider in PROVIDERS
        assert spec.source.startswith("https://")


def test_an_unknown_name_names_the_nearest():
    with pytest.raises(UsageError, match=r"No reranker 'cohere-rerenk'\. Did you mean 'cohere-rerank'"):
        find_reranker("cohere-rerenk")


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("provider = 'cohere'", "lacks model"),
        ("provider = 'coherre'\nmodel = ''\nrevision = ''\nmax_tokens = 0\nlanguages = []\nlicence = ''\nsource = ''",
         "No provider 'coherre'.*Did you mean 'cohere'"),
        ("provider = 'tei'\nmodle = ''", "No key 'modle' of a reranker"),
        ("provider = 'tei'\nmodel = ''\nrevision = ''\nmax_tokens = -1\nlanguages = []\nlicence = ''\nsource = ''",
         "max_tokens = -1"),
    ],
)  # fmt: skip
def test_an_entry_of_ones_own_is_checked(tmp_path, entry, told):
    (tmp_path / "rag.toml").write_text(f"[rerankers.mine]\n{entry}\n")
    with pytest.raises(UsageError, match=told):
        read_settings(tmp_path)


# --- a reranked search


class _ByLength:
    """Puts the longest passage first, so that a changed order is seen."""

    spec = None
    billed_usd = 0.0

    def __init__(self):
        self.read = []

    def score(self, query, passages):
        self.read.append((query, list(passages)))
        return [float(len(text)) for text in passages]


def test_a_reranked_search_reads_its_candidates_and_keeps_their_legs(small_library):
    inner = Reader(small_library.library, small_library.settings).open("small", "wordllama", "hybrid").retriever
    reranker = _ByLength()
    hits = RerankedRetriever(small_library.library, inner, reranker).retrieve("green tea", 4)
    plain = {hit.chunk.id: hit for hit in inner.retrieve("green tea", CANDIDATES)}
    ((query, passages),) = reranker.read
    assert query == "green tea"
    assert len(passages) == len(plain) > 4
    assert [hit.score for hit in hits] == sorted((float(len(text)) for text in passages), reverse=True)[:4]
    for rank, hit in enumerate(hits, start=1):
        assert (hit.rank, hit.legs["reranker"].rank, hit.legs["reranker"].score) == (rank, rank, hit.score)
        assert {name: leg for name, leg in hit.legs.items() if name != "reranker"} == plain[hit.chunk.id].legs
        assert any(hit.chunk.text in text and hit.title in text for text in passages)


def test_a_reranker_of_the_settings_is_used_and_can_be_switched_off(small_library, server):  # noqa: F811
    specs = {"mine": spec_of("tei", server)}
    settings = replace(small_library.settings, reranker="mine", rerankers=specs)
    reader = Reader(small_library.library, settings)
    hits = reader.open("small", "hash", "dense").retriever.retrieve("green tea", 3)
    assert all("reranker" in hit.legs for hit in hits)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    asked = len(server.requests)
    assert asked == 1
    assert "reranker" not in reader.open("small", "hash", "dense", reranker="").retriever.retrieve("tea", 1)[0].legs
    assert len(server.requests) == asked
    registry._loaded.pop(specs["mine"])


@pytest.mark.parametrize("line", ["mmr = 1.5", "mmr = -0.1", "reranker = 'nobody'"])
def test_settings_of_a_reranked_and_diverse_search_are_checked(tmp_path, line):
    (tmp_path / "rag.toml").write_text(line)
    with pytest.raises(UsageError, match=r"must lie between 0 and 1|No reranker 'nobody'"):
        read_settings(tmp_path)


# --- the command line


def test_a_search_is_reranked_from_the_command_line(rag, copied, server):  # noqa: F811
    home = copied()
    (home / "rag.toml").write_text(
        f"[rerankers.mine]\nprovider = 'tei'\nmodel = 'm'\nrevision = ''\nmax_tokens = 0\nlanguages = ['any']\n"
        f"licence = ''\nsource = ''\nbase_url = '{server.url}'\n"
    )
    found = rag("--home", home, "search", "green tea", "--embedder", "hash", "--reranker", "mine", "--json", "-k", "3")
    document = json.loads(found.out)
    assert document["reranker"] == "mine"
    assert [hit["legs"]["reranker"]["rank"] for hit in document["hits"]] == [1, 2, 3]
    assert all({"dense", "lexical"} & set(hit["legs"]) for hit in document["hits"])
    shown = rag("--home", home, "search", "green tea", "--embedder", "hash", "--reranker", "mine").out
    assert "reranked by mine" in shown.splitlines()[0]
    server.faults = [always(status=500)]
    failed = rag("--home", home, "search", "green tea", "--embedder", "hash", "--reranker", "mine")
    assert (failed.status, failed.out) == (1, "")
    assert "did not rerank" in failed.err
    wrong = rag("--home", home, "search", "green tea", "--reranker", "mnie")
    assert (wrong.status, "Did you mean 'mine'" in wrong.err) == (2, True)


def test_rerankers_are_listed(rag, tmp_path):
    listed = json.loads(rag("--home", tmp_path, "rerankers", "--json").out)["rerankers"]
    assert [entry["name"] for entry in listed] == list(table_rerankers())
    shown = rag("--home", tmp_path, "rerankers").out
    assert all(name in shown for name in table_rerankers())
