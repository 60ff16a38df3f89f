"""Folders of labelled texts and of sentence pairs, and embedders whose vectors are known."""

import json
from dataclasses import replace

import numpy as np

from rag.embedders.registry import find_spec
from rag.embedders.spec import unit_rows


def write_lines(path, records):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def write_labelled(folder, train, test, split="test"):
    """Writes (text, label) pairs as the two files of a task."""
    write_lines(folder / "train.jsonl", [{"text": text, "label": label} for text, label in train])
    write_lines(folder / f"{split}.jsonl", [{"text": text, "label": label} for text, label in test])
    return folder


def clouds(labels, each, seed=7):
    """Texts that name their label and a number: material for `Cloud`."""
    numbers = np.random.default_rng(seed).permutation(10_000)[: each * len(labels)]
    return [(f"{label} {number}", label) for number, label in zip(numbers, list(labels) * each, strict=True)]


class Cloud:
    """Gives each text a vector near that of its first word; the `spread` says how near."""

    def __init__(self, spread=0.5, dimension=8, constant=False):
        self.spec = replace(find_spec("hash"), name="cloud", model=f"cloud-{spread}", dimension=dimension)
        self.spread = spread
        self.constant = constant

    def _vector(self, text):
        if self.constant:
            return np.ones(self.spec.dimension)
        word = text.partition(" ")[0]
        middle = np.random.default_rng(list(word.encode())).standard_normal(self.spec.dimension)
        return middle + self.spread * np.random.default_rng(list(text.encode())).standard_normal(self.spec.dimension)

    def embed_queries(self, queries):
        return unit_rows(np.array([self._vector(text) for text in queries]))

    embed_passages = embed_queries

    def count_tokens(self, passages):
        return [1] * len(passages)
