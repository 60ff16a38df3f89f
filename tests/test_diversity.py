"""Maximal marginal relevance: the choice against a slow and plain one, over vectors, over words, and in a search."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.vectorstores.utils import maximal_marginal_relevance

from rag.diversity import by_vectors, by_words, choose_diverse
from rag.embedders.spec import unit_rows
from rag.errors import UsageError
from rag.ranking import min_max
from rag.reader import Reader
from rag.schema import Leg, Scored


def ranking_of(scores):
    return [Scored(f"{rank:03}", score, {"dense": Leg(rank + 1, score)}) for rank, score in enumerate(scores)]


def plainly(relevance, likeness, balance, k):
    """The definition, word for word."""
    chosen = []
    while len(chosen) < min(k, len(relevance)):
        gains = {
            place: balance * relevance[place] - (1 - balance) * max((likeness[place][c] for c in chosen), default=0)
            for place in range(len(relevance))
            if place not in chosen
        }
        chosen.append(max(gains, key=lambda place: (gains[place], -place)))
    return chosen


@given(st.integers(0, 2**32), st.integers(1, 30), st.floats(0, 1), st.integers(0, 35))
def test_the_choice_is_the_definition(seed, n, balance, k):
    chance = np.random.default_rng(seed)
    scores = sorted(chance.random(n).tolist(), reverse=True)
    vectors = unit_rows(np.abs(chance.normal(size=(n, 5))))
    likeness = np.clip(vectors @ vectors.T, 0, 1)
    found = choose_diverse(ranking_of(scores), likeness, balance, k)
    assert [int(result.chunk_id) for result in found] == plainly(min_max(scores), likeness, balance, k)
    assert all(a.score >= b.score for a, b in pairwise(found))
    assert [result.legs["mmr"].rank for result in found] == list(range(1, len(found) + 1))
    assert all("dense" in result.legs for result in found)


def test_the_choice_is_langchains_where_the_relevance_is_the_cosine():
    chance = np.random.default_rng(3)
    vectors = unit_rows(np.abs(chance.normal(size=(20, 6))))
    query = unit_rows(np.abs(chance.normal(size=(1, 6))))
    cosines = (vectors @ query[0]).astype(float)
    order = np.argsort(-cosines)
    spread = cosines.max() - cosines.min()
    # Ours scales relevance to [0, 1]; the same choice comes of a balance that takes the scale back.
    theirs_balance = 0.4
    ours_balance = theirs_balance * spread / (theirs_balance * spread + 1 - theirs_balance)
    theirs = maximal_marginal_relevance(query[0], list(vectors), theirs_balance, 8)
    likeness = (vectors @ vectors.T)[np.ix_(order, order)]
    ours = choose_diverse(ranking_of(cosines[order].tolist()), likeness, ours_balance, 8)
    assert [int(order[int(result.chunk_id)]) for result in ours] == theirs


def test_relevance_alone_keeps_the_order_and_diversity_alone_flees_copies():
    same = np.ones((4, 4), dtype=np.float32)
    same[3, :3] = same[:3, 3] = 0
    ranking = ranking_of([0.9, 0.8, 0.7, 0.1])
    assert [r.chunk_id for r in choose_diverse(ranking, same, 1.0, 4)] == ["000", "001", "002", "003"]
    assert [r.chunk_id for r in choose_diverse(ranking, same, 0.5, 2)] == ["000", "003"]
    assert choose_diverse([], np.zeros((0, 0), dtype=np.float32), 0.5, 3) == []


def test_likeness_by_vectors_is_the_cosine_and_none_for_a_chunk_that_is_gone(small_library):
    library = small_library.library
    card = library.cards.find("small", "wordllama")
    ids, vectors = library.vectors.of_index("small", card.chunker, card.fingerprint)
    asked = [ids[2], "gone", ids[0]]
    found = by_vectors(library, card.fingerprint)(asked)
    assert found.shape == (3, 3)
    assert found[0, 2] == pytest.approx(max(0, float(vectors[2] @ vectors[0])), abs=1e-6)
    assert found[0, 0] == pytest.approx(1, abs=1e-6)
    assert not found[1].any()


def test_likeness_by_words_is_the_share_of_common_terms(small_library):
    library = small_library.library
    card = library.cards.all("small")[0]
    ids = library.vectors.of_index("small", card.chunker, card.fingerprint)[0]
    found = by_words(library)(ids)
    assert np.diag(found) == pytest.approx(1)
    assert np.allclose(found, found.T)
    assert found.min() == 0
    assert by_words(library)([]).shape == (0, 0)


@pytest.fixture
def copies(ingest, tmp_path):
    """A corpus in which one text stands five times, and another once."""
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(5):
        (folder / f"copy{number}.txt").write_text(f"The river floods the meadows in spring, says witness {number}.")
    (folder / "other.txt").write_text("A dry summer leaves the river low, and the meadows turn brown.")
    return ingest(folder)


@pytest.mark.parametrize("options", [{"retriever": "lexical"}, {"retriever": "hybrid"}, {"retriever": "dense"}])
def test_a_diverse_search_passes_over_copies(copies, options):
    reader = Reader(copies.library, copies.settings)
    question = "the river floods the meadows in spring"
    plain = reader.open("c", **options).retriever.retrieve(question, 2)
    diverse = reader.open("c", mmr=0.3, **options)
    hits = diverse.retriever.retrieve(question, 2)
    assert {hit.source for hit in plain}.isdisjoint({"other.txt"})
    assert hits[0].chunk == plain[0].chunk
    assert hits[1].source == "other.txt"
    assert diverse.mmr == 0.3
    assert diverse.retriever.name == options["retriever"]


@pytest.mark.parametrize("balance", [-0.1, 1.1])
def test_a_balance_out_of_range_is_refused(copies, balance):
    with pytest.raises(UsageError, match="must lie between 0"):
        Reader(copies.library, copies.settings).open("c", mmr=balance)
