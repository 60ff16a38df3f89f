"""What a peer's script does around its library: it builds a store, or opens one that was built and tells what is in it.

python -m benchmarks.peers.NAME build|inspect FOLDER STORE MODEL
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks.peers.documents import Record, questions, read_records

CHUNK_SIZE, CHUNK_OVERLAP = 800, 100  # characters
MAX_TOKENS = 256
COMMON = ("torch", "transformers", "sentence-transformers")


@dataclass(frozen=True, slots=True)
class Store:
    """A store that was opened anew: the texts that were embedded, the id of each one's document, the number of vectors.

    `find` returns the ids of the documents whose chunks are nearest to a question, best first.
    """

    passages: Sequence[str]
    documents: Sequence[str]
    vectors: int
    find: Callable[[str], Sequence[str]]


def main(
    build: Callable[[Sequence[Record], Path, str], None],
    open_store: Callable[[Path, str], Store],
    packages: Sequence[str],
) -> None:
    """Does what the command line asks for and prints what `inspect` finds as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("action", choices=("build", "inspect"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("store", type=Path)
    parser.add_argument("model")
    asked = parser.parse_args()
    records = read_records(asked.folder)
    if asked.action == "build":
        build(records, asked.store, asked.model)
        return
    store = open_store(asked.store, asked.model)
    asked_for = questions(records)
    report = {
        "passages": list(store.passages),
        "documents": len(set(store.documents)),
        "vectors": store.vectors,
        "questions": len(asked_for),
        "found": sum(document in store.find(question) for question, document in asked_for),
        "versions": {package: version(package) for package in (*packages, *COMMON)},
    }
    print(json.dumps(report))
