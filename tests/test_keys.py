"""Keys are found where they should be, and seen nowhere."""

import copy
import json
import logging
import pickle

import pytest

from rag import keys
from rag.errors import RagError
from rag.keys import Secret, find_key, mask

KEY = "marker-5f3a9c1e7b2d"


@pytest.fixture(autouse=True)
def nothing_held(monkeypatch, tmp_path):
    """Each test begins without secrets, and leaves logging as it was."""
    monkeypatch.setattr(keys, "_held", set())
    monkeypatch.setenv("RAG_KEYS", str(tmp_path / "keys.toml"))
    monkeypatch.delenv("SOME_KEY", raising=False)
    factory = logging.getLogRecordFactory()
    yield
    logging.setLogRecordFactory(factory)


@pytest.fixture
def written(tmp_path):
    def write(text, mode=0o600):
        path = tmp_path / "keys.toml"
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        return path

    return write


def test_the_environment_comes_before_the_file(written, monkeypatch):
    path = written('SOME_KEY = "from the file"\n')
    found = find_key("SOME_KEY")
    assert (found.reveal(), found.origin) == ("from the file", f"SOME_KEY in {path}")
    monkeypatch.setenv("SOME_KEY", " from the environment\n")
    found = find_key("SOME_KEY")
    assert (found.reveal(), found.origin) == ("from the environment", "the environment variable SOME_KEY")


def test_no_key_is_none(written):
    assert find_key("SOME_KEY") is None
    written('OTHER_KEY = "x"\nSOME_KEY = " "\n')
    assert find_key("SOME_KEY") is None


def test_the_file_lies_in_the_users_configuration(monkeypatch, tmp_path):
    monkeypatch.delenv("RAG_KEYS")
    monkeypatch.setattr(keys.platformdirs, "user_config_dir", lambda name: str(tmp_path / name))
    assert keys.keys_path() == tmp_path / "rag-embedder-bakeoff" / "keys.toml"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_file_that_others_may_read_is_refused_with_the_command_that_repairs_it(written, mode, monkeypatch):
    path = written(f'SOME_KEY = "{KEY}"\n', mode)
    with pytest.raises(RagError, match=r"chmod 600 ") as caught:
        find_key("SOME_KEY")
    assert str(path) in str(caught.value)
    assert KEY not in str(caught.value)
    monkeypatch.setattr(keys.sys, "platform", "win32")
    assert find_key("SOME_KEY").reveal() == KEY


@pytest.mark.parametrize(
    ("text", "message"),
    [(f"SOME_KEY = {KEY}", "not valid TOML"), (f'["{KEY}', "not valid TOML"), ("SOME_KEY = 5", "SOME_KEY should be")],
)
def test_a_file_that_cannot_be_understood_is_an_error_that_repeats_nothing_of_it(written, text, message):
    written(text)
    with pytest.raises(RagError, match=message) as caught:
        find_key("SOME_KEY")
    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_secret_shows_itself_only_when_asked():
    secret = Secret(KEY, "a test")
    assert secret.reveal() == KEY
    shown = [
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret!r}",
        repr([secret]),
        repr({"key": secret}),
    ]
    assert not any(KEY in text for text in shown)
    for store in (pickle.dumps, json.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            store(secret)
    assert not hasattr(secret, "__dict__")


def test_known_secrets_and_what_looks_like_one_are_masked():
    Secret(KEY, "a test")
    assert mask(f"key {KEY} was refused, {KEY}!") == "key *** was refused, ***!"
    Secret("slash/plus+1234", "a test")
    assert mask("https://host/?key=slash%2Fplus%2B1234") == "https://host/?key=***"
    assert mask("Incorrect API key provided: sk-proj-********wxyz.") == "Incorrect API key provided: ***"
    assert mask("header b'Bearer abcdefghijklmn'") == "header b'***'"
    assert mask("AIzaSyA1234567890abcdefghijklmnopqrstu is wrong") == "*** is wrong"
    harmless = "a task-based, risk-averse sk-learn model of pa- and al- prefixes"
    assert mask(harmless) == harmless


def test_a_placeholder_does_not_garble_texts():
    Secret("-", "a test")
    assert mask("text-embedding-3-small") == "text-embedding-3-small"


def test_log_records_are_masked_whoever_writes_them(caplog):
    Secret(KEY, "a test")
    log = logging.getLogger("some.vendor.client")
    caplog.set_level(logging.DEBUG)
    log.info("sending with %s", KEY)
    log.debug("headers %r", {"authorization": f"Bearer {KEY}"})
    log.info(f"in the text {KEY}")
    try:
        raise ValueError(f"refused {KEY}")
    except ValueError:
        log.exception("it failed")
    log.info("plain %d", 5)
    assert KEY not in caplog.text
    assert "sending with ***" in caplog.text
    assert "ValueError: refused ***" in caplog.text
    assert caplog.records[-1].args == (5,)  # what holds no secret stays as it was


def test_log_records_are_masked_once_however_many_secrets_there_are():
    Secret(KEY, "a test")
    factory = logging.getLogRecordFactory()
    Secret(KEY + "2", "a test")
    assert logging.getLogRecordFactory() is factory
