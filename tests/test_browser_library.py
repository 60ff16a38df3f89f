"""The Library tab in a real browser: folders are dropped, jobs watched, cancelled and resumed, documents opened."""

import re
from contextlib import closing

import pytest

from browser_app import start, stop
from file_builders import make_pdf, write
from rag.labels import LabelTable
from rag.library import Library

expect = pytest.importorskip("playwright.sync_api", reason="the Python package playwright is not installed").expect
pytestmark = pytest.mark.browser

FERRIES = "# Harbour\n\nThe ferries left late because of fog.\n\n# Bakery\n\nSourdough rests overnight in the cold.\n"
HOSTILE = '<img src=x onerror="document.title=1">'
LONG = 30_000


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("library") / "home"
    folder.mkdir()
    (folder / "rag.toml").write_text('embedder = "hash"\ningest_with = ["hash"]\n')
    return folder


@pytest.fixture(scope="module")
def url(home):
    process, address = start(home)
    yield address
    assert stop(process) == 0
    assert not (home / "chroma" / "open.pid").exists(), "Chroma was not closed"


@pytest.fixture
def folder(tmp_path):
    """A folder with folders, two formats, a file without text and a hidden one."""
    root = tmp_path / "papers"
    write(root, "ferries.md", FERRIES)
    write(root, "deep/er/tea.txt", "Green tea is brewed at eighty degrees for two minutes.")
    write(root, "deep/empty.txt", "")
    write(root, ".cache/secret.txt", "hidden")
    (root / "pages.pdf").write_bytes(make_pdf(["The first page speaks of rain.", "The second page speaks of snow."]))
    return root


def library(open_page, url, corpus, **options):
    """Opens the tab at a corpus, which need not exist."""
    page = open_page(f"{url}/?tab=library&corpus={corpus}", **options)
    expect(page.locator(".lib-head h1")).to_have_text(corpus)
    return page


def drop(page, path):
    """Drops a file or folder of the disk on the page, as the browser itself would."""
    box = page.locator(".lib-drop").bounding_box()
    where = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, **where, "data": data})


def ingest(page, path):
    """Ingests a folder by its path and waits until that is done."""
    page.get_by_label("Path of a folder on this computer").fill(str(path))
    page.get_by_role("button", name="Ingest").click()
    expect(page.locator(".job-done")).to_be_visible(timeout=60_000)


def test_a_dropped_folder_is_uploaded_with_its_folders_and_ingested(open_page, url, home, folder):
    page = library(open_page, url, "dropped")
    expect(page.locator(".lib-drop")).to_contain_text("No documents yet: drop a folder here")
    drop(page, folder)
    expect(page.locator(".job-done")).to_contain_text("Done: 4 files", timeout=60_000)
    expect(page.locator(".job-counts")).to_have_text(re.compile("3 done.*1 skipped"))
    expect(page.locator(".lib-transfer")).to_contain_text("1 hidden left out")
    sources = page.locator(".lib-source")
    expect(sources).to_have_text(["papers/deep/er/tea.txt", "papers/ferries.md", "papers/pages.pdf"])
    expect(page.locator(".lib-card")).to_contain_text(re.compile(r"hash.*(\d+) of \1 chunks"))
    assert (home / "uploads" / "dropped" / "papers" / "deep" / "er" / "tea.txt").is_file()

    page.get_by_text("What became of each file").click()
    page.get_by_role("button", name="Only problems (1)").click()
    expect(page.locator(".job-list .job-file")).to_have_text([re.compile("deep/empty.txt.*is empty")])
    page.get_by_role("button", name=re.compile("Problems")).click()
    expect(page.locator(".lib-refused li")).to_have_text([re.compile("skipped.*deep/empty.txt.*is empty")])


def test_files_and_folders_are_picked_with_the_buttons(open_page, url, folder):
    page = library(open_page, url, "picked")
    page.locator("input[webkitdirectory]").set_input_files(folder)
    expect(page.locator(".job-done")).to_contain_text("4 files", timeout=60_000)
    expect(page.locator(".lib-source").first).to_have_text("papers/deep/er/tea.txt")
    page.locator("input[data-files]:not([webkitdirectory])").set_input_files(folder / "ferries.md")
    expect(page.locator(".lib-source")).to_have_text(
        ["ferries.md", "papers/deep/er/tea.txt", "papers/ferries.md", "papers/pages.pdf"], timeout=60_000
    )


