"""Conversations in the library: each finished turn is there again after a restart, for its own user alone."""

import sqlite3
from dataclasses import fields, replace

import pytest

from rag.chats import ChatTable, title_of
from rag.errors import RagError, UsageError
from rag.filters import Filter
from rag.library import Library
from rag.reader import Reader
from rag.schema import AnswerPart, Chunk, Citation, Hit, Leg, Scored, Usage
from rag.settings import read_settings
from ui.conversation import Chat, ChatTurn, Choices, Conversation, State
from ui.evidence_html import evidence_html
from ui.saved_chats import SavedChats
from ui.saved_turns import from_record, to_record
from ui.turn_cost import Cost

CHOICES = Choices("small", "hash", "hybrid", 4, 0.5, "rrf")


@pytest.fixture
def made(ingest, small_folder):
    return ingest(small_folder, corpus="small", embedders=("hash", "wordllama"))


@pytest.fixture
def chat(made):
    return Chat(Reader(made.library, made.settings), SavedChats(made.library))


def asked(chat, conversation, question, **changes):
    list(chat.ask(conversation, question, replace(CHOICES, **changes)))
    return conversation.turns[-1]


def reopened(home, user, chat_id):
    """Opens a conversation as another process would."""
    library = Library(home)
    conversation = Conversation(user=user)
    found = SavedChats(library).open(conversation, chat_id)
    library.close()
    return conversation if found else None


def as_found(turn):
    return replace(turn, number=0)


def test_a_conversation_is_there_again_as_it_was(chat, made):
    conversation = Conversation(user="")
    asked(chat, conversation, "Which planet has bright rings?")
    asked(chat, conversation, "How is green tea brewed?", retriever="lexical", embedder=None)
    asked(chat, conversation, "What squeals?", embedder="minilm")  # has no index: the turn tells it
    again = reopened(made.settings.home, "", conversation.chat)
    assert [as_found(turn) for turn in again.turns] == [as_found(turn) for turn in conversation.turns]
    assert [turn.state for turn in again.turns] == [State.DONE, State.DONE, State.FAILED]
    assert again.turns[0].legs["dense"] and again.turns[0].citations
    (listed,) = ChatTable(made.library.database).all("")
    assert (listed.title, listed.turns) == ("Which planet has bright rings?", 3)


def test_its_evidence_is_shown_as_it_was_after_the_documents_are_gone(chat, made):
    conversation = Conversation(user="")
    turn = asked(chat, conversation, "Which planet has bright rings?")
    before = evidence_html(turn)
    made.library.delete("small", list(made.library.sources("small")))
    assert not made.library.chunks([hit.chunk.id for hit in turn.hits])
    again = reopened(made.settings.home, "", conversation.chat)
    assert evidence_html(replace(again.turns[0], number=turn.number)) == before
    assert "bright rings of ice" in before


def test_everything_a_turn_can_hold_is_read_back_equal():
    chunk = Chunk("c", "d", 3, 9, 2, "A > B", "text\ud800\n")
    citation = Citation(1, "c", "d", "a.md", None, 3, 7, "text", weak=True)
    part = AnswerPart("Yes [1]", (citation,), True, 2, Usage(10, 2, 0.5, True), "slow")
    turn = ChatTurn(
        number=7,
        question="why\ud800?",
        choices=Choices(
            "c", None, "lexical", 3, 0.25, "weighted", Filter(type="pdf", page="3-"), "re", 0.5, "openai:x"
        ),
        state=State.STOPPED,
        notice="n",
        parts=(part, AnswerPart("more")),
        hits=(Hit(chunk, "a.md", "A", 1, 0.5, {"dense": Leg(1, 0.9)}),),
        retrieval_seconds=0.1,
        seconds=2.0,
        error="e",
        legs={"dense": (Scored("c", 0.9),)},
        searched_for="s",
        cost=Cost(None, "w"),
    )
    blank = ChatTurn(0, "", CHOICES)
    untouched = [each.name for each in fields(ChatTurn) if getattr(turn, each.name) == getattr(blank, each.name)]
    assert untouched == []  # else a field was added that this test does not store
    assert from_record(to_record(turn)) == turn


def test_what_older_and_newer_versions_wrote_can_be_read_or_is_told():
    record = to_record(ChatTurn(1, "Why?", CHOICES, State.DONE))
    del record["legs"], record["choices"]["mmr"]
    record["not yet"] = {"known": 1}
    assert from_record(record) == ChatTurn(1, "Why?", CHOICES, State.DONE)
    with pytest.raises(RagError, match="another version"):
        from_record({**record, "state": "dreaming"})


def test_nobody_sees_changes_or_deletes_the_conversation_of_another(chat, made):
    mine = Conversation(user="ann")
    asked(chat, mine, "Which planet has bright rings?")
    table = ChatTable(made.library.database)
    assert table.all("bob") == [] and table.all("") == [] and table.turns("bob", mine.chat) == []
    assert table.questions("bob", "small") == []
    assert reopened(made.settings.home, "bob", mine.chat) is None
    table.rename("bob", mine.chat, "Bob's")
    table.delete("bob", mine.chat)
    assert table.save("bob", mine.chat, None, "small", "?", {}) is None
    assert [each.title for each in table.all("ann")] == ["Which planet has bright rings?"]
    assert len(table.turns("ann", mine.chat)) == 1


