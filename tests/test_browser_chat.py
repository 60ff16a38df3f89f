"""The chat in a real browser: the live weight, replay, filters, keys, small screens, and a language model."""

import re
import shutil
import time

import pytest

from browser_app import start, stop
from chat_pages import RINGS, TEA, application, ask, begin, choose, expect, opened_anew, rows, slide, small_chat

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def home(tmp_path_factory, small_folder):
    return small_chat(tmp_path_factory.mktemp("chat"), small_folder)


@pytest.fixture(scope="module")
def url(home):
    process, address = start(home)
    yield address
    assert stop(process) == 0


# --- the live weight


def test_the_slider_fuses_anew_what_was_fetched(open_page):
    page = open_page()
    answer = ask(page, "Which fruit grows on a tree in the orchard: medlar, fig or olive?")
    text = answer.locator(".rag-text").text_content()
    ranks = page.locator("#evidence .rag-card .rag-open").evaluate_all("all => all.map(each => each.href)")
    for weight in (0, 1):
        slide(page, weight)
        expect(page.locator(".rag-fused b")).to_have_text(f"RRF, dense weight {weight}.00")
    assert page.locator("#evidence .rag-move").count() > 0
    assert page.locator("#evidence .rag-card .rag-open").evaluate_all("all => all.map(each => each.href)") != ranks
    expect(answer.locator(".rag-text")).to_have_text(text)
    expect(answer.locator(".rag-details")).to_contain_text("dense weight 0.50")

    page.get_by_role("button", name="Answer again").click()
    expect(answer.locator(".rag-details")).to_contain_text("dense weight 1.00")
    expect(page.locator(".rag-fused")).to_have_count(0)
    expect(page.locator(".rag-answer")).to_have_count(1)
    page = opened_anew(page)
    expect(page.locator(".rag-answer .rag-details")).to_contain_text("dense weight 1.00")
    slide(page, 0)  # the legs are saved with the turn
    expect(page.locator(".rag-fused b")).to_have_text("RRF, dense weight 0.00")


def test_the_slider_leaves_alone_what_has_no_legs(open_page):
    page = open_page()
    page.get_by_label("dense", exact=True).check()
    ask(page, RINGS)
    page.get_by_label("hybrid", exact=True).check()
    expect(page.locator("#weight")).to_be_visible()
    slide(page, 1)
    second = ask(page, TEA)
    expect(second.locator(".rag-details")).to_contain_text("dense weight 1.00")
    expect(page.locator(".rag-fused")).to_have_count(0)


# --- replay


def test_a_turn_is_replayed_under_another_embedder(open_page):
    page = open_page()
    ask(page, TEA)
    answer = ask(page, RINGS)
    answer.get_by_role("button", name="Replay under").click()
    dialog = page.get_by_role("dialog", name="Replay")
    expect(dialog.locator("p").first).to_have_text(RINGS)
    expect(dialog.get_by_label("Embedder")).to_have_value("wordllama")
    dialog.get_by_label("Retriever").select_option("dense")
    dialog.get_by_role("button", name="Replay", exact=True).click()
    sides = dialog.locator(".rag-side")
    expect(sides).to_have_count(2)
    expect(sides.first.locator(".rag-embedder")).to_have_text("hash")
    expect(sides.last.locator(".rag-embedder")).to_have_text("wordllama")
    expect(sides.last.locator(".rag-text")).to_contain_text("Saturn is known for its bright rings of ice.")
    figures = dialog.locator(".rag-figures b").all_text_contents()
    assert int(figures[0]) == dialog.locator(".rag-found-group").first.locator(".rag-found-row").count() > 0
    assert re.fullmatch(r"\d+ %", figures[3]) and 0 < float(figures[4]) <= 1

    dialog.get_by_label("Retriever").select_option("lexical")
    expect(dialog.get_by_label("Embedder")).to_be_disabled()
    dialog.get_by_role("button", name="Replay", exact=True).click()
    expect(sides.last.locator(".rag-chip").first).to_have_text("lexical")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.locator(".rag-answer")).to_have_count(2)
    expect(answer.locator(".rag-embedder")).to_have_text("hash")


# --- filters


def test_a_filter_confines_the_search_and_is_told(open_page):
    page = open_page()
    page.get_by_role("button", name="Filter").click()
    page.get_by_label("Document").fill("notes/")
    page.get_by_label("Document").press("Tab")
    expect(page.locator("#filter")).to_contain_text("Filter: notes/")
    answer = ask(page, TEA)
    expect(answer.locator(".rag-filtered")).to_have_text("notes/")
    assert set(page.locator("#evidence .rag-source").evaluate_all("all => all.map(each => each.title)")) == {
        "notes/tea.md"
    }
    page.get_by_label("Pages").fill("seven")
    page.get_by_label("Pages").press("Tab")
    expect(page.locator("#filter-note")).to_contain_text("'seven' are no pages. Write 3, 3-7, 3- or -7.")
    page.get_by_label("Pages").fill("")
    choose(page, "Type", "csv")
    page.get_by_label("Document").fill("")
    page.get_by_label("Document").press("Tab")
    expect(page.locator("#filter")).to_contain_text("Filter: type csv")
    ask(page, "What is the capital of Peru?")
    assert page.locator("#evidence .rag-source").evaluate_all("all => all.map(each => each.title)") == ["capitals.csv"]


# --- keys, copying, examples


def test_keys_reach_the_box_and_bring_the_last_question_back(open_page):
    page = open_page()
    box = page.locator("#question textarea")
    ask(page, TEA)
    box.evaluate("box => box.blur()")
    page.keyboard.press("/")
    expect(box).to_be_focused()
    expect(box).to_have_value("")
    page.keyboard.press("ArrowUp")
    expect(box).to_have_value(TEA)
    box.press("End")
    box.press("Shift+Enter")
    box.type("second line")
    expect(box).to_have_value(f"{TEA}\nsecond line")
    expect(page.locator(".rag-answer")).to_have_count(1)
    box.press("Enter")
    expect(page.locator("#messages .rag-question").nth(1)).to_have_text(f"{TEA}\nsecond line")


