"""What a corpus held when an ingest began: which file gave which document, and which names are taken."""

from collections.abc import Iterable
from pathlib import Path

from ingest.items import IN_ARCHIVE, IN_RECORDS, Item
from rag.ledger import LedgerEntry
from rag.library import Library

REMOVED = "removed"
"""The ledger's status of a file whose document was removed by hand."""

UNPACKED = "unpacked"
"""The ledger's status of an archive whose members are documents."""


class Known:
    """The ledger and the sources of a corpus, kept in step while an ingest goes on."""

    def __init__(self, library: Library, corpus: str) -> None:
        self._library = library
        self._documents = library.sources(corpus)
        self._ledger = {entry.path: entry for entry in library.ledger.entries(corpus)}
        self._taken = {entry.source for entry in self._ledger.values()}
        self._inside: dict[str, set[str]] = {}  # archive -> paths of its members
        for path in self._ledger:
            archive, mark, _ = path.partition(IN_ARCHIVE)
            if mark:
                self._inside.setdefault(archive, set()).add(path)

    def entry(self, item: Item) -> LedgerEntry | None:
        """Returns the item's line in the ledger, None for one that was never seen."""
        return self._ledger.get(item.path)

    def document_of(self, source: str) -> str | None:
        """Returns the id of the document that a source has given, None where it has none."""
        return self._documents.get(source)

    def unchanged(self, item: Item, content_hash: str) -> str | None:
        """Returns the id of the document that this very content gave before, if it is still there."""
        entry = self._ledger.get(item.path)
        if entry is None or entry.status != "done" or entry.content_hash != content_hash:
            return None
        return self._documents.get(entry.source)

    def is_removed(self, item: Item) -> bool:
        """Tells whether the item's document was removed by hand; a file that is given by its own path comes back."""
        entry = self._ledger.get(item.path)
        return entry is not None and entry.status == REMOVED and str(item.file) != item.root

    def source_of(self, item: Item) -> str:
        """Names the item within the corpus: the name it had, or its relative path, made longer where that is taken."""
        entry = self._ledger.get(item.path)
        if entry:
            return entry.source
        names = (item.source, f"{Path(item.root).name}/{item.source}", item.path)
        source = next(name for name in names if name not in self._taken)
        self._taken.add(source)
        return source

    def unpacked(self, archive: Item, content_hash: str) -> list[LedgerEntry] | None:
        """Returns the lines of an archive's members where its bytes are as they were; None otherwise."""
        entry = self._ledger.get(archive.path)
        if entry is None or entry.status != UNPACKED or entry.content_hash != content_hash:
            return None
        return [self._ledger[path] for path in sorted(self._inside.get(archive.path, ()))]

    def forget(self, entry: LedgerEntry) -> None:
        """Frees the name of a file that is not there any more."""
        self._documents.pop(entry.source, None)
        self._taken.discard(entry.source)
        del self._ledger[entry.path]
        self._inside.get(entry.path.partition(IN_ARCHIVE)[0], set()).discard(entry.path)

    def drop_document(self, source: str) -> None:
        """Hears that the document of a source was deleted while its line in the ledger stays."""
        self._documents.pop(source, None)

    def vanished(self, items: Iterable[Item], roots: Iterable[str]) -> list[LedgerEntry]:
        """Returns the lines of files that lay under one of the roots and are there no more.

        What lies in a folder that was not entered, such as a hidden one given by its own path before, has not vanished;
        nor has what was given by its own path and is still there, such as a hidden file. What was inside an archive is
        looked at when the archive is opened.
        """
        items = list(items)
        present = {item.path for item in items}
        closed = [item.path for item in items if item.refusal]
        folders = list(roots)
        return [
            entry
            for entry in self._ledger.values()
            if entry.path not in present
            and entry.path.partition(IN_ARCHIVE)[0] not in present
            and any(lies_under(entry.path, root) for root in folders)
            and not any(lies_under(entry.path, folder) for folder in closed)
        ]

    def vanished_members(self, archive: Item, items: Iterable[Item]) -> list[LedgerEntry]:
        """Returns the lines of an archive's members that it does not hold any more."""
        present = {item.path for item in items}
        return [self._ledger[path] for path in sorted(self._inside.get(archive.path, set()) - present)]


def lies_under(path: str, root: str) -> bool:
    """Tells whether a path of the ledger is a root, or lies in that folder, BEIR file or archive."""
    from ingest.items import RECORDS

    starts = (root.rstrip("/") + "/", f"{root.rstrip('/')}/{RECORDS}{IN_RECORDS}", root + IN_ARCHIVE)
    return path == root or path.startswith(starts)
