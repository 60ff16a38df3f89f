"""The tables of embedders: every entry is whole, says where it is from, and keeps its prefixes to the letter."""

import re
import string
import tomllib
from dataclasses import fields
from urllib.parse import urlsplit

import pytest

from rag.embedders import registry
from rag.embedders.registry import PROVIDERS, TABLES, read_table, table_specs
from rag.embedders.spec import EmbedderSpec
from rag.embedders.vendors import VENDORS
from rag.errors import UsageError
from ui.embedders_page import PAGE, TITLES, embedders_page

ENTRIES = list(table_specs().values())
LOCAL = ("sentence-transformers", "static")

BARE = ("", "")
E5 = ("query: ", "passage: ")
NOMIC = ("search_query: ", "search_document: ")
BGE = ("Represent this sentence for searching relevant passages: ", "")
QWEN = ("Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:", "")
GEMMA = ("task: search result | query: ", "title: none | text: ")
PREFIXES = {
    **{f"e5-{size}-v2": E5 for size in ("small", "base", "large")},
    **{f"multilingual-e5-{size}": E5 for size in ("small", "base", "large")},
    "multilingual-e5-large-instruct": (
        "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: ",
        "",
    ),
    **{f"bge-{size}-en-v1-5": BGE for size in ("small", "base", "large")},
    "nomic-embed-text-v1-5": NOMIC,
    "modernbert-embed-base": NOMIC,
    "snowflake-arctic-embed-m-v1-5": BGE,
    "snowflake-arctic-embed-l-v2": ("query: ", ""),
    "mxbai-embed-large-v1": BGE,
    **{f"qwen3-embedding-{size}": QWEN for size in ("600m", "4b", "8b")},
    "jina-embeddings-v5-text-small": ("Query: ", "Document: "),
    "embeddinggemma-300m": GEMMA,
    "gemini-embedding-2": GEMMA,
    "ollama-nomic-embed-text": NOMIC,
    "ollama-nomic-embed-text-v2-moe": NOMIC,
    "ollama-mxbai-embed-large": BGE,
    "ollama-snowflake-arctic-embed2": ("query: ", ""),
    "ollama-qwen3-embedding": QWEN,
    "ollama-embeddinggemma": GEMMA,
}
"""(query, passage) of every entry that has any: a prefix that changes by accident costs quality and nobody sees it."""


@pytest.fixture(params=ENTRIES, ids=lambda spec: spec.name)
def spec(request):
    return request.param


def test_the_prefixes_are_pinned():
    assert set(PREFIXES) <= set(table_specs())
    pinned = {name: PREFIXES.get(name, BARE) for name in table_specs()}
    assert {spec.name: (spec.query_prefix, spec.passage_prefix) for spec in ENTRIES} == pinned


def test_the_field_is_covered():
    assert len(ENTRIES) >= 40
    assert {spec.provider for spec in ENTRIES} == set(PROVIDERS) - {"langchain", "control"}
    assert {spec.made_for for spec in ENTRIES} == {"retrieval", "similarity", "general"}
    models = " ".join(spec.model.lower() for spec in ENTRIES)
    for family in (
        "e5",
        "bge",
        "gte",
        "mpnet",
        "minilm",
        "potion",
        "arctic",
        "jina",
        "qwen3",
        "embeddinggemma",
        "nli-",
    ):
        assert family in models


def test_names_fit_where_names_go(spec):
    """In names of chunkers, of Chroma's collections and of files, whose parts are set off by dots."""
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", spec.name)
    assert len(spec.name) <= 38, "the table of the command line is wide enough for it"


def test_no_name_is_in_two_tables(monkeypatch):
    names = [name for path in TABLES for name in tomllib.loads(path.read_text(encoding="utf-8"))]
    assert sorted(names) == sorted(table_specs())
    table_specs.cache_clear()
    monkeypatch.setattr(registry, "TABLES", (TABLES[0], TABLES[0]))
    try:
        with pytest.raises(UsageError, match=r"\[minilm\] is in table.toml and in a table before it"):
            table_specs()
    finally:
        table_specs.cache_clear()


def test_each_says_where_its_facts_are_from(spec):
    address = urlsplit(spec.source)
    assert (address.scheme == "https" and "." in address.netloc) or spec.provider == "hash"
    assert spec.licence.strip()
    assert set(spec.unconfirmed) <= {field.name for field in fields(EmbedderSpec)} - {"name", "provider", "model"}
    assert len(set(spec.unconfirmed)) == len(spec.unconfirmed)


def test_models_of_the_hub_are_pinned_to_a_commit_or_say_that_they_are_not(spec):
    if spec.provider in LOCAL and "/" in spec.model and ":" not in spec.model:
        assert spec.source == f"https://huggingface.co/{spec.model}"
        if "revision" in spec.unconfirmed:
            assert spec.revision == ""
        else:
            assert len(spec.revision) == 40
            assert set(spec.revision) <= set(string.hexdigits.lower())


def test_no_two_models_share_a_commit():
    """A commit copied to another entry would be an error only when somebody downloads it."""
    commits = [spec.revision for spec in ENTRIES if len(spec.revision) == 40]
    assert len(set(commits)) == len(commits)


def test_widths_are_those_of_the_model(spec):
    assert not spec.dimensions or spec.dimension == spec.dimensions[0], "the entry takes the model's own width"
    assert len(set(spec.dimensions)) == len(spec.dimensions)
    assert 64 <= spec.dimension <= 4096


def test_limits_and_languages_are_sane(spec):
    assert spec.max_tokens == 0 or 64 <= spec.max_tokens <= 128_000
    assert (spec.max_tokens == 0) == (spec.provider in ("static", "hash"))
    assert spec.languages == ("any",) or all(re.fullmatch("[a-z]{2}", code) for code in spec.languages)
    assert len(set(spec.languages)) == len(spec.languages) > 0


def test_only_vendors_ask_for_money(spec):
    hosted = bool(spec.provider in VENDORS and VENDORS[spec.provider].keys)
    assert (spec.usd_per_million_tokens > 0) == hosted
    assert 0 <= spec.usd_per_million_tokens < 1
    assert (spec.licence == "proprietary") == hosted


def test_vendors_that_take_the_side_as_a_parameter_get_no_prefix_as_well(spec):
    if spec.provider in ("openai", "cohere", "voyage", "mistral") or spec.name == "gemini-embedding-001":
        assert (spec.query_prefix, spec.passage_prefix) == BARE


def test_prefixes_end_as_the_model_was_trained(spec):
    for prefix in (spec.query_prefix, spec.passage_prefix):
        assert prefix == prefix.lstrip()
        assert prefix == "" or prefix.endswith((": ", "\nQuery:"))


def test_the_page_is_what_the_tables_say():
    assert PAGE.read_text(encoding="utf-8") == embedders_page(), "run: .venv/bin/python -m ui.reference"


def test_the_page_has_every_entry_once_with_its_doubts():
    page = embedders_page()
    facts = page.partition("## Prefixes")[0]
    for each in ENTRIES:
        (row,) = [line for line in facts.splitlines() if line.startswith(f"| `{each.name}` |")]
        shown = {"revision", "dimension", "dimensions", "max_tokens", "languages", "usd_per_million_tokens", "licence"}
        assert row.count("?") == len(shown & set(each.unconfirmed)), row
    assert set(TITLES) == {path.stem for path in TABLES}
    assert sum(len(read_table(path)) for path in TABLES) == len(ENTRIES)
