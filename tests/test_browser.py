"""The running application in a real browser: it answers, switches the embedder, and shows hostile documents as text."""

import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from browser_app import start, stop
from chat_pages import ask, choose

expect = pytest.importorskip("playwright.sync_api", reason="the Python package playwright is not installed").expect
pytestmark = pytest.mark.browser

FUSION = """# Hybrid search

Reciprocal rank fusion adds one over sixty plus the rank of each leg. It needs no common scale of scores.

# Harbour

The ferries left late because of fog. Rain fell on the harbour all morning.
"""
HOSTILE = (
    "# Danger\n\nThe zeppelin password is "
    '<img src=x onerror="document.title=1"> <img src="{url}/a.png"> ![pixel]({url}/b.png) '
    "<script>document.title=2</script> **bold** ${{document.title=3}} {{{{value}}}} $$x^2$$ and nothing else.\n"
)


@pytest.fixture(scope="session")
def home(tmp_path_factory, outside):
    from rag.library import Library
    from rag.settings import read_settings
    from ui.ingesting import ingest_paths

    folder = tmp_path_factory.mktemp("browser")
    documents = folder / "documents"
    documents.mkdir()
    (documents / "fusion.md").write_text(FUSION, encoding="utf-8")
    (documents / "danger.txt").write_text(HOSTILE.format(url=outside.url), encoding="utf-8")
    (folder / "home").mkdir()
    (folder / "home" / "rag.toml").write_text('embedder = "hash"\n')
    settings = read_settings(folder / "home")
    library = Library(settings.home, create=True)
    ingest_paths(library, settings, [documents], "demo", ["hash", "wordllama"])
    library.close()
    return settings.home


@pytest.fixture(scope="session")
def url(home):
    process, address = start(home)
    yield address
    assert stop(process) == 0
    assert not (home / "chroma" / "open.pid").exists(), "Chroma was not closed"


def test_a_cited_answer_its_evidence_and_another_embedder_for_the_next_question(open_page):
    page = open_page(viewport={"width": 1400, "height": 900})
    expect(page.locator("#status")).to_contain_text("embedded by hash (512-d)")
    first = ask(page, "How does reciprocal rank fusion work?")
    expect(first).to_contain_text("one over sixty plus the rank")
    expect(first.locator(".rag-embedder")).to_have_text("hash")
    mark = page.locator("#evidence mark").first
    quotes = page.locator("#evidence mark").all_text_contents()
    assert "Reciprocal rank fusion adds one over sixty plus the rank of each leg." in quotes
    assert all(quote in FUSION for quote in quotes)
    expect(mark).to_be_visible()

    choose(page, "Embedder", "wordllama")
    expect(page.locator("#status")).to_contain_text("embedded by wordllama (256-d)")
    second = ask(page, "Why did the ferries leave late?")
    expect(second.locator(".rag-embedder")).to_have_text("wordllama")
    expect(first.locator(".rag-embedder")).to_have_text("hash")
    expect(page.locator(".rag-for")).to_have_text("Why did the ferries leave late?")

    page.locator(".rag-answer").first.locator("a.rag-cite").first.click()  # an older answer's marker
    expect(page.locator(".rag-for")).to_have_text("How does reciprocal rank fusion work?")
    expect(page.locator("#evidence mark.rag-flash")).to_be_in_viewport()

    page.get_by_role("button", name="New chat").click()
    expect(page.locator(".rag-answer")).to_have_count(0)
    expect(page.locator("#evidence")).to_contain_text("appear here")


def test_lexical_search_needs_no_embedder(open_page):
    page = open_page()
    expect(page.locator("#status")).to_contain_text("chunks")
    expect(page.locator("#weight")).to_be_visible()
    page.get_by_label("lexical").check()
    expect(page.locator("#embedder")).to_contain_text("Not used")
    expect(page.get_by_role("combobox", name="Embedder")).to_be_disabled()
    expect(page.locator("#weight")).to_be_hidden()
    answer = ask(page, "Why did the ferries leave late?")
    expect(answer.locator(".rag-chip").first).to_have_text("lexical")
    expect(page.locator(".rag-leg.rag-lexical").first).to_contain_text("#1")
    expect(page.locator(".rag-leg.rag-dense")).to_have_count(0)


