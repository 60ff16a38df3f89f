"""Saved conversations in a real browser: restored, renamed, deleted, each for its user, and what fails meanwhile."""

import os
import re
import shutil

import pytest

from browser_app import start, stop
from chat_pages import RINGS, TEA, application, ask, expect, rows, small_chat

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def home(tmp_path_factory, small_folder):
    return small_chat(tmp_path_factory.mktemp("chat"), small_folder)


@pytest.fixture(scope="module")
def url(home):
    process, address = start(home)
    yield address
    assert stop(process) == 0


# --- saved conversations


def test_a_conversation_is_restored_by_a_reload_and_by_a_click(open_page):
    page = open_page()
    ask(page, RINGS)
    expect(page.locator("#chats .rag-current")).to_contain_text(RINGS)
    expect(page.locator("#chats .rag-current")).to_contain_text("1 question · just now")
    ask(page, TEA)
    expect(page.locator("#chats .rag-current")).to_contain_text("2 questions")
    quotes = page.locator("#evidence mark").all_text_contents()

    page.reload()
    expect(page.locator("#messages .rag-question")).to_have_text([RINGS, TEA])
    expect(page.locator(".rag-for")).to_have_text(TEA)
    expect(page.locator(".rag-place")).to_have_text("Question 2 of 2 · the latest")
    assert page.locator("#evidence mark").all_text_contents() == quotes

    page.locator(".rag-answer").first.locator(".rag-text").click()  # the evidence of an older one
    expect(page.locator(".rag-for")).to_have_text(RINGS)
    expect(page.locator(".rag-place")).to_have_text("Question 1 of 2")
    expect(page.locator(".rag-answer").first).to_have_class(re.compile("rag-shown"))

    page.get_by_role("button", name="New chat").click()
    expect(page.locator(".rag-answer")).to_have_count(0)
    ask(page, "What squeals?")
    expect(page.locator("#chats .rag-current")).to_contain_text("What squeals?")
    rows(page).filter(has_text=RINGS).first.locator(".rag-chat-open").click()
    expect(page.locator("#messages .rag-question")).to_have_text([RINGS, TEA])
    third = ask(page, "What is the orchard?")  # it goes on where it was
    expect(page.locator("#chats .rag-current")).to_contain_text("3 questions")
    expect(third.locator(".rag-embedder")).to_have_text("hash")


def test_a_new_browser_begins_anew_and_finds_the_saved_ones(open_page):
    ask(open_page(), "Where do the plums grow?")
    other = open_page()
    expect(rows(other).filter(has_text="Where do the plums grow?")).to_have_count(1)
    expect(other.locator(".rag-answer")).to_have_count(0)


def test_a_conversation_is_renamed_and_deleted(open_page):
    page = open_page()
    ask(page, "Which fruit is a quince?")
    row = page.locator("#chats .rag-current")
    row.hover()
    row.get_by_role("button", name="Rename").click()
    page.get_by_role("textbox", name="Title").fill("Quinces & <b>more</b>")
    page.keyboard.press("Enter")
    expect(row.locator("b")).to_have_text("Quinces & <b>more</b>")
    row.hover()
    row.get_by_role("button", name="Rename").click()
    page.get_by_role("textbox", name="Title").fill("not this")
    page.keyboard.press("Escape")
    expect(row.locator("b")).to_have_text("Quinces & <b>more</b>")

    row.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Keep it").click()
    expect(page.locator(".rag-answer")).to_have_count(1)
    row.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator(".rag-answer")).to_have_count(0)
    expect(rows(page).filter(has_text="Quinces")).to_have_count(0)
    page.reload()
    expect(page.locator("#status")).to_contain_text("chunks")
    expect(rows(page).filter(has_text="Quinces")).to_have_count(0)


def test_after_a_restart_the_evidence_is_as_it_was_though_its_document_is_gone(open_page, home, tmp_path):
    from rag.library import Library

    copy = shutil.copytree(home, tmp_path / "home")
    with application(copy, open_page) as opened:
        page = opened()
        ask(page, RINGS)
        quotes = page.locator("#evidence mark").all_text_contents()
        assert "Saturn is known for its bright rings of ice." in quotes
    library = Library(copy)
    library.delete("small", ["planets.md"])
    library.close()
    with application(copy, open_page) as opened:
        page = opened()
        rows(page).filter(has_text=RINGS).first.locator(".rag-chat-open").click()
        expect(page.locator("#evidence mark").first).to_be_visible()
        assert page.locator("#evidence mark").all_text_contents() == quotes


def test_a_login_has_conversations_of_its_own(open_page, home, tmp_path):
    copy = shutil.copytree(home, tmp_path / "home")
    with application(copy, open_page) as opened:
        ask(opened(), RINGS)
    with application(copy, open_page, env={**os.environ, "RAG_AUTH": "ann:correct horse battery"}) as opened:
        page = opened()
        page.get_by_label("User").fill("ann")
        page.get_by_label("Password").fill("correct horse battery")
        page.keyboard.press("Enter")
        expect(page.locator("#chats")).to_contain_text("Conversations are saved here")
        ask(page, TEA)
        expect(rows(page)).to_have_count(1)


# --- what fails


def test_an_error_is_told_in_its_turn_and_the_next_question_works(open_page, home, tmp_path):
    from rag.library import Library

    copy = shutil.copytree(home, tmp_path / "home")
    with application(copy, open_page) as opened:
        page = opened()
        ask(page, TEA)
        library = Library(copy)
        with library.database.transaction() as connection:
            kept = connection.execute("SELECT * FROM index_cards").fetchall()
            connection.execute("DELETE FROM index_cards")
        failed = ask(page, RINGS)
        expect(failed.get_by_role("alert")).to_contain_text("rag ingest PATH --corpus small")
        with library.database.transaction() as connection:
            marks = ",".join("?" * len(kept[0]))
            connection.executemany(f"INSERT INTO index_cards VALUES ({marks})", kept)
        library.close()
        expect(ask(page, RINGS)).to_contain_text("bright rings of ice")


def test_a_library_that_cannot_be_written_is_told_and_the_chat_goes_on(open_page, home, tmp_path):
    from rag.library import Library

    copy = shutil.copytree(home, tmp_path / "home")
    library = Library(copy)
    with application(copy, open_page) as opened:
        page = opened()
        ask(page, TEA)
        with library.database.transaction() as connection:
            connection.execute(
                "CREATE TRIGGER full BEFORE INSERT ON chat_turns BEGIN SELECT RAISE(FAIL, 'the disk is full'); END"
            )
        expect(ask(page, RINGS)).to_contain_text("bright rings of ice")
        expect(page.locator("#chats .rag-unsaved")).to_contain_text("Not saved")
        with library.database.transaction() as connection:
            connection.execute("DROP TRIGGER full")
        ask(page, "What squeals?")
        expect(page.locator("#chats .rag-unsaved")).to_have_count(0)
        expect(page.locator("#chats .rag-current")).to_contain_text("3 questions")
    library.close()


def test_two_applications_save_into_one_library(open_page, home, url):
    with application(home, open_page) as opened:  # reads beside the one that holds the lock
        ask(opened(), "Where does the medlar grow?")
        expect(rows(open_page(url)).filter(has_text="Where does the medlar grow?")).to_have_count(1)
