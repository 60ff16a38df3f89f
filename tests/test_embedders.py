import re
import socket
import tomllib
from dataclasses import fields, replace

import numpy as np
import pytest

from rag.embedders.entries import parse_spec
from rag.embedders.readiness import lacks
from rag.embedders.registry import PROVIDERS, TABLE, find_spec, load_embedder, table_specs
from rag.embedders.spec import EmbedderSpec
from rag.errors import MissingDependencyError, RagError, UsageError

NAMES = ("hash", "wordllama", "minilm")
"""The embedders of the table that need no download."""

TEXTS = [
    "A short sentence.",
    "",
    " \n\t ",
    "😀🚴",
    "???",
    "Wie groß ist der Mond? 中文检索",
    "A longer passage, so that batches must be padded: " + "words and more words, " * 10,
    "word " * 20_000,
    "\x00 control \x07 characters",
]


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Fails a test that so much as looks an address up."""

    def refuse(*arguments, **_):
        raise AssertionError(f"the network was asked for: {arguments}")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(params=NAMES)
def embedder(request):
    return load_embedder(request.param)


def variant(name, **facts):
    """Loads an embedder of the table with other facts."""
    return load_embedder("variant", {"variant": replace(find_spec(name), name="variant", **facts)})


def rounding(name):
    """How far equal texts may be apart, by the precision that they are computed in: batches add up in other orders."""
    return 2e-3 if find_spec(name).precision == "bfloat16" else 1e-5


# --- the contract of every embedder


@pytest.mark.parametrize("method", ["embed_queries", "embed_passages"])
def test_gives_unit_rows_of_float32_for_any_text(embedder, method):
    vectors = getattr(embedder, method)(TEXTS)
    assert vectors.shape == (len(TEXTS), embedder.spec.dimension)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("method", ["embed_queries", "embed_passages"])
def test_no_texts_give_no_rows(embedder, method):
    vectors = getattr(embedder, method)([])
    assert vectors.shape == (0, embedder.spec.dimension)
    assert vectors.dtype == np.float32


def test_a_batch_equals_its_texts_one_by_one_in_their_order(embedder):
    texts = TEXTS[:7]
    alone = np.vstack([embedder.embed_passages([text]) for text in texts])
    atol = rounding(embedder.spec.name)
    np.testing.assert_allclose(embedder.embed_passages(texts), alone, atol=atol)
    np.testing.assert_allclose(embedder.embed_passages(texts[::-1]), alone[::-1], atol=atol)
    assert np.linalg.norm(alone[0] - alone[6]) > 0.1  # the rows do differ, so that their order was seen


def test_the_same_texts_give_the_same_bytes(embedder):
    assert embedder.embed_passages(TEXTS[:6]).tobytes() == embedder.embed_passages(TEXTS[:6]).tobytes()


def test_likeness_in_words_is_seen(embedder):
    query = embedder.embed_queries(["the cat sat on the mat"])[0]
    near, far = embedder.embed_passages(["a cat sat on a mat", "quarterly revenue fell in Peru"]) @ query
    assert near > far + 0.2


@pytest.mark.parametrize("name", NAMES)
def test_the_query_prefix_reaches_the_queries_and_the_passage_prefix_the_passages(name):
    texts = ["mountain rivers", "", "a passage about trains"]
    prefixed = variant(name, query_prefix="find zebra: ", passage_prefix="giraffe document: ")
    bare = load_embedder(name)
    atol = 1e-6
    expected = bare.embed_queries([f"find zebra: {text}" for text in texts])
    np.testing.assert_allclose(prefixed.embed_queries(texts), expected, atol=atol)
    expected = bare.embed_passages([f"giraffe document: {text}" for text in texts])
    np.testing.assert_allclose(prefixed.embed_passages(texts), expected, atol=atol)
    assert np.abs(prefixed.embed_queries(texts) - prefixed.embed_passages(texts)).max() > 0.01


# --- static


def test_static_equals_sentence_transformers_over_the_same_files():
    from safetensors.numpy import load_file
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer

    from rag.embedders.files import locate

    spec = find_spec("wordllama")
    (table,) = load_file(locate(spec.model)).values()
    tokenizer = Tokenizer.from_file(str(locate(spec.tokenizer)))
    reference = SentenceTransformer(modules=[StaticEmbedding(tokenizer, table.astype(np.float32))], device="cpu")

    texts = [text for text in TEXTS if text]  # a text without a token is a row of zeros there
    expected = reference.encode(texts, normalize_embeddings=True)
    np.testing.assert_allclose(load_embedder("wordllama").embed_passages(texts), expected, atol=1e-5)


def test_static_reads_as_many_tokens_as_it_may():
    short = variant("wordllama", max_tokens=3)
    long = "one two three four five six"
    assert not np.allclose(short.embed_passages([long]), load_embedder("wordllama").embed_passages([long]), atol=0.01)
    np.testing.assert_array_equal(short.embed_passages([long]), short.embed_passages([long + " seven"]))


# --- prefixes against what a model was saved with


@pytest.fixture(scope="module")
def bag_of_words(tmp_path_factory):
    """A saved SentenceTransformer whose coordinates are words, with prompts of its own, one of them on by default."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import BoW

    folder = tmp_path_factory.mktemp("models") / "bow"
    words = ["hello", "world", "passage:", "query:", "stored:", "wrong"]
    model = SentenceTransformer(
        modules=[BoW(vocab=words)],
        prompts={"passage": "stored: ", "document": "wrong ", "query": "wrong "},
        default_prompt_name="passage",
        device="cpu",
    )
    model.save(str(folder))
    (hello,) = SentenceTransformer(str(folder), device="cpu").encode(["hello"])
    assert hello[words.index("stored:")] > 0  # left to itself the saved model does add its own prompt

    def load(**prefixes):
        facts = {"model": str(folder), "dimension": len(words), "max_tokens": 0, **prefixes}
        spec = replace(find_spec("minilm"), name="bow", **facts)
        return load_embedder("bow", {"bow": spec})

    def vector(text):
        counts = np.array([text.split().count(word) for word in words], dtype=np.float32)
        return counts / np.linalg.norm(counts)

    return load, vector


