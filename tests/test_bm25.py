import json
import math
import multiprocessing
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rank_bm25 import BM25Okapi

from file_builders import write
from ingest.languages import detect_language
from rag.bm25 import K1, OKAPI_EPSILON, B, Bm25sEngine, LexicalIndex, RankBm25Engine, open_lexical
from rag.errors import UsageError
from rag.library import Library
from rag.tokens import tokens

WORDS = list("abcdefg")
PASSAGE = st.lists(st.sampled_from(WORDS), max_size=8)
CORPUS = st.lists(PASSAGE, min_size=1, max_size=8).filter(any)
QUERY = st.lists(st.sampled_from([*WORDS, "unknown"]), min_size=1, max_size=6)


@settings(max_examples=150)
@given(CORPUS, QUERY)
@example([["a"]], ["a"])
@example([["a", "b"], ["a"], ["a", "a"]], ["a", "a", "b"])
@example([[], ["a"], []], ["a"])
@example([["a", "b"], ["a", "c"], ["d"], []], ["a", "b"])
def test_okapi_scoring_equals_rank_bm25(corpus, query):
    reference = BM25Okapi(corpus, k1=K1, b=B, epsilon=OKAPI_EPSILON).get_scores(query)
    for engine in (Bm25sEngine(corpus, scoring="okapi"), RankBm25Engine(corpus)):
        np.testing.assert_allclose(engine.scores(query), reference, rtol=1e-5, atol=1e-6)


@settings(max_examples=150)
@given(CORPUS, QUERY)
@example([["a", "b", "c"], ["c", "b", "a"], ["a", "b", "d"], ["d"], ["e"], ["f"], ["g"]], ["a", "b", "c", "d"])
def test_okapi_scoring_ranks_as_rank_bm25_does_with_its_ties(corpus, query):
    ids = [f"id{number}" for number in range(len(corpus))]
    ours = LexicalIndex(ids, Bm25sEngine(corpus, scoring="okapi")).rank_terms(query, len(ids))
    assert ours == LexicalIndex(ids, RankBm25Engine(corpus)).rank_terms(query, len(ids))


@pytest.fixture(scope="module")
def paragraphs():
    """The demo documents that are plain text by paragraphs, some of them twice, with their languages."""
    root = Path(__file__).parents[1] / "corpus" / "documents"
    texts = [path.read_text(encoding="utf-8") for path in sorted(root.iterdir()) if path.suffix in (".md", ".txt")]
    languages = [detect_language(text) for text in texts]
    pairs = zip(texts, languages, strict=True)
    found = [(part, language) for text, language in pairs for part in text.split("\n\n") if part.strip()]
    assert {language for _, language in found} == {"en", "de", "es", "zh"}
    return [*found, *found[::7]]


