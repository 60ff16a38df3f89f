"""Our engines against their references: bm25s and rank-bm25, the static embedder and sentence-transformers."""

import random
import statistics
import time
from collections.abc import Callable

import numpy as np

from rag.bm25 import Bm25sEngine, RankBm25Engine
from rag.embedders.files import locate
from rag.embedders.registry import find_spec, load_embedder

PASSAGES, QUERIES, ROUNDS = 20_000, 50, 3


def seconds(work: Callable[[], object]) -> float:
    """Returns the CPU-seconds of one call, the median of the rounds."""
    taken = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return statistics.median(taken)


def run() -> None:
    chance = random.Random(13)
    vocabulary = [f"term{number}" for number in range(20_000)]
    weights = [1 / (rank + 10) for rank in range(len(vocabulary))]  # Zipf's law, as in real text
    passages = [chance.choices(vocabulary, weights, k=120) for _ in range(PASSAGES)]
    queries = [chance.choices(vocabulary, weights, k=6) for _ in range(QUERIES)]
    ours, reference = Bm25sEngine(passages, scoring="okapi"), RankBm25Engine(passages)
    largest = max(float(np.abs(ours.scores(query) - reference.scores(query)).max()) for query in queries)
    fast = seconds(lambda: [ours.scores(query) for query in queries])
    slow = seconds(lambda: [reference.scores(query) for query in queries])
    print(
        f"BM25 over {PASSAGES:,} passages, CPU-ms a query: bm25s {fast / QUERIES * 1000:.2f}, rank-bm25 "
        f"{slow / QUERIES * 1000:.2f}, ratio {slow / fast:.0f}; largest difference of a score {largest:.1e}"
    )

    from safetensors.numpy import load_file
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer

    spec = find_spec("wordllama")
    table = next(iter(load_file(locate(spec.model)).values())).astype(np.float32)
    theirs = SentenceTransformer(
        modules=[StaticEmbedding(Tokenizer.from_file(str(locate(spec.tokenizer))), embedding_weights=table)]
    )
    texts = [" ".join(passage) for passage in passages[:2_000]]
    embedder = load_embedder("wordllama")
    cosine = float(
        (embedder.embed_passages(texts[:100]) * theirs.encode(texts[:100], normalize_embeddings=True)).sum(1).min()
    )
    own = seconds(lambda: embedder.embed_passages(texts))
    other = seconds(lambda: theirs.encode(texts, normalize_embeddings=True, show_progress_bar=False))
    print(
        f"wordllama, {len(texts):,} texts: ours {own:.2f} CPU-s, sentence-transformers {other:.2f} CPU-s, "
        f"ratio {other / own:.2f}; least cosine {cosine:.6f}"
    )
