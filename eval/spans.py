"""Retrieved chunks against golden spans of the documents, by character: recall, precision, IoU, and a hit at all.

Smith and Troynikov, Evaluating Chunking Strategies for Retrieval, 2024 (https://research.trychroma.com/evaluating-chunking)
and its code, chunking_evaluation, whose definitions these are. The paper speaks of tokens; the code, and so this file,
counts characters. A golden character that several chunks hold counts once, but every retrieved chunk counts in full in
what was retrieved: overlapping chunks cost precision. A chunk of another document is retrieved and holds nothing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from eval.metrics import PerQuery
from eval.tasks.beir import ExpectedAnswer
from eval.tasks.retrieval import RetrievalTask
from rag.schema import Qrels

DEPTH = 5
"""How many chunks are looked at, as many as Chroma's published figures."""

BUDGET = 4_000
"""How many retrieved characters are looked at, whatever the size of the chunks: about a thousand tokens to read."""

BUDGET_RECALL = f"span_recall@{BUDGET}chars"
SPAN_METRICS = (
    BUDGET_RECALL,
    f"span_recall@{DEPTH}",
    f"span_precision@{DEPTH}",
    f"span_iou@{DEPTH}",
    f"answer_hit@{DEPTH}",
)
"""The metrics of spans, the main one first: at a fixed number of chunks larger ones have the better recall, and smaller
ones the better precision and IoU, so that only recall at equal length to read ranks chunkers."""

NEEDED = 100
"""How many chunks of a ranking are looked up: even small ones fill the budget by then."""