def test_a_job_is_seen_by_every_page_cancelled_and_resumed(open_page, url, tmp_path):
    for number in range(3000):
        write(
            tmp_path / "many", f"note{number:04}.txt", f"Note {number} speaks of subject {number * 7919 % 5000} only."
        )
    page = library(open_page, url, "many")
    page.get_by_label("Path of a folder on this computer").fill(str(tmp_path / "many"))
    page.get_by_role("button", name="Ingest").click()
    expect(page.locator(".job-running")).to_contain_text("many")
    page.reload()
    expect(page.locator(".job-running")).to_contain_text("many")
    expect(page.locator(".job-told").first).to_contain_text("of 3,000 files")
    other = open_page(f"{url}/?tab=library&corpus=elsewhere")
    expect(other.locator(".job-running")).to_contain_text("many")
    other.get_by_role("button", name="Cancel").click()
    for each in (page, other):
        expect(each.locator(".job-stopped")).to_contain_text("Cancelled", timeout=30_000)
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".job-done")).to_contain_text("3,000 files", timeout=120_000)
    expect(page.locator(".lib-head")).to_contain_text("3,000 documents")
    assert page.locator(".lib-table tbody tr").count() == 50  # a page of the list, and not all of it
    assert page.locator(".job-list li").count() <= 101

    page.get_by_role("link", name="Next").click()
    expect(page.locator(".lib-pager")).to_contain_text("51 to 100 of 3,000")
    page.get_by_label("Search by name").fill("NOTE 2999")
    expect(page.locator(".lib-source")).to_have_text(["note2999.txt"])
    page.reload()
    expect(page.locator(".lib-source")).to_have_text(["note2999.txt"])
    page.get_by_role("button", name="Close").click()
    expect(page.locator(".job-title")).to_have_count(0)


def test_another_embedder_is_added_and_what_it_lacks_backfilled(open_page, url, folder, tmp_path):
    page = library(open_page, url, "covered")
    ingest(page, folder)
    page.get_by_role("button", name="+ wordllama").click()
    cards = page.locator(".lib-card")
    expect(cards).to_have_text([re.compile(r"hash.*(\d+) of \1 chunks"), re.compile(r"wordllama.*(\d+) of \1 chunks")])

    write(tmp_path / "more", "bread.txt", "Bake the loaf for forty minutes.")
    page.get_by_text("Embed with").click()
    page.get_by_role("checkbox", name="wordllama").uncheck()
    ingest(page, tmp_path / "more")
    expect(cards.nth(1)).to_contain_text(re.compile(r"\d+ of \d+ (chunks|documents)"))
    cards.nth(1).get_by_role("button", name="Backfill").click()
    expect(cards.nth(1)).to_have_text(re.compile(r"wordllama.*(\d+) of \1 chunks"), timeout=30_000)
    expect(page.get_by_role("button", name="Backfill")).to_have_count(0)


def test_a_removed_document_is_gone_after_a_question(open_page, url, home, folder):
    page = library(open_page, url, "removed")
    drop(page, folder)
    expect(page.locator(".lib-source")).to_have_count(3, timeout=60_000)
    with closing(Library(home)) as opened:
        labels = LabelTable(opened.database)
        labels.judge("removed", "How hot?", "papers/deep/er/tea.txt", "eighty degrees", 0, 1, "thumb", "")
    remove = page.get_by_role("button", name="Remove papers/deep/er/tea.txt")
    remove.click()
    question = page.get_by_role("dialog", name="Remove this document?")
    expect(question).to_contain_text("Its uploaded copy is deleted too. 1 label still holds what is removed")
    question.get_by_role("button", name="Keep it").click()
    expect(page.locator(".lib-source")).to_have_count(3)
    remove.click()
    question.get_by_role("button", name="Remove").click()
    expect(page.locator(".job-done")).to_contain_text("1 document removed from removed", timeout=30_000)
    expect(page.locator(".lib-source")).to_have_text(["papers/ferries.md", "papers/pages.pdf"], timeout=30_000)
    assert not (home / "uploads" / "removed" / "papers" / "deep" / "er").exists()
    assert (folder / "deep" / "er" / "tea.txt").is_file()


