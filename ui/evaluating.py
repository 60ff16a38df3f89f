"""An evaluation as the faces run it: indexes for a task's documents where they lack, then its rows."""

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from eval.context_metrics import score_contexts
from eval.rows import EvalRow
from eval.runner import evaluate
from eval.tasks.retrieval import RetrievalTask, check_documents
from eval.tasks.task import Task
from rag.cards import IndexCard
from rag.errors import LibraryLockedError, RagError, UsageError, unknown_name
from rag.index import open_chroma, recall
from rag.library import Library
from rag.lock import writer_lock
from rag.reader import Opened, Reader
from rag.retrievers import NAMES
from rag.settings import Settings
from ui.ingesting import ingest_paths
from ui.progress import Bars

SEED = 13
ANN_DEPTH = 10

Say = Callable[[str], None]


class Evaluation:
    """Evaluates retrieval tasks over one library."""

    def __init__(self, library: Library, settings: Settings, say: Say) -> None:
        self._library = library
        self._settings = settings
        self._say = say
        self._reader = Reader(library, settings)

    def rows(
        self,
        task: Task,
        embedders: Sequence[str],
        retrievers: Sequence[str],
        chunker: str | None = None,
        with_ragas: bool = True,
    ) -> list[EvalRow]:
        """Evaluates every retriever under every embedder, lexical once; indexes first what is not indexed yet."""
        if not isinstance(task, RetrievalTask):
            raise TypeError(f"{task.family} tasks retrieve nothing")
        for name in retrievers:
            if name not in NAMES:
                raise unknown_name("retriever", name, NAMES)
        if set(retrievers) == {"lexical"}:
            embedders = ["hash"]  # words alone are compared: the cheapest index holds the chunks
        corpus, chunker, embedders = self._prepare(task, embedders, chunker)
        documents = {chunk: source for chunk, _, source in self._library.chunk_passages(corpus, chunker)}
        missing = check_documents(task, set(documents.values()))
        if missing:
            self._say(f"{task.name}: {len(missing)} judged documents are not in the corpus, such as '{missing[0]}'")

        texts = _document_texts(self._library, corpus) if with_ragas else {}

        def text_of(source: str) -> str:
            return texts.get(source, "")  # a judged document that the corpus lacks resembles nothing

        rows = []
        for embedder, name in _combinations(embedders, retrievers or NAMES):
            self._say(f"{task.name}: {name}{f' under {embedder}' if embedder else ''}")
            # The settings' reranker and MMR are left out: retrievers are compared by what they themselves find.
            opened = self._reader.open(corpus, embedder, name, chunker, reranker="", mmr=1.0)
            card = opened.card if embedder else None
            row = evaluate(
                task,
                opened.retriever,
                documents,
                embedder=embedder,
                chunker=chunker,
                cost=_cost(card),
                provenance={"corpus": corpus, "index": _card_facts(card), "search": "exact"},
            )
            if name == "dense":
                row = replace(
                    row, provenance={**row.provenance, f"ann_recall@{ANN_DEPTH}": self._ann_recall(task, opened)}
                )
            if with_ragas:
                row = replace(row, context=score_contexts(task.qrels, row.run, text_of))
            rows.append(row)
        return rows

    def _prepare(
        self, task: RetrievalTask, embedders: Sequence[str], chunker: str | None
    ) -> tuple[str, str, Sequence[str]]:
        """Returns the corpus, the chunker's full name and the embedders, with an index for each."""
        if task.corpus is not None:
            corpus = task.corpus
            beside = task.folder.parent / "documents"
            command = f"rag ingest {beside if beside.is_dir() else 'PATH'} --corpus {corpus}"
            if corpus not in self._library.corpora():
                where = f", which the task {task.folder} is over (to make it: {command})"
                raise unknown_name("corpus", corpus, self._library.corpora(), where)
            cards = [card for card in self._library.cards.all(corpus) if card.is_cut_by(chunker)]
            if not cards:
                command += f" --chunker {chunker}" if chunker else ""
                raise RagError(f"The corpus '{corpus}' holds no documents that are cut so. Add them: {command}")
            known = sorted({card.embedder for card in cards if card.chunker == cards[0].chunker})
            return corpus, cards[0].chunker, embedders or known
        corpus = corpus_of(task.folder)
        wanted = chunker or "whole"
        names = list(embedders or self._settings.ingest_with)
        if not self._is_indexed(corpus, wanted, names):
            self._say(f"{task.name}: indexing its documents under {', '.join(names)}")
            with writer_lock(self._settings.home), Bars() as bars:
                ingest_paths(self._library, self._settings, [task.folder], corpus, names, wanted, bars)
        cards = [card for card in self._library.cards.all(corpus) if card.chunker == self._chunker_name(wanted)]
        if not cards:
            raise UsageError(f"{task.folder / 'corpus.jsonl'} holds no text. Put the task's documents there.")
        return corpus, cards[0].chunker, names

    def _is_indexed(self, corpus: str, chunker: str, embedders: Sequence[str]) -> bool:
        """Tells whether every document of the corpus is under every embedder; the name carries the content's digest."""
        documents = len(self._library.sources(corpus))
        fingerprints = {
            self._settings.embedders[name].fingerprint for name in embedders if name in self._settings.embedders
        }
        complete = {
            card.fingerprint
            for card in self._library.cards.all(corpus)
            if card.chunker == self._chunker_name(chunker) and card.documents == documents > 0
        }
        finished = self._library.ledger.entries(corpus)
        return bool(finished) and len(fingerprints) == len(set(embedders)) and fingerprints <= complete

    def _chunker_name(self, chunker: str) -> str:
        """Returns the full name, such as heading-800-100, of what was asked for in short."""
        from ingest.chunkers import load_chunker

        return load_chunker(chunker, self._settings.embedders, self._settings.embedder).name

    def _ann_recall(self, task: RetrievalTask, opened: Opened) -> float | None:
        """Returns the share of the exact ten nearest chunks that Chroma finds; None where it cannot be opened."""
        if opened.embedder is None:
            return None
        vectors = opened.embedder.embed_queries(list(task.queries.values()))
        exact = opened.retriever.rank(list(task.queries.values()), ANN_DEPTH)
        try:
            with writer_lock(self._settings.home), open_chroma(self._library) as chroma:
                chroma.sync(opened.card)
                found = chroma.search(opened.card, vectors, ANN_DEPTH)
        except LibraryLockedError:
            return None
        return recall(
            [[result.chunk_id for result in ranking] for ranking in exact],
            [[c for c, _ in ranking] for ranking in found],
        )


