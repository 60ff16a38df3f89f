"""How good the extractive answers are: labelled answers quoted, and citations whose span holds one."""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.questions import (
    DEMO,
    SHARED,
    XQUAD,
    Question,
    Span,
    demo_questions,
    ingest_once,
    xquad_questions,
)
from benchmarks.tables import Table
from eval.statistics import mean_interval
from rag.answerer import whole
from rag.library import Library
from rag.reader import Reader
from rag.sentences import one_line
from rag.settings import read_settings

RETRIEVALS = (
    ("hybrid", "minilm"),
    ("dense", "minilm"),
    ("hybrid", "wordllama"),
    ("hybrid", "hash"),
    ("lexical", None),
)
COLUMNS = (
    "retrieval", "in the hits", "in the answer", "95 % interval", "cited", "95 % interval", "cited first",
    "of citations", "refused",
)  # fmt: skip
HITS, SEED = 8, 0


def run(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks answers", description=__doc__)
    parser.add_argument("--tuned", action="store_true", help="show the halves that were tuned on instead of the others")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="ask every Nth question of xQuAD (1)")
    parser.add_argument("--home", type=Path, metavar="DIR", help="keep what was ingested there, for another time")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables as Markdown as well")
    asked = parser.parse_args(arguments)
    tables = []
    with tempfile.TemporaryDirectory() as work:
        settings = read_settings(asked.home or work)
        library = Library(settings.home, create=True)
        reader = Reader(library, settings)
        ingest_once(library, settings, DEMO, "demo")
        sets = {"demo": [question for question in demo_questions(library) if question.answerable]}
        for name in XQUAD:
            if (SHARED / name).is_dir():
                ingest_once(library, settings, SHARED / name, name)
                questions = [question for question in xquad_questions(name) if question.half != asked.tuned]
                sets[name] = questions[:: asked.every]
        for corpus, questions in sets.items():
            # In the demo task the labels are the shortest spans, which may begin in one sentence and end in the next.
            holds = overlaps if corpus == "demo" else contains
            tables.append(table(reader, corpus, questions, holds))
            print(f"{tables[-1].text()}\n", flush=True)
        library.close()
    if asked.markdown:
        asked.markdown.write_text("\n\n".join(each.markdown() for each in tables) + "\n", encoding="utf-8")


def table(reader: Reader, corpus: str, questions: Sequence[Question], holds) -> Table:
    """Asks the questions under every retrieval.

    An answer that holds a labelled one in its text may have it from another place; it is cited where the span is right.
    A share of citations is one of all citations together.
    """
    made = Table(f"{corpus}: {len(questions)} questions", COLUMNS)
    for retriever, embedder in RETRIEVALS:
        opened = reader.open(corpus, embedder, retriever)
        answerer = opened.answerer()
        found, told, quoted, first, cited, refused = [], [], [], [], [], []
        for question in questions:
            hits = opened.retriever.retrieve(question.text, HITS)
            answer = whole(answerer.answer(question.text, hits))
            found.append(any(holds(question.spans, (h.source, h.chunk.start, h.chunk.end)) for h in hits))
            told.append(any(plain(wanted) in plain(answer.text) for wanted in question.answers))
            right = [holds(question.spans, (c.source, c.start, c.end)) for c in answer.citations]
            quoted.append(any(right))
            first.append(bool(right and right[0]))
            cited += right
            refused.append(answer.abstained)
        made.rows.append(
            [
                f"{retriever} {embedder or ''}".strip(),
                share(found),
                *(cell for values in (told, quoted) for cell in (share(values), interval(values))),
                share(first),
                share(cited),
                share(refused),
            ]
        )
    return made


def contains(wanted: Sequence[Span], span: Span) -> bool:
    """Tells whether a span holds all of a labelled answer."""
    source, start, end = span
    return any(source == s and start <= a and b <= end for s, a, b in wanted)


def overlaps(wanted: Sequence[Span], span: Span) -> bool:
    """Tells whether a span shares characters with a labelled answer."""
    source, start, end = span
    return any(source == s and start < b and a < end for s, a, b in wanted)


def share(values: Sequence[bool]) -> str:
    """Writes the share that is true."""
    return f"{sum(values) / len(values):.3f}" if values else "-"


def interval(values: Sequence[bool]) -> str:
    """Writes the bootstrap interval of a share."""
    found = mean_interval([float(value) for value in values], SEED)
    return f"{found.low:.3f} to {found.high:.3f}"


def plain(text: str) -> str:
    """Returns a text in small letters, without line breaks and emphasis, as answers are written."""
    return one_line(text).casefold()
