"""What a passage costs in tokens, counted whole."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from rag.embedders.files import locate
from rag.embedders.registry import find_spec, load_embedder

TEXTS = [
    "A short sentence.",
    "",
    " \n\t ",
    "😀🚴",
    "???",
    "Wie groß ist der Mond? 中文检索",
    "A longer passage: " + "words and more words, " * 10,
    "word " * 20_000,
    "x" * 500,
    "\x00 control \x07 characters",
]


@pytest.fixture(params=["hash", "wordllama", "minilm"])
def embedder(request):
    return load_embedder(request.param)


def variant(name, **facts):
    """Loads an embedder of the table with other facts."""
    return load_embedder("variant", {"variant": replace(find_spec(name), name="variant", **facts)})


def test_minilm_counts_as_its_tokenizer_does_without_cutting():
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(locate(find_spec("minilm").model)))
    for prefix in ("", "passage: "):
        whole = tokenizer([prefix + text for text in TEXTS], truncation=False, verbose=False)["input_ids"]
        embedder = variant("minilm", passage_prefix=prefix, query_prefix="not counted")
        embedder.embed_passages(TEXTS[:3])  # leaves padding and truncation behind in the model's own tokenizer
        assert embedder.count_tokens(TEXTS) == [len(ids) for ids in whole]


def test_wordllama_counts_as_its_tokenizer_does():
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(locate(find_spec("wordllama").tokenizer)))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    whole = [len(tokenizer.encode("p: " + text, add_special_tokens=False).ids) for text in TEXTS]
    assert variant("wordllama", passage_prefix="p: ", max_tokens=5).count_tokens(TEXTS) == whole


def test_hash_counts_words():
    assert load_embedder("hash").count_tokens(["One, two two.", "", "?!"]) == [3, 1, 1]
    assert variant("hash", passage_prefix="p: ").count_tokens(["one"]) == [2]


def test_no_texts_have_no_counts_and_no_text_less_than_one_token(embedder):
    assert embedder.count_tokens([]) == []
    assert min(embedder.count_tokens(TEXTS)) >= 1


def test_what_lies_beyond_the_limit_changes_no_vector(embedder):
    limit = embedder.spec.max_tokens
    (tokens,) = embedder.count_tokens(["word " * 300])
    more = embedder.embed_passages(["word " * 300, "word " * 300 + "and something else entirely"])
    assert (np.abs(more[0] - more[1]).max() < 1e-6) == (0 < limit < tokens)


def test_threads_may_count_and_embed_at_once(embedder):
    texts = [text[:300] for text in TEXTS] * 4
    counts, vectors = embedder.count_tokens(texts), embedder.embed_passages(texts)
    with ThreadPoolExecutor(4) as pool:
        embedding = [pool.submit(embedder.embed_passages, texts) for _ in range(2)]
        counting = [pool.submit(embedder.count_tokens, texts) for _ in range(20)]
        assert all(future.result() == counts for future in counting)
        assert all(np.array_equal(future.result(), vectors) for future in embedding)
