"""mteb's own scores of vectors that it is given: python -m benchmarks.peers.mteb_agreement DATA.npz FAMILY=FOLDER...

The file holds `texts` and the rows `vectors` of an embedder's queries, and `passages` with `passage_vectors`.
"""

import json
import sys
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path

import mteb
import numpy as np
from mteb.models import ModelMeta
from mteb.types import PromptType

from benchmarks.peers.mteb_tasks import classification, retrieval, similarity

MAKERS = {"classification": classification, "retrieval": retrieval, "sts": similarity}


class Given:
    """An encoder of texts whose vectors were computed before."""

    mteb_model_meta = ModelMeta.create_empty({"name": "given/vectors", "revision": "1"})

    def __init__(self, path):
        with np.load(path) as file:
            self.of_query = dict(zip(file["texts"].tolist(), file["vectors"], strict=True))
            self.of_passage = dict(zip(file["passages"].tolist(), file["passage_vectors"], strict=True))

    def encode(self, inputs, *, task_metadata, hf_split, hf_subset, prompt_type=None, **_):
        known = self.of_passage if prompt_type == PromptType.document else self.of_query
        return np.stack([known[text] for batch in inputs for text in batch["text"]])

    def similarity(self, first, second):
        return np.asarray(first) @ np.asarray(second).T

    def similarity_pairwise(self, first, second):
        return (np.asarray(first) * np.asarray(second)).sum(axis=1)


def main(vectors, tasks):
    warnings.simplefilter("ignore")
    scores = {}
    for task in tasks:
        family, _, folder = task.partition("=")
        with tempfile.TemporaryDirectory() as scratch:
            found = mteb.evaluate(
                Given(vectors), MAKERS[family](Path(folder)), co2_tracker=False, cache=mteb.ResultCache(scratch)
            )
        scores[folder] = float(found.task_results[0].get_score())
    print(json.dumps({"scores": scores, "mteb": version("mteb")}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
