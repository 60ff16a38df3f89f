"""Embedders in a real browser: indexes are built from the chat's menu while questions are answered, and tried."""

import os
import re

import pytest

from browser_app import start, stop
from embedder_pages import ENTRY, MARKER
from file_builders import write
from wire_server import WireServer, always

expect = pytest.importorskip("playwright.sync_api", reason="the Python package playwright is not installed").expect
pytestmark = pytest.mark.browser

NOTES = 300
"""Enough for several slices of a build, each after which it may be stopped."""


@pytest.fixture(scope="module")
def server():
    with WireServer() as running:
        yield running


@pytest.fixture(autouse=True)
def healthy(server):
    server.faults.clear()
    server.requests.clear()


@pytest.fixture(scope="module")
def home(tmp_path_factory, server):
    from rag.library import Library
    from rag.settings import read_settings
    from ui.ingesting import ingest_paths

    folder = tmp_path_factory.mktemp("embedders")
    for number in range(NOTES):
        subject = f"Note {number} speaks of the ferries of harbour {number * 7919 % 5000} only."
        write(folder / "notes", f"note{number:03}.txt", subject)
    (folder / "home").mkdir()
    priced = (("free-a", 0.0), ("free-b", 0.0), ("free-c", 0.0), ("paid", 20.0), ("dear", 90.0), ("refused", 0.0))
    entries = "".join(ENTRY.format(name=name, usd=usd, url=server.url, batch=8) for name, usd in priced)
    (folder / "home" / "rag.toml").write_text('embedder = "hash"\n' + entries)
    settings = read_settings(folder / "home")
    library = Library(settings.home, create=True)
    ingest_paths(library, settings, [folder / "notes"], "notes", ["hash"])
    library.close()
    return settings.home


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return tmp_path_factory.mktemp("log") / "stderr.txt"


@pytest.fixture(scope="module")
def url(home, log):
    without = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    environment = {**without, "OPENAI_API_KEY": MARKER, "RAG_KEYS": str(home / "no-keys.toml")}
    with log.open("w") as stderr:
        process, address = start(home, env=environment, stderr=stderr)
        yield address
        assert stop(process) == 0
    assert MARKER not in log.read_text()


def chat(open_page, url, **options):
    page = open_page(url, **options)
    expect(page.locator("#status")).to_contain_text("chunks")
    return page


def choose(page, name):
    page.get_by_role("combobox", name="Embedder").click()
    page.get_by_role("option", name=name).click()


def build(page, name):
    """Orders the build of an index that costs nothing."""
    choose(page, name)
    page.locator(".emb-notes").get_by_role("button", name="Build").click(timeout=20_000)


def ask(page, question):
    answers = page.locator(".rag-chips")
    before = answers.count()
    box = page.locator("#question textarea")
    box.fill(question)
    box.press("Enter")
    expect(answers).to_have_count(before + 1, timeout=20_000)
    return page.locator(".rag-answer").nth(before)


def chosen(page):
    return page.get_by_role("combobox", name="Embedder")


def test_an_index_is_built_while_the_old_embedder_answers_and_then_takes_over(open_page, url, server):
    server.fail(always(delay=0.6))
    page = chat(open_page, url)
    choose(page, "free-a")
    note = page.locator(".emb-note")
    expect(note).to_contain_text("Build the index of notes under free-a: 300 chunks", timeout=20_000)
    expect(note).to_contain_text("free")
    expect(chosen(page)).to_have_value("hash")
    note.get_by_role("button", name="Build").click()
    expect(page.locator(".emb-running")).to_contain_text(
        re.compile(r"Building free-a.*[1-9]\d* of 300"), timeout=20_000
    )
    expect(ask(page, "Which note speaks of harbour 0?").locator(".rag-embedder")).to_have_text("hash")
    server.fail(always(delay=2))
    server.faults.reverse()
    page.reload()  # the job belongs to the application, and what was ordered to the tab of the browser
    expect(page.locator(".emb-running")).to_contain_text("Building free-a", timeout=20_000)
    chosen(page).click()
    expect(page.get_by_role("option", name="free-a")).to_contain_text("building")
    page.keyboard.press("Escape")
    server.faults.clear()
    expect(page.locator(".emb-good")).to_have_text(
        re.compile("free-a is ready, and answers from now on"), timeout=60_000
    )
    expect(chosen(page)).to_have_value("free-a")
    expect(page.locator("#status")).to_contain_text("embedded by free-a (64-d)")
    expect(ask(page, "Which note speaks of harbour 0?").locator(".rag-embedder")).to_have_text("free-a")


def test_who_has_chosen_another_meanwhile_is_only_told(open_page, url, server):
    page = chat(open_page, url)
    choose(page, "free-a")
    expect(page.locator("#status")).to_contain_text("embedded by free-a")
    server.fail(always(delay=0.3))
    build(page, "free-b")
    expect(page.locator(".emb-running")).to_be_visible()
    choose(page, "hash")
    expect(page.locator("#status")).to_contain_text("embedded by hash")
    note = page.locator(".emb-good")
    expect(note).to_contain_text("free-b is ready.", timeout=60_000)
    expect(chosen(page)).to_have_value("hash")
    note.get_by_role("button", name="Use it").click()
    expect(page.locator("#status")).to_contain_text("embedded by free-b")