def test_evidence_opens_in_its_document_at_the_chunk(open_page, url, folder):
    page = library(open_page, url, "opened")
    ingest(page, folder)
    page.get_by_role("button", name="Ask it").click()
    expect(page.locator("#corpus input")).to_have_value("opened")
    box = page.locator("#question textarea")
    box.fill("Why did the ferries leave late?")
    box.press("Enter")
    expect(page.locator(".rag-chips")).to_have_count(1, timeout=20_000)
    page.get_by_role("link", name="Open in document").first.click()
    reader = page.get_by_role("dialog", name="Document")
    expect(reader.locator("h2")).to_have_text("Harbour")
    expect(reader.locator("mark").first).to_be_in_viewport()
    assert "".join(reader.locator("mark").all_text_contents()).strip() == FERRIES.partition("\n\n# Bakery")[0]
    expect(reader.locator(".doc-marks [aria-current]")).to_have_text("Harbour")
    reader.get_by_role("button", name="Next chunk").click()
    expect(reader.locator("mark").first).to_contain_text("# Bakery")
    link = page.url
    page.keyboard.press("Escape")
    expect(reader).to_be_hidden()
    expect(page.locator(".rag-answer")).to_have_count(1)  # the conversation is still there
    page.goto(link)
    expect(reader.locator("mark").first).to_contain_text("# Bakery")


def test_pages_and_long_texts_have_landmarks(open_page, url, folder):
    lines = [f"# Part {number}\n\nThis is line {number} of a long text.\n" for number in range(LONG // 40)]
    write(folder, "long.md", "\n".join(lines))
    page = library(open_page, url, "landmarks")
    ingest(page, folder)
    page.get_by_role("link", name="pages").click()
    reader = page.get_by_role("dialog", name="Document")
    reader.get_by_role("button", name="Page 2").click()
    expect(reader.locator(".doc-flow")).to_contain_text("The second page speaks of snow.")
    reader.get_by_role("button", name="Close").click()
    page.get_by_role("link", name="Part 0").click()
    text = reader.locator(".doc-flow")
    expect(text).not_to_contain_text("This is line 700 of")
    reader.get_by_role("button", name="Later text").click()
    expect(text).to_contain_text("This is line 420 of")
    reader.get_by_role("button", name="Part 580", exact=True).click()
    expect(text.get_by_text("# Part 580", exact=True)).to_be_in_viewport()


def test_markup_in_names_and_texts_is_text(open_page, url, tmp_path):
    name = HOSTILE.replace('"', "'") + ".md"
    write(tmp_path / "evil", name, f"# {HOSTILE}\n\n{HOSTILE} **bold** <script>document.title=2</script>\n")
    page = library(open_page, url, "evil")
    ingest(page, tmp_path / "evil")
    expect(page.locator(".lib-source")).to_have_text([name])
    page.locator(".lib-name a").click()
    expect(page.locator(".doc-flow")).to_contain_text("<script>document.title=2</script>")
    assert page.locator("#library-root img, #doc-reader img, #doc-reader script").count() == 0
    assert page.title() == "RAG Embedder Bakeoff"


def test_a_new_corpus_is_named_on_the_page_and_going_back_leaves_it(open_page, url):
    page = library(open_page, url, "first")
    page.get_by_label("Name of a new corpus").fill("second")
    page.get_by_role("button", name="Make the corpus").click()
    expect(page.locator(".lib-head h1")).to_have_text("second")
    page.go_back()
    expect(page.locator(".lib-head h1")).to_have_text("first")


def test_a_phone_shows_the_library_without_scrolling_sideways(open_page, url, folder):
    page = library(open_page, url, "phone", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    ingest(page, folder)
    expect(page.locator(".lib-source")).to_have_count(3)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("link", name="Harbour").click()
    expect(page.get_by_role("dialog", name="Document").locator("mark").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_an_empty_library_leads_to_the_library_tab_and_from_there_to_an_answer(open_page, tmp_path, folder):
    home = tmp_path / "empty"
    home.mkdir()
    (home / "rag.toml").write_text('embedder = "hash"\ningest_with = ["hash"]\n')
    process, address = start(home)
    try:
        page = open_page(address)
        page.get_by_role("link", name="Add documents").click()
        expect(page.locator(".lib-drop")).to_be_visible()
        drop(page, folder)
        expect(page.locator(".job-done")).to_be_visible(timeout=60_000)
        page.get_by_role("tab", name="Chat").click()
        box = page.locator("#question textarea")
        expect(box).to_be_enabled()
        box.fill("Why did the ferries leave late?")
        box.press("Enter")
        expect(page.locator(".rag-answer")).to_contain_text("because of fog", timeout=20_000)
    finally:
        assert stop(process) == 0
