"""The records that every layer speaks: documents, chunks, hits, answers. Data only, no behaviour."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
"""An array (n, d) of float32 whose rows have unit length, so that cosine similarity is the dot product."""

Qrels = Mapping[str, Mapping[str, int]]
"""Relevance judgements: query id -> document id -> grade (0 = judged not relevant)."""

Run = Mapping[str, Mapping[str, float]]
"""A ranking for every query in TREC's sense: query id -> document id -> score."""

HEADING_SEPARATOR = " > "
"""Joins the headings above a chunk into its `heading`: `Guide > Hybrid search > Weights`."""


def content_id(*parts: str) -> str:
    """Returns the 20 hexadecimal digits that identify the given parts, equal for equal parts on every machine."""
    digest = hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:20]


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of a document: the offset of its first character, its level (1 = top) and its text without markup."""

    start: int
    level: int
    text: str


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """What a parser makes of a file: text with the structure that can be told, and what the reader should know.

    `pages` holds the offset at which each page starts (page 1 first), empty for formats without pages. `headings` are
    in the order of their offsets. `warnings` are sentences for the ledger, such as "2 of 9 pages hold no text". `date`
    is the day that the document itself is dated, as 2024-03-01, "" where it says none.
    """

    title: str
    text: str
    pages: tuple[int, ...] = ()
    headings: tuple[Heading, ...] = ()
    warnings: tuple[str, ...] = ()
    date: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """One source file, or one BEIR record, of a corpus.

    `source` is the path relative to the ingested folder (or the BEIR id) and is unique within the corpus;
    `content_hash` is the sha256 of the source's bytes. `language` is the ISO 639-1 code of most of the text, "" where
    it cannot be told. `date` is the day it is dated, as 2024-03-01, else that on which its file was last changed, ""
    where neither is known.
    """

    id: str
    corpus: str
    source: str
    title: str
    text: str
    format: str
    content_hash: str
    pages: tuple[int, ...] = ()
    headings: tuple[Heading, ...] = ()
    language: str = ""
    date: str = ""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A span of a document; `document.text[start:end] == text` always holds.

    `page` counts from 1 and is None for formats without pages; `heading` is the path of headings above the span.
    """

    id: str
    document_id: str
    start: int
    end: int
    page: int | None
    heading: str
    text: str


@dataclass(frozen=True, slots=True)
class Leg:
    """What one leg (dense or lexical) contributed to a hit: its rank there, counted from 1, and its score there."""

    rank: int
    score: float


@dataclass(frozen=True, slots=True)
class Scored:
    """A chunk id with its score and the legs that found it: what a retriever ranks before chunks are looked up."""

    chunk_id: str
    score: float
    legs: Mapping[str, Leg] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk found for a query, with its rank (from 1), its score and each leg's contribution."""

    chunk: Chunk
    source: str
    title: str
    rank: int
    score: float
    legs: Mapping[str, Leg]


@dataclass(frozen=True, slots=True)
class Citation:
    """Where a sentence of an answer stands: `document.text[start:end] == quote`; `marker` numbers it in the answer.

    A `weak` one was given by a language model for a claim that shares nothing with the quoted chunk.
    """

    marker: int
    chunk_id: str
    document_id: str
    source: str
    page: int | None
    start: int
    end: int
    quote: str
    weak: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens that a language model has read and written, and what they cost; `usd` is None without a price.

    They are `estimated` where the server did not count them, as when an answer was stopped or broke off.
    """

    input_tokens: int
    output_tokens: int
    usd: float | None = None
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class AnswerPart:
    """A piece of an answer as it is streamed: text to append, and the citations that its markers point to.

    `dropped` counts markers that pointed to no chunk and were left out. `usage` comes once, at the end. `notice` is
    what a reader should know meanwhile or besides. A part without any of these is a sign of life: the model is silent,
    and whoever listens may stop.
    """

    text: str
    citations: tuple[Citation, ...] = ()
    abstained: bool = False
    dropped: int = 0
    usage: Usage | None = None
    notice: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: its text with markers such as [1], its citations, and whether it abstained.

    The others are a language model's: what it used, and how many of its markers pointed to no chunk and were dropped.
    """

    text: str
    citations: tuple[Citation, ...]
    abstained: bool
    usage: Usage | None = None
    dropped_citations: int = 0


@dataclass(frozen=True, slots=True)
class Turn:
    """One earlier turn of a conversation, as an answerer sees it."""

    question: str
    answer: str
