"""Questions with known answers, or known to have none: the demo task, xQuAD in three languages, mtRAG."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rag.library import Library
from rag.settings import Settings
from ui.ingesting import ingest_paths

SHARED = Path(__file__).parents[2] / "shared" / "data" / "retrieval"
DEMO, DEMO_TASK = Path("corpus/documents"), Path("corpus/task")
XQUAD = ("xquad-en", "xquad-de", "xquad-zh")
MTRAG = "mtragun-ref"
EMBEDDERS = ("minilm", "wordllama", "hash")

Span = tuple[str, int, int]
"""A source, and the offsets of an answer in it."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its labelled answers and where they stand; `half` is 0 where it was tuned on, else 1."""

    text: str
    answerable: bool
    half: int = 1
    answers: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()


def records(path: Path) -> Iterator[dict]:
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def ingest_once(library: Library, settings: Settings, folder: Path, corpus: str) -> None:
    """Ingests a folder under the embedders that come with the project, unless that was done before."""
    if corpus not in library.corpora():
        ingest_paths(library, settings, [folder], corpus, EMBEDDERS)


def demo_questions(library: Library) -> list[Question]:
    """Returns the demo task's questions; a labelled answer is found in its document up to white space."""
    texts = {document.source: document.text for document in library.documents("demo")}
    answers: dict[str, list[str]] = defaultdict(list)
    spans: dict[str, list[Span]] = defaultdict(list)
    for record in records(DEMO_TASK / "answers.jsonl"):
        for answer in record["answers"]:
            if found := re.search(r"\s+".join(map(re.escape, answer.split())), texts[record["doc"]]):
                answers[record["_id"]].append(answer)
                spans[record["_id"]].append((record["doc"], found.start(), found.end()))
    return [
        Question(record["text"], bool(spans[key := record["_id"]]), 0, tuple(answers[key]), tuple(spans[key]))
        for record in records(DEMO_TASK / "queries.jsonl")
    ]


def xquad_questions(name: str, kept: set[str] | None = None) -> list[Question]:
    """Returns xQuAD's questions, the even ones tuned on; unanswerable are those of paragraphs that were not kept."""
    texts = {record["_id"]: record["text"] for record in records(SHARED / name / "queries.jsonl")}
    questions = []
    for number, record in enumerate(records(SHARED / name / "answers.jsonl")):
        ends = zip(record["starts"], record["answers"], strict=True)
        spans = tuple((record["doc"], start, start + len(answer)) for start, answer in ends)
        answerable = kept is None or record["doc"] in kept
        questions.append(Question(texts[record["_id"]], answerable, number % 2, tuple(record["answers"]), spans))
    return questions


def halve_xquad(name: str, folder: Path) -> set[str]:
    """Writes a BEIR folder of every other paragraph of each article of xQuAD; returns their ids."""
    kept = [record for record in records(SHARED / name / "corpus.jsonl") if int(record["_id"].split("-")[1]) % 2 == 0]
    folder.mkdir(parents=True)
    lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in kept)
    (folder / "corpus.jsonl").write_text(lines, encoding="utf-8")
    (folder / "queries.jsonl").write_text("", encoding="utf-8")
    return {record["_id"] for record in kept}


def mtrag_questions() -> list[Question]:
    """Returns the last questions of mtRAG's conversations that are labelled answerable or unanswerable.

    What is answerable in part or underspecified is left out. Even conversations were tuned on.
    """
    conversations: dict[tuple[str, str], int] = {}
    questions = []
    for record in records(SHARED / MTRAG / "conversations.jsonl"):
        first, last = record["turns"][0]["text"].strip(), record["turns"][-1]["text"].strip()
        number = conversations.setdefault((record["collection"], first), len(conversations))
        (label,) = record["answerability"]
        if label in ("ANSWERABLE", "UNANSWERABLE"):
            questions.append(Question(last, label == "ANSWERABLE", number % 2))
    return questions
