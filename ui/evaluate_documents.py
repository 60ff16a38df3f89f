"""A finished evaluation as its files tell of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Saved:
    """A finished evaluation as the list shows it; `notes` tell of rows that could not be made."""

    id: str
    folder: Path
    created: str
    seconds: float | None
    tasks: tuple[str, ...]
    rows: int
    is_own: bool
    notes: tuple[str, ...] = ()
    leaders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Documents:
    """What the files of an evaluation say; `queries` is empty where nobody wrote down what became of each query."""

    saved: Saved
    results: Mapping[str, Any]
    comparisons: Mapping[str, Any]
    queries: Mapping[str, Any] = field(default_factory=dict)
