"""The JSON shapes of the command-line contract."""

from dataclasses import asdict
from typing import Any

from rag.cards import IndexCard
from rag.reader import Opened
from rag.schema import Answer, Citation, Hit

Json = dict[str, Any]


def hit_shape(hit: Hit) -> Json:
    """Returns a hit as `rag search --json` prints it."""
    return {
        "rank": hit.rank,
        "score": hit.score,
        "chunk_id": hit.chunk.id,
        "document_id": hit.chunk.document_id,
        "source": hit.source,
        "page": hit.chunk.page,
        "start": hit.chunk.start,
        "end": hit.chunk.end,
        "heading": hit.chunk.heading,
        "text": hit.chunk.text,
        "legs": {name: {"rank": leg.rank, "score": leg.score} for name, leg in hit.legs.items()},
    }


def citation_shape(citation: Citation) -> Json:
    """Returns a citation as `rag ask --json` prints it."""
    return {
        "marker": citation.marker,
        "chunk_id": citation.chunk_id,
        "document_id": citation.document_id,
        "source": citation.source,
        "page": citation.page,
        "start": citation.start,
        "end": citation.end,
        "quote": citation.quote,
    }


def search_shape(query: str, opened: Opened, hits: list[Hit]) -> Json:
    """Returns the document of `rag search --json`; the embedder is null where none took part."""
    return {
        "query": query,
        "corpus": opened.card.corpus,
        "embedder": opened.card.embedder if opened.embedder else None,
        "retriever": opened.retriever.name,
        **_further_choices(opened),
        "hits": [hit_shape(hit) for hit in hits],
    }


def _further_choices(opened: Opened) -> Json:
    """Returns the filter, the reranker and the MMR of a search, each only where it has one."""
    asked: Json = {}
    if opened.filter:
        asked["filter"] = {name: value for name, value in asdict(opened.filter).items() if value}
    if opened.reranker:
        asked["reranker"] = opened.reranker.spec.name
    if opened.mmr is not None:
        asked["mmr"] = opened.mmr
    return asked


def answer_shape(answer: Answer) -> Json:
    """Returns what `rag ask --json` adds to the document of a search."""
    return {
        "answer": answer.text,
        "abstained": answer.abstained,
        "citations": [citation_shape(citation) for citation in answer.citations],
    }


def written_shape(answer: Answer, llm: str, failure: Exception | None = None) -> Json:
    """Returns what `rag ask --llm --json` adds to an answer; `usage` is null where the model was not asked.

    `weak_citations` counts those whose chunk shares nothing with what they are cited for; `failure` says why the answer
    ends in its middle.
    """
    shape: Json = {
        "llm": llm,
        "usage": asdict(answer.usage) if answer.usage else None,
        "dropped_citations": answer.dropped_citations,
        "weak_citations": sum(citation.weak for citation in answer.citations),
    }
    return shape if failure is None else {**shape, "failure": str(failure)}


def card_shape(card: IndexCard) -> Json:
    """Returns an index card as `rag indexes --json` prints it: all of it but the calibration of abstention."""
    return {name: value for name, value in asdict(card).items() if name not in ("noise", "scale")}