def _combinations(embedders: Sequence[str], retrievers: Sequence[str]) -> Iterator[tuple[str | None, str]]:
    for name in dict.fromkeys(retrievers):
        for embedder in dict.fromkeys(embedders) if name != "lexical" else (None,):
            yield embedder, name


def corpus_of(folder: Path) -> str:
    """Names a task folder's corpus by its name and its documents' digest: equal documents are indexed once."""
    digest = hashlib.sha256()
    with (folder / "corpus.jsonl").open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    name = re.sub(r"[^A-Za-z0-9]+", "-", folder.resolve().name).strip("-") or "task"
    return f"{name[:80]}-{digest.hexdigest()[:8]}"


def _cost(card: IndexCard | None) -> Mapping[str, float | None]:
    if card is None:
        return {}
    return {"embed_seconds": card.seconds, "bytes_per_vector": 4 * card.dimension, "usd": card.usd}


def _card_facts(card: IndexCard | None) -> Mapping[str, object]:
    """Returns what of a card tells which vectors were searched; times are left out, so that equal runs are equal."""
    if card is None:
        return {}
    keys = ("fingerprint", "provider", "model", "revision", "dimension", "max_tokens", "query_prefix", "passage_prefix")
    return {key: getattr(card, key) for key in (*keys, "precision", "documents", "chunks")}


def _document_texts(library: Library, corpus: str) -> Mapping[str, str]:
    return {document.source: f"{document.title} {document.text}" for document in library.documents(corpus)}


def check_embedders(settings: Settings, names: Sequence[str]) -> None:
    """Raises UsageError for a name that no table knows."""
    for name in names:
        if name not in settings.embedders:
            raise unknown_name("embedder", name, settings.embedders)


def check_out(folder: Path) -> None:
    """Raises UsageError where results cannot be written: better now than after the evaluation."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise UsageError(f"{there} is a file. Name a folder with --out.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"{there} may not be written to. Name another folder with --out.")
