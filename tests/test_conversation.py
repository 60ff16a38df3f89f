"""Conversations over a real library with the two embedders that load at once."""

import logging

import pytest

from rag.embedders import registry
from rag.library import Library
from rag.reader import Reader
from rag.settings import read_settings
from ui.conversation import Chat, Choices, Conversation, State
from ui.ingesting import ingest_paths

FUSION = """# Fusion

Reciprocal rank fusion adds one over sixty plus the rank. It needs no common scale of scores.

# Weather

Rain fell on the harbour all morning. The ferries left late.
"""


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chat")
    (folder / "documents").mkdir()
    (folder / "documents" / "fusion.md").write_text(FUSION, encoding="utf-8")
    (folder / "documents" / "bread.txt").write_text("Sourdough bread proofs for two hours at room temperature.\n")
    settings = read_settings(folder / "home")
    library = Library(settings.home, create=True)
    ingest_paths(library, settings, [folder / "documents"], "demo", ["hash", "wordllama"])
    yield Reader(library, settings)
    library.close()


def choices(**changes):
    return Choices(
        **{
            "corpus": "demo",
            "embedder": "hash",
            "retriever": "hybrid",
            "k": 4,
            "weight": 0.5,
            "fusion": "rrf",
            **changes,
        }
    )


def test_an_answer_streams_and_its_quotes_are_spans_of_documents(reader):
    conversation = Conversation()
    states = list(Chat(reader).ask(conversation, "  How does reciprocal rank fusion work? ", choices()))
    assert [turn.state for turn in (states[0], states[-1])] == [State.SEARCHING, State.DONE]
    lengths = [len(turn.answer) for turn in states]
    assert lengths == sorted(lengths) and lengths[0] == 0
    turn = conversation.turns[0]
    assert turn == states[-1] and turn.question == "How does reciprocal rank fusion work?"
    assert turn.citations and 0 < turn.retrieval_seconds < turn.seconds
    for citation in turn.citations:
        document = reader.library.document(citation.document_id)
        assert document.text[citation.start : citation.end] == citation.quote
        assert f"[{citation.marker}]" in turn.answer
        assert citation.chunk_id in {hit.chunk.id for hit in turn.hits}


def test_every_turn_keeps_the_choices_it_was_asked_with(reader):
    chat, conversation = Chat(reader), Conversation()
    for chosen in (choices(), choices(embedder="wordllama"), choices(embedder=None, retriever="lexical", k=1)):
        list(chat.ask(conversation, "When did the ferries leave?", chosen))
    first, second, third = conversation.turns
    assert [turn.choices.embedder for turn in conversation.turns] == ["hash", "wordllama", None]
    scores = [turn.hits[0].legs["dense"].score for turn in (first, second)]
    assert scores[0] != scores[1]
    assert len(third.hits) == 1 and set(third.hits[0].legs) == {"lexical"}
    assert [turn.question for turn in conversation.history()] == ["When did the ferries leave?"] * 3


def test_an_error_is_told_in_the_turn_and_the_next_one_works(reader):
    chat, conversation = Chat(reader), Conversation()
    list(chat.ask(conversation, "Why?", choices(embedder="minilm")))
    failed = conversation.turns[0]
    assert failed.state is State.FAILED and "rag ingest PATH --corpus demo --embedder minilm" in failed.error
    list(chat.ask(conversation, "Why?", choices(corpus="demos")))
    assert "Did you mean 'demo'?" in conversation.turns[1].error
    list(chat.ask(conversation, "When did the ferries leave?", choices()))
    assert conversation.turns[2].state is State.DONE
    assert len(conversation.history()) == 1


def test_a_bug_is_logged_with_its_traceback_and_told_without(reader, caplog):
    conversation = Conversation()
    with caplog.at_level(logging.ERROR):
        list(Chat(reader).ask(conversation, "Why?", choices(k="four")))
    turn = conversation.turns[0]
    assert turn.state is State.FAILED and "TypeError" in turn.error and "Traceback" not in turn.error
    assert caplog.records[0].exc_info


def test_a_stopped_turn_keeps_what_it_has_and_is_not_written_over(reader):
    conversation = Conversation()
    steps = Chat(reader).ask(conversation, "How does reciprocal rank fusion work?", choices())
    while not next(steps).answer:
        pass
    conversation.stop()
    assert list(steps) == []
    assert conversation.turns[0].state is State.STOPPED and conversation.turns[0].answer


def test_a_turn_that_was_cleared_away_does_not_come_back(reader):
    chat, conversation = Chat(reader), Conversation()
    steps = chat.ask(conversation, "How does reciprocal rank fusion work?", choices())
    next(steps)
    conversation.clear()
    list(chat.ask(conversation, "When did the ferries leave?", choices()))
    assert list(steps) == []
    assert [turn.question for turn in conversation.turns] == ["When did the ferries leave?"]
    assert conversation.turns[0].number == 2


def test_a_turn_that_nobody_listens_to_any_more_does_not_bar_the_next(reader):
    conversation = Conversation()
    steps = Chat(reader).ask(conversation, "How does reciprocal rank fusion work?", choices())
    next(steps)
    assert conversation.running
    steps.close()
    assert not conversation.running and conversation.turns[0].state is State.STOPPED


def test_waiting_for_a_model_is_said(reader):
    steps = Chat(reader).ask(Conversation(), "When did the ferries leave?", choices())
    with registry._loading:  # as if another thread were loading a large model
        assert next(steps).notice == ""
        assert next(steps).notice == "Loading hash …"
    assert list(steps)[-1].state is State.DONE


def test_warming_up_an_empty_library_says_nothing(tmp_path):
    settings = read_settings(tmp_path)
    library = Library(tmp_path, create=True)
    Chat(Reader(library, settings)).warm_up()
    library.close()
