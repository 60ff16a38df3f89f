"""Compare, thumbs and the labelling queue in a real browser: what is hidden, what is kept, and what keys do."""

import json
import re
from pathlib import Path

import pytest

from browser_app import start, stop
from file_builders import write

expect = pytest.importorskip("playwright.sync_api", reason="the Python package playwright is not installed").expect
pytestmark = pytest.mark.browser

QUESTION = "Which planet has rings of ice?"
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
NAMES = re.compile(r"\b(hash|wordllama|hybrid|dense|lexical)\b")


@pytest.fixture(scope="module")
def home(tmp_path_factory, outside):
    from conftest import SMALL_FILES
    from rag.library import Library
    from rag.settings import read_settings
    from ui.ingesting import ingest_paths

    folder = tmp_path_factory.mktemp("compare")
    for name, text in SMALL_FILES.items():
        write(folder / "docs", name, text)
    write(
        folder / "docs",
        "evil.md",
        f"# Rings <img src={outside.url}/h onerror=alert(1)>\n\nSaturn's rings of ice ![x]({outside.url}/m) "
        f"<script>document.title = 'run'</script> are a planet's <img src={outside.url}/i onerror=alert(1)> rings.\n",
    )
    (folder / "home").mkdir()
    (folder / "home" / "rag.toml").write_text('embedder = "hash"\n')
    settings = read_settings(folder / "home")
    library = Library(settings.home, create=True)
    ingest_paths(library, settings, [folder / "docs"], "small", ["hash", "wordllama"])
    library.close()
    return settings.home


@pytest.fixture(scope="module")
def url(home):
    process, address = start(home)
    yield address
    assert stop(process) == 0


@pytest.fixture(autouse=True)
def nothing_is_loaded_from_elsewhere(outside):
    outside.paths.clear()  # other tests show there that an attack works where nothing stops it
    yield
    assert outside.paths == []


def compare_tab(open_page, url, **options):
    page = open_page(f"{url}/?tab=compare", **options)
    expect(page.locator(".cmp-form")).to_be_visible(timeout=20_000)
    return page


def compare(page, question=QUESTION):
    page.locator(".cmp-form").get_by_role("textbox", name="Question").fill(question)
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.locator(".cmp-side").first).to_be_visible(timeout=20_000)


def labels_in(home):
    path = home / "tasks" / "small-labels" / "labels.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def votes_in(home):
    return [json.loads(line) for line in (home / "tasks/small-labels/votes.jsonl").read_text().splitlines()]


def test_a_blind_comparison_tells_its_names_by_the_vote(open_page, url, home):
    page = compare_tab(open_page, url)
    expect(page.get_by_role("button", name="Blind")).to_have_attribute("aria-pressed", "true")
    compare(page)
    round_ = page.locator(".cmp-round")
    expect(round_.locator(".cmp-side")).to_have_count(2)
    assert not NAMES.search(round_.inner_html())
    expect(round_.get_by_text("hidden until you vote")).to_have_count(2)
    page.locator(".cmp-question").click()
    page.keyboard.press("b")
    told = page.locator(".cmp-told")
    expect(told).to_contain_text("B is better.", timeout=20_000)
    expect(told).to_contain_text(NAMES)
    expect(told).to_contain_text(re.compile(r"\d ms"))
    expect(page.get_by_label("Side B").get_by_text("your choice")).to_be_visible()
    expect(page.locator(".cmp-table tbody tr")).to_have_count(2)
    [vote] = votes_in(home)
    assert (vote["verdict"], vote["blind"]) == ("B", True)
    page.keyboard.press("a")  # there is nothing to vote on any more
    page.get_by_role("button", name="New question").click()
    expect(round_).to_be_empty()
    assert len(votes_in(home)) == 1


