"""The ingest: items to documents, chunks and vectors, committed group by group so that a kill costs seconds of work."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ingest.chunkers import Chunker, load_chunker
from ingest.items import Item, find_items, root_of, sha256
from ingest.parsing import NoTextError, ParseError, UnsupportedFormatError
from ingest.report import IngestReport, Outcome, Progress, Silence
from ingest.sandbox import ParserPool
from ingest.targets import Target
from rag.cards import IndexCard
from rag.embedders.registry import find_spec
from rag.ledger import LedgerEntry
from rag.library import Library, NewDocument
from rag.passages import passage
from rag.schema import Chunk, Document, content_id
from rag.settings import Settings

# A group is what is chunked, embedded and committed together.
GROUP_CHUNKS = 512
GROUP_DOCUMENTS = 256


@dataclass(slots=True)
class _Pending:
    """A document on its way: chunked, not yet embedded and committed."""

    item: Item
    document: Document
    reason: str
    targets: list[Target]
    chunks: dict[str, list[Chunk]] = field(default_factory=dict)


class Ingest:
    """One run over some paths into one corpus; the caller holds the writer lock."""

    def __init__(
        self,
        library: Library,
        settings: Settings,
        corpus: str,
        embedders: Sequence[str],
        chunker: str,
        progress: Progress | None = None,
    ) -> None:
        self._library = library
        self._settings = settings
        self._corpus = corpus
        self._progress: Progress = progress or Silence()
        self._targets: dict[tuple[str, str], Target] = {}
        self._chunkers: dict[str, Chunker] = {}
        self._asked = [self._target(load_chunker(chunker).name, name) for name in embedders]
        self._outcomes: list[Outcome] = []
        self._group: list[_Pending] = []
        self._sources = library.sources(corpus)
        self._ledger = {entry.path: entry for entry in library.ledger.entries(corpus)}
        self._taken = {entry.source for entry in self._ledger.values()}

    def _target(self, chunker: str, embedder: str) -> Target:
        spec = find_spec(embedder, self._settings.embedders)
        key = (chunker, spec.fingerprint)
        if key not in self._targets:
            self._targets[key] = Target(self._library, self._corpus, chunker, spec, self._settings.embedders)
        return self._targets[key]

    # --- the run

    def run(self, paths: Iterable[Path]) -> IngestReport:
        """Ingests the paths and returns what became of every item under them; deleted files leave the corpus.

        Raises UsageError for a path that does not exist, before anything is changed.
        """
        started = time.perf_counter()
        roots = list(paths)
        items = find_items(roots)
        self._library.add_corpus(self._corpus)
        self._progress.start(len(items), sum(item.size for item in items))
        self._delete_vanished(items, {str(root_of(root)) for root in roots})
        for item, document, reason in self._documents(items):
            self._add(item, document, reason)
        self._flush()
        cards = self._finish()
        return IngestReport(
            corpus=self._corpus,
            outcomes=tuple(self._outcomes),
            chunks=max((card.chunks for card in cards), default=0),
            cards=cards,
            embedded=self._embedded(),
            embedded_for={key: target.embedded for key, target in self._targets.items()},
            seconds=time.perf_counter() - started,
        )

    def _embedded(self) -> dict[str, int]:
        """Counts the vectors computed under each embedder, whatever the chunkers."""
        counts = {target.spec.name: 0 for target in self._targets.values()}
        for target in self._targets.values():
            counts[target.spec.name] += target.embedded
        return counts

    def _documents(self, items: Sequence[Item]) -> Iterator[tuple[Item, Document, str]]:
        """Yields the items that are documents, new or stored; tells the outcome of all others."""
        with ParserPool() as pool:
            for item in items:
                if item.refusal:
                    self._refuse(item, "", "failed" if item.unreadable else "skipped", item.refusal)
                    continue
                try:
                    content_hash = sha256(item.read())
                except OSError as error:
                    self._refuse(item, "", "failed", f"cannot be read: {error.strerror or error}")
                    continue
                stored = self._stored(item, content_hash)
                if stored:
                    yield item, stored, self._ledger[item.path].reason
                    continue
                try:
                    if item.parsed:
                        kind, parsed = "beir", item.parsed
                    else:
                        kind, parsed, content_hash = pool.parse(Path(item.path))
                except ParseError as error:
                    status = "skipped" if isinstance(error, NoTextError | UnsupportedFormatError) else "failed"
                    self._refuse(item, content_hash, status, str(error))
                    continue
                source = self._source(item)
                document = Document(
                    id=content_id(self._corpus, source, content_hash),
                    corpus=self._corpus,
                    source=source,
                    title=parsed.title,
                    text=parsed.text,
                    format=kind,
                    content_hash=content_hash,
                    pages=parsed.pages,
                    headings=parsed.headings,
                )
                yield item, document, "; ".join(parsed.warnings)

    def _stored(self, item: Item, content_hash: str) -> Document | None:
        """Returns the document that this very content gave before, if it is still there."""
        entry = self._ledger.get(item.path)
        if entry is None or entry.status != "done" or entry.content_hash != content_hash:
            return None
        return self._library.document(self._sources.get(entry.source, ""))

    def _source(self, item: Item) -> str:
        """Names the item within the corpus: the name it had, or its relative path, made longer where that is taken."""
        entry = self._ledger.get(item.path)
        if entry:
            return entry.source
        names = (item.source, f"{Path(item.root).name}/{item.source}", item.path)
        source = next(name for name in names if name not in self._taken)
        self._taken.add(source)
        return source

    def _add(self, item: Item, document: Document, reason: str) -> None:
        """Chunks a document under all its targets and puts it into the group, or finds that nothing is to be done."""
        complete = self._library.indexes_of(document.id)
        targets = [target for target in (*self._asked, *self._kept(document)) if target.key not in complete]
        if not targets:
            entry = self._ledger.get(item.path)
            if entry and entry.status != "done":  # a version that failed has come and gone
                self._library.ledger.record(self._corpus, self._entry(item, document, "done", reason))
            self._tell(Outcome(document.source, item.path, "unchanged", reason), item.size)
            return
        pending = _Pending(item, document, reason, list(dict.fromkeys(targets)))
        for name in {target.chunker for target in pending.targets}:
            if name not in self._chunkers:
                self._chunkers[name] = load_chunker(name)
            pending.chunks[name] = self._chunkers[name].split(document)
        self._group.append(pending)
        waiting = sum(len(chunks) for each in self._group for chunks in each.chunks.values())
        if waiting >= GROUP_CHUNKS or len(self._group) >= GROUP_DOCUMENTS:
            self._flush()

    def _kept(self, document: Document) -> Iterator[Target]:
        """Yields the targets that the older version of a document has, so that a change takes it out of no index."""
        old = self._sources.get(document.source)
        if old and old != document.id:
            names = {(card.chunker, card.fingerprint): card.embedder for card in self._library.cards.all(self._corpus)}
            for chunker, fingerprint in sorted(self._library.indexes_of(old)):
                name = names.get((chunker, fingerprint), "")
                spec = self._settings.embedders.get(name)
                if spec and spec.fingerprint == fingerprint:
                    yield self._target(chunker, name)

    def _flush(self) -> None:
        """Embeds the group under each target, commits its documents in one transaction, and tells their outcome."""
        if not self._group:
            return
        for target in self._targets.values():
            passages = [
                passage(pending.document.title, chunk.heading, chunk.text)
                for pending in self._group
                if target in pending.targets
                for chunk in pending.chunks[target.chunker]
            ]
            if passages:
                target.embed_missing(passages, self._progress.embedded)
        self._library.commit(
            self._corpus,
            [
                NewDocument(
                    pending.document,
                    pending.chunks,
                    tuple(target.key for target in pending.targets),
                    self._entry(pending.item, pending.document, "done", pending.reason),
                )
                for pending in self._group
            ],
        )
        for pending in self._group:
            self._sources[pending.document.source] = pending.document.id
            self._tell(Outcome(pending.document.source, pending.item.path, "done", pending.reason), pending.item.size)
        self._group.clear()

    # --- the outcomes

    def _entry(self, item: Item, document: Document, status: str, reason: str) -> LedgerEntry:
        return LedgerEntry(document.source, item.path, item.root, document.content_hash, status, reason)

    def _refuse(self, item: Item, content_hash: str, status: str, reason: str) -> None:
        """Records an item that gives no document; what it gave before leaves the corpus, unless it only failed now."""
        source = self._source(item)
        if source in self._sources and status == "skipped":
            self._library.delete(self._corpus, [source])
            del self._sources[source]
        elif source in self._sources:
            reason += "; the version of before stays in the corpus"
        entry = LedgerEntry(source, item.path, item.root, content_hash, status, reason)
        self._library.ledger.record(self._corpus, entry)
        self._tell(Outcome(source, item.path, status, reason), item.size)

    def _tell(self, outcome: Outcome, size: int) -> None:
        self._outcomes.append(outcome)
        self._progress.item(outcome, size)

    def _delete_vanished(self, items: Sequence[Item], roots: set[str]) -> None:
        """Deletes the documents whose file was under one of the roots and is there no more.

        What lies in a folder that was not entered, such as a hidden one given by its own path before, has not vanished.
        """
        present = {item.path for item in items}
        closed = [item.path for item in items if item.refusal]
        gone = [
            entry
            for entry in self._ledger.values()
            if entry.path not in present
            and any(_lies_under(entry.path, root) for root in roots)
            and not any(_lies_under(entry.path, folder) for folder in closed)
        ]
        self._library.delete(self._corpus, [entry.source for entry in gone])
        for entry in gone:
            self._sources.pop(entry.source, None)
            self._taken.discard(entry.source)
            del self._ledger[entry.path]
            if not Path(entry.path).is_dir():  # a folder that was refused before and is entered now
                self._tell(Outcome(entry.source, entry.path, "deleted", "the file is not there any more"), 0)

    def _finish(self) -> tuple[IndexCard, ...]:
        """Brings the cards up to date and, where nothing was left undone, drops the vectors of deleted chunks."""
        counts = Counter(outcome.status for outcome in self._outcomes)
        deleted = bool(counts["deleted"])
        for card in self._library.cards.all(self._corpus):
            target = self._targets.get((card.chunker, card.fingerprint))
            if target is None and deleted:
                self._library.cards.recount(card, 0, 0.0, 0.0, card.noise)
            elif target and self._library.cards.count(card) != (card.documents, card.chunks):
                target.changed = True  # an ingest was killed after its last commit: it never came to this point
        cards = [target.finish(deleted) for target in self._targets.values()]
        if not counts["failed"]:
            self._library.vectors.empty_trash()
        return tuple(card for card in cards if card)


def _lies_under(path: str, root: str) -> bool:
    return path == root or path.startswith((root.rstrip("/") + "/", root.rstrip("/") + "/corpus.jsonl#"))