def test_an_answer_is_copied_with_its_sources(open_page):
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    answer = ask(page, RINGS)
    answer.get_by_role("button", name="Copy").click()
    expect(answer.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()").splitlines()
    assert "Saturn is known for its bright rings of ice. [1]" in copied[0]
    assert "[1] planets.md" in copied


def test_messages_are_called_by_what_they_say(open_page):
    page = open_page()
    ask(page, RINGS)
    expect(page.get_by_label(f"Question: {RINGS}")).to_have_count(1)
    assert page.locator("#messages [aria-label*='<']").count() == 0


def test_a_corpus_offers_questions_made_from_its_headings(open_page):
    page = open_page()
    page.get_by_role("button", name="What does “Orchard guide” say about ladders?").click()
    expect(page.locator(".rag-text")).to_contain_text("ladders are looked after with care", timeout=20_000)


# --- small screens, dark


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_columns_are_sheets(open_page, scheme):
    page = open_page(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, color_scheme=scheme)
    answer = ask(page, RINGS)
    evidence = page.get_by_role("dialog", name="Evidence")
    expect(evidence).to_have_count(0)
    answer.get_by_role("button", name="Evidence").tap()
    expect(evidence.locator("mark").first).to_be_in_viewport()
    page.keyboard.press("Escape")
    expect(page.locator("#evidence mark").first).to_be_hidden()
    page.get_by_role("button", name="Chats and settings").tap()
    rows(page).filter(has_text=RINGS).first.locator(".rag-chat-open").tap()  # opening one closes the sheet
    expect(page.get_by_role("button", name="New chat")).to_be_hidden()

    answer = page.locator(".rag-answer").first
    answer.get_by_role("button", name="Replay under").tap()
    page.get_by_role("dialog", name="Replay").get_by_role("button", name="Replay", exact=True).tap()
    sides = page.locator("#replay .rag-side")
    expect(sides).to_have_count(2)
    first, second = sides.first.bounding_box(), sides.last.bounding_box()
    assert second["y"] >= first["y"] + first["height"]  # under each other
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator("#replay").evaluate("each => each.scrollWidth <= each.clientWidth")
    background = page.locator("body").evaluate("each => getComputedStyle(each).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background)[:3])) < 200) == (scheme == "dark")


# --- with a language model


@pytest.fixture
def llm_page(home, tmp_path, open_page, monkeypatch):
    """A page whose answers a scripted language model writes."""
    from scripted_llm import ScriptedLlm

    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-a-key")
    monkeypatch.setenv("RAG_KEYS", str(tmp_path / "no-keys.toml"))
    with ScriptedLlm() as llm:
        copy = shutil.copytree(home, tmp_path / "home")
        table = f'model = "openai:scripted"\nbase_url = "{llm.url}/v1"\nkey = "OPENAI_API_KEY"\n'
        prices = "usd_per_million_input = 100.0\nusd_per_million_output = 1000.0\n"
        (copy / "rag.toml").write_text(f'embedder = "hash"\n[llm]\n{table}{prices}')
        with application(copy, open_page) as opened:
            yield opened(), llm


def test_an_answer_is_written_and_its_cost_is_told(llm_page):
    page, llm = llm_page
    llm.say("Saturn has rings of ice [1]. Nobody knows [9].")
    answer = ask(page, RINGS)
    expect(answer.locator(".rag-text")).to_contain_text("Saturn has rings of ice")
    expect(answer.locator("a.rag-cite")).to_have_count(1)
    expect(answer).to_contain_text("1 marker pointed to no chunk and was dropped.")
    expect(answer.locator(".rag-chips")).to_contain_text("openai:scripted")
    expect(answer.locator(".rag-chips")).to_contain_text("$0.0420")  # 120 tokens read, 30 written
    choose(page, "Answers by", "quoted sentences")
    second = ask(page, RINGS)
    expect(second.locator(".rag-chips")).not_to_contain_text("openai:scripted")


def test_escape_stops_an_answer_and_what_is_written_stays(llm_page):
    from scripted_llm import Reply

    page, llm = llm_page
    llm.say(Reply("Saturn has rings " + "of ice " * 200, pause=0.05))
    begin(page, RINGS)
    expect(page.locator(".rag-text")).to_contain_text("Saturn has rings of ice", timeout=20_000)
    expect(page.get_by_role("button", name="Send")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(page.locator(".rag-answer")).to_contain_text("Stopped.")
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    assert llm.wait_left() is not None
    expect(page.locator("#chats .rag-current")).to_contain_text("1 question")
    expect(opened_anew(page).locator(".rag-answer")).to_contain_text("Saturn has rings of ice")


def test_closing_the_tab_ends_the_answer(llm_page):
    from scripted_llm import Reply

    page, llm = llm_page
    llm.say(Reply("Saturn has rings " + "of ice " * 2000, pause=0.05))
    begin(page, RINGS)
    expect(page.locator(".rag-text")).to_contain_text("Saturn has rings of ice", timeout=20_000)
    page.close()
    closed = time.monotonic()
    left = llm.wait_left(seconds=20)
    assert left is not None and left - closed < 10


def test_a_question_that_leans_on_the_one_before_says_what_was_searched_for(open_page):
    page = open_page()
    ask(page, "Which planet has bright rings?")
    answer = ask(page, "And what about Mercury?")
    expect(answer.locator(".rag-searched")).to_contain_text("Mercury")
