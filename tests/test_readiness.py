"""What an embedder lacks here and now, for each kind of thing that can be lacking."""

import http.server
import json
import socket
import sys
import threading
from dataclasses import replace

import pytest

from rag.embedders.readiness import Lacking, find_lack, is_fetched_first, lacks
from rag.embedders.registry import find_spec
from rag.embedders.vendors import VENDORS

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch, tmp_path):
    """No keys, downloads off, and an empty cache of the hub."""
    for vendor in VENDORS.values():
        for variable in vendor.keys:
            monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("RAG_KEYS", str(tmp_path / "keys.toml"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


def entry(name="hash", **facts):
    return replace(find_spec(name), **facts)


def cached(tmp_path, model, *files, revision=COMMIT):
    """Lays files where the hub's cache has them."""
    folder = tmp_path / "hub" / f"models--{model.replace('/', '--')}" / "snapshots" / revision
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        (folder / file).write_text("{}")
    return folder


# --- local models


@pytest.mark.parametrize("name", ["hash", "wordllama", "minilm"])
def test_what_comes_with_the_installation_lacks_nothing(name):
    assert find_lack(find_spec(name)) is None
    assert lacks(find_spec(name)) == ""
    assert not is_fetched_first(find_spec(name))


@pytest.mark.parametrize("provider", ["sentence-transformers", "static"])
def test_a_model_of_the_hub_needs_a_download_until_it_is_in_the_cache(provider, tmp_path):
    spec = entry(provider=provider, model="somebody/some-model", revision=COMMIT)
    assert find_lack(spec).kind is Lacking.FETCH
    assert lacks(spec) == "a download: allow it once with HF_HUB_OFFLINE=0"
    cached(tmp_path, spec.model, "config.json")
    assert find_lack(spec).kind is Lacking.FETCH, "its weights are not there yet"
    cached(tmp_path, spec.model, "model.safetensors")
    assert find_lack(spec) is None
    assert find_lack(replace(spec, revision=COMMIT[::-1])).kind is Lacking.FETCH, "another commit"


def test_without_a_revision_the_branch_is_looked_up(tmp_path):
    spec = entry(provider="static", model="somebody/some-model", revision="")
    folder = cached(tmp_path, spec.model, "config.json", "model.safetensors")
    assert find_lack(spec).kind is Lacking.FETCH
    refs = folder.parents[1] / "refs"
    refs.mkdir()
    (refs / "main").write_text(COMMIT)
    assert find_lack(spec) is None


@pytest.mark.parametrize("value", ["0", "false", ""])
def test_where_downloads_are_allowed_the_first_use_fetches(value, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    spec = entry(provider="static", model="somebody/some-model", revision=COMMIT)
    assert find_lack(spec) is None
    assert is_fetched_first(spec)
    cached(tmp_path, spec.model, "config.json", "model.safetensors")
    assert not is_fetched_first(spec)


def test_files_of_a_package_that_is_not_there_are_told_with_the_remedy():
    lack = find_lack(entry("wordllama", model="wordllama:weights/none.safetensors"))
    assert lack.kind is Lacking.FILES
    assert "holds no 'weights/none.safetensors'" in lack.words
    lack = find_lack(entry("wordllama", model="no_such_package:weights/none.safetensors"))
    assert "'no_such_package'" in lack.words


def test_a_folder_lacks_nothing_and_a_path_that_is_no_hub_id_a_download(tmp_path):
    assert find_lack(entry(provider="static", model=str(tmp_path))) is None
    assert find_lack(entry(provider="static", model="/no/such/folder at all")).kind is Lacking.FETCH


def test_int8_needs_what_quantises(monkeypatch):
    assert find_lack(entry("minilm", precision="int8")) is None
    monkeypatch.setitem(sys.modules, "nncf", None)
    lack = find_lack(entry("minilm", precision="int8"))
    assert lack.kind is Lacking.PACKAGE
    assert lack.words == "the package 'nncf': pip install -e '.[int8]'"
    assert find_lack(find_spec("minilm")) is None


# --- vendors


HOSTED = [provider for provider, vendor in VENDORS.items() if vendor.keys]
WITH_EXTRA = [provider for provider, vendor in VENDORS.items() if vendor.extra]


@pytest.mark.parametrize("provider", HOSTED)
def test_a_vendor_needs_a_key_by_its_usual_name(provider, monkeypatch):
    spec = entry(provider=provider)
    first, *others = VENDORS[provider].keys
    lack = find_lack(spec)
    assert lack.kind is Lacking.KEY
    assert f"set {first}," in lack.words
    for variable in (first, *others):
        with monkeypatch.context() as patch:
            patch.setenv(variable, "marker-of-a-secret")
            assert find_lack(spec) is None


def test_a_key_of_another_name_is_looked_for_under_that(monkeypatch):
    spec = entry(provider="openai", key="MY_OWN_KEY")
    monkeypatch.setenv("OPENAI_API_KEY", "marker-of-a-secret")
    assert "set MY_OWN_KEY," in lacks(spec)
    monkeypatch.setenv("MY_OWN_KEY", "marker-of-a-secret")
    assert lacks(spec) == ""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no permissions of this kind")
def test_a_file_of_keys_that_others_may_read_is_told_and_its_keys_are_not(tmp_path):
    keys = tmp_path / "keys.toml"
    keys.write_text('VOYAGE_API_KEY = "marker-of-a-secret"\n')
    keys.chmod(0o644)
    spec = entry(provider="voyage")
    assert "chmod 600" in lacks(spec)
    assert "marker-of-a-secret" not in lacks(spec)
    keys.chmod(0o600)
    assert lacks(spec) == ""


@pytest.mark.parametrize("provider", WITH_EXTRA)
def test_a_client_that_is_not_installed_is_told_with_its_extra(provider, monkeypatch):
    monkeypatch.setitem(sys.modules, VENDORS[provider].package, None)
    lack = find_lack(entry(provider=provider))
    assert lack.kind is Lacking.PACKAGE
    assert lack.words.endswith(f"pip install -e '.[{VENDORS[provider].extra}]'")


def test_a_langchain_class_needs_the_package_of_its_path():
    assert find_lack(entry(provider="langchain", model="langchain_core.embeddings:FakeEmbeddings")) is None
    lack = find_lack(entry(provider="langchain", model="no_such_package.module:Class"))
    assert lack.kind is Lacking.PACKAGE
    assert "'no_such_package'" in lack.words


# --- servers


@pytest.fixture
def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.fixture
def ollama():
    """A server that answers as Ollama does; `answer` is what it says that it has."""

    class Tags(http.server.BaseHTTPRequestHandler):
        answer = json.dumps({"models": [{"name": "nomic-embed-text:v1.5"}, {"name": "bge-m3:latest"}]})

        def do_GET(self):
            self.send_response(200 if self.path == "/api/tags" else 404)
            self.end_headers()
            self.wfile.write(self.answer.encode())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Tags)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", Tags
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("provider", ["ollama", "tei", "openai"])
def test_a_server_of_this_machine_must_answer(provider, free_port):
    lack = find_lack(entry(provider=provider, base_url=f"http://127.0.0.1:{free_port}"))
    assert lack.kind is Lacking.SERVER
    assert f"http://127.0.0.1:{free_port}" in lack.words


def test_ollama_must_have_the_model(ollama):
    url, _ = ollama
    for model in ("nomic-embed-text:v1.5", "bge-m3", "bge-m3:latest"):
        assert find_lack(entry(provider="ollama", base_url=url, model=model)) is None
    lack = find_lack(entry(provider="ollama", base_url=f"{url}/", model="nomic-embed-text:v2"))
    assert lack.kind is Lacking.SERVER
    assert lack.words.endswith("ollama pull nomic-embed-text:v2")


@pytest.mark.parametrize("answer", ["no JSON", "[]", '{"models": 5}', '{"models": [{}]}'])
def test_a_server_that_says_something_else_is_left_to_the_first_call(ollama, answer):
    url, tags = ollama
    tags.answer = answer
    assert find_lack(entry(provider="ollama", base_url=url, model="anything")) is None


def test_servers_that_need_no_model_of_a_name_need_only_answer(ollama):
    for provider in ("tei", "openai"):
        assert find_lack(entry(provider=provider, base_url=ollama[0])) is None


def test_a_server_elsewhere_is_not_asked(monkeypatch):
    def refuse(*arguments, **_):
        raise AssertionError(f"the network was asked for: {arguments}")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert find_lack(entry(provider="ollama", base_url="http://gpu.example:11434")) is None
    assert find_lack(entry(provider="voyage")).kind is Lacking.KEY


def test_a_port_that_is_none_is_told():
    assert find_lack(entry(provider="tei", base_url="http://127.0.0.1:no")).kind is Lacking.SERVER
