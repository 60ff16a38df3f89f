"""What there is to ingest: files found under the given paths, or the records of a BEIR folder."""

import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rag.errors import UsageError
from rag.schema import ParsedDocument


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to ingest: a file, or a record that comes parsed already.

    `source` names it within the corpus; `path` is where it lies (for a record, the file and its id); `root` the given
    folder or file; `size` its bytes. `refusal` says why it is not to be read at all, and `unreadable` that this is a
    failure, not a choice.
    """

    source: str
    path: str
    root: str
    size: int
    parsed: ParsedDocument | None = None
    refusal: str = ""
    unreadable: bool = False

    def read(self) -> bytes:
        """Returns the bytes whose sha256 tells whether the item has changed; raises OSError."""
        if self.parsed is None:
            return Path(self.path).read_bytes()
        return f"{self.parsed.title}\x1f{self.parsed.text}".encode("utf-8", "surrogatepass")


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
        for name in sorted(subfolders):
            if name.startswith(".") or (here / name).is_symlink():
                reason = "a hidden folder" if name.startswith(".") else "a link to a folder, which is not followed"
                yield _refused(here / name, root, f"{reason}; give its path to ingest it")
        subfolders[:] = sorted(n for n in subfolders if not n.startswith(".") and not (here / n).is_symlink())
        for name in sorted(names):
            if name.startswith("."):
                yield _refused(here / name, root, "a hidden file; give its path to ingest it")
            else:
                yield _file(here / name, root)
    for error in closed:
        reason = f"a folder that cannot be read: {error.strerror}"
        yield _refused(Path(error.filename), root, reason, unreadable=True)


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
    return (folder / "corpus.jsonl").is_file() and (folder / "queries.jsonl").is_file()


def beir_items(folder: Path) -> Iterator[Item]:
    """Yields the records of corpus.jsonl; one that has only a title is a document of that text.

    A record whose id an earlier line has is refused. Raises UsageError with file and line for what is not BEIR's.
    """
    path = folder / "corpus.jsonl"
    seen: set[str] = set()
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
                key, title, text = str(record["_id"]), record.get("title") or "", record.get("text") or ""
                if not isinstance(title, str) or not isinstance(text, str):
                    raise TypeError("title and text must be strings")
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise UsageError(
                    f'{path}, line {number}: {error!r}; a record is {{"_id": ..., "title": ..., "text": ...}}.'
                ) from None
            title, text = _whole_characters(title).strip(), _whole_characters(text).strip()
            parsed = ParsedDocument(title, text) if text else ParsedDocument("", title)
            refusal, place = "" if parsed.text else "the record holds no text", f"{path}#{key}"
            if key in seen:
                refusal, place = f"an earlier record has the id '{key}' as well", f"{place} (line {number})"
            seen.add(key)
            yield Item(key, place, str(folder), len(line), parsed, refusal)


def _whole_characters(text: str) -> str:
    r"""Returns a text with U+FFFD for half a surrogate pair, which JSON can spell and no UTF-8 can hold.

    >>> _whole_characters("half \ud83d, whole 😀") == "half \ufffd, whole 😀"
    True
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def sha256(data: bytes) -> str:
    """Returns the hexadecimal sha256 of bytes."""
    return hashlib.sha256(data).hexdigest()
