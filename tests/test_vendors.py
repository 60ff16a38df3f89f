"""Each vendor's real client against a local server that speaks its format: what goes out."""

import tomllib
from pathlib import Path

import numpy as np
import pytest

from rag.embedders.entries import parse_spec
from rag.embedders.registry import PROVIDERS
from rag.embedders.spec import BilledEmbedder
from rag.embedders.vendors import VENDORS
from vendor_clients import TEXTS, WIDTH, load, nothing_twice, right
from wire_server import tokens

pytest_plugins = ["vendor_clients"]


BODIES = {
    "openai": lambda texts, side: {"model": "a-model", "input": texts, "encoding_format": "base64"},
    "tei": lambda texts, side: {"model": "a-model", "input": texts, "encoding_format": "base64"},
    "mistral": lambda texts, side: {"model": "a-model", "input": texts},
    "ollama": lambda texts, side: {"model": "a-model", "input": texts, "truncate": True},
    "cohere": lambda texts, side: {
        "model": "a-model", "texts": texts, "input_type": f"search_{side}", "embedding_types": ["float"],
        "truncate": "END",
    },
    "voyage": lambda texts, side: {
        "model": "a-model", "input": texts, "input_type": side, "truncation": True, "encoding_format": "base64",
    },
    "google": lambda texts, side: {
        "requests": [
            {
                "model": "models/a-model", "content": {"parts": [{"text": text}]},
                "taskType": f"RETRIEVAL_{side.upper()}",
            }
            for text in texts
        ]
    },
}  # fmt: skip
ROUTES = {
    "openai": "/v1/embeddings", "tei": "/v1/embeddings", "mistral": "/v1/embeddings", "voyage": "/v1/embeddings",
    "ollama": "/api/embed", "cohere": "/v2/embed", "google": "/v1/models/a-model:batchEmbedContents",
}  # fmt: skip


def test_the_body_says_model_texts_and_side(vendor, server):
    embedder = load(vendor, server)
    right(embedder.embed_passages(TEXTS), TEXTS)
    right(embedder.embed_queries(["where do rivers run?"]), ["where do rivers run?"])
    assert [request.path for request in server.requests] == [ROUTES[vendor]] * 2
    bodies = [request.body for request in server.requests]
    assert bodies == [BODIES[vendor](TEXTS, "document"), BODIES[vendor](["where do rivers run?"], "query")]


PREFIXES = {
    "e5": ("query: ", "passage: "),
    "nomic": ("search_query: ", "search_document: "),
}


@pytest.mark.parametrize("vendor", ["openai", "tei", "ollama", "mistral"])
@pytest.mark.parametrize("family", PREFIXES)
def test_each_prefix_goes_out_once_on_its_side(vendor, family, server):
    query, passage = PREFIXES[family]
    embedder = load(vendor, server, query_prefix=query, passage_prefix=passage)
    right(embedder.embed_passages(TEXTS), TEXTS, passage)
    right(embedder.embed_queries(["rivers?"]), ["rivers?"], query)
    assert server.texts == [passage + text for text in TEXTS] + [query + "rivers?"]


def test_google_is_told_the_side_by_words_or_by_task_type_and_never_by_both(server):
    embedder = load(
        "google", server, query_prefix="task: search result | query: ", passage_prefix="title: none | text: "
    )
    embedder.embed_queries(["rivers?"])
    embedder.embed_passages(["Rivers run.", "Lakes lie."])
    assert server.texts == [
        "task: search result | query: rivers?", "title: none | text: Rivers run.", "title: none | text: Lakes lie.",
    ]  # fmt: skip
    assert not any("taskType" in one for request in server.requests for one in request.body["requests"])


def test_texts_stay_apart_under_google_models_that_read_many_parts_as_one(server):
    right(load("google", server, model="gemini-embedding-2").embed_passages(TEXTS), TEXTS)


NAMES_OF_WIDTH = {
    "openai": "dimensions", "tei": "dimensions", "ollama": "dimensions", "cohere": "output_dimension",
    "voyage": "output_dimension", "mistral": "output_dimension", "google": "outputDimensionality",
}  # fmt: skip


@pytest.mark.parametrize(
    ("dimension", "dimensions", "asked"),
    [(32, (64, 32, 16), 32), (64, (64, 32), None), (64, (), None), (64, (128, 32), None)],
)
def test_a_width_is_asked_for_where_the_model_has_a_choice_and_another_is_wanted(
    vendor, server, dimension, dimensions, asked
):
    load(vendor, server, dimension=dimension, dimensions=dimensions).embed_passages(["a"])
    (request,) = server.requests
    body = request.body["requests"][0] if vendor == "google" else request.body
    assert body.get(NAMES_OF_WIDTH[vendor]) == asked
    assert asked or NAMES_OF_WIDTH[vendor] not in body  # not even null: some models refuse the very name


def test_batches_hold_no_more_than_the_vendor_takes(vendor, server):
    texts = [f"text {number}" for number in range(420)]
    right(load(vendor, server).embed_passages(texts), texts)
    sizes = [len(request.texts) for request in server.requests]
    assert sum(sizes) == 420
    assert max(sizes) == min(VENDORS[vendor].batch, 105)  # four requests in flight share a call
    nothing_twice(server)


def test_an_entry_may_want_smaller_batches(vendor, server):
    load(vendor, server, batch=4).embed_passages(TEXTS)
    assert sorted(len(request.texts) for request in server.requests) == [2, 4, 4]


def test_tokens_are_billed_as_the_vendor_counts_them(vendor, server):
    embedder = load(vendor, server)
    assert isinstance(embedder, BilledEmbedder)
    assert embedder.billed_tokens == 0
    embedder.embed_passages(TEXTS)
    embedder.embed_queries(["rivers?"])
    assert embedder.billed_tokens == server.counted == sum(map(tokens, [*TEXTS, "rivers?"]))


def test_texts_that_hold_nothing_or_cannot_be_said_still_get_unit_rows(vendor, server):
    texts = ["", " \n\t ", "half a pair \ud83d", "\x00", "😀🚴"]
    vectors = load(vendor, server).embed_passages(texts)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert all(text.strip() for text in server.texts if text != "\x00")


@pytest.mark.parametrize("side", ["embed_queries", "embed_passages"])
def test_no_texts_are_no_request(vendor, server, side):
    assert getattr(load(vendor, server), side)([]).shape == (0, WIDTH)
    assert server.requests == []


def test_every_provider_with_a_vendor_is_tested_here():
    assert set(VENDORS) == set(PROVIDERS) - {"sentence-transformers", "static", "hash", "langchain", "control"}
    assert set(BODIES) == set(ROUTES) == set(NAMES_OF_WIDTH) == set(VENDORS)


def test_the_examples_of_the_vendors_page_are_entries():
    page = (Path(__file__).parents[1] / "docs" / "vendors.md").read_text(encoding="utf-8")
    blocks = [part.partition("```")[0] for part in page.split("```toml\n")[1:]]
    entries = {name: entry for block in blocks for name, entry in tomllib.loads(block).get("embedders", {}).items()}
    specs = [parse_spec(name, entry, "docs/vendors.md", PROVIDERS) for name, entry in entries.items()]
    assert {spec.provider for spec in specs} == {*VENDORS, "langchain"}
    for spec in specs:
        if spec.provider in VENDORS:
            assert all(f"`{variable}`" in page for variable in VENDORS[spec.provider].keys)
