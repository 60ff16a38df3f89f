"""What `rag bakeoff --dry-run` says: the cells, what is stored, what would be embedded, and what that costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from eval.embedding_runner import embeds_as_queries
from eval.tasks.labelled_texts import LabelledTask
from eval.tasks.retrieval import RetrievalTask
from eval.tasks.sts import StsTask
from eval.tasks.task import Task
from ingest.budget import counts_exactly, dollars, price, sent_tokens
from ingest.estimate import IndexEstimate
from ingest.token_counting import load_counter
from rag.embedders.spec import EmbedderSpec
from rag.library import Library
from rag.passages import passage_key
from rag.settings import Settings
from rag.stored_embedder import query_fingerprint
from ui.evaluating import Cell, Evaluation
from ui.ingesting import estimate
from ui.shapes import Json
from ui.task_indexes import documents_of
from ui.words import about_time, count_text

_COLUMNS = ("task", "family", "embedder", "retriever", "chunker", "")


@dataclass(frozen=True, slots=True)
class TextsEstimate:
    """The texts of a task, its queries among them, that an embedder has to embed; each is stored and embedded once.

    `tokens` are what is sent, about as many where `exact` does not hold; `usd` is None where nobody knows the price.
    """

    task: str
    embedder: str
    texts: int
    tokens: int
    exact: bool
    usd: float | None


@dataclass(frozen=True, slots=True)
class BakeoffPlan:
    """What a bake-off would do. `indexes` and `texts` are of the cells that are not stored, `seconds` are for indexes.

    None of the sums is known where one of its parts is not.
    """

    cells: tuple[tuple[Cell, bool], ...]
    indexes: tuple[tuple[str, IndexEstimate], ...]
    texts: tuple[TextsEstimate, ...]

    @property
    def stored(self) -> int:
        """How many cells need not be scored."""
        return sum(stored for _, stored in self.cells)

    @property
    def passages(self) -> int:
        """How many passages have to be embedded."""
        return sum(index.passages for _, index in self.indexes)

    @property
    def tokens(self) -> int:
        """How many tokens would be sent."""
        return sum(index.tokens for _, index in self.indexes) + sum(each.tokens for each in self.texts)

    @property
    def usd(self) -> float | None:
        """What it would cost."""
        parts = [index.usd if index.passages else 0.0 for _, index in self.indexes] + [each.usd for each in self.texts]
        known = [part for part in parts if part is not None]
        return round(sum(known), 9) if len(known) == len(parts) else None

    @property
    def seconds(self) -> float | None:
        """How long indexing would take."""
        parts = [index.seconds if index.passages else 0.0 for _, index in self.indexes]
        known = [part for part in parts if part is not None]
        return sum(known) if len(known) == len(parts) else None


def plan_bakeoff(library: Library, settings: Settings, evaluation: Evaluation, cells: Sequence[Cell]) -> BakeoffPlan:
    """Plans cells; writes and sends nothing, and the library may be read-only."""
    states = tuple((cell, evaluation.is_stored(cell)) for cell in cells)
    left = [cell for cell, stored in states if not stored]
    indexes: list[tuple[str, IndexEstimate]] = []
    for place, group in groupby((cell for cell in left if cell.place), key=lambda cell: cell.place):
        of_place = list(group)
        task = of_place[0].task
        if place is None or not isinstance(task, RetrievalTask):
            continue
        lacking = evaluation.indexes.lacking(place, [cell.embedder for cell in of_place])
        if lacking:
            paths = [documents_of(task)] if task.corpus is None else []
            found = estimate(library, settings, paths, place.corpus, lacking, place.chunker)
            indexes += [(place.corpus, index) for index in found.indexes]
    pairs = dict.fromkeys((cell.task.name, cell.embedder) for cell in left if cell.embedder)
    tasks = {cell.task.name: cell.task for cell in left}
    texts = [
        _texts_estimate(library, settings, tasks[name], settings.embedders[embedder])
        for name, embedder in pairs
        if embedder
    ]
    return BakeoffPlan(states, tuple(indexes), tuple(texts))


def texts_of(task: Task) -> list[str]:
    """Returns the texts of a task that are embedded for themselves, at most; documents are counted by their index."""
    if isinstance(task, StsTask):
        return [sentence for pair in task.pairs.values() for sentence in (pair.sentence1, pair.sentence2)]
    learned = task.train.values() if isinstance(task, LabelledTask) and task.family != "clustering" else ()
    return [*task.items.values(), *(each.text for each in learned)]


def _texts_estimate(library: Library, settings: Settings, task: Task, spec: EmbedderSpec) -> TextsEstimate:
    as_queries = isinstance(task, RetrievalTask) or embeds_as_queries(spec)
    fingerprint = query_fingerprint(spec) if as_queries else spec.fingerprint
    by_key = {passage_key(text): text for text in texts_of(task)}
    missing = [by_key[key] for key in by_key.keys() & library.vectors.missing(fingerprint, list(by_key))]
    token = price(spec)
    if not missing:
        return TextsEstimate(task.name, spec.name, 0, 0, True, 0.0)
    counter = load_counter(spec, settings.embedders)
    tokens = sum(sent_tokens(counter, counter.count_tokens(missing)))
    usd = None if token is None else round(tokens * token, 9)
    return TextsEstimate(task.name, spec.name, len(missing), tokens, counts_exactly(counter), usd)


def plan_document(plan: BakeoffPlan) -> Json:
    """Returns the document of `rag bakeoff --dry-run --json`."""
    return {
        "cells": [
            {
                "task": cell.task.name,
                "family": cell.task.family,
                "embedder": cell.embedder,
                "retriever": cell.retriever,
                "chunker": cell.place.chunker if cell.place else None,
                "key": cell.key,
                "stored": stored,
            }
            for cell, stored in plan.cells
        ],
        "indexes": [
            {
                "corpus": corpus,
                "embedder": index.embedder,
                "chunker": index.chunker,
                "passages": index.passages,
                "tokens": index.tokens,
                "exact": index.exact,
                "seconds": index.seconds,
                "usd": index.usd,
            }
            for corpus, index in plan.indexes
        ],
        "texts": [
            {
                "task": each.task,
                "embedder": each.embedder,
                "texts": each.texts,
                "tokens": each.tokens,
                "exact": each.exact,
                "usd": each.usd,
            }
            for each in plan.texts
        ],
        "stored": plan.stored,
        "tokens": plan.tokens,
        "usd": plan.usd,
    }


def plan_lines(plan: BakeoffPlan) -> list[str]:
    """Returns the plan as a person reads it."""
    rows = [_COLUMNS, *(_cell_words(cell, stored) for cell, stored in plan.cells)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = ["  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    total = len(plan.cells)
    lines = [*table, "", f"{count_text(total, 'row')}: {plan.stored} stored, {total - plan.stored} to score"]
    for corpus, index in plan.indexes:
        cost = _cost(index.passages, "passage", index.tokens, index.exact, index.usd)
        lines.append(f"  {corpus} under {index.embedder}, {index.chunker}: {cost}, {about_time(index.seconds)}")
    for each in plan.texts:
        if each.texts:
            cost = _cost(each.texts, "text", each.tokens, each.exact, each.usd)
            lines.append(f"  {each.task} under {each.embedder}: {cost}")
    if plan.tokens:
        lines.append(f"In all {plan.tokens:,} tokens, {_money(plan.usd)}.")
    return [*lines, "Nothing was written and nothing was sent."]


def _cell_words(cell: Cell, stored: bool) -> tuple[str, ...]:
    cut = cell.place.chunker if cell.place else None
    named: Mapping[str, str | None] = {"embedder": cell.embedder, "retriever": cell.retriever, "chunker": cut}
    return (cell.task.name, cell.task.family, *(word or "-" for word in named.values()), "stored" if stored else "")


def _cost(count: int, noun: str, tokens: int, exact: bool, usd: float | None) -> str:
    about = "" if exact else "about "
    return f"{count_text(count, noun)} to embed, {about}{tokens:,} tokens, {_money(usd)}"


def _money(usd: float | None) -> str:
    return "at an unknown price" if usd is None else dollars(usd) if usd else "free"