def test_our_prefixes_replace_those_the_model_was_saved_with(bag_of_words):
    load, vector = bag_of_words
    embedder = load(query_prefix="query: ", passage_prefix="passage: ")
    np.testing.assert_allclose(embedder.embed_passages(["hello"])[0], vector("passage: hello"), atol=1e-6)
    np.testing.assert_allclose(embedder.embed_queries(["hello"])[0], vector("query: hello"), atol=1e-6)


def test_an_empty_prefix_means_the_bare_text(bag_of_words):
    load, vector = bag_of_words
    embedder = load()
    for embed in (embedder.embed_passages, embedder.embed_queries):
        np.testing.assert_allclose(embed(["hello world"])[0], vector("hello world"), atol=1e-6)


def test_a_dimension_that_the_model_does_not_have_is_refused(bag_of_words):
    load, _ = bag_of_words
    with pytest.raises(RagError, match="gave vectors of 6 dimensions, its entry says 7"):
        load(dimension=7).embed_passages(["hello"])
    np.testing.assert_allclose(load(dimension=1).embed_passages(["hello world"]), [[1]])  # cut, and unit length again


def test_tokenizers_that_are_not_transformers_count_too(bag_of_words, tmp_path):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer

    from rag.embedders.files import locate

    load, _ = bag_of_words
    assert load(passage_prefix="passage: ").count_tokens(["hello world", "hello"]) == [3, 2]
    tokenizer = Tokenizer.from_file(str(locate(find_spec("wordllama").tokenizer)))
    module = StaticEmbedding(tokenizer, np.ones((tokenizer.get_vocab_size(), 2), dtype=np.float32))
    SentenceTransformer(modules=[module], device="cpu").save(str(tmp_path / "static"))
    static = variant("minilm", model=str(tmp_path / "static"), dimension=2, max_tokens=0)
    texts = [text for text in TEXTS if text]
    assert static.count_tokens(texts) == load_embedder("wordllama").count_tokens(texts)


