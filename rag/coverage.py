"""How much of a corpus each index covers, what it cuts off, and what the corpus is like: sizes and languages."""

from dataclasses import dataclass

from rag.cards import IndexCard
from rag.library import Library


@dataclass(frozen=True, slots=True)
class Coverage:
    """One index beside its corpus: `chunks` of `total` chunks and `documents` of `total_documents` are under it.

    `cut` counts the chunks whose passage is longer than the embedder reads; `uncounted` those embedded before tokens
    were counted, of which nothing is known.
    """

    card: IndexCard
    chunks: int
    total: int
    documents: int
    total_documents: int
    cut: int
    uncounted: int

    @property
    def cut_share(self) -> float:
        """The share of chunks that are cut, among those whose tokens were counted."""
        counted = self.chunks - self.uncounted
        return self.cut / counted if counted else 0.0

    @property
    def is_complete(self) -> bool:
        """Whether all chunks of the corpus are under the index."""
        return self.chunks == self.total and self.documents == self.total_documents


def coverage(library: Library, corpus: str) -> list[Coverage]:
    """Returns the coverage of every index of a corpus, by chunker and embedder."""
    query = library.database.query
    total_documents = query("SELECT COUNT(*) FROM documents WHERE corpus = ?", (corpus,)).fetchone()[0]
    found = []
    for card in sorted(library.cards.all(corpus), key=lambda card: (card.chunker, card.embedder)):
        documents, chunks = library.cards.count(card)
        cut, uncounted = query(
            """SELECT COALESCE(SUM(v.tokens > ?), 0), COALESCE(SUM(v.tokens IS NULL), 0) FROM indexed i
               JOIN chunks c ON c.document_id = i.document_id AND c.chunker = i.chunker
               JOIN vectors v ON v.fingerprint = i.fingerprint AND v.passage = c.passage
               WHERE i.corpus = ? AND i.chunker = ? AND i.fingerprint = ?""",
            (card.max_tokens or 1 << 60, corpus, card.chunker, card.fingerprint),
        ).fetchone()
        total = len(chunk_lengths(library, corpus, card.chunker))
        found.append(Coverage(card, chunks, total, documents, total_documents, cut, uncounted))
    return found


def languages(library: Library, corpus: str) -> dict[str, int]:
    """Counts the documents of a corpus by language, the most frequent first; "" where it could not be told."""
    rows = library.database.query(
        "SELECT language, COUNT(*) FROM documents WHERE corpus = ? GROUP BY language ORDER BY 2 DESC, 1", (corpus,)
    )
    return {language: count for language, count in rows}


def chunk_lengths(library: Library, corpus: str, chunker: str) -> list[int]:
    """Returns the length of every chunk of a corpus under a chunker, in characters, ascending."""
    rows = library.database.query(
        """SELECT c."end" - c.start FROM documents d JOIN chunks c ON c.document_id = d.id AND c.chunker = ?
           WHERE d.corpus = ? ORDER BY 1""",
        (chunker, corpus),
    )
    return [row[0] for row in rows]