@dataclass(frozen=True, slots=True)
class Place:
    """A stretch of a document: document.text[start:end]."""

    document: str
    start: int
    end: int

    def meets(self, other: "Place") -> bool:
        """Tells whether the two have a character in common."""
        return self.document == other.document and self.start < other.end and other.start < self.end

    @property
    def length(self) -> int:
        """How many characters it has."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class GoldenSpans:
    """Where the answers of queries stand, by query; `lost` counts answers that their documents do not hold.

    `cut` has the queries that were cut out of a document, with where they stand there: what holds any of it is no hit.
    """

    places: Mapping[str, tuple[Place, ...]]
    lost: int = 0
    cut: Mapping[str, tuple[Place, ...]] = field(default_factory=dict)


def find_golden(task: RetrievalTask, text_of: Callable[[str], str | None]) -> GoldenSpans:
    """Finds where a task's answers stand, and the queries that were cut out of their documents.

    `text_of` gives the text of a document, None for one that is not there; it is asked for those alone.
    """
    queries = {query_id: task.queries[query_id] for query_id in task.cut_out}
    return replace(find_spans(task.answers, text_of), cut=find_cuttings(queries, task.qrels, text_of))


def find_spans(answers: Iterable[ExpectedAnswer], text_of: Callable[[str], str | None]) -> GoldenSpans:
    """Finds where each answer stands in its document: at its offset, else at the first place that holds its words.

    `text_of` gives the text of a document, None for one that is not there. An answer with other white space than its
    document's counts as found.
    """
    places: dict[str, list[Place]] = {}
    lost = 0
    by_document: dict[str, list[ExpectedAnswer]] = {}
    for answer in answers:
        by_document.setdefault(answer.document, []).append(answer)
    for document, asked in sorted(by_document.items()):
        text = text_of(document)
        for answer in asked:
            starts = answer.starts or (-1,) * len(answer.answers)
            for span, start in zip(answer.answers, starts, strict=True):
                found = locate(text, span, start) if text is not None and span.strip() else None
                if found is None:
                    lost += 1
                else:
                    places.setdefault(answer.query_id, []).append(Place(document, *found))
    return GoldenSpans({query: tuple(found) for query, found in places.items()}, lost)


def find_cuttings(
    queries: Mapping[str, str], qrels: Qrels, text_of: Callable[[str], str | None]
) -> dict[str, tuple[Place, ...]]:
    """Finds where queries that were cut out of their relevant documents stand there."""
    cut = {}
    for query_id, query in queries.items():
        places = []
        for document, grade in sorted(qrels[query_id].items()):
            text = text_of(document) if grade > 0 else None
            found = locate(text, query) if text is not None else None
            if found:
                places.append(Place(document, *found))
        if places:
            cut[query_id] = tuple(places)
    return cut


def locate(text: str, span: str, start: int = -1) -> tuple[int, int] | None:
    r"""Returns where a span stands in a text, the place nearest to `start` if that is given, None where it does not.

    >>> locate("one, one, one", "one", 8), locate("a one\n two b", "one two"), locate("a", "b")
    ((10, 13), (2, 10), None)
    """
    after = text.find(span, max(0, start))
    before = text.rfind(span, 0, max(0, start) + len(span)) if start > 0 else -1
    found = [place for place in (after, before) if place >= 0]
    if found:
        at = min(found, key=lambda place: abs(place - start))
        return at, at + len(span)
    return _locate_loosely(text, span.split())


def _locate_loosely(text: str, words: Sequence[str]) -> tuple[int, int] | None:
    """Finds words that are parted by any white space; each place of the first word is tried."""
    at = text.find(words[0]) if words else -1
    while at >= 0:
        end = _end_of(text, at, words)
        if end is not None:
            return at, end
        at = text.find(words[0], at + 1)
    return None


def _end_of(text: str, at: int, words: Sequence[str]) -> int | None:
    for number, word in enumerate(words):
        if number:
            begin = at
            while at < len(text) and text[at].isspace():
                at += 1
            if at == begin:
                return None
        if not text.startswith(word, at):
            return None
        at += len(word)
    return at


def score_spans(golden: Mapping[str, Sequence[Place]], retrieved: Mapping[str, Sequence[Place]]) -> PerQuery:
    """Scores each query that has golden spans; `retrieved` gives its chunks, best first, nothing where none was found.

    The values of a query for which nothing was found are 0.
    """
    scores: PerQuery = {name: {} for name in SPAN_METRICS}
    for query, spans in golden.items():
        chunks = retrieved.get(query, ())
        for name, value in zip(SPAN_METRICS, _scores(spans, chunks), strict=True):
            scores[name][query] = value
    return scores


def _scores(spans: Sequence[Place], chunks: Sequence[Place]) -> tuple[float, ...]:
    wanted = union(spans)
    total = _size(wanted)
    first = chunks[:DEPTH]
    covered = _size(overlap(wanted, union(first)))
    within = _size(overlap(wanted, union(within_budget(chunks, BUDGET))))
    length = sum(chunk.length for chunk in first)
    return (
        within / total,
        covered / total,
        covered / length if length else 0.0,
        covered / (length + total - covered),
        float(covered > 0),
    )


def within_budget(chunks: Iterable[Place], budget: int) -> list[Place]:
    """Returns the first chunks that have so many characters together, the last one cut to fit."""
    kept = []
    for chunk in chunks:
        if budget <= 0:
            break
        end = min(chunk.end, chunk.start + budget)
        kept.append(Place(chunk.document, chunk.start, end))
        budget -= end - chunk.start
    return kept


Ranges = Mapping[str, Sequence[tuple[int, int]]]
"""Disjoint ranges of characters in ascending order, by document."""


def union(places: Iterable[Place]) -> Ranges:
    """Returns the characters of all places, each once.

    >>> union([Place("a", 5, 9), Place("a", 0, 6), Place("b", 1, 2)])
    {'a': [(0, 9)], 'b': [(1, 2)]}
    """
    ranges: dict[str, list[tuple[int, int]]] = {}
    for place in sorted(places, key=lambda place: (place.document, place.start, place.end)):
        own = ranges.setdefault(place.document, [])
        if own and place.start <= own[-1][1]:
            own[-1] = (own[-1][0], max(own[-1][1], place.end))
        else:
            own.append((place.start, place.end))
    return ranges


def overlap(first: Ranges, second: Ranges) -> Ranges:
    """Returns the characters that are in both."""
    return {
        document: [
            (max(start, begin), min(end, stop))
            for start, end in ranges
            for begin, stop in second.get(document, ())
            if max(start, begin) < min(end, stop)
        ]
        for document, ranges in first.items()
    }


def _size(ranges: Ranges) -> int:
    return sum(end - start for own in ranges.values() for start, end in own)