def test_an_example_question_is_asked_by_a_click(open_page):
    page = open_page()
    page.get_by_role("button", name="What is reciprocal rank fusion?").click()
    expect(page.locator(".rag-chips")).to_have_count(1, timeout=20_000)
    expect(page.locator(".rag-question")).to_have_text("What is reciprocal rank fusion?")


def test_markup_in_documents_and_questions_is_text(open_page, outside):
    outside.paths.clear()  # other tests show there that an attack works where nothing stops it
    page = open_page()
    hostile = HOSTILE.format(url=outside.url).splitlines()[2]
    answer = ask(page, f"What is the zeppelin password? {hostile}")
    expect(page.locator("#evidence")).to_contain_text(hostile)
    expect(answer).to_contain_text('<img src=x onerror="document.title=1">')
    expect(page.locator(".rag-question")).to_contain_text("<script>document.title=2</script>")
    assert page.locator("#messages img, #messages script, #evidence img, #evidence script").count() == 0
    assert page.locator("#evidence .katex, #evidence strong, #messages strong").count() == 0
    assert page.title() == "RAG Embedder Bakeoff"
    assert outside.paths == []


def test_a_phone_shows_all_of_it_without_scrolling_sideways(open_page):
    page = open_page(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    answer = ask(page, "How does reciprocal rank fusion work?")
    expect(answer).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    expect(page.get_by_role("combobox", name="Embedder")).to_be_hidden()
    page.get_by_role("button", name="Chats and settings").click()
    expect(page.get_by_role("combobox", name="Embedder")).to_be_visible()
    page.get_by_role("dialog", name="Conversations and settings").get_by_role("button", name="Close").click()
    expect(page.get_by_role("combobox", name="Embedder")).to_be_hidden()
    expect(page.locator("#evidence mark").first).to_be_hidden()
    answer.locator("a.rag-cite").first.click()
    expect(page.locator("#evidence mark").first).to_be_in_viewport()


def test_an_empty_library_says_how_to_fill_it(open_page, tmp_path):
    process, address = start(tmp_path / "empty")
    try:
        page = open_page(address)
        expect(page.locator("#messages")).to_contain_text(f"rag --home {tmp_path / 'empty'} ingest PATH --corpus NAME")
        expect(page.locator("#question textarea")).to_be_disabled()
    finally:
        assert stop(process) == 0


def get(address, **headers):
    request = urllib.request.Request(address, headers=headers, data=headers.pop("data", None))
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.status, dict(reply.headers), reply.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


def test_health_headers_and_strangers(url):
    status, headers, body = get(f"{url}/healthz")
    assert (status, body) == (200, b'{"status":"ok"}')
    headers = {name.lower(): value for name, value in headers.items()}
    assert "default-src 'self'" in headers["content-security-policy"]
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "same-origin")
    assert get(f"{url}/healthz", Host="evil.test")[0] == 403
    assert get(f"{url}/gradio_api/queue/join", Origin="http://evil.test", data=b"{}")[0] == 403
    assert get(f"{url}/gradio_api/queue/join", Origin=url, data=b"{}")[0] != 403
    assert b'"named_endpoints":{}' in get(f"{url}/gradio_api/info")[2].replace(b" ", b"")


def test_a_taken_port_is_named_in_one_line(url, tmp_path):
    port = url.rpartition(":")[2]
    command = [sys.executable, "-c", "from ui.cli import main; main()", "--home", str(tmp_path), "ui", "--port", port]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=Path(__file__).parents[1])
    assert ended.returncode == 1 and ended.stdout == ""
    assert re.fullmatch(rf"rag: Port {port} of 127.0.0.1 cannot be used: .*\n", ended.stderr)


def test_a_second_application_reads_beside_the_first(url, home, open_page):
    process, address = start(home)
    try:
        page = open_page(address)
        expect(ask(page, "How does reciprocal rank fusion work?")).to_contain_text("one over sixty")
    finally:
        assert stop(process) == 0
