"""What there is to ingest: files found under the given paths, or the records of a BEIR folder."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rag.errors import UsageError
from rag.schema import ParsedDocument


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to ingest: a file, or a record that comes parsed already.

    `source` names it within the corpus; `path` is where it lies (for a record, the file and its id); `root` the given
    folder or file; `size` its bytes. `refusal` says why it is not to be read at all.
    """

    source: str
    path: str
    root: str
    size: int
    parsed: ParsedDocument | None = None
    refusal: str = ""

    def read(self) -> bytes:
        """Returns the bytes whose sha256 tells whether the item has changed; raises OSError."""
        if self.parsed is None:
            return Path(self.path).read_bytes()
        return f"{self.parsed.title}\x1f{self.parsed.text}".encode("utf-8", "surrogatepass")


def find_items(paths: Iterable[Path]) -> list[Item]:
    """Lists what lies under the paths, in a fixed order; a folder with corpus.jsonl and queries.jsonl is a BEIR folder.

    Hidden folders and symbolic links to folders are listed as refused, not entered. Raises UsageError for a path that
    does not exist and for a broken BEIR file.
    """
    items: dict[str, Item] = {}
    for path in paths:
        check_exists(path)
        root = path.absolute()
        for item in beir_items(root) if is_beir(root) else _files(root):
            items.setdefault(item.path, item)  # a file under two of the given paths counts once
    return list(items.values())


def check_exists(path: Path) -> None:
    """Raises UsageError unless there is something at the path."""
    if not path.exists():
        raise UsageError(f"There is no file or folder at {path}. Check the path.")


def _files(root: Path) -> Iterator[Item]:
    if root.is_file():
        yield Item(root.name, str(root), str(root), root.stat().st_size)
        return
    for folder, subfolders, names in os.walk(root):
        here = Path(folder)
        for name in sorted(subfolders):
            if name.startswith(".") or (here / name).is_symlink():
                reason = "a hidden folder" if name.startswith(".") else "a link to a folder, which is not followed"
                yield _refused(here / name, root, f"{reason}; give its path to ingest it")
        subfolders[:] = sorted(n for n in subfolders if not n.startswith(".") and not (here / n).is_symlink())
        for name in sorted(names):
            path = here / name
            if name.startswith("."):
                yield _refused(path, root, "a hidden file; give its path to ingest it")
            elif not path.is_file():
                broken = path.is_symlink()
                yield _refused(path, root, "a link that leads nowhere" if broken else "not a regular file")
            else:
                yield Item(path.relative_to(root).as_posix(), str(path), str(root), path.stat().st_size)


def _refused(path: Path, root: Path, reason: str) -> Item:
    return Item(path.relative_to(root).as_posix(), str(path), str(root), 0, refusal=reason)


def is_beir(folder: Path) -> bool:
    """Tells whether a folder is a BEIR task with documents of its own."""
    return (folder / "corpus.jsonl").is_file() and (folder / "queries.jsonl").is_file()


def beir_items(folder: Path) -> Iterator[Item]:
    """Yields the records of corpus.jsonl; one that has only a title is a document of that text.

    Raises UsageError with file and line for a record that is not BEIR's.
    """
    path = folder / "corpus.jsonl"
    with path.open(encoding="utf-8") as lines:
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
            title, text = title.strip(), text.strip()
            parsed = ParsedDocument(title, text) if text else ParsedDocument("", title)
            refusal = "" if parsed.text else "the record holds no text"
            yield Item(key, f"{path}#{key}", str(folder), len(line), parsed, refusal)


def sha256(data: bytes) -> str:
    """Returns the hexadecimal sha256 of bytes."""
    return hashlib.sha256(data).hexdigest()
