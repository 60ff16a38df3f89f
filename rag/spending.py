"""What was spent on embedding, by index: written in the transaction that stores the vectors it was spent on.

A run that is killed has therefore not forgotten what it paid, but for the slice that was under way.
"""

from dataclasses import dataclass
from sqlite3 import Connection

from rag.database import Database


@dataclass(frozen=True, slots=True)
class Spending:
    """What embedding so many passages took: tokens as they were sent, seconds and dollars.

    `tokens` are 0 where they are not counted: of an embedder that costs nothing and has no limit.
    """

    passages: int = 0
    tokens: int = 0
    seconds: float = 0.0
    usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Account:
    """The index that something is spent on."""

    corpus: str
    chunker: str
    fingerprint: str


class SpendingTable:
    """What was spent on the indexes of a library."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, account: Account, spent: Spending) -> None:
        """Adds what was spent without a vector to show for it."""
        with self._database.transaction() as connection:
            write_spending(connection, account, spent)

    def under(self, fingerprint: str) -> Spending:
        """Returns what was spent under a fingerprint, over all corpora and chunkers."""
        row = self._database.query(
            """SELECT COALESCE(SUM(passages), 0), COALESCE(SUM(tokens), 0), COALESCE(SUM(seconds), 0.0),
                      COALESCE(SUM(usd), 0.0) FROM spending WHERE fingerprint = ?""",
            (fingerprint,),
        ).fetchone()
        return Spending(*row)


def write_spending(connection: Connection, account: Account, spent: Spending) -> None:
    """Adds to what was spent on an index, inside a transaction."""
    connection.execute(
        """INSERT INTO spending VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
               passages = passages + excluded.passages, tokens = tokens + excluded.tokens,
               seconds = seconds + excluded.seconds, usd = usd + excluded.usd""",
        (
            account.corpus,
            account.chunker,
            account.fingerprint,
            spent.passages,
            spent.tokens,
            spent.seconds,
            spent.usd,
        ),
    )
