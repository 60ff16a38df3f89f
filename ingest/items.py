"""What there is to ingest: files found under the given paths, files inside archives, or records of a BEIR folder."""

import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ingest.archives import Member
from rag.errors import UsageError
from rag.library import FILE as LIBRARY
from rag.schema import ParsedDocument

RECORDS = "corpus.jsonl"
IN_RECORDS, IN_ARCHIVE = "#", "!/"
"""What stands in a path between a file and the part of it that is meant."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to ingest: a file, a member of an archive, or a record of a BEIR folder.

    `source` names it within the corpus; `path` is where it lies (of a record, the file and its id; of a member, the
    archive and its name); `root` is the given folder or file; `size` counts bytes. `place` is where a record's line
    starts in its file, `member` a member's name. `refusal` says why the item is not to be read at all, and
    `unreadable` that this is a failure, not a choice.
    """

    source: str
    path: str
    root: str
    size: int
    place: int | None = None
    member: str = ""
    refusal: str = ""
    unreadable: bool = False

    @property
    def file(self) -> Path:
        """The file that is to be read."""
        if self.place is not None:
            return Path(self.root) / RECORDS
        return Path(self.path.removesuffix(f"{IN_ARCHIVE}{self.member}") if self.member else self.path)

    def hash(self) -> str:
        """Returns the sha256 that tells whether a file or a record has changed; raises OSError."""
        if self.place is None:
            with self.file.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        record = self.record()
        return hashlib.sha256(f"{record.title}\x1f{record.text}".encode("utf-8", "surrogatepass")).hexdigest()

    def changed(self) -> str:
        """Returns the day on which the file was last changed, as 2024-03-01; "" for a record, or an unreadable file."""
        if self.place is not None:
            return ""
        try:
            return datetime.fromtimestamp(self.file.stat().st_mtime, UTC).date().isoformat()
        except (OSError, ValueError, OverflowError):
            return ""

    def record(self) -> ParsedDocument:
        """Reads a record of a BEIR folder; one that has only a title is a document of that text."""
        with self.file.open("rb") as file:
            file.seek(self.place or 0)
            return _parse_record(json.loads(file.read(self.size)))


def members_of(archive: Item, members: Iterable[Member]) -> list[Item]:
    """Returns the items for the members of an archive, whose sources continue that of the archive."""
    return [
        Item(
            source=f"{archive.source}/{member.name}",
            path=f"{archive.path}{IN_ARCHIVE}{member.name}",
            root=archive.root,
            size=member.size,
            member=member.name,
            refusal=member.refusal,
            unreadable=member.failed,
        )
        for member in members
    ]


def find_items(paths: Iterable[Path]) -> list[Item]:
    """Lists what lies under the paths, in a fixed order; a folder with corpus.jsonl and queries.jsonl is a BEIR folder.

    Hidden folders, symbolic links to folders and folders that cannot be read are listed as refused, not entered. Raises
    UsageError for a path that does not exist and for a broken BEIR file.
    """
    items: dict[str, Item] = {}
    for path in paths:
        check_exists(path)
        root = root_of(path)
        for item in beir_items(root) if is_beir(root) else _files(root):
            items.setdefault(item.path, item)  # a file under two of the given paths counts once
    return list(items.values())


def check_exists(path: Path) -> None:
    """Raises UsageError unless there is something at the path."""
    if not path.exists():
        raise UsageError(f"There is no file or folder at {path}. Check the path.")


def root_of(path: Path) -> Path:
    """Returns a given path as the ledger names it: absolute and without "..", so that one file has one name.

    A link that is given itself keeps its name: what it leads to may change.
    """
    return path.resolve() if path.name in ("", "..") else path.parent.resolve() / path.name


def _files(root: Path) -> Iterator[Item]:
    if not root.is_dir():
        yield _file(root, root)
        return
    closed: list[OSError] = []
    for folder, subfolders, names in os.walk(root, onerror=closed.append):
        here = Path(folder)
        entered = []
        for name in sorted(subfolders):
            reason = _closed(here / name)
            if reason:
                yield _refused(here / name, root, reason)
            else:
                entered.append(name)
        subfolders[:] = entered
        for name in sorted(names):
            if name.startswith("."):
                yield _refused(here / name, root, "a hidden file; give its path to ingest it")
            else:
                yield _file(here / name, root)
    for error in closed:
        reason = f"a folder that cannot be read: {error.strerror}"
        yield _refused(Path(error.filename), root, reason, unreadable=True)


def _closed(folder: Path) -> str:
    """Says why a folder is not entered, "" where it is."""
    if folder.name.startswith("."):
        return "a hidden folder; give its path to ingest it"
    if folder.is_symlink():
        return "a link to a folder, which is not followed; give its path to ingest it"
    if (folder / LIBRARY).is_file():
        return "a library of this program"
    return ""


def _file(path: Path, root: Path) -> Item:
    if _spelled(path) != str(path):
        return _refused(path, root, "its name is not valid UTF-8; rename it to ingest it")
    try:
        status = path.stat()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP):
            return _refused(path, root, "a link that leads nowhere")
        return _refused(path, root, f"cannot be read: {error.strerror}", unreadable=True)
    if not stat.S_ISREG(status.st_mode):
        return _refused(path, root, "not a regular file")
    return Item(_source(path, root), str(path), str(root), status.st_size)


def _refused(path: Path, root: Path, reason: str, unreadable: bool = False) -> Item:
    path, root = Path(_spelled(path)), Path(_spelled(root))
    return Item(_source(path, root), str(path), str(root), 0, refusal=reason, unreadable=unreadable)


def _source(path: Path, root: Path) -> str:
    return root.name if path == root else path.relative_to(root).as_posix()


def _spelled(path: Path) -> str:
    r"""Returns a path as text that can be stored and printed: bytes that are not UTF-8 become escapes like \xe9."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def is_beir(folder: Path) -> bool:
    """Tells whether a folder is a BEIR task with documents of its own."""
    return (folder / RECORDS).is_file() and (folder / "queries.jsonl").is_file()


def beir_items(folder: Path) -> Iterator[Item]:
    """Yields the records of corpus.jsonl, which are read again, one by one, when their turn comes.

    A record whose id an earlier line has is refused. Raises UsageError with file and line for what is not BEIR's.
    """
    path = folder / RECORDS
    seen: set[str] = set()
    place = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            start, place = place, place + len(line)
            if not line.strip():
                continue
            try:
                record = json.loads(line)
                key, parsed = str(record["_id"]), _parse_record(record)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise UsageError(
                    f'{path}, line {number}: {error!r}; a record is {{"_id": ..., "title": ..., "text": ...}}.'
                ) from None
            refusal, where = "" if parsed.text else "the record holds no text", f"{path}{IN_RECORDS}{key}"
            if key in seen:
                refusal, where = f"an earlier record has the id '{key}' as well", f"{where} (line {number})"
            seen.add(key)
            yield Item(key, where, str(folder), len(line), place=start, refusal=refusal)


def _parse_record(record: dict[str, Any]) -> ParsedDocument:
    title, text = record.get("title") or "", record.get("text") or ""
    if not isinstance(title, str) or not isinstance(text, str):
        raise TypeError("title and text must be strings")
    title, text = _whole_characters(title).strip(), _whole_characters(text).strip()
    return ParsedDocument(title, text) if text else ParsedDocument("", title)


def _whole_characters(text: str) -> str:
    r"""Returns a text with U+FFFD for half a surrogate pair, which JSON can spell and no UTF-8 can hold.

    >>> _whole_characters("half \ud83d, whole 😀") == "half \ufffd, whole 😀"
    True
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