def test_a_build_is_cancelled_and_goes_on(open_page, url, server):
    server.fail(always(delay=0.6))
    page = chat(open_page, url)
    build(page, "free-c")
    expect(page.locator(".emb-running")).to_contain_text(re.compile(r"[1-9]\d* of 300"), timeout=20_000)
    page.locator(".emb-notes").get_by_role("button", name="Cancel").click()
    expect(page.locator(".emb-stopped")).to_contain_text("What was done is kept", timeout=30_000)
    expect(chosen(page)).to_have_value("hash")
    server.faults.clear()
    page.get_by_role("button", name="Go on").click()
    expect(chosen(page)).to_have_value("free-c", timeout=60_000)


def test_what_is_paid_is_confirmed_first(open_page, url, server):
    page = chat(open_page, url)
    build(page, "paid")
    dialog = page.get_by_role("dialog", name="Build under paid?")
    expect(dialog).to_contain_text(re.compile(r"300 passages of notes, [\d,]+ tokens\. This costs \$0\.\d+"))
    dialog.get_by_role("button", name="Not now").click()
    expect(dialog).to_be_hidden()
    expect(page.locator(".emb-running")).to_have_count(0)
    assert server.requests == []
    page.locator(".emb-notes").get_by_role("button", name="Build").click()
    dialog.get_by_role("button", name="Build").click()
    expect(chosen(page)).to_have_value("paid", timeout=60_000)


def test_the_library_tab_asks_as_well_before_money_is_spent(open_page, url, server):
    page = open_page(f"{url}/?tab=library&corpus=notes")
    page.get_by_role("button", name="+ dear").click(timeout=20_000)
    dialog = page.get_by_role("dialog", name="Build under dear?")
    expect(dialog).to_contain_text("This costs $", timeout=20_000)
    dialog.get_by_role("button", name="Not now").click()
    expect(dialog).to_be_hidden()
    assert server.requests == []


def test_an_error_is_one_sentence_without_the_key(open_page, url, server):
    server.fail(always(status=401, body={"error": {"message": f"Incorrect API key provided: {MARKER}."}}))
    page = chat(open_page, url)
    build(page, "refused")
    note = page.locator(".emb-failed")
    expect(note).to_contain_text(re.compile("refused was not built: .*401.*OPENAI_API_KEY"), timeout=30_000)
    assert MARKER not in page.content()
    note.get_by_role("button", name="Close").click()
    expect(note).to_have_count(0)
    expect(chosen(page)).to_have_value("hash")


def test_the_menu_is_searched_and_moved_in_with_the_keyboard(open_page, url):
    page = chat(open_page, url)
    box = chosen(page)
    box.click()
    options = page.get_by_role("option")
    assert options.count() > 40
    groups = page.locator("#emb-list [role=group]")
    assert [each.get_attribute("aria-label") for each in groups.all()] == [
        "Ready",
        "To be built",
        "Not usable here yet",
    ]
    box.press_sequentially("cohere v3")
    names = [each.get_attribute("data-name") for each in options.all() if each.is_visible()]
    assert names and all("cohere" in name and "v3" in name for name in names)
    box.press("Enter")
    expect(page.locator(".emb-refused")).to_contain_text(
        re.compile("cannot be used here yet: it needs a key: set CO_API_KEY")
    )
    expect(box).to_have_value("hash")
    box.press("ArrowDown")
    expect(box).to_have_attribute("aria-expanded", "true")
    box.fill("nothing is like that")
    expect(page.locator(".emb-nothing")).to_be_visible()
    box.press("Escape")
    expect(box).to_have_attribute("aria-expanded", "false")
    expect(box).to_have_value("hash")


def test_every_embedder_stands_in_the_tab_with_what_it_lacks_and_can_be_tested(open_page, url, server):
    page = open_page(f"{url}/?tab=embedders")
    row = page.locator('tbody[data-name="hash"]')
    row.get_by_role("button", name="Test hash").click()
    expect(row.locator(".emb-trial")).to_contain_text("norm 1.000", timeout=20_000)
    page.get_by_role("button", name=re.compile("Needs a key")).click()
    expect(row).to_be_hidden()
    expect(page.locator('tbody[data-name="cohere-embed-v4"]')).to_contain_text("CO_API_KEY")
    page.get_by_label("Filter the embedders").fill("no such thing")
    expect(page.locator(".emb-none")).to_be_visible()
    page.get_by_label("Filter the embedders").fill("")
    page.get_by_role("button", name=re.compile("^All")).click()
    server.fail(always(status=401, body={"error": {"message": f"Incorrect API key provided: {MARKER}."}}))
    page.get_by_role("button", name="Test refused").click()
    expect(page.locator('tbody[data-name="refused"] .emb-trial')).to_contain_text("401", timeout=20_000)
    assert MARKER not in page.content()
    page.reload()
    expect(row.locator(".emb-trial")).to_contain_text("norm 1.000")


def test_a_phone_shows_menu_progress_and_table_without_scrolling_sideways(open_page, url, server):
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    page = chat(open_page, url, **phone)
    page.get_by_role("button", name="Chats and settings").click()
    choose(page, "wordllama")
    expect(page.locator(".emb-note")).to_contain_text("under wordllama", timeout=20_000)
    expect(page.locator(".emb-note")).to_be_in_viewport()
    page.keyboard.press("Escape")
    expect(chosen(page)).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("tab", name="Embedders").click()
    expect(page.locator("tbody[data-name]").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
