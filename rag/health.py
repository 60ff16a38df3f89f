"""Checks that a library is whole: what `rag doctor` reports."""

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from rag.bm25 import find_lexical_damage, lexical_folder
from rag.cards import IndexCard
from rag.chroma_check import find_damage
from rag.chroma_state import finds_well
from rag.embedders.spec import EmbedderSpec
from rag.index import FOLDER, OPEN_MARK, is_synced
from rag.library import Library

BLOCK = 10_000
UNIT = 1e-3
"""How far the length of a stored vector may be from 1; float32 and every embedder here stay far below."""

REBUILD = "Rebuilt from library.db at the next use, or now: rag rebuild"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked: whether it is well, what was seen, and what mends it or will happen to it."""

    subject: str
    well: bool
    detail: str
    remedy: str = ""


def examine(library: Library, embedders: Mapping[str, EmbedderSpec], is_writer: bool) -> list[Finding]:
    """Checks the database, every index's vectors and embedder, the ledger and the caches.

    Chroma's files are opened only where the caller `is_writer`, in processes of their own. A store that turns out to be
    damaged is marked, so that the next use throws it away.
    """
    findings = [_database(library)]
    if not findings[0].well:  # nothing that is read from it can be trusted
        return findings
    cards = sorted(library.cards.all(), key=lambda card: (card.corpus, card.chunker, card.embedder))
    for card in cards:
        findings += [_vectors(library, card), *_embedder(card, embedders)]
    findings += _ledgers(library)
    findings += [_lexical(library, *key) for key in sorted({(card.corpus, card.chunker) for card in cards})]
    findings.append(_chroma(library, cards, is_writer))
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
    subject = f"index {card.corpus} / {card.embedder} / {card.chunker}"
    command = f"rag ingest PATH --corpus {card.corpus} --embedder {card.embedder} --chunker {card.chunker}"
    documents, chunks = library.cards.count(card)
    stored, misfits = library.database.query(
        """SELECT COUNT(*), COALESCE(SUM(LENGTH(v.vector) != ?), 0) FROM indexed i
           JOIN chunks c ON c.document_id = i.document_id AND c.chunker = i.chunker
           JOIN vectors v ON v.fingerprint = i.fingerprint AND v.passage = c.passage
           WHERE i.corpus = ? AND i.chunker = ? AND i.fingerprint = ?""",
        (4 * card.dimension, card.corpus, card.chunker, card.fingerprint),
    ).fetchone()
    if stored != chunks:
        detail = f"{chunks} chunks, but {stored} vectors"
        return Finding(subject, False, detail, f"Embed what is missing: {command}")
    bent = 0 if misfits else _count_bent(library, card)
    if misfits or bent:
        detail = f"{misfits + bent} of {chunks} vectors are not of {card.dimension} dimensions and length 1"
        remedy = "Restore library.db from a backup, or ingest into another library (--home DIR)."
        return Finding(subject, False, detail, remedy)
    if (documents, chunks) != (card.documents, card.chunks):
        detail = f"{chunks} chunks, all with a vector, but its card counts {card.chunks}: an ingest was interrupted"
        return Finding(subject, False, detail, f"Let it end (nothing is embedded twice): {command}")
    return Finding(subject, True, f"{chunks} chunks, all with a vector")


def _count_bent(library: Library, card: IndexCard) -> int:
    """Counts the vectors whose length is not 1, or no number."""
    bent = 0
    for _, vectors in library.vectors.blocks(card.corpus, card.chunker, card.fingerprint, BLOCK):
        lengths = np.linalg.norm(vectors, axis=1)
        bent += int((~(np.abs(lengths - 1) <= UNIT)).sum())
    return bent


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


def _lexical(library: Library, corpus: str, chunker: str) -> Finding:
    subject = f"lexical {corpus} / {chunker}"
    if not lexical_folder(library, corpus, chunker).is_dir():
        return Finding(subject, True, "behind the library; it is built at the next use")
    damage = find_lexical_damage(library, corpus, chunker)
    return Finding(subject, not damage, damage or "up to date", REBUILD if damage else "")


def _chroma(library: Library, cards: list[IndexCard], is_writer: bool) -> Finding:
    folder = library.home / FOLDER
    mark = folder / OPEN_MARK
    if not (folder / "chroma.sqlite3").exists():
        return Finding("chroma", True, "not there yet; it is built from library.db at the next use")
    if not is_writer:
        return Finding("chroma", True, "not examined: another process has it open")
    damage = find_damage(library)
    if damage:
        mark.touch()  # whoever opens it next will not trust it
        return Finding("chroma", False, damage, REBUILD)
    behind = sum(not is_synced(library, card) for card in cards)
    if mark.exists():
        return Finding("chroma", True, "whole, but it was not closed; the next use checks it again")
    poor = [f"{card.corpus} / {card.embedder}" for card in cards if not finds_well(library, card)]
    exact = f"; its graphs lose much of {', '.join(poor)}, where all vectors are compared instead" if poor else ""
    if behind:
        return Finding("chroma", True, f"whole; {behind} of {len(cards)} indexes are behind, until the next use{exact}")
    return Finding("chroma", True, f"whole and up to date{exact}")
