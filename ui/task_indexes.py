"""The indexes that a retrieval task needs: which corpus and chunker they are over, and making those that lack."""

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from eval.tasks.beir import check_corpus
from eval.tasks.retrieval import RetrievalTask
from rag.cards import IndexCard
from rag.errors import RagError, UsageError, unknown_name
from rag.library import Library
from rag.settings import Settings
from ui.evaluation_host import Host
from ui.ingesting import backfill, ingest_paths

CHEAPEST = "hash"
"""The embedder under which documents are indexed of which only words are compared."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a task's documents are searched: a corpus, a chunker by its full name, and the embedders to compare."""

    corpus: str
    chunker: str
    embedders: tuple[str, ...]


class TaskIndexes:
    """Finds and makes the indexes of tasks; `host` gives the right to write."""

    def __init__(self, library: Library, settings: Settings, say: Callable[[str], None], host: Host) -> None:
        self._library = library
        self._settings = settings
        self._say = say
        self._host = host
        self._digests: dict[tuple[Path, tuple[tuple[str, int, int], ...]], str] = {}

    def place(self, task: RetrievalTask, embedders: Sequence[str], chunker: str | None) -> Place:
        """Tells where a task is searched; nothing need be there yet but a corpus that the task names.

        Raises UsageError for a corpus, chunker or embedder that is not known, RagError for a corpus without documents.
        """
        for name in embedders:
            if name not in self._settings.embedders:
                raise unknown_name("embedder", name, self._settings.embedders)
        names = tuple(dict.fromkeys(embedders))
        if task.corpus is None:
            wanted = chunker or (self._settings.chunker if task.documents_folder else "whole")
            return Place(
                _corpus_name(task.folder, self._digest(documents_of(task))),
                self._full_name(wanted),
                names or self._settings.ingest_with,
            )
        corpus = task.corpus
        beside = task.folder.parent / "documents"
        command = f"rag ingest {beside if beside.is_dir() else 'PATH'} --corpus {corpus}"
        if corpus not in self._library.corpora():
            where = f", which the task {task.folder} is over (to make it: {command})"
            raise unknown_name("corpus", corpus, self._library.corpora(), where)
        if not self._library.sources(corpus):
            command += f" --chunker {chunker}" if chunker else ""
            raise RagError(f"The corpus '{corpus}' holds no documents yet. Add them: {command}")
        cards = self._library.cards.all(corpus)
        cut = next((card.chunker for card in cards if card.is_cut_by(chunker)), None) or self._full_name(
            chunker or self._settings.chunker
        )
        known = sorted({card.embedder for card in cards if card.chunker == cut}) or sorted(
            {card.embedder for card in cards}
        )
        return Place(corpus, cut, names or tuple(known) or self._settings.ingest_with)

    def digest(self, task: RetrievalTask, corpus: str) -> str:
        """Returns the sha256 of the documents that are searched: of corpus.jsonl, or of what the corpus holds."""
        if task.corpus is None:
            return self._digest(documents_of(task))
        digest = hashlib.sha256()
        for source, document_id in sorted(self._library.sources(corpus).items()):
            digest.update(f"{document_id} {source}\0".encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    def lacking(self, place: Place, embedders: Iterable[str | None]) -> list[str]:
        """Returns those embedders under which some document of the corpus is not indexed; None needs any index."""
        complete = self._complete(place)
        names = dict.fromkeys(embedders)
        lacking = [
            name for name in names if name is not None and self._settings.embedders[name].fingerprint not in complete
        ]
        return lacking or ([CHEAPEST] if None in names and not complete else [])

    def ensure(self, task: RetrievalTask, place: Place, embedders: Iterable[str | None]) -> None:
        """Indexes the documents under those embedders that lack them, in one pass.

        Raises LibraryLockedError where another process writes, UsageError where the documents hold no text, and
        RagError where some of them could not be indexed.
        """
        lacking = self.lacking(place, embedders)
        if not lacking:
            return
        cut = f", {place.chunker}" if place.chunker != "whole" else ""
        self._say(f"{task.name}: indexing its documents under {', '.join(lacking)}{cut}")
        with self._host.writing(place.corpus) as (chroma, progress):
            arguments = (place.corpus, lacking, place.chunker, progress, chroma)
            if task.corpus is None:
                if task.documents_folder is None:  # of two records with one id the judgements could mean either
                    check_corpus(task.folder / "corpus.jsonl")
                ingest_paths(self._library, self._settings, [documents_of(task)], *arguments)
            else:
                backfill(self._library, self._settings, *arguments)
        self._host.check()
        if not any(card.chunker == place.chunker for card in self._library.cards.all(place.corpus)):
            named = documents_of(task) / ("corpus.jsonl" if task.documents_folder is None else "")
            raise UsageError(f"{named} holds no text. Put the task's documents there.")
        short = self.lacking(place, lacking)
        if short:
            raise RagError(
                f"{task.name}: not every document of '{place.corpus}' could be indexed under {', '.join(short)}, so a "
                "comparison would not be fair. Run the same command again; rag doctor tells if anything is broken."
            )

    def _complete(self, place: Place) -> set[str]:
        """Returns the fingerprints under which every document of the corpus is indexed."""
        documents = len(self._library.sources(place.corpus))
        if not documents or not self._library.ledger.entries(place.corpus):
            return set()
        cards = [card for card in self._library.cards.all(place.corpus) if card.chunker == place.chunker]
        return {card.fingerprint for card in cards if self._holds(card, documents)}

    def _holds(self, card: IndexCard, documents: int) -> bool:
        return self._library.cards.count(card)[0] == documents

    def _full_name(self, chunker: str) -> str:
        """Returns the full name, such as heading-800-100, of what was asked for in short."""
        from ingest.chunkers import load_chunker

        return load_chunker(chunker, self._settings.embedders, self._settings.embedder).name

    def _digest(self, folder: Path) -> str:
        """Returns the digest of a folder's documents, whose files are read again only when they have changed."""
        files = document_files(folder)
        states = [path.stat() for path in files]
        key = (
            folder.resolve(),
            tuple((str(path), s.st_size, s.st_mtime_ns) for path, s in zip(files, states, strict=True)),
        )
        if key not in self._digests:
            self._digests[key] = documents_digest(folder)
        return self._digests[key]


def documents_of(task: RetrievalTask) -> Path:
    """Returns the folder that a task's own documents are ingested from."""
    return task.documents_folder or task.folder


def corpus_of(folder: Path) -> str:
    """Names a task folder's corpus by its name and its documents' digest: equal documents are indexed once."""
    return _corpus_name(folder, documents_digest(folder))


def document_files(folder: Path) -> list[Path]:
    """Returns the files that hold a folder's documents: BEIR's corpus.jsonl, or whatever files there are."""
    beir = folder / "corpus.jsonl"
    return [beir] if beir.is_file() else sorted(path for path in folder.rglob("*") if path.is_file())


def documents_digest(folder: Path) -> str:
    """Returns the sha256 of a folder's documents, read block by block: of corpus.jsonl, or of all files there."""
    files = document_files(folder)
    if files == [folder / "corpus.jsonl"]:
        return file_digest(files[0])
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{file_digest(path)} {path.relative_to(folder)}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _corpus_name(folder: Path, digest: str) -> str:
    name = re.sub(r"[^A-Za-z0-9]+", "-", folder.resolve().name).strip("-") or "task"
    return f"{name[:80]}-{digest[:8]}"


def file_digest(path: Path) -> str:
    """Returns the sha256 of a file, read block by block."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