@pytest.mark.parametrize("language", ["", "de", "en", "es", "zh"])
def test_okapi_scoring_ranks_real_texts_of_each_language_as_rank_bm25_does(paragraphs, language):
    """All of them with language "", as a corpus of several languages; queries are the task's and their beginnings."""
    read = [(text, code) for text, code in paragraphs if language in ("", code)]
    passages = [tokens(text, code) for text, code in read]
    languages = sorted({code for _, code in read})
    task = Path(__file__).parents[1] / "corpus" / "task" / "queries.jsonl"
    queries = [json.loads(line)["text"] for line in task.read_text(encoding="utf-8").splitlines()]
    queries += [text[:60] for text, _ in read]
    ids = [f"{number:05}" for number in range(len(passages))]
    ours = LexicalIndex(ids, Bm25sEngine(passages, scoring="okapi"), languages)
    reference = LexicalIndex(ids, RankBm25Engine(passages), languages)
    ties = 0
    for query in queries[:: 1 + len(queries) // 150]:
        found = ours.rank(query, 100)
        assert found == reference.rank(query, 100)
        ties += len(found) - len({result.score for result in found})
    assert ties > 10


def lucene(corpus, query):
    """BM25 as Lucene computes it, without the constant factor k1 + 1 (Kamphuis et al., ECIR 2020)."""
    mean = sum(map(len, corpus)) / len(corpus)
    scores = []
    for passage in corpus:
        score = 0.0
        for term in query:
            n = sum(term in other for other in corpus)
            idf = math.log(1 + (len(corpus) - n + 0.5) / (n + 0.5))
            count = passage.count(term)
            score += idf * count / (count + K1 * (1 - B + B * len(passage) / mean))
        scores.append(score)
    return scores


@settings(max_examples=150)
@given(CORPUS, QUERY)
@example([["a"], ["a", "a", "b"], []], ["a", "unknown"])
def test_lucene_scoring_equals_the_formula(corpus, query):
    np.testing.assert_allclose(Bm25sEngine(corpus).scores(query), lucene(corpus, query), rtol=1e-5, atol=1e-6)


@settings(max_examples=25)
@given(st.lists(PASSAGE, max_size=6), QUERY, st.sampled_from(["lucene", "okapi"]))
def test_a_saved_index_scores_the_same(tmp_path_factory, corpus, query, scoring):
    folder = tmp_path_factory.mktemp("bm25")
    engine = Bm25sEngine(corpus, scoring)
    engine.save(folder)
    loaded = Bm25sEngine.load(folder)
    assert np.array_equal(loaded.scores(query), engine.scores(query))
    assert loaded.scores(query).shape == (len(corpus),)
    counted = Counter(term for passage in corpus for term in set(passage))
    for term in [*WORDS, "unknown"]:
        assert loaded.frequency(term) == RankBm25Engine(corpus).frequency(term) == counted[term]


def test_an_unknown_scoring_or_engine_is_named(small_library):
    with pytest.raises(UsageError, match="Did you mean 'okapi'"):
        Bm25sEngine([["a"]], scoring="okapy")
    with pytest.raises(UsageError, match="Did you mean 'bm25s'"):
        open_lexical(small_library.library, "small", "heading-800-100", engine="bm25")


@settings(max_examples=100)
@given(
    CORPUS.map(lambda corpus: [[f"{word}{word}{word}" for word in passage] for passage in corpus]), st.integers(1, 9)
)
def test_ranks_by_score_then_id_descending_and_nothing_with_score_zero(corpus, k):
    ids = [f"id{number}" for number in range(len(corpus))]
    engine = Bm25sEngine(corpus)
    query = "aaa bbb ccc"
    found = LexicalIndex(ids, engine).rank(query, k)

    scores = dict(zip(ids, engine.scores(tokens(query)), strict=True))
    expected = sorted((key for key in ids if scores[key] > 0), key=lambda key: (scores[key], key), reverse=True)[:k]
    assert [result.chunk_id for result in found] == expected
    assert [result.legs["lexical"].rank for result in found] == list(range(1, len(found) + 1))
    assert all(result.score == result.legs["lexical"].score == scores[result.chunk_id] for result in found)


def lexical(small):
    return open_lexical(small.library, "small", "heading-800-100")


def sources(small, query, k=3):
    found = lexical(small).rank(query, k)
    stored = small.library.chunks([result.chunk_id for result in found])
    return [stored[result.chunk_id].source for result in found]


@pytest.mark.parametrize("query", ["", "   ", "the of and", "zzyzx", "???", "😀"])
def test_a_query_without_known_terms_abstains(small_library, query):
    assert lexical(small_library).rank(query, 5) == []


@pytest.mark.parametrize(
    ("query", "source"),
    [
        ("what is sourdough?", "bread.txt"),
        ("CHAINS replaced", "bicycles.html"),  # case and inflection do not matter
        ("Ｎａｉｒｏｂｉ", "capitals.csv"),  # full-width letters
        ("向量模型", "zh.txt"),
        ("分词", "zh.txt"),
        ("русском языке", "ru.txt"),
        ("документ", "ru.txt"),  # Russian is stemmed
        ("什么是向量？", "zh.txt"),  # words that ask are left out, single characters are found
        ("词", "zh.txt"),
    ],
)
def test_finds_words_of_any_script(small_library, query, source):
    assert sources(small_library, query)[0] == source


def test_the_reference_engine_finds_the_same_chunks(small_library):
    reference = open_lexical(small_library.library, "small", "heading-800-100", engine="rank-bm25")
    for query in ("sourdough", "moon of Saturn", "chain cassette"):
        assert {r.chunk_id for r in reference.rank(query, 9)} == {
            r.chunk_id for r in lexical(small_library).rank(query, 9)
        }


def test_a_term_that_is_not_there_is_taken_for_the_one_spelled_most_like_it(small_library):
    index = lexical(small_library)
    assert index.nearest_term("sourdough") == "sourdough"
    assert index.nearest_term("sourdouhg") == "sourdough"
    assert index.nearest_term("oli") is None  # too short to tell a slip from another word
    assert index.nearest_term("xylophone") is None
    assert index.idf("xylophone") > index.idf("sourdough") > index.idf("moon")


def test_an_index_is_kept_until_the_corpus_changes(tmp_path, ingest):
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "one.txt").write_text("A lighthouse stands at the northern shore.")
    library = ingest(folder).library

    def found(query):
        ranked = open_lexical(library, "c", "heading-800-100").rank(query, 5)
        return [stored.source for stored in library.chunks([result.chunk_id for result in ranked]).values()]

    versions = library.home / "lexical" / "c.heading-800-100"
    assert (found("lighthouse"), found("volcano")) == (["one.txt"], [])
    (built,) = versions.iterdir()
    stamp = (built / "ids.json").stat()
    assert found("lighthouse") == ["one.txt"]
    assert (built / "ids.json").stat() == stamp  # opened again, not built again

    (folder / "two.txt").write_text("The volcano has been quiet for a hundred years.")
    ingest(folder)
    assert (found("lighthouse"), found("volcano")) == (["one.txt"], ["two.txt"])
    assert [path.name for path in versions.iterdir()] != [built.name]
    assert len(list(versions.iterdir())) == 1  # the stale one is gone from the disk

    (folder / "one.txt").unlink()
    ingest(folder)
    assert (found("lighthouse"), found("volcano")) == ([], ["two.txt"])