def test_a_named_comparison_of_four_shows_who_is_who(open_page, url, home):
    page = compare_tab(open_page, url)
    page.get_by_role("button", name="Named").click()
    for _ in range(2):
        page.get_by_role("button", name="Add a side").click()
    expect(page.get_by_role("button", name="Add a side")).to_be_disabled()
    chosen = [select.input_value() for select in page.locator('select[name="side"]').all()]
    assert len(set(chosen)) == 4 and all(chosen)
    compare(page)
    names = [head.inner_text() for head in page.locator(".cmp-side h2").all()]
    for name, head in zip(chosen, names, strict=True):
        assert all(word in head for word in name.split())
        assert " ms" in head
    before = len(votes_in(home))
    page.get_by_role("button", name="All bad").click()
    expect(page.locator(".cmp-told")).to_contain_text("All bad.", timeout=20_000)
    assert len(votes_in(home)) == before + 1 and not votes_in(home)[-1]["blind"]
    expect(page.locator(".cmp-note")).to_contain_text("1 blind vote.")  # a named one does not count
    page.locator('select[name="side"]').nth(1).select_option(chosen[0])
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.locator("#cmp-alert")).to_contain_text("can be compared once")


def test_a_thumb_is_given_by_keyboard_seen_on_both_sides_and_undone(open_page, url, home):
    page = compare_tab(open_page, url)
    page.get_by_role("button", name="Named").click()
    page.locator('select[name="side"]').nth(0).select_option("dense hash")
    page.locator('select[name="side"]').nth(1).select_option("lexical")
    compare(page)
    shared = page.get_by_label("Side A").locator(".rag-card").filter(has_text="also B #").first
    up = shared.get_by_role("button", name="Relevant", exact=True)
    up.focus()
    with page.expect_response("**/labels/judge"):
        page.keyboard.press("Enter")
    expect(up).to_have_attribute("aria-pressed", "true")
    assert shared.evaluate("card => card.open") is False  # the card did not open
    expect(page.get_by_label("Side B").locator('.lab-up[aria-pressed="true"]')).to_have_count(1)
    expect(page.locator('.lab-up[aria-pressed="true"]')).to_have_count(2)
    [label] = labels_in(home)
    assert (label["grade"], label["origin"]) == (1, "vote")

    compare(page)  # the same question meets the same chunk again
    expect(page.locator('.lab-up[aria-pressed="true"]')).to_have_count(2)
    shared.locator(".lab-down").click()
    expect(page.locator('.lab-down[aria-pressed="true"]')).to_have_count(2)
    with page.expect_response("**/labels/judge"):
        shared.locator(".lab-down").click()
    expect(page.locator('.lab-thumb[aria-pressed="true"]')).to_have_count(0)
    compare(page)
    expect(page.locator(".lab-thumbs").first).to_be_visible()
    page.wait_for_timeout(300)
    expect(page.locator('.lab-thumb[aria-pressed="true"]')).to_have_count(0)
    assert labels_in(home) == []


def test_a_thumb_in_the_chat_is_a_label_and_comes_back_with_the_question(open_page, url, home):
    page = open_page(url)
    expect(page.locator("#status")).to_contain_text("chunks", timeout=20_000)
    box = page.locator("#question textarea")
    box.fill(QUESTION)
    box.press("Enter")
    panel = page.locator("#evidence-panel")
    thumbs = panel.locator(".lab-thumbs")
    expect(thumbs.first).to_be_visible(timeout=20_000)
    expect(page.locator(".rag-chips")).to_have_count(1)
    cards = panel.locator(".rag-card").count()
    expect(thumbs).to_have_count(cards)
    card = panel.locator(".rag-card").filter(has_text="planets.md").first
    opened = card.evaluate("card => card.open")
    with page.expect_response("**/labels/judge"):
        card.get_by_role("button", name="Relevant", exact=True).click()
    expect(card.locator(".lab-up")).to_have_attribute("aria-pressed", "true")
    assert card.evaluate("card => card.open") is opened
    [label] = labels_in(home)
    assert (label["source"], label["origin"], label["grade"]) == ("planets.md", "thumb", 1)
    box.fill(QUESTION)
    box.press("Enter")
    expect(page.locator(".rag-chips")).to_have_count(2, timeout=20_000)
    again = panel.locator(".rag-card").filter(has_text="planets.md").first
    expect(again.locator(".lab-up")).to_have_attribute("aria-pressed", "true")
    with page.expect_response("**/labels/judge"):
        again.get_by_role("button", name="Relevant", exact=True).click()
    expect(again.locator(".lab-up")).to_have_attribute("aria-pressed", "false")
    assert labels_in(home) == []


