"""Embedders by name: reads the table and the user's own entries, and loads a provider only when it is used."""

import importlib
import threading
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, cast

from rag.embedders.spec import Embedder, EmbedderSpec
from rag.errors import MissingDependencyError, UsageError, unknown_name

PROVIDERS = {
    "sentence-transformers": "rag.embedders.sentence_transformer:SentenceTransformerEmbedder",
    "static": "rag.embedders.static:StaticEmbedder",
    "hash": "rag.embedders.hashing:HashEmbedder",
}

TABLE = Path(__file__).with_name("table.toml")

_loaded: dict[EmbedderSpec, Embedder] = {}
_loading = threading.Lock()


@cache
def table_specs() -> Mapping[str, EmbedderSpec]:
    """Reads the entries of `table.toml` in their order."""
    entries = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return {name: parse_spec(name, entry, TABLE.name) for name, entry in entries.items()}


def parse_spec(name: str, entry: Mapping[str, Any], where: str) -> EmbedderSpec:
    """Makes an entry into a spec; raises UsageError for a missing or unknown key and for an unknown provider."""
    known = [field.name for field in fields(EmbedderSpec) if field.name != "name"]
    for key in entry:
        if key not in known:
            raise unknown_name("key", key, known, where=f" of an embedder, in [{name}] of {where}")
    needed = [key for key in known if key not in ("precision", "tokenizer")]
    missing = [key for key in needed if key not in entry]
    if missing:
        raise UsageError(f"The embedder [{name}] in {where} lacks {', '.join(missing)}. Add what is missing.")
    if entry["provider"] not in PROVIDERS:
        raise unknown_name("provider", str(entry["provider"]), PROVIDERS, where=f", in [{name}] of {where}")
    for key, value in entry.items():
        if not _fits(key, value):
            raise UsageError(f"{key} = {value!r} of the embedder [{name}] in {where} should be {_KINDS[key]}.")
    return EmbedderSpec(name=name, **{**entry, "languages": tuple(entry["languages"])})


_KINDS = {
    "dimension": "a whole number of at least 1",
    "max_tokens": "a whole number of at least 0",
    "usd_per_million_tokens": "a number of at least 0",
    "languages": "a list of language codes",
} | dict.fromkeys(
    (field.name for field in fields(EmbedderSpec) if field.type is str or field.type == "str"), "a text in quotes"
)


def _fits(key: str, value: object) -> bool:
    """Tells whether a value is of its key's kind."""
    if key in ("dimension", "max_tokens"):
        return isinstance(value, int) and not isinstance(value, bool) and value >= (key == "dimension")
    if key == "usd_per_million_tokens":
        return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    if key == "languages":
        return isinstance(value, list) and all(isinstance(code, str) for code in value)
    return isinstance(value, str)


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


def lacks(spec: EmbedderSpec) -> str:
    """Tells in a few words what an embedder lacks to be usable here and now; empty where it lacks nothing."""
    from rag.embedders.files import locate

    if spec.provider == "hash":
        return ""
    try:
        found = locate(spec.model)
    except MissingDependencyError as error:
        return str(error)
    return "" if found else "a download (HF_HUB_OFFLINE=0)"
