"""LangChain's documents as ours and back: one document of one chunk each, which is embedded as it stands.

What LangChain calls a document is a piece of text that was cut before, with metadata. Ours has the metadata after its
text, as a line of JSON outside the chunk: it is stored, read and deleted with the document, and never embedded.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from langchain_core.documents import Document as LangChainDocument

from rag.errors import UsageError
from rag.ledger import LedgerEntry
from rag.library import NewDocument
from rag.schema import Chunk, Document, content_id

CHUNKER = "whole"
"""Each document is one chunk, so that `rag ingest --backfill --chunker whole` may put it under further embedders."""

FORMAT = "langchain"

PATH = "langchain:"
"""What the ledger's path of a document begins with, for it came from no file."""

SEPARATOR = "\n\n"


def label(
    texts: Iterable[str], metadatas: Sequence[Mapping[str, Any]] | None, ids: Sequence[str | None] | None
) -> list[LangChainDocument]:
    """Puts texts, metadata and ids together; what has no id gets one by its content, equal for equal content.

    Raises ValueError, as LangChain asks, where there are not as many of each.
    """
    written = list(texts)
    for name, values in (("metadatas", metadatas), ("ids", ids)):
        if values is not None and len(values) != len(written):
            raise ValueError(f"There are {len(written)} texts, but {len(values)} {name}. Give one for each text.")
    found = []
    for number, text in enumerate(written):
        metadata = dict(metadatas[number]) if metadatas else {}
        given = ids[number] if ids else None
        found.append(
            LangChainDocument(
                id=content_id(text, _as_json(metadata, text)) if given is None else given,
                page_content=text,
                metadata=metadata,
            )
        )
    return found


def to_ours(corpus: str, document: LangChainDocument, fingerprint: str) -> NewDocument:
    """Makes what the library commits of a document with an id, complete under the embedder of that fingerprint.

    Raises UsageError for an id or a text that cannot be stored, and for metadata that JSON does not give back.
    """
    source, text = document.id, document.page_content
    if not source:
        raise UsageError(f"The document that begins {text[:60]!r} has an empty id. Give it another, or none.")
    metadata = _as_json(document.metadata, source)
    whole = text + SEPARATOR + metadata if document.metadata else text
    try:
        content = json.dumps([text, metadata], ensure_ascii=False).encode()
        source.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"The document {source!r} holds half of a surrogate pair, which is no text. Clean it with "
            "text.encode('utf-8', 'replace').decode()."
        ) from error
    content_hash = hashlib.sha256(content).hexdigest()
    ours = Document(
        id=content_id(corpus, source, content_hash),
        corpus=corpus,
        source=source,
        title="",  # else it would be embedded with the text
        text=whole,
        format=FORMAT,
        content_hash=content_hash,
    )
    chunk = Chunk(content_id(ours.id, CHUNKER, "0", str(len(text))), ours.id, 0, len(text), None, "", text)
    entry = LedgerEntry(source, PATH + source, PATH, content_hash, "done", "")
    return NewDocument(ours, {CHUNKER: [chunk]}, ((CHUNKER, fingerprint),), entry)


def from_ours(source: str, text: str, end: int) -> LangChainDocument:
    """Makes LangChain's document of one of ours: its source, its text, and where its chunk ends."""
    metadata = json.loads(text[end:]) if len(text) > end else {}
    return LangChainDocument(id=source, page_content=text[:end], metadata=metadata)


def _as_json(metadata: Mapping[str, Any], name: str) -> str:
    """Writes metadata as JSON; raises UsageError where it would not come back as it is, but for tuples as lists."""
    try:
        written = json.dumps(metadata, ensure_ascii=False, allow_nan=False, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise _not_json(name, str(error)) from error
    if json.loads(written) != _with_lists(metadata):
        raise _not_json(name, "a key is not a string")
    return written


def _not_json(name: str, reason: str) -> UsageError:
    return UsageError(
        f"The metadata of the document {name[:60]!r} cannot be kept as JSON: {reason}. Leave in it strings, finite "
        "numbers, booleans, None, and lists and dictionaries of them with strings as keys."
    )


def _with_lists(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _with_lists(item) for key, item in value.items()}
    return [_with_lists(item) for item in value] if isinstance(value, list | tuple) else value
