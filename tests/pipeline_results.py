"""What a run of the pipeline reports, and what it leaves in the library."""

from ingest.chunkers import load_chunker
from rag.embedders.registry import find_spec

HASH = find_spec("hash").fingerprint
WORDLLAMA = find_spec("wordllama").fingerprint
CHUNKER = load_chunker("heading").name


def statuses(report):
    return {outcome.source: outcome.status for outcome in report.outcomes}


def reasons(report):
    return {outcome.source: outcome.reason for outcome in report.outcomes}


def ledger(library, corpus="c"):
    return {entry.source: (entry.status, entry.reason) for entry in library.ledger.entries(corpus)}


def texts_in(library, fingerprint, chunker=CHUNKER, corpus="c"):
    """The chunks that are found under an index."""
    ids, vectors = library.vectors.of_index(corpus, chunker, fingerprint)
    assert len(ids) == len(vectors)
    return sorted(stored.chunk.text for stored in library.chunks(ids).values())


def stored_vectors(library):
    return {fingerprint: count for fingerprint, count, _ in library.vectors.count()}
