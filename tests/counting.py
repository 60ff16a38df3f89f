"""An embedder that writes down what it embeds."""

from dataclasses import replace

from rag.cards import CANARY
from rag.embedders.registry import find_spec, load_embedder


class Counting:
    """The bag-of-words embedder, writing down each passage it embeds; `fail_after` vectors it is stopped."""

    def __init__(self, fail_after=None):
        self.spec = replace(find_spec("hash"), name="counting", model="counted")
        self.passages = []
        self._fail_after = fail_after

    def embed_queries(self, queries):
        return load_embedder("hash").embed_queries(queries)

    def embed_passages(self, passages):
        passages_but_canary = [passage for passage in passages if passage != CANARY]
        if self._fail_after is not None and len(self.passages) + len(passages_but_canary) > self._fail_after:
            raise KeyboardInterrupt
        self.passages += passages_but_canary
        return load_embedder("hash").embed_passages(passages)

    def count_tokens(self, passages):
        return load_embedder("hash").count_tokens(passages)
