"""LlamaIndex as its documentation shows it: IngestionPipeline of SentenceSplitter and HuggingFaceEmbedding into Chroma.

SentenceSplitter counts in tokens, of whichever tokenizer it is given; `list` makes every character a token, so that
its chunks are as long as the others'. That is cheaper than its default tokenizer, and in its favour.
"""

from collections.abc import Sequence
from pathlib import Path

import chromadb
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
from llama_index.vector_stores.chroma import ChromaVectorStore

from benchmarks.peers.contest import CHUNK_OVERLAP, CHUNK_SIZE, MAX_TOKENS, Store, main
from benchmarks.peers.documents import K, Record

PACKAGES = (
    "llama-index-core",
    "llama-index-embeddings-huggingface",
    "llama-index-vector-stores-chroma",
    "chromadb",
)


def embedding(model: str) -> HuggingFaceEmbedding:
    """Loads the model; batches stay at LlamaIndex's 10."""
    return HuggingFaceEmbedding(model_name=model, max_length=MAX_TOKENS, device="cpu")


def collection(store: Path) -> chromadb.Collection:
    """Opens the collection, or makes it."""
    return chromadb.PersistentClient(path=str(store)).get_or_create_collection("documents")


def build(records: Sequence[Record], store: Path, model: str) -> None:
    documents = [
        Document(
            text=record.whole,
            metadata={"id": record.id},
            excluded_embed_metadata_keys=["id"],  # or the id would be embedded with every chunk, and shorten it
            excluded_llm_metadata_keys=["id"],
        )
        for record in records
    ]
    pipeline = IngestionPipeline(
        transformations=[
            SentenceSplitter(chunk_size=CHUNK_SIZE, chunk_overlap=CHUNK_OVERLAP, tokenizer=list),
            embedding(model),
        ],
        vector_store=ChromaVectorStore(chroma_collection=collection(store)),
    )
    pipeline.run(documents=documents)


def open_store(store: Path, model: str) -> Store:
    chroma = collection(store)
    index = VectorStoreIndex.from_vector_store(ChromaVectorStore(chroma_collection=chroma), embedding(model))
    retriever = index.as_retriever(similarity_top_k=K)
    stored = chroma.get(include=["documents", "metadatas"])
    return Store(
        stored["documents"],
        [metadata["id"] for metadata in stored["metadatas"]],
        chroma.count(),
        lambda question: [found.metadata["id"] for found in retriever.retrieve(question)],
    )


if __name__ == "__main__":
    main(build, open_store, PACKAGES)
