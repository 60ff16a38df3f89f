"""Embedders by name: reads the table and the user's own entries, and loads a provider only when it is used."""

import importlib
import threading
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import cast

from rag.embedders.entries import parse_spec
from rag.embedders.spec import Embedder, EmbedderSpec
from rag.errors import UsageError, unknown_name

PROVIDERS = {
    "sentence-transformers": "rag.embedders.sentence_transformer:SentenceTransformerEmbedder",
    "static": "rag.embedders.static:StaticEmbedder",
    "hash": "rag.embedders.hashing:HashEmbedder",
    "openai": "rag.embedders.openai:OpenAIEmbedder",
    "cohere": "rag.embedders.cohere:CohereEmbedder",
    "voyage": "rag.embedders.voyage:VoyageEmbedder",
    "ollama": "rag.embedders.ollama:OllamaEmbedder",
    "google": "rag.embedders.google:GoogleEmbedder",
    "mistral": "rag.embedders.mistral:MistralEmbedder",
    "tei": "rag.embedders.tei:TeiEmbedder",
    "langchain": "rag.embedders.langchain:LangChainEmbedder",
    "control": "rag.embedders.controls:ControlEmbedder",
}
"""Each provider in a file of its own, imported when it is used: nobody waits for a client that he does not need."""

TABLE = Path(__file__).with_name("table.toml")
"""The entries that need neither a download nor a key."""

TABLES = (TABLE, *(TABLE.with_name(f"{name}.toml") for name in ("static", "downloads", "served", "hosted")))
"""All files of entries, in the order in which they are shown."""

_loaded: dict[EmbedderSpec, Embedder] = {}
_loading = threading.Lock()


@cache
def table_specs() -> Mapping[str, EmbedderSpec]:
    """Reads the entries of all tables in their order; raises UsageError for a name that two of them have."""
    specs: dict[str, EmbedderSpec] = {}
    for path in TABLES:
        for spec in read_table(path):
            if spec.name in specs:
                raise UsageError(f"The embedder [{spec.name}] is in {path.name} and in a table before it. Rename one.")
            specs[spec.name] = spec
    return specs


def read_table(path: Path) -> list[EmbedderSpec]:
    """Reads the entries of one file; raises UsageError for what is missing, unknown or of the wrong kind."""
    entries = tomllib.loads(path.read_text(encoding="utf-8"))
    return [parse_spec(name, entry, path.name, PROVIDERS) for name, entry in entries.items()]


def find_spec(name: str, specs: Mapping[str, EmbedderSpec] | None = None) -> EmbedderSpec:
    """Returns the entry of that name; raises UsageError with the nearest known name where there is none."""
    known = table_specs() if specs is None else specs
    if name not in known:
        raise unknown_name("embedder", name, known)
    return known[name]


def load_embedder(name: str, specs: Mapping[str, EmbedderSpec] | None = None) -> Embedder:
    """Loads the embedder of that name, or returns the one this process has loaded already.

    `specs` adds the user's own entries (`Settings.embedders`); without it the table alone is known. Raises UsageError
    for an unknown name and MissingDependencyError where the model or a package is not there.
    """
    spec = find_spec(name, specs)
    with _loading:
        if spec not in _loaded:
            module, _, attribute = PROVIDERS[spec.provider].partition(":")
            _loaded[spec] = cast(Embedder, getattr(importlib.import_module(module), attribute)(spec))
        return _loaded[spec]
