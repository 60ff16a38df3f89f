"""How far each Chroma collection has caught up with the library, kept in library.db and read without opening Chroma.

Documents that join an index, and chunks that leave it, are numbered as they come. A collection that has taken over all
numbers up to (added, removed) is up to date; one without a row has never been filled.
"""

from rag.cards import IndexCard
from rag.library import Library

FOUND_AGAIN = 0.95
"""Share of its vectors that a graph must find again.

A sound graph loses some: one of 390 in every twelfth opening, as its neighbours are chosen at random.
"""


def collection_name(card: IndexCard) -> str:
    """Names the collection of an index: one for each corpus, chunker and embedder fingerprint."""
    return f"{card.corpus}.{card.chunker}.{card.fingerprint}"


def state_of(library: Library, card: IndexCard) -> tuple[int, int] | None:
    """Returns the numbers (added, removed) up to which a collection has caught up; None where it was never filled."""
    row = library.database.query(
        "SELECT added, removed FROM chroma_state WHERE collection = ?", (collection_name(card),)
    ).fetchone()
    return (int(row[0]), int(row[1])) if row else None


def is_caught_up(library: Library, card: IndexCard) -> bool:
    """Tells whether a collection has taken over all that joined and left its index."""
    state = state_of(library, card)
    if state is None:
        return False
    added = library.database.query(
        "SELECT MAX(seq) FROM indexed WHERE corpus = ? AND chunker = ? AND fingerprint = ?",
        (card.corpus, card.chunker, card.fingerprint),
    ).fetchone()[0]
    return state[0] >= (added or 0) and state[1] >= last_removal(library, card)


def last_removal(library: Library, card: IndexCard) -> int:
    """Returns the number of the last chunk that left the corpus under the card's chunker, 0 where none is kept."""
    query = "SELECT MAX(seq) FROM removed WHERE corpus = ? AND chunker = ?"
    return int(library.database.query(query, (card.corpus, card.chunker)).fetchone()[0] or 0)


def removed_after(library: Library, card: IndexCard, seq: int, size: int) -> list[tuple[int, str]]:
    """Returns the next chunks that left the corpus under the card's chunker: (number, chunk id)."""
    return library.database.query(
        "SELECT seq, chunk_id FROM removed WHERE corpus = ? AND chunker = ? AND seq > ? ORDER BY seq LIMIT ?",
        (card.corpus, card.chunker, seq, size),
    ).fetchall()


def write_state(library: Library, card: IndexCard, added: int, removed: int) -> None:
    """Records how far a collection has come, and forgets the removals that every collection has taken over."""
    with library.database.transaction() as connection:
        connection.execute(
            "INSERT OR REPLACE INTO chroma_state (collection, corpus, chunker, added, removed) VALUES (?, ?, ?, ?, ?)",
            (collection_name(card), card.corpus, card.chunker, added, removed),
        )
        connection.execute(
            """DELETE FROM removed WHERE corpus = ?1 AND chunker = ?2 AND seq <=
               (SELECT MIN(removed) FROM chroma_state WHERE corpus = ?1 AND chunker = ?2)""",
            (card.corpus, card.chunker),
        )


def write_found(library: Library, card: IndexCard, share: float) -> None:
    """Records which share of some vectors a collection's graph finds again."""
    with library.database.transaction() as connection:
        connection.execute("UPDATE chroma_state SET found = ? WHERE collection = ?", (share, collection_name(card)))


def finds_well(library: Library, card: IndexCard) -> bool:
    """Tells whether a collection's graph finds nearly all that is in it, as far as has been measured.

    Passages that are much alike may all be equally far from each other, and a graph that keeps only the nearest few
    neighbours of each falls apart then: of 2,000 such notes under the bag-of-words embedder it found 61 in 100 again.
    """
    query = "SELECT found FROM chroma_state WHERE collection = ?"
    row = library.database.query(query, (collection_name(card),)).fetchone()
    return not row or row[0] is None or row[0] >= FOUND_AGAIN


def forget(library: Library, card: IndexCard) -> None:
    """Takes a collection for one that was never filled."""
    with library.database.transaction() as connection:
        connection.execute("DELETE FROM chroma_state WHERE collection = ?", (collection_name(card),))


def forget_all(library: Library) -> None:
    """Takes every collection for one that was never filled, as after the Chroma folder is gone."""
    with library.database.transaction() as connection:
        connection.execute("DELETE FROM chroma_state")
