"""JSON and lines of JSON as text for reading: objects as paragraphs of "key: value", or as the prose they hold."""

import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import PurePath

from ingest.content_kinds import known_kind
from ingest.decoding import decode, looks_like_text, start_of_text
from ingest.errors import NoTextError
from ingest.text_building import TextBuilder, choose_title, clean_text, one_line
from rag.schema import ParsedDocument

FORMAT = "json"
SUFFIXES = frozenset({".json", ".jsonl", ".ndjson", ".geojson", ".jsonld"})

_LINES_SUFFIXES = frozenset({".jsonl", ".ndjson"})
_FIRST_KEY = re.compile(r'\s*(?:\[\s*)?\{\s*"[^"\n]*"\s*:')
_TITLE_KEYS = ("title", "headline", "subject", "question", "name")
_TEXT_KEYS = ("text", "body", "content", "contents", "answer", "abstract", "description", "summary", "message")
_LONG = 200
"""Characters from which on a text stands alone, as one with line ends does."""

_MAX_PATH = 300
"""Characters of a path that are kept, its last ones: it is written at every value below it."""

MAX_NUMBERS = 32
"""A longer list of nothing but numbers is a vector or an outline on a map, which nobody reads or searches."""


class _Object(tuple[tuple[str, object], ...]):
    """The members of an object in their order; two of them may have the same key."""

    __slots__ = ()

    def text_at(self, keys: tuple[str, ...]) -> tuple[str, str] | None:
        """Returns the first of the keys under which text stands, as it is spelled there, and the text."""
        for wanted in keys:
            for key, value in self:
                if key.lower() == wanted and isinstance(value, str) and not isinstance(value, _Number):
                    text = clean_text(value)
                    if text.strip():
                        return one_line(key), text
        return None


class _Number(str):
    """A number as it was written, of any size and precision, or NaN."""

    __slots__ = ()


Leaf = tuple[str, str | list[object]]
"""Where a value stands, as "a.b", and the value: text, or a list that does not read well on one line."""


def accepts(data: bytes, name: str) -> bool:
    """Accepts text that is named as JSON, and under other names what is JSON from the first to the last character."""
    if known_kind(data) or not looks_like_text(data):
        return False
    if PurePath(name).suffix.lower() in SUFFIXES:
        return True
    return start_of_text(data).lstrip().startswith(("{", "[")) and _is_json(decode(data).text)


def parse(data: bytes, name: str) -> ParsedDocument:
    """Returns all keys and values except long lists of numbers, or the text as it is where it is not valid JSON."""
    text, warnings = decode(data)
    if not text.strip():
        raise NoTextError("The JSON file holds only white space.")
    writer = _Writer()
    try:
        value, problems = _load(text, PurePath(name).suffix.lower() in _LINES_SUFFIXES)
        writer.write(value)
    except (ValueError, RecursionError) as error:
        return ParsedDocument("", text, warnings=(*warnings, _problem(error)))
    if not writer.builder.text:
        raise NoTextError("The JSON file holds no values.")
    if writer.left_out:
        problems.append(f"{writer.left_out} lists of more than {MAX_NUMBERS} numbers are left out.")
    found = value.text_at(_TITLE_KEYS) if isinstance(value, _Object) else None
    title = choose_title(found[1] if found else None)
    return ParsedDocument(title, writer.builder.text, headings=writer.builder.headings, warnings=(*warnings, *problems))


def why_not_json(text: str) -> str | None:
    """Returns a warning for a text that starts as JSON does and is not valid; None for all others."""
    try:
        if _FIRST_KEY.match(text):
            _load(text, False)
    except (ValueError, RecursionError) as error:
        return _problem(error)
    return None


def _is_json(text: str) -> bool:
    try:
        _load(text, False)
    except (ValueError, RecursionError):
        return False
    return True


