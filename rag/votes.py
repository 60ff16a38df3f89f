"""Votes between contestants: which of several rankings a person found better for a question, kept in library.db."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from rag.database import Database
from rag.errors import unknown_name

TIE = "tie"
BAD = "bad"
"""All sides are equally good, and equally useless; neither names a winner."""

LETTERS = "ABCD"


@dataclass(frozen=True, slots=True)
class Found:
    """A passage that a contestant found: document.text[start:end] of the document of that source."""

    source: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Side:
    """A contestant and the passages that it found, best first; `embedder` is "" where words alone are compared."""

    embedder: str
    retriever: str
    milliseconds: float
    found: tuple[Found, ...]

    @property
    def name(self) -> str:
        """The contestant's name, such as `hybrid minilm`, or `lexical`: the leaderboard's own."""
        return contestant_name(self.embedder, self.retriever)


@dataclass(frozen=True, slots=True)
class Vote:
    """One person's verdict on sides that were shown in this order: a side's letter, `tie` or `bad`.

    `blind` tells whether the names were hidden until then; `user` is "" without a login, `time` in UTC.
    """

    corpus: str
    question: str
    sides: tuple[Side, ...]
    verdict: str
    blind: bool
    user: str = ""
    time: str = ""

    @property
    def winner(self) -> Side | None:
        """The side that was chosen, None where none was."""
        return self.sides[LETTERS.index(self.verdict)] if self.verdict in LETTERS else None


def contestant_name(embedder: str, retriever: str) -> str:
    """Returns a contestant's name as the leaderboard has it.

    >>> contestant_name("minilm", "hybrid"), contestant_name("", "lexical")
    ('hybrid minilm', 'lexical')
    """
    return f"{retriever} {embedder}" if embedder else retriever


def check_verdict(verdict: str, sides: int) -> None:
    """Raises UsageError for a verdict that so many sides cannot get."""
    known = (*LETTERS[:sides], TIE, BAD)
    if verdict not in known:
        raise unknown_name("verdict", verdict, known)


class VoteTable:
    """The votes of a library; as with labels, every process may write here."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, vote: Vote) -> None:
        """Keeps a vote; raises UsageError for a verdict that its sides cannot get."""
        check_verdict(vote.verdict, len(vote.sides))
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        sides = json.dumps([asdict(side) for side in vote.sides], ensure_ascii=False)
        with self._database.transaction() as connection:
            connection.execute(
                """INSERT INTO votes (corpus, question, sides, verdict, blind, user, time)
                   VALUES (?, ?, ?, ?, ?, ?, ?)""",
                (vote.corpus, vote.question, sides, vote.verdict, vote.blind, vote.user, vote.time or now),
            )

    def votes(self, corpus: str) -> list[Vote]:
        """Returns the votes on a corpus in the order in which they were given."""
        rows = self._database.query(
            "SELECT question, sides, verdict, blind, user, time FROM votes WHERE corpus = ? ORDER BY seq", (corpus,)
        )
        return [
            Vote(corpus, question, _sides(sides), verdict, bool(blind), user, time)
            for question, sides, verdict, blind, user, time in rows
        ]


def vote_record(vote: Vote) -> Mapping[str, object]:
    """Returns a vote as a line of votes.jsonl."""
    return asdict(vote)


def vote_of(record: Mapping[str, object]) -> Vote:
    """Reads what `vote_record` wrote; raises KeyError, TypeError or ValueError for anything else."""
    fields = dict(record)
    sides = _sides(json.dumps(fields.pop("sides")))
    vote = Vote(sides=sides, **fields)  # type: ignore[arg-type]
    if vote.verdict not in (*LETTERS[: len(sides)], TIE, BAD):
        raise ValueError(vote.verdict)
    return vote


def _sides(text: str) -> tuple[Side, ...]:
    return tuple(
        Side(
            str(side["embedder"]),
            str(side["retriever"]),
            float(side["milliseconds"]),
            tuple(Found(str(each["source"]), int(each["start"]), int(each["end"])) for each in side["found"]),
        )
        for side in json.loads(text)
    )
