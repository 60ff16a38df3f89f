"""The ingest: items to documents, chunks and vectors, committed group by group so that a kill costs a second of work.

Its stages overlap. Files are parsed in other processes, ahead of their turn; documents are chunked in the caller's
thread; the group before is embedded and committed in a second one; Chroma is written in a third (`ingest.caches`).
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ingest.budget import Budget, BudgetError
from ingest.indexes import Indexes
from ingest.items import Item, find_items, root_of
from ingest.known import UNPACKED, Known
from ingest.reading import Found, Fresh, Reading, Refused, Unpacked
from ingest.report import EndedEarlyError, IngestReport, Outcome, Progress, Silence, Stopped
from ingest.sandbox import ParserPool
from ingest.shortfalls import shortfalls
from ingest.targets import Target
from ingest.writing import Group, Pending, Sink, Writer
from rag.cards import IndexCard
from rag.embedders.spec import UnfinishedError
from rag.ledger import LedgerEntry
from rag.library import Library
from rag.schema import Document
from rag.settings import Settings

MOST_PARSERS = 4

Work = Callable[[Sink], None]
"""Puts all that there is to ingest into a sink."""


class Ingest:
    """One run into one corpus; the caller holds the writer lock.

    `committed` hears, from another thread, how many vectors have just joined the indexes. Without a `budget` that of
    the settings holds.
    """

    def __init__(
        self,
        library: Library,
        settings: Settings,
        corpus: str,
        embedders: Sequence[str],
        chunker: str,
        progress: Progress | None = None,
        committed: Callable[[int], None] = lambda vectors: None,
        budget: Budget | None = None,
    ) -> None:
        self._library = library
        self._settings = settings
        self._corpus = corpus
        self._progress: Progress = progress or Silence()
        self._committed = committed
        self._indexes = Indexes(library, settings, corpus, budget or Budget(settings.budget_usd))
        self._asked = [self._indexes.target(self._indexes.chunker(chunker).name, name) for name in embedders]
        self._known = Known(library, corpus)
        self._outcomes: list[Outcome] = []
        self._unpacked: list[LedgerEntry] = []
        self._order: dict[str, int] = {}
        self._group = Group()
        self._stopped = False

    # --- the run

    def run(self, paths: Iterable[Path]) -> IngestReport:
        """Ingests the paths and returns what became of every item under them; deleted files leave the corpus.

        When `progress` raises Stopped the report tells what was done until then. Raises UsageError for a path that
        does not exist, before anything is changed, and EndedEarlyError where the budget or a vendor ends it.
        """
        return self._run(self.from_paths(paths))

    def backfill(self) -> IngestReport:
        """Puts the documents of the corpus under those of the targets that lack them, without reading any file.

        Raises EndedEarlyError where the budget or a vendor ends it.
        """
        return self._run(self.from_library())

    def from_paths(self, paths: Iterable[Path]) -> Work:
        """Lists what lies under the paths and returns the work of reading it; raises UsageError for a wrong path."""
        roots = list(paths)
        items = find_items(roots)

        def work(sink: Sink) -> None:
            self._progress.start(len(items), sum(item.size for item in items))
            self._delete(self._known.vanished(items, {str(root_of(root)) for root in roots}), sink)
            workers = min(MOST_PARSERS, os.cpu_count() or 1)
            with ParserPool(workers) as pool:
                for found in Reading(self._corpus, self._known, pool, workers).read(items):
                    self._take(found, sink)
            self._flush(sink)

        return work

    def from_library(self) -> Work:
        """Returns the work of putting what the corpus holds under further indexes."""
        ids = sorted(self._library.sources(self._corpus).values())
        entries = {entry.source: entry for entry in self._library.ledger.entries(self._corpus)}

        def work(sink: Sink) -> None:
            self._progress.start(len(ids), self._library.characters(self._corpus))
            for document_id in ids:
                document = self._library.document(document_id)
                if document:
                    self._order[entries[document.source].path] = len(self._order)
                    self._add(document, entries[document.source], len(document.text), sink)
            self._flush(sink)

        return work

    def _run(self, work: Work) -> IngestReport:
        started = time.perf_counter()
        self._library.add_corpus(self._corpus)
        targets = self._indexes.targets
        failure = ""
        with Writer(self._library, self._corpus, targets, self._progress, self.tell, self._committed) as writer:
            try:
                work(writer)
                writer.finish()
                self._trust_archives(writer)
            except Stopped:
                self._stopped = True
            except (BudgetError, UnfinishedError) as error:
                failure = str(error)
        try:
            cards = self._finish(ended_early=bool(failure))
        except (BudgetError, UnfinishedError) as error:  # calibration asks the embedder as well
            failure = str(error)
            cards = self._finish(ended_early=True)
        report = IngestReport(
            corpus=self._corpus,
            outcomes=self.outcomes(),
            chunks=max((card.chunks for card in cards), default=0),
            cards=cards,
            embedded=self._indexes.embedded(),
            embedded_for={target.key: target.embedded for target in targets},
            spent_for={target.key: target.spent for target in targets},
            seconds=time.perf_counter() - started,
            stopped=self._stopped,
            warnings=shortfalls(self._library, self._settings, cards),
        )
        if failure:
            raise EndedEarlyError(failure, report)
        return report

    @property
    def targets(self) -> Collection[Target]:
        """The indexes that are written into; while documents are read more may come."""
        return self._indexes.targets

    def outcomes(self) -> tuple[Outcome, ...]:
        """Returns what became of each item so far, in the order of the items."""
        return tuple(sorted(self._outcomes, key=lambda outcome: self._order.get(outcome.path, -1)))

    # --- documents

    def _take(self, found: Found, sink: Sink) -> None:
        """Does what is to be done about an item."""
        item = found.item
        self._order[item.path] = len(self._order)
        if isinstance(found, Unpacked):
            self._unpack(found, sink)
            return
        self._delete(self._known.vanished_members(item, ()), sink)  # where an archive was before
        if isinstance(found, Refused):
            self._refuse(found, sink)
        elif isinstance(found, Fresh):
            document = found.document
            self._add(
                document, self._entry(item, document.source, document.content_hash, found.reason), item.size, sink
            )
        else:
            self._keep(item, found.document_id, sink)

    def _keep(self, item: Item, document_id: str, sink: Sink) -> None:
        """Leaves a document alone that is under all asked-for indexes, or puts it under those that it lacks."""
        entry = self._known.entry(item)
        if entry is None:
            raise RuntimeError(f"{item.path} is unchanged, but the ledger has no line for it.")
        complete = self._library.indexes_of(document_id)
        if all(target.key in complete for target in self._asked):
            if entry.root != item.root:  # it was given by another path this time
                sink.record(self._entry(item, entry.source, entry.content_hash, entry.reason))
            self.tell(Outcome(entry.source, item.path, "unchanged", entry.reason), item.size)
            return
        document = self._library.document(document_id)
        if document:
            self._add(document, self._entry(item, entry.source, entry.content_hash, entry.reason), item.size, sink)

    def _add(self, document: Document, entry: LedgerEntry, size: int, sink: Sink) -> None:
        """Chunks a document under all targets that lack it and puts it into the group."""
        complete = self._library.indexes_of(document.id)
        targets = [target for target in (*self._asked, *self._kept(document)) if target.key not in complete]
        if not targets:
            sink.record(entry)  # a version that failed has come and gone
            self.tell(Outcome(entry.source, entry.path, "unchanged", entry.reason), size)
            return
        pending = Pending(document, entry, size, list(dict.fromkeys(targets)))
        cut = {chunker for chunker, _ in complete}
        for name in {target.chunker for target in pending.targets}:
            stored = self._library.document_chunks(document.id, name) if name in cut else None
            pending.chunks[name] = self._indexes.chunker(name).split(document) if stored is None else stored
        self._group.add(pending)
        if self._group.is_full:
            self._flush(sink)

    def _kept(self, document: Document) -> Iterator[Target]:
        """Yields the targets that the older version of a document has, so that a change takes it out of no index."""
        old = self._known.document_of(document.source)
        if old and old != document.id:
            yield from self._indexes.holding(old)

    def _flush(self, sink: Sink) -> None:
        if self._group.documents:
            group, self._group = self._group, Group()
            sink.put(group)

    # --- what gives no document

    def _refuse(self, found: Refused, sink: Sink) -> None:
        """Records an item that gives no document; what it gave before leaves the corpus, unless it only failed now."""
        item, reason = found.item, found.reason
        source = self._known.source_of(item)
        status = found.status
        if self._known.document_of(source) and status == "skipped":
            sink.delete([source])
            self._known.drop_document(source)
        elif self._known.document_of(source):
            reason += "; the version of before stays in the corpus"
        if not self._known.is_removed(item):
            entry = LedgerEntry(source, item.path, item.root, found.content_hash, status, reason)
            sink.record(entry)
        self.tell(Outcome(source, item.path, status, reason), item.size)

    def _unpack(self, found: Unpacked, sink: Sink) -> None:
        """Records an archive, whose members are the documents, and lets go what it gave before.

        The hash of a changed one is recorded when all of its members are: by it a later run takes them for unchanged.
        """
        item = found.item
        source = self._known.source_of(item)
        if self._known.document_of(source):
            sink.delete([source])
            self._known.drop_document(source)
        self._delete(self._known.vanished_members(item, found.members), sink)
        reason = f"an archive of {len(found.members)} files"
        entry = LedgerEntry(source, item.path, item.root, found.content_hash, UNPACKED, reason)
        if self._known.unpacked(item, found.content_hash) is None:
            self._unpacked.append(entry)
            entry = replace(entry, content_hash="")
        sink.record(entry)
        self.tell(Outcome(source, item.path, UNPACKED, reason), 0)

    def _trust_archives(self, sink: Sink) -> None:
        """Records the hashes of the archives that have changed, once their members are stored."""
        for entry in self._unpacked:
            sink.record(entry)

    def _delete(self, gone: Sequence[LedgerEntry], sink: Sink) -> None:
        """Deletes the documents of files that are not there any more."""
        sink.delete([entry.source for entry in gone])
        for entry in gone:
            self._known.forget(entry)
            if not Path(entry.path).is_dir():  # a folder that was refused before and is entered now
                self.tell(Outcome(entry.source, entry.path, "deleted", "the file is not there any more"), 0)

    def _entry(self, item: Item, source: str, content_hash: str, reason: str) -> LedgerEntry:
        return LedgerEntry(source, item.path, item.root, content_hash, "done", reason)

    def tell(self, outcome: Outcome, size: int) -> None:
        """Takes down what became of an item."""
        self._outcomes.append(outcome)
        self._progress.item(outcome, size)

    # --- the end

    def _finish(self, ended_early: bool) -> tuple[IndexCard, ...]:
        """Brings the cards up to date, drops the vectors of deleted chunks, and empties the log that still holds them.

        Vectors wait where something was left undone: one that was paid for may be that of a document yet to come.
        """
        counts = Counter(outcome.status for outcome in self._outcomes)
        cards = self._indexes.finish(measure=not ended_early)
        if not counts["failed"] and not self._stopped and not ended_early:
            self._library.vectors.empty_trash()
        self._library.database.checkpoint()
        return cards
