"""What a vote tells about passages: how often is what only the winner found relevant? (docs/decisions/0011)

Every pair of contestants is voted on for every query of the demo task, by its labels: the higher nDCG@10 wins.
"""

import tempfile
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path

from benchmarks.answers import labelled_spans, overlap
from eval.metrics import score
from eval.runner import fold_to_documents
from eval.tasks.retrieval import RetrievalTask, load_retrieval_task
from rag.library import Library
from rag.reader import Reader
from rag.schema import Chunk, Scored
from rag.settings import read_settings
from ui.ingesting import ingest_paths

TASK = Path("corpus/task")
PAIRS = [(name, retriever) for name in ("hash", "wordllama", "minilm") for retriever in ("dense", "hybrid")]
CONTESTANTS = [*PAIRS, (None, "lexical")]
SHOWN = 5

Rankings = Mapping[str, list[Scored]]


def run() -> None:
    task = load_retrieval_task(TASK)
    with tempfile.TemporaryDirectory() as home:
        settings = read_settings(home)
        library = Library(settings.home, create=True)
        ingest_paths(library, settings, [Path("corpus/documents")], "demo")
        reader = Reader(library, settings)
        found: list[Rankings] = []
        for embedder, retriever in CONTESTANTS:
            opened = reader.open("demo", embedder, retriever)
            ranked = opened.retriever.rank(list(task.queries.values()), SHOWN)
            found.append(dict(zip(task.queries, ranked, strict=True)))
        documents = {chunk: source for chunk, _, source in library.chunk_passages("demo", opened.card.chunker)}
        chunks = {key: stored.chunk for key, stored in library.chunks(list(documents)).items()}
        spans = labelled_spans(library)
        library.close()
    only, first, votes = [], [], 0
    for query, winner, loser in decided(task, found, documents):
        votes += 1
        theirs = {scored.chunk_id for scored in loser}
        for rank, scored in enumerate(winner):
            if scored.chunk_id not in theirs:
                in_relevant = task.qrels[query].get(documents[scored.chunk_id], 0) > 0
                verdict = in_relevant, holds(chunks[scored.chunk_id], spans.get(query, []))
                only.append(verdict)
                if rank == 0:
                    first.append(verdict)
    print(f"{votes:,} votes; what only the winner found    passages   in a relevant document   holding an answer")
    for name, verdicts in ((f"all {SHOWN} ranks", only), ("the first rank alone", first)):
        shares = [sum(each[place] for each in verdicts) / len(verdicts) for place in (0, 1)]
        print(f"{name:<40} {len(verdicts):>11,} {shares[0]:>24.1%} {shares[1]:>19.1%}")


def decided(
    task: RetrievalTask, found: list[Rankings], documents: Mapping[str, str]
) -> Iterator[tuple[str, list[Scored], list[Scored]]]:
    """Yields each query with the rankings of a winner and a loser, for every pair that differs on it."""
    scores = []
    for rankings in found:
        folded = {query: fold_to_documents(hits, documents) for query, hits in rankings.items()}
        scores.append(score(task.qrels, folded, ["nDCG@10"])["nDCG@10"])
    for one, other in combinations(range(len(found)), 2):
        for query in task.queries:
            better = scores[one][query] - scores[other][query]
            if better:
                winner, loser = (one, other) if better > 0 else (other, one)
                yield query, found[winner][query], found[loser][query]


def holds(chunk: Chunk, spans: list[tuple[str, int, int]]) -> bool:
    return overlap(spans, chunk.document_id, chunk.start, chunk.end)
