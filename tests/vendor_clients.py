"""The vendors' real clients, with the local server in each vendor's place: their fixtures, and what they promise."""

import importlib
from dataclasses import replace

import numpy as np
import pytest

from rag import keys
from rag.embedders.registry import PROVIDERS
from rag.embedders.spec import EmbedderSpec
from rag.embedders.vendors import VENDORS
from wire_server import Time, WireServer, vector

WIDTH = 64
KEY = "marker-5f3a9c1e7b2d4"
PATHS = {"openai": "/v1", "voyage": "/v1"}
"""What an entry's `base_url` ends with: the clients of these vendors expect the version in it."""

VARIABLES = ("OPENAI_API_KEY", "CO_API_KEY", "COHERE_API_KEY", "VOYAGE_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY",
             "MISTRAL_API_KEY", "OLLAMA_API_KEY", "TEST_KEY", "OPENAI_BASE_URL", "HTTP_PROXY", "HTTPS_PROXY",
             "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")  # fmt: skip

WITH_INDEX = {"openai", "tei", "voyage", "mistral"}
"""Those that number the rows of an answer."""

TEXTS = [f"passage number {number} about rivers" for number in range(10)]


@pytest.fixture(scope="module")
def serving():
    with WireServer(WIDTH) as server:
        yield server


@pytest.fixture
def server(serving, monkeypatch, tmp_path):
    """The server without a history, in an environment without keys and proxies."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAG_KEYS", str(tmp_path / "keys.toml"))
    monkeypatch.setattr(keys, "_held", set())
    serving.requests, serving.answered, serving.faults, serving.most_at_once = [], [], [], 0
    return serving


@pytest.fixture(params=VENDORS)
def vendor(request):
    return request.param


def spec_of(vendor, server, **facts):
    blank = EmbedderSpec(
        name="mine", provider=vendor, model="a-model", revision="", dimension=WIDTH, max_tokens=0, query_prefix="",
        passage_prefix="", usd_per_million_tokens=0.1, languages=("any",), licence="-", source="-", timeout=5.0,
        base_url=server.url + PATHS.get(vendor, ""),
    )  # fmt: skip
    return replace(blank, **facts)


def load(vendor, server, **facts):
    """An embedder of that vendor whose pauses take no time; `time` has recorded them."""
    module, _, name = PROVIDERS[vendor].partition(":")
    time = Time()
    made = getattr(importlib.import_module(module), name)(spec_of(vendor, server, **facts), time.sleep, time.clock)
    made.time = time
    return made


def right(vectors, texts, prefix=""):
    """Asserts that each row is the unit vector of its text, as the server makes it."""
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, [vector(prefix + text, WIDTH) for text in texts], atol=1e-5)


def nothing_twice(server):
    assert len(set(server.answered)) == len(server.answered)
