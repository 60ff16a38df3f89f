"""How good the extractive answers of the demo task are: labelled spans quoted, and abstention right and wrong."""

import json
import re
import tempfile
from collections import defaultdict
from pathlib import Path

from rag.answerer import whole
from rag.library import Library
from rag.reader import Reader
from rag.settings import read_settings
from ui.ingesting import ingest_paths

TASK = Path("corpus/task")
RETRIEVALS = (("minilm", "hybrid"), ("minilm", "dense"), ("wordllama", "hybrid"), ("hash", "hybrid"), (None, "lexical"))


def labelled_spans(library: Library) -> dict[str, list[tuple[str, int, int]]]:
    """Returns for each query the spans (document id, start, end) that answer it."""
    documents = {document.source: document for document in library.documents("demo")}
    spans = defaultdict(list)
    for line in (TASK / "answers.jsonl").read_text(encoding="utf-8").splitlines():
        answer = json.loads(line)
        document = documents[answer["doc"]]
        for text in answer["answers"]:
            found = re.search(r"\s+".join(map(re.escape, text.split())), document.text)
            if found:
                spans[answer["_id"]].append((document.id, found.start(), found.end()))
    return spans


def run() -> None:
    queries = [json.loads(line) for line in (TASK / "queries.jsonl").read_text(encoding="utf-8").splitlines()]
    with tempfile.TemporaryDirectory() as home:
        settings = read_settings(home)
        library = Library(settings.home, create=True)
        ingest_paths(library, settings, [Path("corpus/documents")], "demo")
        spans = labelled_spans(library)
        print("answers on the demo task       span found   span quoted   first quote   abstains: answerable, not")
        for embedder, retriever in RETRIEVALS:
            opened = Reader(library, settings).open("demo", embedder, retriever)
            answerer = opened.answerer()
            found, quoted, first = [], [], []
            abstained = {True: [], False: []}
            for query in queries:
                hits = opened.retriever.retrieve(query["text"], 8)
                answer = whole(answerer.answer(query["text"], hits))
                wanted = spans.get(query["_id"], [])
                abstained[bool(wanted)].append(answer.abstained)
                if wanted:
                    found.append(any(overlap(wanted, h.chunk.document_id, h.chunk.start, h.chunk.end) for h in hits))
                    right = [overlap(wanted, c.document_id, c.start, c.end) for c in answer.citations]
                    quoted.append(any(right))
                    first.append(bool(right and right[0]))
            print(
                f"{f'{retriever} {embedder or str()}':<30} {share(found):>11} {share(quoted):>13} {share(first):>13} "
                f"{share(abstained[True]):>22} {share(abstained[False]):>13}"
            )
        library.close()


def overlap(wanted: list[tuple[str, int, int]], document: str, start: int, end: int) -> bool:
    """Tells whether a span overlaps one of the wanted ones."""
    return any(document == d and start < b and end > a for d, a, b in wanted)


def share(values: list[bool]) -> str:
    """Writes the share that is true."""
    return f"{sum(values) / len(values):.3f}"
