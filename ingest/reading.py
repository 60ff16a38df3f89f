"""Items to documents: several are read and parsed ahead, in other processes, while earlier ones are embedded."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from ingest.archives import Member
from ingest.errors import NoTextError, ParseError, UnsupportedFormatError
from ingest.items import Item, members_of
from ingest.known import Known
from ingest.languages import detect_language
from ingest.sandbox import Archive, Parsed, ParserPool
from rag.ledger import LedgerEntry
from rag.schema import Document, content_id

BEIR = "beir"
REMOVED_REASON = "it was removed from the corpus by hand; give its own path to take it back"


@dataclass(frozen=True, slots=True)
class Refused:
    """An item that gives no document: skipped or failed, and why."""

    item: Item
    content_hash: str
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class Unchanged:
    """An item whose content is that of a document which the library holds."""

    item: Item
    document_id: str


@dataclass(frozen=True, slots=True)
class Fresh:
    """An item with a document that is new or changed; `reason` holds the parser's warnings."""

    item: Item
    document: Document
    reason: str


@dataclass(frozen=True, slots=True)
class Unpacked:
    """An archive, before its members come one by one."""

    item: Item
    content_hash: str
    members: tuple[Item, ...]


Found = Refused | Unchanged | Fresh | Unpacked


@dataclass(frozen=True, slots=True)
class _ToName:
    """A parsed item, before it has a name in the corpus."""

    parsed: Parsed
    language: str


class Reading:
    """Reads items in their order; `workers` files are parsed at a time, and twice as many may wait to be taken."""

    def __init__(self, corpus: str, known: Known, pool: ParserPool, workers: int) -> None:
        self._corpus = corpus
        self._known = known
        self._pool = pool
        self._ahead = 2 * workers
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="reading")

    def read(self, items: Iterable[Item]) -> Iterator[Found]:
        """Yields what was found for each item, and for the members of an archive right after it."""
        try:
            yield from self._read(items, ())
        finally:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def _read(self, items: Iterable[Item], trusted: Iterable[str]) -> Iterator[Found]:
        """Reads items; those whose path is trusted lie in an archive that has not changed."""
        trust = frozenset(trusted)
        ahead: deque[tuple[Item, Future[Found | _ToName]]] = deque()
        for item in items:
            ahead.append((item, self._threads.submit(self._look, item, item.path in trust)))
            if len(ahead) > self._ahead:
                yield from self._take(*ahead.popleft())
        while ahead:
            yield from self._take(*ahead.popleft())

    def _take(self, item: Item, future: "Future[Found | _ToName]") -> Iterator[Found]:
        found = future.result()
        if isinstance(found, _ToName):
            yield self._fresh(item, found.parsed, found.language)
            return
        yield found
        if isinstance(found, Unpacked):
            entries = self._known.unpacked(item, found.content_hash) or ()
            yield from self._read(found.members, (entry.path for entry in entries if entry.status == "done"))

    def _fresh(self, item: Item, parsed: Parsed, language: str) -> Fresh:
        source = self._known.source_of(item)
        document = Document(
            id=content_id(self._corpus, source, parsed.content_hash),
            corpus=self._corpus,
            source=source,
            title=parsed.document.title,
            text=parsed.document.text,
            format=parsed.format,
            content_hash=parsed.content_hash,
            pages=parsed.document.pages,
            headings=parsed.document.headings,
            language=language,
            date=parsed.document.date or item.changed(),
        )
        return Fresh(item, document, "; ".join(parsed.document.warnings))

    def _look(self, item: Item, trusted: bool) -> Found | _ToName:
        """Finds out what an item is; runs in a thread."""
        entry = self._known.entry(item)
        if item.refusal:
            return self._refusal(item, entry)
        if self._known.is_removed(item):
            return Refused(item, entry.content_hash if entry else "", "skipped", REMOVED_REASON)
        content_hash = ""
        try:
            content_hash = self._hash(item, trusted)
            if document_id := self._known.unchanged(item, content_hash):
                return Unchanged(item, document_id)
            result = self._parse(item, content_hash)
        except ParseError as error:
            status = "skipped" if isinstance(error, NoTextError | UnsupportedFormatError) else "failed"
            return Refused(item, content_hash, status, str(error))
        except OSError as error:
            return Refused(item, "", "failed", f"cannot be read: {error.strerror or error}")
        if isinstance(result, Archive):
            return _unpacked(item, result.members, result.content_hash)
        if document_id := self._known.unchanged(item, result.content_hash):  # of an archive of which others changed
            return Unchanged(item, document_id)
        return _ToName(result, detect_language(result.document.text))

    def _refusal(self, item: Item, entry: LedgerEntry | None) -> Found:
        """Refuses an item, unless it is a hidden file that is in the corpus because it was given by its own path."""
        kept = self._known.document_of(entry.source) if entry and entry.root == item.path else None
        if kept and not item.unreadable:
            return Unchanged(item, kept)
        return Refused(item, "", "failed" if item.unreadable else "skipped", item.refusal)

    def _hash(self, item: Item, trusted: bool) -> str:
        if not item.member:
            return item.hash()
        entry = self._known.entry(item)
        return entry.content_hash if trusted and entry else ""

    def _parse(self, item: Item, content_hash: str) -> Parsed | Archive:
        if item.place is not None:
            return Parsed(BEIR, item.record(), content_hash)
        if item.member:
            return self._pool.parse_member(item.file, item.member)
        return self._pool.parse(item.file)


def _unpacked(item: Item, members: tuple[Member, ...], content_hash: str) -> Found:
    if not members:
        return Refused(item, content_hash, "skipped", "The archive holds no files.")
    return Unpacked(item, content_hash, tuple(members_of(item, members)))
