"""The Evaluate tab in a real browser: choose, run, cancel, sort, filter, open in the chat; phone, dark and keyboard."""

import json
import re
import shutil

import pytest

from browser_app import start, stop
from evaluation_tasks import PLACES, WORDS, lines, retrieval_task
from file_builders import write

expect = pytest.importorskip("playwright.sync_api", reason="the Python package playwright is not installed").expect
pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
ASKED = {
    "Which planet has bright rings of ice?": "planets.md",
    "Which planet has no moon at all?": "planets.md",
    "How long does dough rest?": "bread.txt",
    "What contaminates disc brakes?": "bicycles.html",
    "How hot is the water for green tea?": "notes/tea.md",
    "Which capital has Kenya?": "capitals.csv",
    "Loaf, forty minutes?": "bread.txt",
    "A chain that skips": "bicycles.html",
}
LONG = 30_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("evaluate")


@pytest.fixture(scope="module")
def home(folder, outside):
    from conftest import SMALL_FILES
    from rag.labels import LabelTable
    from rag.library import Library
    from rag.settings import read_settings
    from ui.ingesting import ingest_paths

    for name, text in SMALL_FILES.items():
        write(folder / "docs", name, text)
    evil = f"<img src={outside.url}/i onerror=alert(1)>"
    write(folder / "docs", "evil.md", f"# Rings {evil}\n\nSaturn {evil} has ![x]({outside.url}/m) rings.\n")
    (folder / "home").mkdir()
    (folder / "home" / "rag.toml").write_text('embedder = "hash"\n')
    settings = read_settings(folder / "home")
    library = Library(settings.home, create=True)
    ingest_paths(library, settings, [folder / "docs"], "small", ["hash", "wordllama"])
    table = LabelTable(library.database)
    for question, source in (*ASKED.items(), (f"Who wrote {evil}?", "evil.md")):
        table.judge("small", question, source, "", 0, 2, "queue")
    library.close()
    return settings.home


@pytest.fixture(scope="module")
def url(home):
    process, address = start(home)
    yield address
    assert stop(process) == 0


@pytest.fixture(autouse=True)
def nothing_is_loaded_from_elsewhere(outside):
    outside.paths.clear()
    yield
    assert outside.paths == []


