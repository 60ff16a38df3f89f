"""Stores of LangChain's kind over one library, and what the tests put into them."""

from contextlib import contextmanager

from rag.langchain_store import LibraryVectorStore

TEXTS = [
    "Saturn has bright rings of ice.",
    "Titan is the largest moon of Saturn.",
    "A worn chain skips over the teeth of the cassette.",
    "Green tea is brewed at eighty degrees.",
    "Black tea takes boiling water.",
]
METADATAS = [{"topic": "planets", "page": 1}, {"topic": "planets", "page": 2}, {"topic": "bicycles"}, {}, {"page": 2}]


@contextmanager
def stores(home):
    """Opens stores of one library, under `hash` unless told otherwise, and closes them at the end."""
    opened = []

    def open_one(embedding="hash", corpus="notes"):
        store = LibraryVectorStore(embedding, corpus, home=home)
        opened.append(store)
        return store

    yield open_one
    for store in opened:
        store.close()
