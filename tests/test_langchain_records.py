"""LangChain's documents come back from the library as they were, or are refused."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.documents import Document

from langchain_stores import stores
from rag.errors import UsageError
from rag.langchain_records import CHUNKER, from_ours, label, to_ours


@pytest.fixture
def open_store(tmp_path):
    with stores(tmp_path / "home") as open_one:
        yield open_one


def test_equal_content_gets_an_equal_id(open_store):
    store = open_store()
    first = store.add_documents([Document("tea"), Document("tea", metadata={"a": 1}), Document("tea")])
    assert first[0] == first[2] != first[1]
    assert store.add_documents([Document("tea")]) == first[:1]
    assert len(store.similarity_search("tea", k=9)) == 2


def test_text_that_looks_like_metadata_is_text(open_store):
    store = open_store()
    store.add_texts(["tea"], [{"a": 1}], ids=["x"])
    store.add_texts(['tea\n\n{"a": 1}'], ids=["x"])
    assert store.similarity_search("tea", k=9) == [Document('tea\n\n{"a": 1}', id="x")]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(text=TEXT, metadata=st.dictionaries(TEXT, JSON, max_size=4))
def test_documents_come_back_as_they_were(text, metadata):
    (document,) = label([text], [metadata], None)
    ours = to_ours("c", document, "f")
    (chunk,) = ours.chunks[CHUNKER]
    assert from_ours(ours.document.source, ours.document.text, chunk.end) == document


def test_empty_texts_and_odd_characters_are_stored(open_store):
    texts = ["", " \n", "nul \x00 inside", "中文 😀", "two\n\n{lines}"]
    store = open_store()
    store.add_texts(texts, [{"n": number, "\x00": "😀"} for number in range(5)], ids=list("abcde"))
    assert [document.page_content for document in store.get_by_ids(list("edcba"))] == texts[::-1]
    assert [document.metadata["n"] for document in store.get_by_ids(list("abcde"))] == [0, 1, 2, 3, 4]
    assert len(store.similarity_search("nul", k=9)) == 5


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"when": datetime.date(2026, 1, 1)}, "date is not JSON serializable"),
        ({"score": float("nan")}, "not JSON compliant"),
        ({"in": {1: "one"}}, "a key is not a string"),
    ],
)
def test_metadata_that_would_not_come_back_is_refused(open_store, metadata, reason):
    store = open_store()
    with pytest.raises(UsageError, match=rf"metadata of the document 'b' cannot be kept as JSON: .*{reason}"):
        store.add_texts(["fine", "not"], [{}, metadata], ids=["a", "b"])
    assert store.get_by_ids(["a", "b"]) == []
    store.add_texts(["tuple"], [{"box": ((1, 2), (3, 4))}], ids=["t"])
    assert store.get_by_ids(["t"])[0].metadata == {"box": [[1, 2], [3, 4]]}


def test_what_cannot_be_stored_is_refused(open_store):
    store = open_store()
    with pytest.raises(UsageError, match=r"'a' holds half of a surrogate pair"):
        store.add_texts(["\ud83d"], ids=["a"])
    with pytest.raises(UsageError, match=r"has an empty id"):
        store.add_texts(["tea"], ids=[""])
    with pytest.raises(ValueError, match=r"2 texts, but 1 metadatas"):
        store.add_texts(["a", "b"], [{}])
    with pytest.raises(ValueError, match=r"1 texts, but 2 ids"):
        store.add_texts(["a"], ids=["a", "b"])
    assert store.add_texts([]) == []