def test_a_follow_up_is_labelled_as_it_was_searched_for(open_page, url, home):
    page = open_page(url)
    expect(page.locator("#status")).to_contain_text("chunks", timeout=20_000)
    box = page.locator("#question textarea")
    for number, question in enumerate(("How many moons has Mercury?", "And Saturn?"), start=1):
        box.fill(question)
        box.press("Enter")
        expect(page.locator(".rag-chips")).to_have_count(number, timeout=20_000)
    searched = page.locator(".rag-searched q").last.inner_text()
    assert searched != "And Saturn?"
    expect(page.locator("#evidence-panel .rag-for")).to_have_text("And Saturn?")
    thumb = page.locator("#evidence-panel .lab-up").first
    with page.expect_response("**/labels/judge"):
        thumb.click()
    queries = (home / "tasks" / "small-labels" / "queries.jsonl").read_text().splitlines()
    assert [json.loads(line)["text"] for line in queries] == [searched]
    with page.expect_response("**/labels/judge"):
        thumb.click()
    assert labels_in(home) == []


def test_a_phone_has_the_thumbs_in_the_sheet_of_the_evidence(open_page, url, home):
    page = open_page(url, **PHONE)
    box = page.locator("#question textarea")
    expect(page.locator("#status")).to_contain_text("chunks", timeout=20_000)
    box.fill(QUESTION)
    box.press("Enter")
    page.locator(".rag-do-evidence").click(timeout=20_000)
    thumb = page.locator("#evidence-panel .lab-up").first
    with page.expect_response("**/labels/judge"):
        thumb.tap()
    expect(thumb).to_have_attribute("aria-pressed", "true")
    with page.expect_response("**/labels/judge"):
        thumb.tap()
    assert labels_in(home) == []


def test_a_label_that_cannot_be_kept_is_told_at_its_card(chromium, url):
    context = chromium.new_context()  # a refused request is an error in the console
    page = context.new_page()
    page.goto(f"{url}/?tab=compare")
    compare(page)
    before = page.locator('.lab-thumb[aria-pressed="true"]').count()
    page.route("**/labels/judge", lambda route: route.fulfill(status=409, json={"error": "The disk is full."}))
    with page.expect_response("**/labels/judge"):
        page.locator(".lab-down").first.click()
    expect(page.locator(".lab-failed").first).to_have_text("The disk is full.")
    expect(page.locator('.lab-thumb[aria-pressed="true"]')).to_have_count(before)
    context.close()


