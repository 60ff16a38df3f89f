"""The command-line contract: the shapes of the JSON, and one clear line for whatever is wrong."""

LEG = {"rank": int, "score": float}
HIT = {
    "rank": int,
    "score": float,
    "chunk_id": str,
    "document_id": str,
    "source": str,
    "page": (int, None),
    "start": int,
    "end": int,
    "heading": str,
    "text": str,
    "legs": dict,
}
SEARCH = {"query": str, "corpus": str, "embedder": (str, None), "retriever": str, "hits": [HIT]}
CITATION = {
    "marker": int,
    "chunk_id": str,
    "document_id": str,
    "source": str,
    "page": (int, None),
    "start": int,
    "end": int,
    "quote": str,
}
ASK = {**SEARCH, "answer": str, "abstained": bool, "citations": [CITATION]}
INGEST = {
    "corpus": str,
    "documents": {"done": int, "unchanged": int, "skipped": int, "failed": int, "deleted": int},
    "chunks": int,
    "indexes": [
        {
            "embedder": str,
            "chunker": str,
            "fingerprint": str,
            "documents": int,
            "chunks": int,
            "embedded": int,
            "seconds": float,
            "usd": float,
            "spent": float,
            "warnings": [str],
        }
    ],
    "files": [{"path": str, "status": str, "reason": str}],
    "seconds": float,
}
DRY_RUN = {
    "corpus": str,
    "documents": INGEST["documents"],
    "chunks": int,
    "indexes": [
        {
            "embedder": str,
            "chunker": str,
            "fingerprint": str,
            "chunks": int,
            "passages": int,
            "tokens": int,
            "query_tokens": int,
            "exact": bool,
            "seconds": (float, None),
            "usd": (float, None),
        }
    ],
    "files": INGEST["files"],
}
FACTS = {
    "fingerprint": str,
    "provider": str,
    "model": str,
    "revision": str,
    "dimension": int,
    "max_tokens": int,
    "query_prefix": str,
    "passage_prefix": str,
}
EMBEDDER = FACTS | {
    "name": str,
    "usd_per_million_tokens": float,
    "languages": [str],
    "licence": str,
    "source": str,
    "precision": str,
    "tokenizer": str,
    "dimensions": [int],
    "made_for": str,
    "base_url": str,
    "key": str,
    "batch": int,
    "requests_per_minute": int,
    "tokens_per_minute": int,
    "timeout": float,
    "unconfirmed": [str],
    "lacks": str,
}
TRIAL = {
    "name": str,
    "first_ms": float,
    "second_ms": float,
    "dimension": int,
    "norm": float,
    "cosine": float,
    "tokens_per_second": float,
    "precision": str,
    "backend": str,
}
CARD = FACTS | {
    "corpus": str,
    "chunker": str,
    "embedder": str,
    "precision": str,
    "documents": int,
    "chunks": int,
    "embedded": int,
    "seconds": float,
    "usd": float,
    "built": str,
    "updated": str,
}
DOCTOR = {"well": bool, "findings": [{"subject": str, "well": bool, "detail": str, "remedy": str}]}
COST = {
    "embed_seconds": (float, None),
    "query_ms_p50": float,
    "bytes_per_vector": (int, None),
    "usd": (float, None),
}
METRICS = ("nDCG@10", "R@100", "RR@10", "AP", "P@5")


def departures(value, shape, where="$"):
    """Lists where a JSON value departs from a shape: exact keys, exact types, the items of lists all alike."""
    if isinstance(shape, dict):
        if not isinstance(value, dict) or value.keys() != shape.keys():
            return [f"{where}: {sorted(value) if isinstance(value, dict) else value!r}, not {sorted(shape)}"]
        return [line for key in shape for line in departures(value[key], shape[key], f"{where}.{key}")]
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [f"{where}: {value!r} is no list"]
        return [line for at, item in enumerate(value) for line in departures(item, shape[0], f"{where}[{at}]")]
    allowed = [type(None) if kind is None else kind for kind in (shape if isinstance(shape, tuple) else (shape,))]
    return [] if type(value) in allowed else [f"{where}: {value!r} is no {shape}"]


def one_line(result, status, *said):
    """Asserts a refusal: its status, nothing on standard output, and exactly one line of ours at the end."""
    lines = result.err.splitlines()
    assert result.status == status, result.err
    assert [line for line in lines if line.startswith("rag: ")] == lines[-1:], result.err
    assert "Traceback" not in result.err
    assert result.out == ""
    for words in said:
        assert words in lines[-1]
    return lines[-1]
