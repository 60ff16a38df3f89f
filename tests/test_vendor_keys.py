"""Keys of vendors: sent to whom they belong, asked for by name, and never shown, whatever a vendor echoes."""

import logging
import sys

import pytest

from rag.embedders.vendors import VENDORS
from rag.errors import MissingDependencyError, RagError
from rag.keys import MissingKeyError
from vendor_clients import KEY, TEXTS, VARIABLES, load
from wire_server import Fault, always

pytest_plugins = ["vendor_clients"]


def sent_key(request):
    headers = {name.lower(): value for name, value in request.headers.items()}
    return headers.get("x-goog-api-key") or headers.get("authorization", "").removeprefix("Bearer ")


def test_the_key_of_the_entry_is_sent(vendor, server, monkeypatch):
    monkeypatch.setenv("TEST_KEY", KEY)
    load(vendor, server, key="TEST_KEY").embed_queries(["a"])
    assert sent_key(server.requests[0]) == KEY


def test_the_vendors_usual_key_is_not_sent_to_another_server(vendor, server, monkeypatch):
    for name in VARIABLES[:8]:
        monkeypatch.setenv(name, KEY)
    load(vendor, server).embed_queries(["a"])
    assert KEY not in str(server.requests[0])


@pytest.mark.parametrize("vendor", [name for name, facts in VENDORS.items() if facts.keys])
def test_a_missing_key_is_named_with_where_to_get_one_and_tokens_are_counted_without_it(vendor, server):
    embedder = load(vendor, server, base_url="")
    assert embedder.count_tokens(["some text"]) == [2]
    with pytest.raises(MissingKeyError, match=VENDORS[vendor].keys[0]) as caught:
        embedder.embed_passages(["a"])
    assert VENDORS[vendor].key_page in str(caught.value)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_told_by_where_it_came_from_and_is_never_shown(vendor, server, monkeypatch, caplog, status):
    monkeypatch.setenv("TEST_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    told = f"Incorrect API key provided: {KEY}. You can find your key elsewhere."
    server.fail(always(status=status, body={"error": {"message": told}, "detail": told, "message": told}))
    embedder = load(vendor, server, key="TEST_KEY", batch=2)
    with pytest.raises(RagError, match="the environment variable TEST_KEY") as caught:
        embedder.embed_passages(TEXTS)
    assert "Incorrect API key provided: ***" in str(caught.value)
    assert KEY not in "".join(seen(caught.value))
    assert KEY not in caplog.text
    assert KEY not in repr(vars(embedder))
    assert len(server.requests) <= 4  # those that were in flight
    assert embedder.time.naps == []


def seen(error):
    """Yields all that an error shows to whoever digs, down to what it was raised from."""
    while error is not None:
        yield f"{error!r} {error} {vars(error)}"
        error = error.__cause__ or error.__context__


def test_a_key_that_was_set_right_meanwhile_is_used(vendor, server, monkeypatch):
    monkeypatch.setenv("TEST_KEY", "wrong-key-1234")
    embedder = load(vendor, server, key="TEST_KEY")
    server.fail(Fault(status=401))
    with pytest.raises(RagError, match="TEST_KEY"):
        embedder.embed_queries(["a"])
    monkeypatch.setenv("TEST_KEY", KEY)
    embedder.embed_queries(["a"])
    assert sent_key(server.requests[-1]) == KEY


def test_a_package_that_is_not_installed_is_named_with_the_command(vendor, server, monkeypatch):
    package = VENDORS[vendor].package
    for name in [name for name in sys.modules if name.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    extra = VENDORS[vendor].extra
    command = rf"pip install -e '\.\[{extra}\]'" if extra else "make setup"
    with pytest.raises(MissingDependencyError, match=command):
        load(vendor, server).embed_passages(["a"])
