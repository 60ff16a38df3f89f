"""Labelled tasks as folders that `rag eval` reads: `<home>/tasks/<name>/`, written anew at every change.

A folder holds task.toml, queries.jsonl, qrels/test.tsv and answers.jsonl in the form of the demo task, where qrels name
documents by their sources, and labels.jsonl and votes.jsonl, which lose nothing. The truth is library.db: a folder that
is behind, because its process was killed in between or the corpus has changed since, is brought up to date by the next
change and by `rag eval`.
"""

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from rag.labels import Judged, Label, LabelTable, LabelTask, Query, consensus, task_name_of
from rag.library import Library
from rag.votes import VoteTable, vote_record

FOLDER = "tasks"
UNFIT = frozenset("\t\n\r\0")
"""Characters that no line of a qrels file can hold; a document whose name has one is judged in labels.jsonl only."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What of a task's labels holds for the corpus as it is: `spans` maps each judged passage to where it stands now.

    The place is None for a whole document, and for a passage that stands there with other space between its words.
    `gone` counts the others: their document was removed, or its new version does not hold the passage any more.
    """

    spans: Mapping[tuple[str, str], int | None]
    gone: int


def folder_of(home: Path, task: str) -> Path:
    """Returns where a task of the library is."""
    return home / FOLDER / task


def write_folder(library: Library, name: str) -> Path:
    """Writes a task's folder, or removes that of a task which is no more, and returns where it is.

    The lock for writing is held meanwhile, so that of two processes the later one has the last word. Each file is
    replaced as a whole, in an order in which every state on the way is a task: qrels never name an unknown question.
    """
    folder = folder_of(library.home, name)
    with library.database.transaction():
        task = next((each for each in LabelTable(library.database).tasks() if each.name == name), None)
        if task is None:
            shutil.rmtree(folder, ignore_errors=True)
            return folder
        files = task_files(library, task)
        (folder / "qrels").mkdir(parents=True, exist_ok=True)
        _replace(folder / "queries.jsonl", _union(folder / "queries.jsonl", files["queries.jsonl"]))
        for path in ("task.toml", "qrels/test.tsv", "answers.jsonl", "labels.jsonl", "votes.jsonl", "queries.jsonl"):
            _replace(folder / path, files[path])
    return folder


def write_folders(library: Library) -> None:
    """Brings all the folders up to date."""
    for task in LabelTable(library.database).tasks():
        write_folder(library, task.name)


def task_files(library: Library, task: LabelTask) -> dict[str, str]:
    """Returns the content of each file of a task's folder, by its path there."""
    table = LabelTable(library.database)
    queries, labels = table.queries(task.name), table.labels(task.name)
    kept = keep(library, task.corpus, labels)
    grades = {judged: grade for judged, grade in consensus(labels).items() if judged[1:] in kept.spans}
    own = task.name == task_name_of(task.corpus)
    votes = VoteTable(library.database).votes(task.corpus) if own else []
    return {
        "task.toml": _settings(task),
        "queries.jsonl": _lines(map(_query_record, queries.values())),
        "qrels/test.tsv": _qrels(grades),
        "answers.jsonl": _lines(_answer_records(grades, kept.spans)),
        "labels.jsonl": _lines(map(asdict, labels)),
        "votes.jsonl": _lines(map(vote_record, votes)),
    }


def keep(library: Library, corpus: str, labels: Iterable[Label]) -> Kept:
    """Looks for each judged passage in the document of its source, as that is now."""
    by_source: dict[str, dict[str, int]] = {}
    for label in labels:
        by_source.setdefault(label.source, {})[label.span] = label.start
    spans: dict[tuple[str, str], int | None] = {}
    for source, starts in by_source.items():
        text = _text_of(library, corpus, source)
        if text is not None:
            spans |= {(source, span): place for span, place in _places(text, starts).items()}
    return Kept(spans, sum(map(len, by_source.values())) - len(spans))


def fold(grades: Mapping[Judged, int]) -> dict[str, dict[str, int]]:
    """Folds judged passages to documents: query id -> source -> the best grade of its passages."""
    qrels: dict[str, dict[str, int]] = {}
    for (query, source, _), grade in sorted(grades.items()):
        judged = qrels.setdefault(query, {})
        judged[source] = max(grade, judged.get(source, grade))
    return qrels


def _text_of(library: Library, corpus: str, source: str) -> str | None:
    sql = "SELECT text FROM documents WHERE corpus = ? AND source = ?"
    row = library.database.query(sql, (corpus, source)).fetchone()
    return row[0] if row else None


def _places(text: str, starts: Mapping[str, int]) -> dict[str, int | None]:
    """Maps the spans that a text holds to their places, the old one where a span stands there still."""
    places: dict[str, int | None] = {}
    plain = ""
    for span, start in starts.items():
        if not span:
            places[span] = None
        elif (place := start if text.startswith(span, start) else text.find(span)) >= 0:
            places[span] = place
        else:
            plain = plain or " ".join(text.split())
            if " ".join(span.split()) in plain:
                places[span] = None
    return places


# --- the files


def _settings(task: LabelTask) -> str:
    return (
        "# Written by the application from library.db, and anew at every change; do not edit.\n"
        f'family = "retrieval"\ncorpus = "{task.corpus}"\n'
    )


def _query_record(query: Query) -> dict[str, object]:
    return {"_id": query.id, "text": query.text, **({"metadata": {"kind": query.kind}} if query.kind else {})}


def _qrels(grades: Mapping[Judged, int]) -> str:
    lines = [
        f"{query}\t{source}\t{grade}\n"
        for query, judged in fold(grades).items()
        for source, grade in judged.items()
        if not UNFIT.intersection(source)
    ]
    return "query-id\tcorpus-id\tscore\n" + "".join(lines)


def _answer_records(
    grades: Mapping[Judged, int], places: Mapping[tuple[str, str], int | None]
) -> list[dict[str, object]]:
    """Returns the relevant passages of each query and document, in the form of the demo task, with their offsets."""
    answers: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for (query, source, span), grade in grades.items():
        place = places[source, span]
        if grade > 0 and place is not None:
            answers.setdefault((query, source), []).append((place, span))
    return [
        {"_id": query, "doc": source, "answers": [span for _, span in found], "starts": [start for start, _ in found]}
        for (query, source), spans in sorted(answers.items())
        if not UNFIT.intersection(source) and (found := sorted(spans))
    ]


def corpus_lines(library: Library, corpus: str) -> Iterable[str]:
    """Yields the lines of BEIR's corpus.jsonl: every document by its source."""
    for document in library.documents(corpus):
        yield _line({"_id": document.source, "title": document.title, "text": document.text})


def _lines(records: Iterable[Mapping[str, object]]) -> str:
    return "".join(map(_line, records))


def _line(record: Mapping[str, object]) -> str:
    return json.dumps(record, ensure_ascii=False) + "\n"


def _union(path: Path, new: str) -> str:
    """Returns the new questions and those of the file that are not among them any more."""
    ids = {_id_of(line) for line in new.split("\n") if line}  # not splitlines, which also splits inside a text
    old = path.read_text(encoding="utf-8").split("\n") if path.is_file() else []
    return new + "".join(f"{line}\n" for line in old if line and _id_of(line) not in ids)


def _id_of(line: str) -> object:
    try:
        return json.loads(line).get("_id")
    except (ValueError, AttributeError):
        return None


def _replace(path: Path, content: str) -> None:
    """Puts a file in the place of an older one in one step; one that holds the same stays as it is."""
    data = content.encode("utf-8")
    if path.is_file() and path.read_bytes() == data:
        return
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(data)
    fresh.replace(path)
