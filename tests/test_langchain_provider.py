"""Any LangChain `Embeddings` by import path."""

from dataclasses import replace

import numpy as np
import pytest

from rag.embedders.registry import find_spec, load_embedder
from rag.errors import MissingDependencyError, RagError, UsageError

KEY = "marker-5f3a9c1e7b2d"

MODULE = f"""
import os
from langchain_core.embeddings import Embeddings

class Lengths(Embeddings):
    def __init__(self, scale=2.0):
        self.scale = scale
    def embed_documents(self, texts):
        return [[self.scale, float(len(text))] for text in texts]
    def embed_query(self, text):
        return [self.scale, float(len(text))]

class Spoilt(Lengths):
    def embed_documents(self, texts):
        return [[float("nan"), 1.0] for text in texts]

class Zeros(Lengths):
    def embed_documents(self, texts):
        return [[0.0, 0.0] for text in texts]

class Short(Lengths):
    def embed_documents(self, texts):
        return super().embed_documents(texts[1:])

class Failing(Lengths):
    def embed_query(self, text):
        raise ConnectionError("refused with " + os.environ["TEST_KEY"])

class Wanting(Lengths):
    def __init__(self, key):
        self.key = key

def make():
    return Lengths(3.0)

def broken():
    raise ValueError("no key such as {KEY}")

instance = Lengths(4.0)
number = 5
"""


@pytest.fixture
def load(tmp_path, monkeypatch):
    (tmp_path / "my_models.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "my_models", raising=False)
    monkeypatch.setenv("TEST_KEY", KEY)

    def loaded(model, **facts):
        spec = replace(find_spec("hash"), name="mine", provider="langchain", model=model, dimension=2, **facts)
        return load_embedder("mine", {"mine": spec})

    return loaded


@pytest.mark.parametrize(("attribute", "scale"), [("Lengths", 2.0), ("make", 3.0), ("instance", 4.0)])
def test_a_class_a_function_and_an_instance_are_loaded(load, attribute, scale):
    embedder = load(f"my_models:{attribute}", query_prefix="q: ", passage_prefix="passage: ")
    expected = np.array([scale, len("passage: abc")])
    np.testing.assert_allclose(embedder.embed_passages(["abc"])[0], expected / np.linalg.norm(expected), atol=1e-6)
    expected = np.array([scale, len("q: abc")])
    np.testing.assert_allclose(embedder.embed_queries(["abc"])[0], expected / np.linalg.norm(expected), atol=1e-6)
    assert embedder.embed_passages([]).shape == (0, 2)
    assert not embedder.counts_exactly


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        ("my_models", UsageError, "should be an import path"),
        ("no_such_package.models:Lengths", MissingDependencyError, "needs the module 'no_such_package'"),
        ("my_models:Length", UsageError, "The module 'my_models' of the embedder .mine. has no 'Length'"),
        ("my_models:number", UsageError, "is no LangChain Embeddings"),
        ("my_models:os", UsageError, "is no LangChain Embeddings"),
        ("my_models:Wanting", UsageError, "cannot be made: TypeError: .*'key'"),
    ],
)
def test_what_is_no_embeddings_is_refused(load, model, error, message):
    with pytest.raises(error, match=message):
        load(model)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Spoilt", "zeros, or what is no number"),
        ("Zeros", "zeros, or what is no number"),
        ("Short", "1 vectors for 2 texts"),
    ],
)
def test_wrong_vectors_are_refused(load, name, message):
    with pytest.raises(RagError, match=message):
        load(f"my_models:{name}").embed_passages(["a", "b"])


def test_its_errors_are_told_without_the_key(load):
    with pytest.raises(RagError, match=r"my_models:Failing failed: ConnectionError: refused with \*\*\*") as caught:
        load("my_models:Failing", key="TEST_KEY").embed_queries(["a"])
    assert caught.value.__cause__ is caught.value.__context__ is None
    with pytest.raises(UsageError, match=r"cannot be made: ValueError: no key such as \*\*\*") as caught:
        load("my_models:broken", key="TEST_KEY")
    assert caught.value.__cause__ is caught.value.__context__ is None
