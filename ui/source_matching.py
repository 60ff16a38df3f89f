"""Finds the document of a corpus that a person means by a path, a file's name, a title or an address."""

import difflib
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from rag.library import Library

NEAR = 0.6
LISTED = 4


@dataclass(frozen=True, slots=True)
class Match:
    """The source that is meant, or why none could be told."""

    source: str = ""
    problem: str = ""


class SourceMatcher:
    """Knows the documents of one corpus by all that they may be called."""

    def __init__(self, library: Library, corpus: str) -> None:
        rows = library.database.query("SELECT source, title FROM documents WHERE corpus = ? ORDER BY source", (corpus,))
        titles = dict(rows.fetchall())
        self._corpus = corpus
        self._sources = set(titles)
        self._paths = _by(titles, plain)
        self._names = _by(titles, lambda source: plain(PurePosixPath(source).name))
        self._stems = _by(titles, lambda source: plain(PurePosixPath(source).stem))
        self._titles = _by(titles, lambda source: plain(titles[source]))

    def match(self, name: str) -> Match:
        """Returns the document: by its source, else by the end of its path, its file's name, its title.

        The first of these by which any document is called so decides; where it is several, none is chosen.
        """
        if name in self._sources:
            return Match(name)
        for found in self._candidates(name):
            if len(found) == 1:
                return Match(found[0])
            if found:
                listed = ", ".join(f"'{source}'" for source in found[:LISTED])
                more = f" and {len(found) - LISTED} more" if len(found) > LISTED else ""
                return Match(problem=f"'{name}' may be {listed}{more}. Write the whole path.")
        return Match(problem=f"'{self._corpus}' holds no document '{name}'.{self._hint(name)}")

    def match_all(self, cell: str) -> list[Match]:
        """Returns the documents that a cell names: one, or several that are parted by ';', '|' or line breaks."""
        whole = self.match(cell)
        parts = _parts(cell)
        if whole.source or len(parts) < 2:
            return [whole]
        return [self.match(part) for part in parts]

    def _candidates(self, name: str) -> Iterable[list[str]]:
        path = plain(_path_of(name))
        yield self._paths.get(path, [])
        steps = [step for step in path.split("/") if step not in ("", ".")]
        for first in range(1, len(steps)):  # a path that is written from further up than the ingested folder
            if found := self._paths.get("/".join(steps[first:]), []):
                yield found
        last = steps[-1] if steps else path
        named = self._names.get(last, [])
        if len(steps) > 1:  # a path that is written from further down
            yield [source for source in named if plain(source).endswith("/" + "/".join(steps))]
        yield named
        yield self._titles.get(plain(name), [])
        yield self._stems.get(last, []) if not PurePosixPath(last).suffix else []  # a.docx is not a.pdf

    def _hint(self, name: str) -> str:
        called = {**self._stems, **self._names, **self._titles, **self._paths}
        called.pop("", None)
        near = difflib.get_close_matches(plain(_path_of(name)), called, n=1, cutoff=NEAR)
        return f" Did you mean '{called[near[0]][0]}'?" if near else ""


def plain(text: str) -> str:
    """Returns a name as it is compared: composed, in small letters, single spaces, '/' between folders."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().replace("\\", "/").split()).removeprefix("./")


def _path_of(name: str) -> str:
    """Returns the path of an address, anything else as it is."""
    if "://" not in name:
        return name
    try:
        return unquote(urlsplit(name).path) or name
    except ValueError:
        return name


def _parts(cell: str) -> list[str]:
    for mark in (";", "|", "\n"):
        parts = [part.strip() for part in cell.split(mark) if part.strip()]
        if len(parts) > 1:
            return parts
    return [cell]


def _by(titles: Mapping[str, str], name_of: Callable[[str], str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for source in titles:
        if name := name_of(source):
            found.setdefault(name, []).append(source)
    return found