def test_an_answer_made_again_takes_the_place_of_the_saved_one(chat, made):
    conversation = Conversation(user="")
    asked(chat, conversation, "Which planet has bright rings?")
    asked(chat, conversation, "How is green tea brewed?")
    first = conversation.turns[0]
    list(chat.ask_again(conversation, first, replace(first.choices, weight=1.0)))
    again = reopened(made.settings.home, "", conversation.chat)
    assert [turn.choices.weight for turn in again.turns] == [1.0, 0.5]
    assert [turn.question for turn in again.turns] == [turn.question for turn in conversation.turns]


def test_a_stopped_turn_is_saved_and_a_running_one_is_not(chat, made):
    conversation = Conversation(user="")
    asked(chat, conversation, "Which planet has bright rings?")
    steps = chat.ask(conversation, "How is green tea brewed?", CHOICES)
    while not next(steps).answer:
        pass
    chat.keep(conversation)
    assert len(reopened(made.settings.home, "", conversation.chat).turns) == 1
    chat.stop(conversation)
    assert list(steps) == []
    assert reopened(made.settings.home, "", conversation.chat).turns[1].state is State.STOPPED


def test_a_turn_whose_page_was_closed_is_saved(chat, made):
    conversation = Conversation(user="")
    steps = chat.ask(conversation, "Which planet has bright rings?", CHOICES)
    while not next(steps).answer:
        pass
    steps.close()
    assert reopened(made.settings.home, "", conversation.chat).turns[0].state is State.STOPPED


def test_two_pages_with_the_same_conversation_lose_nothing(chat, made):
    first, second = Conversation(user=""), Conversation(user="")
    asked(chat, first, "Which planet has bright rings?")
    assert SavedChats(made.library).open(second, first.chat)
    asked(chat, first, "How is green tea brewed?")
    asked(chat, second, "What squeals?")
    questions = [turn.question for turn in reopened(made.settings.home, "", first.chat).turns]
    assert questions == ["Which planet has bright rings?", "How is green tea brewed?", "What squeals?"]


def test_a_conversation_that_was_deleted_elsewhere_goes_on_as_another_with_all_its_turns(chat, made):
    conversation = Conversation(user="")
    asked(chat, conversation, "Which planet has bright rings?")
    old = conversation.chat
    SavedChats(made.library).delete("", old)
    asked(chat, conversation, "How is green tea brewed?")
    assert conversation.chat != old and len(reopened(made.settings.home, "", conversation.chat).turns) == 2
    assert reopened(made.settings.home, "", old) is None


def test_a_library_that_cannot_be_written_still_chats_says_so_and_saves_later(made, tmp_path):
    home = made.settings.home
    frozen = Library(home, read_only=True)
    conversation = Conversation(user="")
    turn = asked(Chat(Reader(frozen, read_settings(home)), SavedChats(frozen)), conversation, "What squeals?")
    assert turn.state is State.DONE and turn.hits
    assert "readonly" in conversation.unsaved.replace("-", "").replace(" ", "")
    frozen.close()
    asked(Chat(Reader(made.library, made.settings), SavedChats(made.library)), conversation, "How is tea brewed?")
    assert conversation.unsaved == ""
    assert len(reopened(home, "", conversation.chat).turns) == 2


def test_a_deleted_conversation_leaves_the_disk(chat, made):
    conversation = Conversation(user="")
    asked(chat, conversation, "Where is the zanzibarquestion?")
    home = made.settings.home

    def on_disk():
        return any(b"zanzibarquestion" in path.read_bytes() for path in home.glob("library.db*"))

    assert on_disk()
    SavedChats(made.library).delete("", conversation.chat)
    assert not on_disk()


def test_titles_and_questions(chat, made):
    table = ChatTable(made.library.database)
    conversation = Conversation(user="")
    asked(chat, conversation, "What squeals?")
    asked(chat, conversation, "How is tea brewed?")
    asked(chat, conversation, "What squeals?")
    assert table.questions("", "small") == ["What squeals?", "How is tea brewed?"]
    assert table.questions("", "other") == []
    table.rename("", conversation.chat, "  Brakes\n and tea ")
    assert table.find("", conversation.chat).title == "Brakes and tea"
    with pytest.raises(UsageError):
        table.rename("", conversation.chat, " \n ")
    assert len(title_of("x" * 500)) < 70 and title_of("\ud800") == "?"


def test_a_conversation_is_cleared_without_what_is_saved(chat, made):
    conversation = Conversation(user="")
    asked(chat, conversation, "What squeals?")
    first = conversation.chat
    conversation.clear()
    asked(chat, conversation, "How is tea brewed?")
    assert conversation.chat != first
    with sqlite3.connect(made.settings.home / "library.db") as connection:
        assert connection.execute("SELECT COUNT(*) FROM chats").fetchone() == (2,)
