"""Chunkers by name: the name spells the kind, its numbers and, where one is needed, the embedder."""

import re
from collections.abc import Mapping
from functools import partial

from ingest.chunkers.heading import HeadingChunker
from ingest.chunkers.recursive import RecursiveChunker
from ingest.chunkers.semantic import SemanticChunker
from ingest.chunkers.sentence import SentenceChunker
from ingest.chunkers.spec import Chunker
from ingest.chunkers.tokens import TokenChunker
from ingest.chunkers.whole import WholeDocumentChunker
from rag.embedders.registry import find_spec, load_embedder, table_specs
from rag.embedders.spec import EmbedderSpec
from rag.errors import UsageError, unknown_name

PLAIN: Mapping[str, type[RecursiveChunker | HeadingChunker | SentenceChunker]] = {
    "recursive": RecursiveChunker,
    "heading": HeadingChunker,
    "sentence": SentenceChunker,
}
WITH_EMBEDDER: Mapping[str, type[TokenChunker | SemanticChunker]] = {
    "token": TokenChunker,
    "semantic": SemanticChunker,
}
EXAMPLES = ("recursive-500-50", "heading-500-50", "sentence-5-1", "token-240-32-minilm", "semantic-800-90-minilm")

_NAME = re.compile(r"([a-z]+)(?:-([0-9]{1,9})-([0-9]{1,9}))?(?:-(.+))?")
_SAFE = re.compile(r"[a-z0-9._-]+")


def load_chunker(name: str, embedders: Mapping[str, EmbedderSpec] | None = None, default_embedder: str = "") -> Chunker:
    """Returns the chunker of a name: a kind alone ("heading"), with two numbers ("heading-500-50"), or "whole".

    Kinds that need an embedder name it last ("token-minilm", "token-240-32-minilm"), or take `default_embedder`;
    `embedders` are the known ones (`Settings.embedders`), else the table's. Raises UsageError for an unknown name, and
    for numbers that do not make sense. No model is loaded before the first document is split.
    """
    if name == WholeDocumentChunker.name:
        return WholeDocumentChunker()
    parts = _NAME.fullmatch(name)
    kind, size, other, embedder = parts.groups() if parts else ("", None, None, None)
    numbers = [int(size), int(other)] if size and other else []
    if kind in PLAIN and not embedder:
        return PLAIN[kind](*numbers)
    if kind in WITH_EMBEDDER and not re.fullmatch(r"[0-9-]+", embedder or ""):
        spec = _find(name, embedder or default_embedder, embedders)
        load = partial(load_embedder, spec.name, embedders)
        return WITH_EMBEDDER[kind](spec, load, *numbers)
    raise unknown_name("chunker", name, [*PLAIN, *WITH_EMBEDDER, WholeDocumentChunker.name, *EXAMPLES])


def _find(chunker: str, embedder: str, embedders: Mapping[str, EmbedderSpec] | None) -> EmbedderSpec:
    """Returns the entry of a chunker's embedder; raises UsageError where there is none or where no file can bear it."""
    known = table_specs() if embedders is None else embedders
    if not embedder:
        example = f"{chunker}-{next(iter(known), 'minilm')}"
        raise UsageError(f"The chunker '{chunker}' needs an embedder. Name it last, as in {example}.")
    if embedder not in known:
        raise unknown_name("embedder", embedder, known, where=f" for the chunker '{chunker}'")
    if not _SAFE.fullmatch(embedder):
        raise UsageError(
            f"The embedder '{embedder}' cannot be part of a chunker's name, which names folders. Give it a name of "
            "small letters, digits, '.', '_' and '-' in rag.toml."
        )
    return find_spec(embedder, known)
