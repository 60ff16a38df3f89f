"""Replaying a turn, and how two rankings are compared."""

from dataclasses import replace

import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import UsageError
from rag.reader import Reader
from rag.schema import Chunk, Hit
from ui.conversation import Chat, Choices, Conversation, State
from ui.replay import PERSISTENCE, compare, rank_biased_overlap, replay
from ui.replay_html import replay_html

CHOICES = Choices("small", "hash", "hybrid", 4, 0.5, "rrf")
RANKINGS = st.lists(st.integers(0, 15).map(str), unique=True, max_size=12)


def hits(ids):
    return [Hit(Chunk(key, "d", 0, 4, None, "", "text"), "a.md", "A", n, 1.0, {}) for n, key in enumerate(ids, start=1)]


def endless(first, second):
    """Sums the series of the definition where the agreement at the end goes on for ever: for lists of one length."""
    total, agreement = 0.0, 0.0
    for depth in range(1, 2000):
        if depth <= len(first):
            agreement = len(set(first[:depth]) & set(second[:depth])) / depth
        total += PERSISTENCE ** (depth - 1) * agreement
    return (1 - PERSISTENCE) * total


@given(RANKINGS, RANKINGS)
def test_rank_biased_overlap_is_the_sum_of_its_definition(first, second):
    short = min(len(first), len(second))
    first, second = first[:short], second[:short]
    if short:
        assert rank_biased_overlap(first, second) == pytest.approx(endless(first, second), abs=1e-9)


@given(RANKINGS, RANKINGS)
def test_rank_biased_overlap_is_symmetric_and_a_share(first, second):
    value = rank_biased_overlap(first, second)
    assert value == rank_biased_overlap(second, first)
    assert 0 <= value <= 1
    assert rank_biased_overlap(first, first) == pytest.approx(1)
    if not set(first) & set(second) and (first or second):
        assert value == 0


def test_first_ranks_count_most_and_lists_may_differ_in_length():
    whole = list("abcdefgh")
    assert rank_biased_overlap(whole, list("abcdefhg")) > rank_biased_overlap(whole, list("bacdefgh"))
    # Worked by hand from equation 32, p = 0.9: agreement 1, 1, then two of three, of which the short list shows two.
    by_hand = 0.1 / 0.9 * (0.9 + 0.9**2 + 0.9**3 * (2 / 3 + 2 / 6)) + (0 / 3 + 2 / 2) * 0.9**3
    assert rank_biased_overlap(list("abc"), list("ab")) == pytest.approx(by_hand)


@given(RANKINGS, RANKINGS)
def test_a_comparison_has_every_chunk_once(first, second):
    found = compare(hits(first), hits(second))
    assert [each.hit.chunk.id for each in found.shared] == [key for key in second if key in first]
    assert all(first[each.before - 1] == second[each.after - 1] == each.hit.chunk.id for each in found.shared)
    assert [hit.chunk.id for hit in found.only_before] == [key for key in first if key not in second]
    assert [hit.chunk.id for hit in found.only_after] == [key for key in second if key not in first]
    longer = max(len(first), len(second))
    assert found.overlap == (len(found.shared) / longer if longer else 1)


@pytest.fixture
def chat(small_library):
    return Chat(Reader(small_library.library, small_library.settings))


@pytest.fixture
def conversation(chat):
    made = Conversation()
    for question in ("Which planet has bright rings?", "How is green tea brewed?"):
        list(chat.ask(made, question, CHOICES))
    return made


def test_a_replay_asks_the_same_and_leaves_the_conversation_as_it_is(chat, conversation):
    before = list(conversation.turns)
    first = conversation.turns[0]
    again = replay(chat, conversation, first, replace(CHOICES, embedder="wordllama", retriever="dense"))
    assert conversation.turns == before
    assert (again.question, again.state, again.choices.embedder) == (first.question, State.DONE, "wordllama")
    same = replay(chat, conversation, first, CHOICES)
    assert (same.hits, same.answer) == (first.hits, first.answer)
    assert compare(first.hits, same.hits).rbo == pytest.approx(1)


def test_a_replay_that_fails_says_why(chat, conversation):
    again = replay(chat, conversation, conversation.turns[0], replace(CHOICES, embedder="minilm"))
    assert again.state is State.FAILED
    page = replay_html(conversation.turns[0], again, compare(conversation.turns[0].hits, again.hits), "1-1")
    assert "no index under" in page and "RBO" not in page


def test_a_running_turn_is_not_replayed(chat):
    conversation = Conversation()
    steps = chat.ask(conversation, "Which planet has bright rings?", CHOICES)
    turn = next(steps)
    with pytest.raises(UsageError, match="still being written"):
        replay(chat, conversation, turn, CHOICES)


def test_the_page_shows_what_is_shared_and_what_moved(conversation):
    turn = conversation.turns[0]
    found = compare(hits("abc"), hits("cad"))
    page = BeautifulSoup(replay_html(turn, turn, found, "1-1"), "lxml")
    figures = [each.get_text(" ") for each in page.select(".rag-figures span")]
    assert figures[:4] == ["2 shared", "1 only before", "1 only replayed", "67 % overlap"]
    assert [each.get_text() for each in page.select(".rag-found-row .rag-rank")] == ["3 → 1", "1 → 2", "2", "3"]
    assert [each.get_text() for each in page.select(".rag-move")] == ["+2", "−1"]
    assert page.find(id="replay-1-1") and len(page.select(".rag-side")) == 2


def test_nothing_in_a_replay_becomes_markup(conversation):
    hostile = "<img src=x onerror=alert(1)>"
    hit = Hit(Chunk(hostile, hostile, 0, 9, 1, hostile, hostile), hostile, hostile, 1, 1.0, {})
    turn = replace(conversation.turns[0], question=hostile, hits=(hit,), error="")
    page = BeautifulSoup(replay_html(turn, replace(turn, error=hostile), compare([hit], [hit]), hostile), "lxml")
    both = BeautifulSoup(replay_html(turn, turn, compare([hit], []), hostile), "lxml")
    assert not page.find("img") and not both.find("img")
    assert hostile in page.get_text() and hostile in both.get_text()