@pytest.fixture(scope="module")
def many(folder):
    """A task whose evaluation takes some seconds."""
    folder = retrieval_task(folder / "many")
    birds = [(WORDS[at % 12], PLACES[at // 12 % 12], at) for at in range(600)]
    texts = [f"The {bird} number {at} of the {place} is seen at dawn. " * 12 for bird, place, at in birds]
    write(
        folder, "corpus.jsonl", lines([{"_id": f"d{at}", "title": "", "text": text} for at, text in enumerate(texts)])
    )
    asked = [{"_id": f"q{at}", "text": f"where is {bird} number {at} of the {place}"} for bird, place, at in birds]
    write(folder, "queries.jsonl", lines(asked))
    judged = "".join(f"q{at}\td{at}\t1\n" for at in range(600))
    write(folder, "qrels/test.tsv", f"query-id\tcorpus-id\tscore\n{judged}")
    return folder


def evaluate_tab(open_page, url, asked="", **options):
    page = open_page(f"{url}/?tab=evaluate{asked}", **options)
    expect(page.locator(".eva-setup, .eva-results").first).to_be_attached(timeout=LONG)
    return page


def run(page, task="small-labels"):
    """Evaluates a task and waits for its results."""
    page.get_by_role("checkbox", name=re.compile(task)).check()
    expect(page.locator(".eva-sum")).to_contain_text("rows", timeout=LONG)
    page.get_by_role("button", name="Evaluate", exact=True).click()
    expect(page.locator(".eva-results")).to_be_visible(timeout=2 * LONG)
    expect(page.locator(".eva-query").first).to_be_visible(timeout=LONG)


@pytest.fixture(scope="module")
def done(chromium, url):
    """The id of an evaluation of five rows, made through the page."""
    page = chromium.new_context().new_page()
    page.goto(f"{url}/?tab=evaluate")
    expect(page.locator(".eva-setup")).to_be_visible(timeout=LONG)
    run(page)
    found = page.locator(".eva-results").get_attribute("data-id")
    page.context.close()
    return found


def test_an_evaluation_is_chosen_run_seen_and_kept(open_page, url, home):
    page = evaluate_tab(open_page, url)
    start_it = page.get_by_role("button", name="Evaluate", exact=True)
    only = page.get_by_role("checkbox", name=re.compile("small-labels"))
    expect(only).to_be_checked()  # there is no other
    only.uncheck()
    expect(start_it).to_be_disabled()
    expect(page.locator(".eva-plan")).to_contain_text("Choose a task")
    run(page)
    expect(page.locator(".eva-verdict")).to_contain_text(re.compile("leads|only row"))
    expect(page.locator("table.board tbody tr")).to_have_count(5)
    expect(page.locator(".eva-saved[aria-current]")).to_contain_text("small-labels")
    id_ = page.locator(".eva-results").get_attribute("data-id")
    assert id_ in page.url
    assert json.loads((home / "runs" / "evaluations" / id_ / "evaluation.json").read_text())["rows"] == 5
    page.reload()
    expect(page.locator(".eva-results")).to_have_attribute("data-id", id_, timeout=LONG)
    page.get_by_role("button", name="New evaluation").click()
    expect(page.locator(".eva-setup")).to_be_visible()
    page.go_back()
    expect(page.locator(".eva-results")).to_be_visible()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator(".eva-setup")).to_be_visible()
    assert not (home / "runs" / "evaluations" / id_).exists()


def test_it_goes_on_without_the_page_and_is_cancelled_within_seconds(open_page, url, many):
    page = evaluate_tab(open_page, url)
    page.get_by_text("Add a task").click()
    page.get_by_label("Folder of a task on this computer").fill(str(many))
    page.get_by_role("button", name="Add folder").click()
    chosen = page.get_by_role("checkbox", name=re.compile("^many"))
    expect(chosen).to_be_checked(timeout=LONG)
    page.get_by_role("checkbox", name=re.compile("small-labels")).uncheck()
    expect(page.locator(".eva-plan")).to_contain_text("first", timeout=LONG)
    page.get_by_role("button", name="Evaluate", exact=True).click()
    expect(page.locator(".job-running")).to_be_visible(timeout=LONG)
    page.goto("about:blank")
    page = evaluate_tab(open_page, url)
    rows = page.locator(".eva-live tbody tr:not(.eva-group)")
    expect(rows).to_have_count(5, timeout=LONG)
    expect(page.locator(".eva-live .eva-done").first).to_be_visible(timeout=2 * LONG)  # a row comes in with its value
    expect(rows.first.locator(".lib-number")).to_have_text(re.compile(r"0\.\d{3}|1\.000"))
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.locator(".job-stopped")).to_contain_text("Cancelled", timeout=LONG)
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    page.locator(".eva-job").get_by_role("button", name="Close").click()
    expect(page.locator(".job-title")).to_have_count(0)


def test_the_chat_answers_while_an_evaluation_runs(open_page, url, home, many):
    shutil.rmtree(home / "runs" / "cells")
    page = evaluate_tab(open_page, url)
    page.get_by_role("checkbox", name=re.compile("^many")).check()
    expect(page.locator(".eva-sum")).to_contain_text("rows", timeout=LONG)
    page.get_by_role("button", name="Evaluate", exact=True).click()
    expect(page.locator(".job-running")).to_be_visible(timeout=LONG)
    page.get_by_role("tab", name="Chat").click()
    page.locator("#question textarea").fill("Which planet has rings of ice?")
    page.locator("#question textarea").press("Enter")
    expect(page.locator(".rag-chips")).to_have_count(1, timeout=LONG)
    page.get_by_role("tab", name="Evaluate").click()
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.locator(".job-stopped, .job-done")).to_be_visible(timeout=LONG)
    page.locator(".eva-job").get_by_role("button", name="Close").click()
    expect(page.locator(".job-title")).to_have_count(0)


def test_tables_sort_and_drawings_are_chosen(open_page, url, done):
    page = evaluate_tab(open_page, url, f"&evaluation={done}")
    board = page.locator("table.board")

    def column(number):
        return [
            float(each.get_attribute("data-value")) for each in board.locator(f"tbody tr td:nth-child({number})").all()
        ]

    ranks = column(1)
    assert ranks == [1, 2, 3, 4, 5]
    board.get_by_role("button", name="nDCG@10").click()
    expect(board.locator("th[aria-sort]")).to_have_attribute("aria-sort", "descending")
    values = column(4)
    assert values == sorted(values, reverse=True)
    board.get_by_role("button", name="nDCG@10").press("Enter")
    expect(board.locator("th[aria-sort]")).to_have_attribute("aria-sort", "ascending")
    assert column(4) == sorted(values)
    latency = page.locator('figure[data-plot="query_ms_p50"]')
    expect(latency).to_be_visible()
    page.get_by_role("button", name="Vector size").click()
    expect(latency).to_be_hidden()
    expect(page.locator('figure[data-plot="bytes_per_vector"]')).to_be_visible()
    page.get_by_text("Differences, query by query").click()
    shown = page.locator("figure[data-pair]:not([hidden])")
    first = shown.get_attribute("data-pair")
    page.locator(".eva-pairs").select_option(index=3)
    expect(shown).to_have_count(1)
    assert shown.get_attribute("data-pair") != first


