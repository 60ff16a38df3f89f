"""Turns as JSON and back: what a saved conversation is stored as. Whatever a turn holds is stored, by its types."""

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from rag.errors import RagError
from ui.turns import ChatTurn


def to_record(turn: ChatTurn) -> dict[str, Any]:
    """Returns a turn as values that JSON knows; its hits carry the texts of their chunks, as they were found."""
    record: dict[str, Any] = _plain(turn)
    return record


def from_record(record: Mapping[str, Any]) -> ChatTurn:
    """Reads a turn; a field that is unknown is left out, and one that was not stored has its default.

    Raises RagError for what another version of the program stored in a form that this one cannot read.
    """
    try:
        turn: ChatTurn = _read(ChatTurn, record)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RagError(f"This conversation was saved by another version of the program: {error}.") from error
    return turn


def _plain(value: Any) -> Any:
    """Returns dataclasses as objects, enumerations by their values, and numbers of NumPy as Python's."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value.item() if hasattr(value, "item") else value


def _read(kind: Any, value: Any) -> Any:
    """Returns a value of JSON as one of a type."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        wanted = [each for each in arguments if each is not type(None)]
        return None if value is None else _read(wanted[0], value)
    if origin is tuple:
        return tuple(_read(arguments[0], each) for each in value)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {key: _read(arguments[1], each) for key, each in value.items()}
    if isinstance(kind, type) and is_dataclass(kind):
        known = _types_of(kind)
        return kind(**{name: _read(known[name], each) for name, each in value.items() if name in known})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    return float(value) if kind is float else value


@cache
def _types_of(kind: Any) -> Mapping[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind) if field.init}