def _problem(error: ValueError | RecursionError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return (
            f"It is not valid JSON (line {error.lineno}, column {error.colno}: {error.msg}); it is kept as plain text."
        )
    return "Its JSON is nested too deeply to be read; it is kept as plain text."


def _load(text: str, is_lines: bool) -> tuple[object, list[str]]:
    """Returns the value of a text, a list where each line is a value, and what is wrong with it.

    Of lines that are named as such up to half may be broken. Raises JSONDecodeError and RecursionError.
    """
    try:
        return _load_value(text), []
    except json.JSONDecodeError:
        lines = [line for line in text.split("\n") if line.strip()]
        if not is_lines and _load_line(lines[0]) is None:
            raise
        values = [_load_line(line) for line in lines]
        broken = values.count(None)
        if broken > (len(lines) / 2 if is_lines else 0):
            raise
    problems = [f"{broken} of {len(lines)} lines are not valid JSON; they are kept as they are."] if broken else []
    return [line if value is None else value[0] for line, value in zip(lines, values, strict=True)], problems


def _load_value(text: str) -> object:
    value: object = json.loads(
        text, object_pairs_hook=_Object, parse_int=_Number, parse_float=_Number, parse_constant=_Number
    )
    return value


def _load_line(line: str) -> tuple[object] | None:
    try:
        return (_load_value(line),)
    except json.JSONDecodeError:
        return None


class _Writer:
    """Writes a value: what a file holds at its top with headings and lines, the objects in a list as paragraphs."""

    def __init__(self) -> None:
        self.builder = TextBuilder()
        self.left_out = 0

    def write(self, value: object) -> None:
        """Writes the value of a file."""
        if isinstance(value, list):
            self._write_items(value, 1)
        else:
            self._write_top(value)

    def _write_top(self, value: object) -> None:
        """Writes each field on a line of its own, then long texts, then each list as a section."""
        leaves = list(self._leaves(value, ""))
        level = self._write_prose(value, leaves, 1)
        lists = [(where, leaf) for where, leaf in leaves if isinstance(leaf, list)]
        texts = [(where, leaf) for where, leaf in leaves if isinstance(leaf, str)]
        gap = 2
        for where, text in sorted(texts, key=lambda field: _is_long(field[1])):
            self.builder.add(_field(where, text), gap=2 if _is_long(text) else gap)
            gap = 1
        for where, items in lists:
            if where:
                self.builder.add_heading(where, level)
            self._write_items(items, level + bool(where))

    def _write_items(self, items: list[object], level: int) -> None:
        was_object = True
        for item in items:
            is_object = isinstance(item, _Object)
            leaves = list(self._leaves(item, ""))
            self._write_prose(item, leaves, level)
            gap = 2 if is_object or was_object else 1
            was_object = is_object
            for line in self._lines(leaves):
                self.builder.add(line, gap)
                gap = 1

    def _write_prose(self, value: object, leaves: list[Leaf], level: int) -> int:
        """Writes an object's text under its title as a heading, and takes both from its leaves; returns the next level.

        Does nothing for an object without such a text, or with a short one that no title belongs to.
        """
        text = value.text_at(_TEXT_KEYS) if isinstance(value, _Object) else None
        title = value.text_at(_TITLE_KEYS) if isinstance(value, _Object) else None
        if title and _is_long(title[1]):
            title = None
        if text is None or not (title or _is_long(text[1])):
            return level
        if title:
            self.builder.add_heading(title[1], level)
            leaves.remove(title)
            level += 1
        self.builder.add(text[1].strip(), gap=2)
        leaves.remove(text)
        return level

    def _lines(self, leaves: Iterable[Leaf]) -> list[str]:
        """Returns short fields on one line, then long ones and the objects of lists on lines of their own."""
        fields: list[str] = []
        below: list[str] = []
        for where, leaf in leaves:
            if isinstance(leaf, list):
                below += chain.from_iterable(self._lines(self._leaves(item, where)) for item in leaf)
            elif _is_long(leaf):
                below.append(_field(where, leaf))
            else:
                fields.append(_field(where, leaf))
        return ["; ".join(fields), *below] if fields else below

    def _leaves(self, value: object, where: str) -> Iterator[Leaf]:
        """Yields what stands in a value and is not empty."""
        if isinstance(value, _Object):
            for key, member in value:
                below = ".".join(filter(None, (where, one_line(key))))
                yield from self._leaves(member, below[-_MAX_PATH:])
        elif not isinstance(value, list):
            text = _spelled(value)
            if text.strip():
                yield where, text
        elif _count_numbers(value) > MAX_NUMBERS:
            self.left_out += 1
        elif any(isinstance(item, (_Object, list)) or _is_long(_spelled(item)) for item in value):
            yield where, value
        else:
            text = ", ".join(filter(None, (one_line(_spelled(item)) for item in value)))
            if text:
                yield where, text


def _spelled(value: object) -> str:
    if isinstance(value, str):
        return clean_text(value)
    return {True: "true", False: "false"}.get(value, "") if isinstance(value, bool) else ""


def _field(where: str, text: str) -> str:
    text = text.strip() if _is_long(text) else one_line(text)
    return f"{where}: {text}" if where else text


def _is_long(text: str) -> bool:
    return len(text) > _LONG or "\n" in text.strip()


def _count_numbers(values: list[object]) -> int:
    """Counts the numbers in a list, and in lists inside it; 0 where it holds anything else."""
    total = 0
    for value in values:
        count = _count_numbers(value) if isinstance(value, list) else int(isinstance(value, _Number))
        if not count:
            return 0
        total += count
    return total