def test_queries_are_filtered_searched_and_opened_by_keyboard(open_page, url, done):
    page = evaluate_tab(open_page, url, f"&evaluation={done}")
    queries = page.locator(".eva-query")
    expect(queries).to_have_count(len(ASKED) + 1, timeout=LONG)
    filters = page.locator(".eva-filters")
    for name in ("All right", "All wrong", "Embedders disagree"):
        button = filters.get_by_role("button", name=name)
        if button.count():
            number = int(button.locator("i").inner_text())
            button.click()
            expect(button).to_have_attribute("aria-pressed", "true")
            expect(queries).to_have_count(number)
    filters.get_by_role("button", name="All", exact=False).first.click()
    expect(queries).to_have_count(len(ASKED) + 1)
    page.get_by_role("searchbox", name="Search the queries").press_sequentially("green tea")
    expect(queries).to_have_count(1)
    expect(page.get_by_role("searchbox", name="Search the queries")).to_be_focused()
    queries.locator("summary").first.focus()
    page.keyboard.press("Enter")
    expect(queries.locator(".eva-ranks tbody tr")).to_have_count(5, timeout=LONG)
    expect(queries.locator(".eva-golds").first).to_contain_text("Tea")


def test_a_query_opens_in_the_chat_with_what_is_relevant_beside_it(open_page, url, done):
    page = evaluate_tab(open_page, url, f"&evaluation={done}", viewport={"width": 1400, "height": 900})
    query = page.locator(".eva-query").filter(has_text="Kenya")
    query.locator("summary").click()
    query.get_by_role("button", name="Open in chat under hybrid wordllama").click()
    box = page.locator("#question textarea")
    expect(box).to_have_value("Which capital has Kenya?", timeout=LONG)
    panel = page.locator("#evidence .eva-goldpanel")
    expect(panel.locator("tr")).to_have_count(5)
    expect(page.locator("#retriever label.selected")).to_have_text("hybrid", timeout=LONG)
    expect(page.locator("#emb-input")).to_have_value("wordllama")
    box.press("Enter")
    chips = page.locator(".rag-chips").last
    expect(chips).to_contain_text("wordllama", timeout=LONG)
    expect(chips).to_contain_text("hybrid")
    expect(panel).to_be_visible()
    width = panel.evaluate(
        "each => each.getBoundingClientRect().right - each.parentElement.getBoundingClientRect().right"
    )
    assert width <= 0
    panel.get_by_role("link", name="Back to the evaluation").click()
    expect(page.locator(".eva-query[open]")).to_contain_text("Kenya", timeout=LONG)
    page.get_by_role("tab", name="Chat").click()
    panel.get_by_role("button", name="Close").click()
    expect(panel).to_have_count(0)


def test_markup_of_questions_and_documents_is_text(open_page, url, done):
    page = evaluate_tab(open_page, url, f"&evaluation={done}")
    query = page.locator(".eva-query").filter(has_text="Who wrote")
    expect(query.locator(".eva-text")).to_contain_text("onerror=alert(1)")
    query.locator("summary").first.click()
    query.get_by_text("First ten of every row").click()
    expect(query.locator(".eva-top").first).to_be_visible()
    assert page.locator(".eva img, .eva script").count() == 0
    query.get_by_role("button", name="Open in chat under lexical").click()
    expect(page.locator(".eva-goldpanel")).to_be_visible(timeout=LONG)
    assert page.locator(".eva-goldpanel img").count() == 0


@pytest.mark.parametrize(
    "options", [PHONE, {**PHONE, "color_scheme": "dark"}, {"viewport": {"width": 820, "height": 1000}}]
)
def test_every_width_and_the_dark_show_all_without_scrolling_sideways(open_page, url, done, options):
    page = evaluate_tab(open_page, url, **options)
    width = options["viewport"]["width"]
    for name in ("Chat", "Library", "Embedders", "Compare", "Labels", "Evaluate"):
        box = page.get_by_role("tab", name=name).bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= width, name
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator(f'.eva-saved[data-id="{done}"]').click()
    expect(page.locator(".eva-query").first).to_be_visible(timeout=LONG)
    page.locator(".eva-query summary").first.click()
    expect(page.locator(".eva-ranks").first).to_be_visible(timeout=LONG)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for each in page.locator(".eva-block > summary").all():
        if not each.evaluate("each => each.parentElement.open"):
            each.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if "color_scheme" in options:
        colour = page.locator(".eva-box").first.evaluate("each => getComputedStyle(each).backgroundColor")
        assert sum(map(int, re.findall(r"\d+", colour)[:3])) < 200


def test_what_cannot_be_done_is_told(chromium, url, done):
    context = chromium.new_context()  # a refused request is an error in the console
    page = context.new_page()
    page.goto(f"{url}/?tab=evaluate&evaluation=no-such-thing")
    expect(page.locator("#eva-alert")).to_contain_text("not there any more", timeout=LONG)
    page.get_by_role("button", name="New evaluation").click()
    expect(page.locator(".eva-setup")).to_be_visible(timeout=LONG)
    page.get_by_text("Add a task").click()
    page.get_by_label("Folder of a task on this computer").fill("/nowhere/at/all")
    page.get_by_label("Folder of a task on this computer").press("Enter")
    expect(page.locator("#eva-alert")).to_contain_text("/nowhere/at/all", timeout=LONG)
    context.close()
