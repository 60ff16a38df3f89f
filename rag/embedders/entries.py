"""Entries of embedders, as TOML gives them, into specs: every key known, every value of its kind."""

from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields
from typing import Any, get_type_hints

from rag.embedders.spec import EmbedderSpec
from rag.errors import UsageError, unknown_name

CHOICES = {
    "precision": ("float32", "bfloat16", "int8"),
    "made_for": ("retrieval", "similarity", "general"),
}

_TYPES = {key: kind for key, kind in get_type_hints(EmbedderSpec).items() if key != "name"}
_NEEDED = [field.name for field in fields(EmbedderSpec) if field.default is MISSING and field.name != "name"]
_NAMES = {
    str: "a text in quotes",
    int: "a whole number of at least 0",
    float: "a number of at least 0",
    tuple[str, ...]: "a list of texts",
    tuple[int, ...]: "a list of whole numbers of at least 1",
}


def parse_spec(name: str, entry: Mapping[str, Any], where: str, providers: Collection[str]) -> EmbedderSpec:
    """Makes an entry into a spec; raises UsageError for what is missing, unknown or of the wrong kind."""
    for key in entry:
        if key not in _TYPES:
            raise unknown_name("key", key, _TYPES, where=f" of an embedder, in [{name}] of {where}")
    missing = [key for key in _NEEDED if key not in entry]
    if missing:
        raise UsageError(f"The embedder [{name}] in {where} lacks {', '.join(missing)}. Add what is missing.")
    if entry["provider"] not in providers:
        raise unknown_name("provider", str(entry["provider"]), providers, where=f", in [{name}] of {where}")
    for key, value in entry.items():
        if not _fits(key, value):
            raise UsageError(f"{key} = {value!r} of the embedder [{name}] in {where} should be {_wanted(key)}.")
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
    return EmbedderSpec(name=name, **values)


def _wanted(key: str) -> str:
    """Says in words what a value should be."""
    if key in CHOICES:
        return f"one of {', '.join(CHOICES[key])}"
    return "a whole number of at least 1" if key == "dimension" else _NAMES[_TYPES[key]]


def _fits(key: str, value: object) -> bool:
    """Tells whether a value is of its key's kind."""
    kind = _TYPES[key]
    if kind is str:
        return isinstance(value, str) and value in CHOICES.get(key, (value,))
    if kind in (int, float):
        allowed = int if kind is int else int | float
        return isinstance(value, allowed) and not isinstance(value, bool) and value >= (key == "dimension")
    if not isinstance(value, list):
        return False
    return all(type(item) is int and item > 0 if kind == tuple[int, ...] else isinstance(item, str) for item in value)