# --- the table


def test_entries_that_lack_nothing_construct():
    for name in NAMES:
        assert not lacks(find_spec(name))
        assert load_embedder(name).spec == find_spec(name)


def test_no_two_entries_share_a_fingerprint():
    fingerprints = [spec.fingerprint for spec in table_specs().values()]
    assert len(set(fingerprints)) == len(fingerprints)


CHANGE_VECTORS = {
    "provider", "model", "tokenizer", "revision", "dimension", "max_tokens", "passage_prefix", "precision"
}  # fmt: skip


@pytest.mark.parametrize("fact", [field.name for field in fields(EmbedderSpec)])
def test_the_fingerprint_changes_with_each_fact_that_changes_vectors_and_with_no_other(fact):
    spec = find_spec("wordllama")
    old = getattr(spec, fact)
    new = (*old, "xx") if isinstance(old, tuple) else old + 1 if isinstance(old, int | float) else old + "x"
    assert (replace(spec, **{fact: new}).fingerprint != spec.fingerprint) == (fact in CHANGE_VECTORS)


def test_fingerprints_stay_what_they_are():
    """A change here makes every stored vector of every user worthless: change `revision` instead, where one is due."""
    spec = replace(find_spec("hash"), revision="1", dimension=512)
    assert spec.fingerprint == "7e063f56b0ffa8fb"


# --- errors


def entry(**changes):
    return {**tomllib.loads(TABLE.read_text(encoding="utf-8"))["hash"], **changes}


def test_unknown_names_are_errors_with_the_nearest_known_one():
    with pytest.raises(UsageError, match=r"No embedder 'minlm'. Did you mean 'minilm'"):
        load_embedder("minlm")
    with pytest.raises(UsageError, match=r"No provider 'statik', in \[mine\] of rag.toml. Did you mean 'static'"):
        parse_spec("mine", entry(provider="statik"), "rag.toml", PROVIDERS)
    with pytest.raises(UsageError, match=r"No key 'dimensoin' of an embedder.*Did you mean 'dimension'"):
        parse_spec("mine", entry(dimensoin=3), "rag.toml", PROVIDERS)
    lacking = entry()
    del lacking["licence"]
    with pytest.raises(UsageError, match=r"\[mine\] in rag.toml lacks licence\."):
        parse_spec("mine", lacking, "rag.toml", PROVIDERS)
    assert set(PROVIDERS) >= {"hash", "static", "sentence-transformers"}


def test_a_model_that_is_not_here_is_an_error_and_not_a_download():
    spec = replace(find_spec("minilm"), name="far", model="nobody/a-model-that-is-not-here")
    with pytest.raises(MissingDependencyError, match=r"'nobody/a-model-that-is-not-here'.*HF_HUB_OFFLINE=0"):
        load_embedder("far", {"far": spec})
    assert "download" in lacks(spec)
    missing = replace(find_spec("wordllama"), name="gone", model="wordllama:weights/none.safetensors")
    with pytest.raises(MissingDependencyError, match=r"holds no 'weights/none.safetensors'"):
        load_embedder("gone", {"gone": missing})
    assert "holds no" in lacks(missing)


def test_an_embedder_is_loaded_once():
    assert load_embedder("hash") is load_embedder("hash")
    assert variant("hash", dimension=64) is not load_embedder("hash")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("dimension", 0),
        ("dimension", "512"),
        ("dimensions", [0]),
        ("max_tokens", -1),
        ("batch", True),
        ("timeout", "5"),
        ("languages", 5),
        ("languages", "en"),
        ("model", 3),
        ("precision", "float8"),
        ("made_for", "clustering"),
    ],
)
def test_an_entry_of_the_wrong_type_is_refused_with_its_value(key, value):
    with pytest.raises(UsageError, match=re.escape(f"{key} = {value!r} of the embedder [mine] in rag.toml should be")):
        parse_spec("mine", entry(**{key: value}), "rag.toml", PROVIDERS)
