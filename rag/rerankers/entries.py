"""Entries of rerankers, as TOML gives them, into specs: every key known, every value of its kind."""

from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields
from typing import Any, get_type_hints

from rag.errors import UsageError, unknown_name
from rag.rerankers.spec import RerankerSpec

_TYPES = {key: kind for key, kind in get_type_hints(RerankerSpec).items() if key != "name"}
_NEEDED = [field.name for field in fields(RerankerSpec) if field.default is MISSING and field.name != "name"]
_NAMES = {
    str: "a text in quotes",
    int: "a whole number of at least 0",
    float: "a number of at least 0",
    tuple[str, ...]: "a list of texts",
}


def parse_reranker(name: str, entry: Mapping[str, Any], where: str, providers: Collection[str]) -> RerankerSpec:
    """Makes an entry into a spec; raises UsageError for what is missing, unknown or of the wrong kind."""
    for key in entry:
        if key not in _TYPES:
            raise unknown_name("key", key, _TYPES, where=f" of a reranker, in [{name}] of {where}")
    missing = [key for key in _NEEDED if key not in entry]
    if missing:
        raise UsageError(f"The reranker [{name}] in {where} lacks {', '.join(missing)}. Add what is missing.")
    if entry["provider"] not in providers:
        raise unknown_name("provider", str(entry["provider"]), providers, where=f", in [{name}] of {where}")
    for key, value in entry.items():
        if not _fits(_TYPES[key], value):
            raise UsageError(f"{key} = {value!r} of the reranker [{name}] in {where} should be {_NAMES[_TYPES[key]]}.")
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
    return RerankerSpec(name=name, **values)


def _fits(kind: object, value: object) -> bool:
    if kind is str:
        return isinstance(value, str)
    if kind in (int, float):
        allowed = int if kind is int else int | float
        return isinstance(value, allowed) and not isinstance(value, bool) and value >= 0
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