def _build(home, start, answers):
    library = Library(home)
    start.wait(timeout=30)
    answers.put([result.chunk_id for result in open_lexical(library, "c", "heading-800-100").rank("lighthouse", 50)])


def test_two_processes_may_build_at_once(tmp_path, ingest):
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(40):
        (folder / f"{number:02}.txt").write_text(f"Lighthouse number {number} stands at the northern shore.")
    library = ingest(folder).library

    context = multiprocessing.get_context("spawn")
    start, answers = context.Barrier(2), context.Queue()
    builders = [context.Process(target=_build, args=(library.home, start, answers)) for _ in range(2)]
    for builder in builders:
        builder.start()
    found = [answers.get(timeout=60) for _ in builders]
    for builder in builders:
        builder.join(timeout=30)
        assert builder.exitcode == 0
    assert found[0] == found[1]
    assert len(found[0]) == 40
    (built,) = (library.home / "lexical" / "c.heading-800-100").iterdir()  # one index, and no draft left behind
    assert len(json.loads((built / "ids.json").read_text())) == 40


def test_of_equally_similar_terms_the_same_one_is_taken_in_every_process():
    script = (
        "from rag.bm25 import Bm25sEngine, LexicalIndex\n"
        "index = LexicalIndex(['a'], Bm25sEngine([['abcdx', 'abcdy', 'abcdz', 'abcdw', 'abcdv']]))\n"
        "print(index.nearest_term('abcdq'), index.nearest_term('abcdz'), index.nearest_term('qqqqq'))"
    )
    for seed in ("1", "2", "3", "4"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        said = subprocess.check_output([sys.executable, "-c", script], text=True, env=environment)
        assert said.split() == ["abcdz", "abcdz", "None"]


def test_the_name_of_a_file_without_a_title_is_found(tmp_path, ingest):
    write(tmp_path / "docs", "harbour-2024.txt", "All ships had left by noon.")
    write(tmp_path / "docs", "titled-2024.md", "# Ferries\n\nAll ferries had left by noon.")
    made = ingest(tmp_path / "docs")
    index = open_lexical(made.library, "c", made.report.cards[0].chunker)
    found = {stored.source for stored in made.library.chunks([s.chunk_id for s in index.rank("harbour", 5)]).values()}
    assert found == {"harbour-2024.txt"}
    assert index.rank("titled", 5) == []
