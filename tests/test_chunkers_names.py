"""A chunker's name spells how it cuts; short names are made full, wrong ones are told with the nearest right one."""

import re
from dataclasses import replace

import pytest

from ingest.chunkers import (
    HeadingChunker,
    RecursiveChunker,
    SemanticChunker,
    SentenceChunker,
    TokenChunker,
    WholeDocumentChunker,
    load_chunker,
)
from rag.embedders import registry
from rag.embedders.registry import find_spec, table_specs
from rag.errors import UsageError

SPECS = {
    **table_specs(),
    "text-3-small": replace(find_spec("wordllama"), name="text-3-small", max_tokens=512),
    "Ours/One": replace(find_spec("hash"), name="Ours/One"),
}


@pytest.mark.parametrize(
    ("name", "kind", "full_name"),
    [
        ("recursive", RecursiveChunker, "recursive-800-100"),
        ("recursive-500-50", RecursiveChunker, "recursive-500-50"),
        ("heading", HeadingChunker, "heading-800-100"),
        ("heading-50-0", HeadingChunker, "heading-50-0"),
        ("whole", WholeDocumentChunker, "whole"),
        ("sentence", SentenceChunker, "sentence-5-1"),
        ("sentence-3-0", SentenceChunker, "sentence-3-0"),
        ("token", TokenChunker, "token-256-32-minilm"),
        ("token-240-16", TokenChunker, "token-240-16-minilm"),
        ("token-wordllama", TokenChunker, "token-256-32-wordllama"),
        ("token-text-3-small", TokenChunker, "token-512-64-text-3-small"),
        ("token-100-0-text-3-small", TokenChunker, "token-100-0-text-3-small"),
        ("semantic", SemanticChunker, "semantic-800-90-minilm"),
        ("semantic-hash", SemanticChunker, "semantic-800-90-hash"),
        ("semantic-500-80-hash", SemanticChunker, "semantic-500-80-hash"),
    ],
)
def test_load_chunker(name, kind, full_name):
    chunker = load_chunker(name, SPECS, "minilm")
    assert type(chunker) is kind
    assert chunker.name == full_name
    assert load_chunker(chunker.name, SPECS, "hash").name == full_name
    assert re.fullmatch("[a-z0-9._-]+", chunker.name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("recursiv", "Did you mean 'recursive'"),
        ("", "No chunker ''"),
        ("recursive-500", "recursive-500-50"),
        ("recursive-a-b", "No chunker"),
        ("recursive--5-1", "No chunker"),
        ("heading-500-50-5", "No chunker"),
        ("heading-500-50-minilm", "No chunker"),
        ("whole-500-50", "No chunker"),
        ("recursive-100-100", "overlap of 100"),
        ("heading-49-0", "size of 49"),
        ("sentence-0-0", "Chunks of 0 sentences"),
        ("sentence-3-3", "overlap of 3 does not fit chunks of 3 sentences"),
        ("sentence-5", "sentence-5-1"),
        ("tokens-minilm", "Did you mean 'token"),
        ("token-500", "No chunker 'token-500'.*token-240-32-minilm"),
        ("token--5-1", "No chunker"),
        ("token-minlm", "No embedder 'minlm' for the chunker 'token-minlm'. Did you mean 'minilm'"),
        ("token-100-0-minlm", "Did you mean 'minilm'"),
        ("token-257-0-minilm", "'minilm' reads 256 tokens, chunks of 257 would be cut off. Take 256 or less"),
        ("token-15-0-minilm", "size of 15 tokens"),
        ("token-20-20-minilm", "overlap of 20 does not fit chunks of 20 tokens"),
        ("semantic-800-100-hash", "percentile of 100"),
        ("semantic-49-90-hash", "size of 49"),
        ("semantic-Ours/One", "'Ours/One' cannot be part of a chunker's name"),
    ],
)
def test_wrong_names_and_numbers(name, message):
    with pytest.raises(UsageError, match=message):
        load_chunker(name, SPECS, "minilm")


def test_without_embedders_the_table_is_known_and_none_is_taken_unasked():
    assert load_chunker("token-minilm").name == "token-256-32-minilm"
    for name in ("token", "semantic-800-90"):
        with pytest.raises(UsageError, match=f"The chunker '{name}' needs an embedder. Name it last, as in {name}-"):
            load_chunker(name)


def test_a_name_loads_no_model():
    before = dict(registry._loaded)
    spec = replace(find_spec("wordllama"), name="nowhere", model="nobody:nothing")
    assert load_chunker("token-nowhere", {"nowhere": spec}).name == "token-256-32-nowhere"
    assert registry._loaded == before
