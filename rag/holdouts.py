"""Sealed hold-outs: queries of a task that nobody looks at while choosing, and a record of every time somebody did.

A task is known by its digest, so judgements that change after the sealing are noticed; the user's files are never
touched.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rag.database import Database
from rag.errors import UsageError

SHARE = 0.3
TEST, DEV, HOLDOUT = "test", "dev", "holdout"


@dataclass(frozen=True, slots=True)
class Seal:
    """A sealed task: which of the items of its test split are held out, and since when."""

    digest: str
    folder: str
    items: frozenset[str]
    seed: int
    sealed: str


@dataclass(frozen=True, slots=True)
class Opening:
    """One evaluation of held-out items: by whom, when, and which rows saw them."""

    user: str
    time: str
    rows: tuple[str, ...]


def choose(items: Iterable[str], share: float, seed: int) -> frozenset[str]:
    """Returns the items to hold out: those whose seeded hashes are least, so the choice owes nothing to their order.

    Raises UsageError for a share that is none, or that leaves no item on one of the sides but for a share of 1.
    """
    ids = sorted(items, key=lambda item: hashlib.sha256(f"{seed} {item}".encode("utf-8", "surrogatepass")).digest())
    if not 0 < share <= 1:
        raise UsageError(f"The share {share} to hold out must lie above 0, and be at most 1.")
    count = len(ids) if share == 1 else round(share * len(ids))
    if not count or (share < 1 and count == len(ids)):
        raise UsageError(f"A share of {share} of {len(ids)} items leaves one side without any. Choose another share.")
    return frozenset(ids[:count])


class HoldoutTable:
    """The seals of a library, and the openings of each."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def seals(self) -> list[Seal]:
        """Returns all seals, the oldest first."""
        rows = self._database.query("SELECT digest, folder, items, seed, sealed FROM holdouts ORDER BY sealed, digest")
        return [_seal(*row) for row in rows]

    def find(self, digest: str) -> Seal | None:
        """Returns the seal of a task by the digest of its whole test split, None where it is not sealed."""
        query = "SELECT digest, folder, items, seed, sealed FROM holdouts WHERE digest = ?"
        row = self._database.query(query, (digest,)).fetchone()
        return _seal(*row) if row else None

    def of_folder(self, folder: str) -> Seal | None:
        """Returns the newest seal that was made of a folder, whatever has become of its files since."""
        query = "SELECT digest, folder, items, seed, sealed FROM holdouts WHERE folder = ? ORDER BY sealed DESC"
        row = self._database.query(query, (folder,)).fetchone()
        return _seal(*row) if row else None

    def seal(self, digest: str, folder: str, items: Iterable[str], seed: int) -> Seal:
        """Seals a task; raises UsageError for one that is sealed: to choose again would undo what a seal is for."""
        earlier = self.find(digest)
        if earlier:
            raise UsageError(
                f"{folder} is sealed since {earlier.sealed}: {len(earlier.items)} items are held out. "
                "A seal is not made twice."
            )
        made = Seal(digest, folder, frozenset(items), seed, _now())
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO holdouts VALUES (?, ?, ?, ?, ?)",
                (digest, folder, json.dumps(sorted(made.items)), seed, made.sealed),
            )
        return made

    def openings(self, seal: Seal) -> list[Opening]:
        """Returns who has looked at held-out items, the first one first.

        Items that an older seal of the same folder held out, before its labels changed, were looked at with it.
        """
        related = [
            each.digest
            for each in self.seals()
            if each.digest == seal.digest or (each.folder == seal.folder and each.items & seal.items)
        ]
        rows = self._database.query(
            f"""SELECT user, time, rows FROM holdout_openings WHERE digest IN ({",".join("?" * len(related))})
                ORDER BY seq""",
            tuple(related),
        )
        return [Opening(user, time, tuple(json.loads(seen))) for user, time, seen in rows]

    def open(self, seal: Seal, rows: Sequence[str], user: str = "") -> int:
        """Records an evaluation of held-out items, before it begins, and returns how many there have been with it.

        One whose rows have all seen these items before tells nobody anything new, and is not recorded again.
        """
        with self._database.transaction() as connection:
            earlier = self.openings(seal)
            if set(rows) <= {row for opening in earlier for row in opening.rows}:
                return len(earlier)
            connection.execute(
                "INSERT INTO holdout_openings (digest, user, time, rows) VALUES (?, ?, ?, ?)",
                (seal.digest, user, _now(), json.dumps(sorted(set(rows)))),
            )
            return len(earlier) + 1


def _seal(digest: str, folder: str, items: str, seed: int, sealed: str) -> Seal:
    return Seal(digest, folder, frozenset(json.loads(items)), seed, sealed)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
