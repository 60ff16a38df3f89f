"""One file a chunker, listed in `ingest.chunkers.registry`; each cuts documents its own way, with exact offsets."""

from ingest.chunkers.heading import HeadingChunker
from ingest.chunkers.recursive import RecursiveChunker
from ingest.chunkers.registry import load_chunker
from ingest.chunkers.semantic import SemanticChunker
from ingest.chunkers.sentence import SentenceChunker
from ingest.chunkers.spec import Chunker
from ingest.chunkers.tokens import TokenChunker
from ingest.chunkers.whole import WholeDocumentChunker

__all__ = [
    "Chunker",
    "HeadingChunker",
    "RecursiveChunker",
    "SemanticChunker",
    "SentenceChunker",
    "TokenChunker",
    "WholeDocumentChunker",
    "load_chunker",
]
