"""Files of one JSON object a line, read so that every complaint names file and line."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.tasks.beir import identifier, json_object, malformed, read_lines
from rag.errors import UsageError

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Record:
    """A line of a file: its number from 1, as it is written, and as JSON."""

    path: Path
    number: int
    line: str
    fields: Mapping[str, Any]

    def error(self, remedy: str) -> UsageError:
        """Builds the error for a line that cannot be used."""
        return malformed(self.path, self.number, self.line, remedy)

    def text(self, name: str) -> str:
        """Returns a field that must be a text with something in it; raises UsageError where it is not."""
        value = self.fields.get(name)
        if name not in self.fields:
            raise self.error(f'It has no "{name}". Add it.')
        if not isinstance(value, str) or not value.strip():
            raise self.error(f'"{name}" must be a text that is not empty.')
        if _LONE_SURROGATE.search(value):
            raise self.error(f'"{name}" holds half a character (a lone surrogate), which no tokenizer reads.')
        return value

    def finite(self, name: str) -> float:
        """Returns a field that must be a finite number; raises UsageError where it is not."""
        value = self.fields.get(name)
        if name not in self.fields:
            raise self.error(f'It has no "{name}". Add it.')
        if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
            raise self.error(f'"{name}" must be a number.')
        return float(value)

    def identifier(self) -> str:
        """Returns the line's "_id", else its number; raises UsageError for what cannot be one."""
        found = identifier(self.fields.get("_id", self.number))
        if found is None:
            raise self.error('"_id" must be a whole number, or a text without NUL and half characters.')
        return found


def read_records(path: Path, needed_by: str) -> Iterator[Record]:
    """Yields the lines that are not blank, one at a time.

    Raises UsageError for a file that is not there (`needed_by` says what needs it), that is not UTF-8, and for a line
    that is no JSON object.
    """
    if not path.is_file():
        raise UsageError(f"{path} does not exist. {needed_by} needs it.")
    for number, line in read_lines(path):
        yield Record(path, number, line, json_object(path, number, line, "Each line must be a JSON object."))


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that no float holds
        return False
