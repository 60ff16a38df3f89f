"""Checks that a library is whole: what `rag doctor` reports. Reads only, and never opens Chroma."""

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rag.cards import IndexCard
from rag.embedders.spec import EmbedderSpec
from rag.index import FOLDER, OPEN_MARK, is_synced
from rag.library import Library


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked: whether it is well, what was seen, and what mends it."""

    subject: str
    well: bool
    detail: str
    remedy: str = ""


def examine(library: Library, embedders: Mapping[str, EmbedderSpec]) -> list[Finding]:
    """Checks the database, every index's vectors and embedder, the ledger and the caches."""
    findings = [_database(library)]
    if not findings[0].well:  # nothing that is read from it can be trusted
        return findings
    for card in sorted(library.cards.all(), key=lambda card: (card.corpus, card.chunker, card.embedder)):
        findings += [_vectors(library, card), *_embedder(card, embedders), _chroma(library, card)]
    findings += _ledgers(library)
    mark = library.home / FOLDER / OPEN_MARK
    if mark.exists():
        findings.append(
            Finding(
                "chroma",
                True,
                f"is open in process {mark.read_text()}, or was not closed; then it is rebuilt at the next use",
            )
        )
    return findings


def _database(library: Library) -> Finding:
    try:
        said = [row[0] for row in library.database.query("PRAGMA quick_check")]
        said += [
            f"a row of {row[0]} belongs to no {row[2]}" for row in library.database.query("PRAGMA foreign_key_check")
        ]
    except sqlite3.DatabaseError as error:
        said = [str(error)]
    if said != ["ok"]:
        remedy = "Restore library.db from a backup, or ingest anew into another library (--home DIR)."
        return Finding("library.db", False, " ".join("; ".join(said[:3]).split()), remedy)
    return Finding("library.db", True, "whole")


def _vectors(library: Library, card: IndexCard) -> Finding:
    ids, vectors = library.vectors.of_index(card.corpus, card.chunker, card.fingerprint)
    subject = f"index {card.corpus} / {card.embedder} / {card.chunker}"
    documents, chunks = library.cards.count(card)
    command = f"rag ingest PATH --corpus {card.corpus} --embedder {card.embedder} --chunker {card.chunker}"
    if len(ids) != chunks or (ids and vectors.shape[1] != card.dimension):
        detail = f"{len(ids)} vectors of {vectors.shape[1]} dimensions for {chunks} chunks of {card.dimension}"
        return Finding(subject, False, detail, f"Embed what is missing: {command}")
    if (documents, chunks) != (card.documents, card.chunks):
        detail = f"{chunks} chunks, all with a vector, but its card counts {card.chunks}: an ingest was interrupted"
        return Finding(subject, False, detail, f"Let it end (nothing is embedded twice): {command}")
    return Finding(subject, True, f"{chunks} chunks, all with a vector")


def _embedder(card: IndexCard, embedders: Mapping[str, EmbedderSpec]) -> Iterator[Finding]:
    """Yields a finding where the embedder's entry is not the one that the index was built with any more."""
    spec = embedders.get(card.embedder)
    if spec is None or spec.fingerprint != card.fingerprint:
        now = f"'{card.embedder}' now means {spec.provider} model '{spec.model}'" if spec else "no such entry is left"
        yield Finding(
            f"embedder of {card.corpus} / {card.embedder} / {card.chunker}",
            False,
            f"the index was built with {card.provider} model '{card.model}', revision {card.revision}; {now}",
            f"Restore the entry, or build an index anew: rag ingest PATH --corpus {card.corpus}",
        )


def _chroma(library: Library, card: IndexCard) -> Finding:
    behind = "behind the library; it is brought up to date at the next use"
    detail = "up to date" if is_synced(library, card) else behind
    return Finding(f"chroma {card.corpus} / {card.embedder}", True, detail)


def _ledgers(library: Library) -> Iterator[Finding]:
    for corpus in library.corpora():
        entries = library.ledger.entries(corpus)
        failed = [entry for entry in entries if entry.status == "failed"]
        sources = library.sources(corpus)
        lost = [entry.source for entry in entries if entry.status == "done" and entry.source not in sources]
        detail = f"{len(sources)} documents; {len(entries)} files known, {len(failed)} of them failed"
        if lost:
            yield Finding(
                f"corpus {corpus}", False, f"{detail}; lost: {', '.join(lost[:3])}", "Ingest these files again."
            )
        else:
            yield Finding(f"corpus {corpus}", True, detail)
