"""LangChain as its documentation shows it: recursive splitter, HuggingFaceEmbeddings, Chroma.from_documents."""

from collections.abc import Sequence
from pathlib import Path

from langchain_chroma import Chroma
from langchain_core.documents import Document
from langchain_huggingface import HuggingFaceEmbeddings
from langchain_text_splitters import RecursiveCharacterTextSplitter

from benchmarks.peers.contest import CHUNK_OVERLAP, CHUNK_SIZE, MAX_TOKENS, Store, main
from benchmarks.peers.documents import K, Record

PACKAGES = ("langchain-core", "langchain-text-splitters", "langchain-huggingface", "langchain-chroma", "chromadb")


def embeddings(model: str) -> HuggingFaceEmbeddings:
    """Loads the model; batches stay at sentence-transformers' 32."""
    loaded = HuggingFaceEmbeddings(model_name=model, model_kwargs={"device": "cpu"})
    if loaded._client.max_seq_length != MAX_TOKENS:
        raise ValueError(f"The model's own limit is {loaded._client.max_seq_length} tokens, not {MAX_TOKENS}.")
    return loaded


def build(records: Sequence[Record], store: Path, model: str) -> None:
    documents = [Document(page_content=record.whole, metadata={"id": record.id}) for record in records]
    splitter = RecursiveCharacterTextSplitter(chunk_size=CHUNK_SIZE, chunk_overlap=CHUNK_OVERLAP)
    chunks = splitter.split_documents(documents)
    Chroma.from_documents(chunks, embeddings(model), persist_directory=str(store))


def open_store(store: Path, model: str) -> Store:
    chroma = Chroma(embedding_function=embeddings(model), persist_directory=str(store))
    stored = chroma.get(include=["documents", "metadatas"])
    return Store(
        stored["documents"],
        [metadata["id"] for metadata in stored["metadatas"]],
        len(stored["ids"]),
        lambda question: [found.metadata["id"] for found in chroma.similarity_search(question, k=K)],
    )


if __name__ == "__main__":
    main(build, open_store, PACKAGES)
