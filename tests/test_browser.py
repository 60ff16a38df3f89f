"""The running application in a real browser: it answers, switches the embedder, and shows hostile documents as text."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
if CHROMIUM is None:
    if os.environ.get("REQUIRE_BROWSER") == "1":
        raise RuntimeError("No Chromium on PATH, but REQUIRE_BROWSER=1.")
    pytest.skip("no chromium, chromium-browser or google-chrome on PATH", allow_module_level=True)

sync_api = pytest.importorskip("playwright.sync_api", reason="the Python package playwright is not installed")
expect = sync_api.expect

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


class Outside:
    """A server of a stranger, who counts what reaches it."""

    def __init__(self):
        self.paths = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.paths.append(self.path)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture(scope="session")
def outside():
    stranger = Outside()
    yield stranger
    stranger.server.shutdown()


def start(home):
    """Starts the application on a free port and returns its process and address."""
    command = [
        sys.executable,
        "-c",
        "from ui.cli import main; main()",
        "--home",
        str(home),
        "ui",
        "--port",
        "0",
        "--no-browser",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])
    url = process.stdout.readline().strip()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url), url
    return process, url


def stop(process):
    process.send_signal(signal.SIGTERM)
    return process.wait(timeout=20)


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


@pytest.fixture(scope="session")
def chromium():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium, url):
    """Opens pages that must neither leave the server nor log an error."""
    contexts, complaints = [], []

    def opened(address=url, **options):
        context = chromium.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on(
            "request", lambda r: complaints.append(r.url) if not r.url.startswith((address, "data:", "blob:")) else None
        )
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def ask(page, question):
    """Asks and waits until the answer is complete."""
    box = page.locator("#question textarea")
    expect(box).to_be_enabled()
    expect(page.locator("#status")).to_contain_text("chunks")
    answers = page.locator(".rag-chips")
    before = answers.count()
    box.fill(question)
    box.press("Enter")
    expect(answers).to_have_count(before + 1, timeout=20_000)
    return page.locator(".rag-answer").nth(before)


def choose(page, label, option):
    page.get_by_role("combobox", name=label).click()
    page.get_by_role("option", name=option).click()


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

    page.get_by_role("button", name="Clear").click()
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
    page.get_by_role("button", name="Search settings").click()
    expect(page.get_by_role("combobox", name="Embedder")).to_be_visible()
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
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
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
