"""Groups of documents to vectors and commits, in a thread of its own, while the next group is read and chunked."""

import queue
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from ingest.report import Outcome, Progress
from ingest.targets import Target
from rag.ledger import LedgerEntry
from rag.library import Library, NewDocument
from rag.passages import passage
from rag.schema import Chunk, Document

# A group is what is chunked, embedded and committed together; large enough to sort by length, small in memory.
GROUP_CHUNKS = 512
GROUP_DOCUMENTS = 256
GROUP_CHARACTERS = 4_000_000

WAITING_GROUPS = 1


@dataclass(slots=True)
class Pending:
    """A document on its way: chunked, not yet embedded and committed."""

    document: Document
    entry: LedgerEntry
    size: int
    targets: list[Target]
    chunks: dict[str, list[Chunk]] = field(default_factory=dict)


@dataclass(slots=True)
class Group:
    """Documents that are embedded and committed together."""

    documents: list[Pending] = field(default_factory=list)
    chunks: int = 0
    characters: int = 0

    def add(self, pending: Pending) -> None:
        """Takes a document in."""
        self.documents.append(pending)
        self.chunks += sum(map(len, pending.chunks.values()))
        self.characters += len(pending.document.text)

    @property
    def is_full(self) -> bool:
        """Whether the group is to be written before more is added."""
        return (
            self.chunks >= GROUP_CHUNKS or len(self.documents) >= GROUP_DOCUMENTS or self.characters >= GROUP_CHARACTERS
        )


class Writer:
    """Embeds and commits groups one after another; one may wait, so memory is bounded by three groups.

    An error in the thread is raised in the caller's: at the next group, or at the end.
    """

    def __init__(
        self,
        library: Library,
        corpus: str,
        targets: Collection[Target],
        progress: Progress,
        tell: Callable[[Outcome, int], None],
        committed: Callable[[int], None],
    ) -> None:
        self._library = library
        self._corpus = corpus
        self._targets = targets
        self._progress = progress
        self._tell = tell
        self._committed = committed
        self._groups: queue.Queue[Group | None] = queue.Queue(WAITING_GROUPS)
        self._error: BaseException | None = None
        self._abandoned = False
        self._thread = threading.Thread(target=self._run, name="embedding", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._abandoned = True
        while self._thread.is_alive():
            try:
                self._groups.put(None, timeout=0.1)
            except queue.Full:
                continue
            self._thread.join()

    def put(self, group: Group) -> None:
        """Hands a group over, waiting until the one before is being written."""
        while True:
            self._raise()
            try:
                self._groups.put(group, timeout=0.1)
            except queue.Full:
                continue
            return

    def finish(self) -> None:
        """Waits until every group is committed."""
        while self._thread.is_alive():
            try:
                self._groups.put(None, timeout=0.1)
            except queue.Full:
                continue
            self._thread.join()
        self._raise()

    def _raise(self) -> None:
        if self._error:
            raise self._error

    def _run(self) -> None:
        try:
            while (group := self._groups.get()) and not self._abandoned:
                self._write(group)
        except BaseException as error:  # raised again in the caller's thread
            self._error = error

    def _write(self, group: Group) -> None:
        """Embeds a group under each target, commits its documents in one transaction, and tells their outcome."""
        for target in list(self._targets):
            passages = [
                passage(pending.document.title, chunk.heading, chunk.text)
                for pending in group.documents
                if target in pending.targets
                for chunk in pending.chunks[target.chunker]
            ]
            if passages:
                target.embed_missing(passages, self._progress, lambda: self._abandoned)
        if self._abandoned:
            return
        self._library.commit(
            self._corpus,
            [
                NewDocument(
                    pending.document, pending.chunks, tuple(target.key for target in pending.targets), pending.entry
                )
                for pending in group.documents
            ],
        )
        self._committed(sum(len(p.chunks[target.chunker]) for p in group.documents for target in p.targets))
        for pending in group.documents:
            entry = pending.entry
            self._tell(Outcome(entry.source, entry.path, "done", entry.reason), pending.size)
