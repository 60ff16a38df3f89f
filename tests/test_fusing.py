"""The live weight: legs that are kept are fused anew, and what moved is told."""

import time
from dataclasses import replace

import pytest
from bs4 import BeautifulSoup

from rag.reader import Reader
from ui.conversation import Chat, Choices, Conversation
from ui.evidence_html import evidence_html
from ui.fusing import find, fuse_anew

CHOICES = Choices("small", "hash", "hybrid", 4, 0.5, "rrf")
QUESTION = "Which planet has bright rings of ice?"


@pytest.fixture
def reader(small_library):
    return Reader(small_library.library, small_library.settings)


@pytest.fixture
def turn(reader):
    conversation = Conversation()
    list(Chat(reader).ask(conversation, QUESTION, CHOICES))
    return conversation.turns[0]


@pytest.mark.parametrize("fusion", ["rrf", "weighted"])
@pytest.mark.parametrize("weight", [0.0, 0.3, 0.5, 1.0])
def test_what_is_fused_anew_is_what_a_search_would_have_found(reader, turn, weight, fusion):
    fused = fuse_anew(reader.library, turn.hits, turn.legs, 4, weight, fusion)
    opened = reader.open("small", "hash", "hybrid", fusion=fusion, weight=weight)
    assert list(fused.hits) == opened.retriever.retrieve(QUESTION, 4)


def test_the_search_itself_is_that_of_the_retriever(reader):
    for retriever in ("dense", "lexical", "hybrid"):
        opened = reader.open("small", "hash", retriever, weight=0.3, fusion="weighted")
        hits, legs = find(opened.retriever, QUESTION, 4, 0.3, "weighted")
        assert list(hits) == opened.retriever.retrieve(QUESTION, 4)
        assert set(legs) == ({"dense", "lexical"} if retriever == "hybrid" else set())


def test_a_reranked_turn_keeps_no_legs(reader):
    conversation = Conversation()
    list(Chat(reader).ask(conversation, QUESTION, replace(CHOICES, mmr=0.5)))
    assert conversation.turns[0].hits and not conversation.turns[0].legs


def test_moves_add_up(reader, turn):
    for weight in (0.0, 1.0):
        fused = fuse_anew(reader.library, turn.hits, turn.legs, 4, weight, "rrf")
        before = {hit.chunk.id: hit.rank for hit in turn.hits}
        for hit in fused.hits:
            move = fused.moves[hit.chunk.id]
            assert (move is None) == (hit.chunk.id not in before)
            assert move is None or before[hit.chunk.id] - move == hit.rank
        assert {hit.chunk.id for hit in fused.gone} == set(before) - {hit.chunk.id for hit in fused.hits}
    assert any(fuse_anew(reader.library, turn.hits, turn.legs, 4, w, "rrf").gone for w in (0.0, 1.0))


def test_under_the_same_weight_nothing_moves(reader, turn):
    fused = fuse_anew(reader.library, turn.hits, turn.legs, 4, 0.5, "rrf")
    assert fused.hits == turn.hits and set(fused.moves.values()) == {0} and not fused.gone
    assert "Nothing moved" in evidence_html(turn, fused=fused)


def test_chunks_that_are_gone_stay_where_they_were_shown(ingest, small_folder):
    made = ingest(small_folder, corpus="small")
    conversation = Conversation()
    list(Chat(Reader(made.library, made.settings)).ask(conversation, QUESTION, CHOICES))
    turn = conversation.turns[0]
    made.library.delete("small", list(made.library.sources("small")))
    fused = fuse_anew(made.library, turn.hits, turn.legs, 30, 0.5, "rrf")
    assert {hit.chunk.id for hit in fused.hits} == {hit.chunk.id for hit in turn.hits}
    assert [hit.rank for hit in fused.hits] == list(range(1, len(turn.hits) + 1))


def test_the_cards_stand_in_their_new_order_with_what_they_gained(reader, turn):
    fused = fuse_anew(reader.library, turn.hits, turn.legs, 4, 1.0, "weighted")
    page = BeautifulSoup(evidence_html(turn, (2, 3), fused), "lxml")
    assert page.select_one(".rag-place").get_text() == "Question 2 of 3"
    assert page.select_one(".rag-fused b").get_text() == "Weighted scores, dense weight 1.00"
    ranks = [int(each.get_text()) for each in page.select(".rag-card .rag-rank")]
    assert ranks[: len(fused.hits)] == list(range(1, len(fused.hits) + 1))
    assert len(ranks) == len(fused.hits) + len(fused.gone)
    assert len(page.select(".rag-card .rag-open")) == len(ranks)


def test_a_move_of_the_slider_takes_little_time(reader, turn):
    started = time.process_time()
    for step in range(20):
        evidence_html(turn, fused=fuse_anew(reader.library, turn.hits, turn.legs, 4, step / 20, "rrf"))
    assert (time.process_time() - started) / 20 < 0.1
