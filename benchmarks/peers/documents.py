"""The documents of a BEIR folder and the questions that every contender must answer with them. Plain Python only."""

import json
from dataclasses import dataclass
from pathlib import Path

QUESTIONS = 5
QUESTION_LENGTH = 200
K = 3


@dataclass(frozen=True, slots=True)
class Record:
    """A line of corpus.jsonl."""

    id: str
    title: str
    text: str

    @property
    def whole(self) -> str:
        """Title and text in BEIR's form: what a peer is given as the text of the document."""
        return f"{self.title} {self.text}".strip()


def read_records(folder: Path) -> list[Record]:
    """Returns the records of a folder that hold any text."""
    with (folder / "corpus.jsonl").open(encoding="utf-8") as lines:
        parsed = (json.loads(line) for line in lines)
        records = [Record(str(r["_id"]), r.get("title") or "", r.get("text") or "") for r in parsed]
    return [record for record in records if record.whole]


def questions(records: list[Record]) -> list[tuple[str, str]]:
    """Returns (question, id of the document that it is the beginning of) for some documents spread over all."""
    step = max(1, len(records) // QUESTIONS)
    return [((record.text or record.title)[:QUESTION_LENGTH], record.id) for record in records[::step][:QUESTIONS]]
