"""Rerankers by name: reads the table and the user's own entries, and loads a provider only when it is used."""

import importlib
import threading
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import cast

from rag.errors import unknown_name
from rag.rerankers.entries import parse_reranker
from rag.rerankers.spec import Reranker, RerankerSpec

PROVIDERS = {
    "cross-encoder": "rag.rerankers.cross_encoder:CrossEncoderReranker",
    "cohere": "rag.rerankers.cohere:CohereReranker",
    "voyage": "rag.rerankers.voyage:VoyageReranker",
    "tei": "rag.rerankers.tei:TeiReranker",
}
"""Each provider in a file of its own, imported when it is used."""

TABLE = Path(__file__).with_name("table.toml")

_loaded: dict[RerankerSpec, Reranker] = {}
_loading = threading.Lock()


@cache
def table_rerankers() -> Mapping[str, RerankerSpec]:
    """Reads the entries of the table; raises UsageError for what is missing, unknown or of the wrong kind."""
    entries = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return {name: parse_reranker(name, entry, TABLE.name, PROVIDERS) for name, entry in entries.items()}


def find_reranker(name: str, specs: Mapping[str, RerankerSpec] | None = None) -> RerankerSpec:
    """Returns the entry of that name, or that of a cross-encoder for a path to a model's folder.

    Raises UsageError with the nearest known name where there is neither.
    """
    known = specs or table_rerankers()
    if name in known:
        return known[name]
    folder = Path(name).expanduser()
    if (folder / "config.json").is_file():
        return RerankerSpec(name, "cross-encoder", str(folder.absolute()), "", 0, ("any",), "", str(folder))
    raise unknown_name("reranker", name, known)


def load_reranker(name: str, specs: Mapping[str, RerankerSpec] | None = None) -> Reranker:
    """Loads the reranker of that name, or returns the one this process has loaded already.

    `specs` adds the user's own entries (`Settings.rerankers`); without it the table alone is known. Raises UsageError
    for an unknown name and MissingDependencyError where the model or a package is not there.
    """
    spec = find_reranker(name, specs)
    with _loading:
        if spec not in _loaded:
            module, _, attribute = PROVIDERS[spec.provider].partition(":")
            _loaded[spec] = cast(Reranker, getattr(importlib.import_module(module), attribute)(spec))
        return _loaded[spec]
