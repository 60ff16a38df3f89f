"""Who is measured: `rag ingest` in two settings, and the peers; how each builds its store, and what is in it after."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from tokenizers import Tokenizer

from benchmarks.measuring import CommandError, Cost, measure
from benchmarks.peers import PYTHON
from benchmarks.peers.contest import CHUNK_OVERLAP, CHUNK_SIZE, COMMON, MAX_TOKENS
from benchmarks.peers.documents import K, questions, read_records
from rag.embedders.files import locate
from rag.embedders.registry import find_spec
from rag.library import Library
from rag.offline import QUIET
from rag.reader import Reader
from rag.settings import read_settings

CORPUS = "bench"
EMBEDDER = "minilm"
MODEL = str(locate(find_spec(EMBEDDER).model))
ENVIRONMENT: Mapping[str, str] = {**os.environ, **QUIET}


@dataclass(frozen=True, slots=True)
class Contents:
    """What a store holds when it is opened anew.

    `tokens` are those that the model was given: with its two special tokens, without padding, cut at its limit.
    `found` counts those of the `questions`, beginnings of documents, that find their document among the first three.
    """

    documents: int
    chunks: int
    vectors: int
    tokens: int
    questions: int
    found: int
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Contender:
    """One who is measured; `build` and `inspect` take the BEIR folder and the folder of the store."""

    name: str
    settings: str
    build: Callable[[Path, Path], Cost]
    inspect: Callable[[Path, Path], Contents]


# --- ours


def ingest(source: Path, home: Path, *options: str) -> Cost:
    """Measures `rag ingest` of a folder into the library at `home`."""
    rag = str(Path(sys.executable).with_name("rag"))
    command = [rag, "--home", str(home), "ingest", str(source), "--corpus", CORPUS, "--json", *options]
    return measure(command, ENVIRONMENT)


def ours(name: str, settings: str, *options: str) -> Contender:
    """Returns `rag ingest` with some options as a contender."""
    return Contender(name, settings, lambda folder, home: ingest(folder, home, *options), inspect_ours)


def inspect_ours(folder: Path, home: Path) -> Contents:
    """Opens a library that an ingest has made."""
    settings = read_settings(home)
    library = Library(home)
    try:
        cards = library.cards.all(CORPUS)
        card = next(card for card in cards if card.embedder == EMBEDDER)
        passages = [text for _, text, _ in library.chunk_passages(CORPUS, card.chunker)]
        retriever = Reader(library, settings).open(CORPUS, EMBEDDER, "dense").retriever
        asked = questions(read_records(folder))
        found = [document in {hit.source for hit in retriever.retrieve(question, K)} for question, document in asked]
        return Contents(
            documents=card.documents,
            chunks=len(passages),
            vectors=sum(card.chunks for card in cards),
            tokens=count_tokens(sorted(set(passages))),  # equal passages are embedded once
            questions=len(asked),
            found=sum(found),
            versions={package: version(package) for package in ("chromadb", "langchain-text-splitters", *COMMON)},
        )
    finally:
        library.close()


# --- the peers


def peer(name: str, settings: str) -> Contender:
    """Returns a script of `benchmarks/peers` as a contender."""
    script = [str(PYTHON), "-m", f"benchmarks.peers.{name}"]

    def build(folder: Path, store: Path) -> Cost:
        return measure([*script, "build", str(folder), str(store), MODEL], ENVIRONMENT)

    def inspect(folder: Path, store: Path) -> Contents:
        command = [*script, "inspect", str(folder), str(store), MODEL]
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
        if done.returncode:
            raise CommandError(f"{' '.join(command)}\nended with status {done.returncode}:\n{done.stderr[-2000:]}")
        told = json.loads(done.stdout.splitlines()[-1])
        passages = told["passages"]
        return Contents(
            documents=told["documents"],
            chunks=len(passages),
            vectors=told["vectors"],
            tokens=count_tokens(passages),
            questions=told["questions"],
            found=told["found"],
            versions=told["versions"],
        )

    return Contender(name, settings, build, inspect)


def count_tokens(passages: list[str]) -> int:
    """Counts the tokens that the model is given for the passages."""
    tokenizer = Tokenizer.from_file(f"{MODEL}/tokenizer.json")
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return sum(len(encoding.ids) for encoding in tokenizer.encode_batch(passages))


RECURSIVE = f"recursive-{CHUNK_SIZE}-{CHUNK_OVERLAP}"
OURS = ours(
    "ours",
    f"minilm alone, {RECURSIVE}; title in every chunk, equal passages once",
    "--embedder",
    EMBEDDER,
    "--chunker",
    RECURSIVE,
)
DEFAULTS = ours("ours-default", "as it comes: minilm, wordllama and hash, heading chunker, BM25")
PEERS = (
    peer("langchain", "RecursiveCharacterTextSplitter, HuggingFaceEmbeddings (batches of 32), Chroma.from_documents"),
    peer("llamaindex", "IngestionPipeline: SentenceSplitter (characters), HuggingFaceEmbedding (of 10), Chroma"),
    peer("txtai", "Segmentation (chonkie's sentence chunker), Embeddings with content (of 32), faiss and SQLite"),
)
CONTENDERS = {contender.name: contender for contender in (OURS, DEFAULTS, *PEERS)}
