"""txtai as its documentation shows it: Segmentation, then Embeddings with content, in its own index (faiss, SQLite).

Its segmentation into sentences or paragraphs knows no size, and these texts have no paragraphs; the chunker that it
takes from chonkie does.
"""

from collections.abc import Sequence
from pathlib import Path

from txtai import Embeddings
from txtai.pipeline import Segmentation

from benchmarks.peers.contest import CHUNK_OVERLAP, CHUNK_SIZE, MAX_TOKENS, Store, main
from benchmarks.peers.documents import K, Record

PACKAGES = ("txtai", "chonkie", "faiss-cpu")


def build(records: Sequence[Record], store: Path, model: str) -> None:
    """Batches stay at txtai's 32."""
    segment = Segmentation(
        chunker="sentence", chunk_size=CHUNK_SIZE, chunk_overlap=CHUNK_OVERLAP, tokenizer="character"
    )
    embeddings = Embeddings(path=model, content=True, maxlength=MAX_TOKENS, gpu=False)
    embeddings.index(
        (f"{record.id}#{number}", text, None) for record in records for number, text in enumerate(segment(record.whole))
    )
    embeddings.save(str(store))
    embeddings.close()


def document_of(chunk_id: str) -> str:
    """Returns the document that a chunk belongs to."""
    return chunk_id.rpartition("#")[0]


def open_store(store: Path, model: str) -> Store:
    embeddings = Embeddings()
    embeddings.load(str(store))
    stored = embeddings.search(f"select id, text from txtai limit {embeddings.count()}")
    return Store(
        [row["text"] for row in stored],
        [document_of(row["id"]) for row in stored],
        embeddings.count(),
        lambda question: [document_of(found["id"]) for found in embeddings.search(question, K)],
    )


if __name__ == "__main__":
    main(build, open_store, PACKAGES)
