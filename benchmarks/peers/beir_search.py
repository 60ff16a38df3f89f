"""BEIR as its documentation shows it: exact dense search; vectors kept by `encode_and_retrieve`, as pickles.

python -m benchmarks.peers.beir_search DATA STORE MODEL scifact
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

from beir.datasets.data_loader import GenericDataLoader
from beir.retrieval.evaluation import EvaluateRetrieval
from beir.retrieval.models import SentenceBERT
from beir.retrieval.search.dense import DenseRetrievalExactSearch

PACKAGES = ("beir", "torch", "transformers", "sentence-transformers")


def main(data, store, model):
    corpus, queries, qrels = GenericDataLoader(str(data / "scifact")).load(split="test")
    search = DenseRetrievalExactSearch(SentenceBERT(model, device="cpu"), show_progress_bar=False)
    retriever = EvaluateRetrieval(search, score_function="dot")  # the model's vectors have unit length
    vectors = store / "vectors"
    vectors.mkdir(parents=True, exist_ok=True)
    run = retriever.encode_and_retrieve(corpus, queries, encode_output_path=str(vectors))
    ndcg, *_ = retriever.evaluate(qrels, run, retriever.k_values, ignore_identical_ids=False)
    versions = {package: version(package) for package in PACKAGES}
    print(json.dumps({"scores": {"scifact": ndcg["NDCG@10"]}, "versions": versions}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
