"""Groups of documents to vectors and commits, in a thread of its own, while the next group is read and chunked."""

import queue
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Protocol, Self

from ingest.report import Outcome, Progress
from ingest.targets import Target
from rag.embedders.spec import UnfinishedError
from rag.ledger import LedgerEntry
from rag.library import Library, NewDocument
from rag.passages import passage, passage_key
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

    def passages(self, target: Target) -> list[str]:
        """Returns what is embedded of it under one of its targets."""
        return [passage(self.document.title, chunk.heading, chunk.text) for chunk in self.chunks[target.chunker]]


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

    def passages(self, target: Target) -> list[str]:
        """Returns what is embedded under a target, equal passages as often as they occur."""
        return [text for pending in self.documents if target in pending.targets for text in pending.passages(target)]

    @property
    def is_full(self) -> bool:
        """Whether the group is to be written before more is added."""
        return (
            self.chunks >= GROUP_CHUNKS or len(self.documents) >= GROUP_DOCUMENTS or self.characters >= GROUP_CHARACTERS
        )


class Sink(Protocol):
    """Where an ingest puts what it finds: a writer, or what only counts (`ingest.estimate`)."""

    def put(self, group: Group) -> None:
        """Takes a group over."""
        ...

    def record(self, entry: LedgerEntry) -> None:
        """Takes a line of the ledger for what gives no document."""
        ...

    def delete(self, sources: Sequence[str]) -> None:
        """Hears that the documents of these sources leave the corpus."""
        ...


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

    def record(self, entry: LedgerEntry) -> None:
        """Writes a line of the ledger for what gives no document."""
        self._library.ledger.record(self._corpus, entry)

    def delete(self, sources: Sequence[str]) -> None:
        """Deletes the documents of these sources."""
        self._library.delete(self._corpus, sources)

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
        """Embeds a group under each target, commits its documents in one transaction, and tells their outcome.

        A document with a passage that an embedder refuses fails, the others do not.
        """
        refusals: dict[Target, str] = {}
        for target in list(self._targets):
            passages = group.passages(target)
            if passages:
                try:
                    target.embed_missing(passages, self._progress, lambda: self._abandoned)
                except UnfinishedError as error:
                    if target.is_refused:
                        raise
                    refusals[target] = str(error)
        if self._abandoned:
            return
        reasons = [self._refusal(pending, refusals) for pending in group.documents]
        done = [pending for pending, reason in zip(group.documents, reasons, strict=True) if not reason]
        if done:
            self._library.commit(
                self._corpus,
                [NewDocument(p.document, p.chunks, tuple(target.key for target in p.targets), p.entry) for p in done],
            )
        self._committed(sum(len(p.chunks[target.chunker]) for p in done for target in p.targets))
        for pending, reason in zip(group.documents, reasons, strict=True):
            entry = pending.entry
            if reason:
                self.record(replace(entry, status="failed", reason=reason))
            self._tell(
                Outcome(entry.source, entry.path, "failed" if reason else "done", reason or entry.reason), pending.size
            )

    def _refusal(self, pending: Pending, refusals: Mapping[Target, str]) -> str:
        """Returns why a vector of a document is missing, "" where none is."""
        for target, reason in refusals.items():
            if target not in pending.targets:
                continue
            keys = [passage_key(text) for text in pending.passages(target)]
            if self._library.vectors.missing(target.spec.fingerprint, keys):
                return reason
        return ""