def test_the_queue_is_judged_with_keys_and_goes_on_where_it_was_left(open_page, url, home):
    page = open_page(f"{url}/?tab=labels")
    form = page.locator(".lab-form")
    form.get_by_role("textbox", name="Question").fill("How is bread baked?", timeout=20_000)
    form.get_by_role("button", name="Judge").click()
    count = page.locator(".lab-count")
    expect(count).to_have_text(re.compile(r"0 of \d+ judged"), timeout=20_000)
    assert not NAMES.search(page.locator(".lab-queue").inner_html())
    pooled = int(count.inner_text().split()[2])
    visible = page.locator(".lab-chunk:visible")
    first = visible.get_attribute("data-chunk")
    page.keyboard.press("2")
    expect(count).to_have_text(f"1 of {pooled} judged")
    second = visible.get_attribute("data-chunk")
    assert second != first
    page.keyboard.press("Backspace")
    expect(page.locator(f'.lab-chunk[data-chunk="{first}"]')).to_be_visible()
    expect(page.get_by_role("button", name="Highly relevant")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("1")
    expect(page.locator(f'.lab-chunk[data-chunk="{second}"]')).to_be_visible()
    page.keyboard.press("s")
    expect(page.locator(f'.lab-chunk[data-chunk="{second}"]')).to_be_hidden()
    page.get_by_role("button", name="Not relevant").click()
    expect(count).to_have_text(f"2 of {pooled} judged")
    grades = sorted(label["grade"] for label in labels_in(home) if label["origin"] == "queue")
    assert grades == [0, 1]

    page.reload()
    form.get_by_role("button", name="Next question").click(timeout=20_000)
    expect(page.locator(".lab-question, .lab-done").first).to_be_visible(timeout=20_000)
    form.get_by_role("textbox", name="Question").fill("How is bread baked?")
    form.get_by_role("button", name="Judge").click()
    expect(count).to_have_text(f"2 of {pooled} judged", timeout=20_000)
    for done in range(2, pooled):
        page.keyboard.press("0")
        if done < pooled - 1:
            expect(count).to_have_text(f"{done + 1} of {pooled} judged")
    expect(page.locator(".lab-done")).to_contain_text(f"{pooled - 2} passages judged.")
    row = page.locator(".lab-table tbody tr")
    expect(row).to_contain_text("small-labels")
    with page.expect_download() as download:
        row.get_by_role("link", name="Export small-labels").click()
    assert Path(download.value.path()).read_bytes()[:2] == b"PK"


def test_a_task_is_deleted_after_a_question(open_page, url, home):
    page = open_page(f"{url}/?tab=labels")
    row = page.locator(".lab-table tbody tr")
    row.get_by_role("button", name="Delete small-labels").click(timeout=20_000)
    dialog = page.get_by_role("dialog", name="Delete this task?")
    dialog.get_by_role("button", name="Keep it").click()
    expect(row).to_have_count(1)
    row.get_by_role("button", name="Delete small-labels").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("No labels yet")).to_be_visible()
    assert not (home / "tasks" / "small-labels").exists()


def test_markup_of_documents_is_text_in_every_card(open_page, url):
    page = compare_tab(open_page, url)
    page.get_by_role("button", name="Named").click()
    compare(page, "Saturn's rings <img src=x onerror=alert(1)>")
    card = page.locator(".rag-card").filter(has_text="evil.md").first
    card.locator("summary .rag-source").click()
    expect(card.locator(".rag-chunk")).to_contain_text("<script>document.title = 'run'</script>")
    assert page.title() != "run" and page.locator(".cmp-round img, .cmp-round script").count() == 0
    card.get_by_role("link", name="Open in document").click()
    expect(page.locator("#doc-reader")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("tab", name="Labels").click()
    page.locator(".lab-form").get_by_role("textbox", name="Question").fill("Saturn's rings <b>of ice</b>")
    page.locator(".lab-form").get_by_role("button", name="Judge").click()
    expect(page.locator(".lab-question")).to_have_text("Saturn's rings <b>of ice</b>", timeout=20_000)
    assert page.locator(".lab-queue img, .lab-queue script, .lab-question b").count() == 0


@pytest.mark.parametrize("options", [PHONE, {"viewport": {"width": 820, "height": 1000}}, {"color_scheme": "dark"}])
def test_every_width_and_the_dark_show_all_without_scrolling_sideways(open_page, url, options):
    page = compare_tab(open_page, url, **options)
    compare(page)
    width = page.viewport_size["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for name in ("Chat", "Library", "Embedders", "Compare", "Labels"):
        box = page.get_by_role("tab", name=name).bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= width, name
    expect(page.get_by_role("button", name="Both bad")).to_be_in_viewport()
    page.get_by_role("tab", name="Labels").click()
    expect(page.locator(".lab-form")).to_be_visible(timeout=20_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
