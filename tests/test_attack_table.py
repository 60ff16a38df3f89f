"""The attacks are real: each of them works in a page of an application that does not protect itself."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import pytest

from attacks import ATTACKS, FORGED, LITERAL, TURNED, careless_html

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def careless(outside):
    """The careless application: each attack has a page of its own."""
    by_name = {attack.name: attack for attack in ATTACKS}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            attack = by_name.get(unquote(self.path.strip("/")))
            body = careless_html(attack, outside.url).encode() if attack else b""
            self.send_response(200 if attack else 404)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_works_where_nothing_stops_it(chromium, careless, outside, attack):
    page = chromium.new_page()
    try:
        page.goto(f"{careless}/{attack.name}", wait_until="commit")
        if attack.click:
            page.locator(attack.click).first.click(no_wait_after=True)
        assert reached(page, outside, attack.name), "it can fail nowhere"
    finally:
        page.close()


def reached(page, outside, name):
    """Waits until the stranger has heard of the attack."""
    until = time.monotonic() + 5
    while time.monotonic() < until:
        if any(path.split("?")[0] in (f"/{name}", f"/ran-{name}") for path in outside.paths):
            return True
        page.wait_for_timeout(20)
    return False


def test_what_is_to_be_literal_is_not_everywhere():
    """Templates compute, Markdown formats, entities are read: a careless page would show something else."""
    from jinja2 import Environment
    from markdown_it import MarkdownIt

    assert Environment().from_string(LITERAL[0]).render() == "49"
    assert Environment().from_string(LITERAL[5]).render() == "xxx"
    for text in LITERAL[10:]:
        assert MarkdownIt("commonmark").render(text) != f"<p>{text}</p>\n"


def test_forged_citations_would_be_shown_where_markers_are_searched_in_the_text():
    import re

    assert [len(re.findall(r"\[\d+\]", text)) for text in FORGED] == [1, 3, 1]


def test_a_turned_name_looks_like_another(chromium):
    """Widths tell what is painted: the letters after the override come in the other order."""
    page = chromium.new_page()
    page.set_content(f"<p><bdo id=a>invoice</bdo><span id=b></span></p><p id=c>{TURNED}</p>")
    first = page.evaluate(
        "() => { const text = document.getElementById('c').firstChild; const x = (i) => { const r = new Range();"
        " r.setStart(text, i); r.setEnd(text, i + 1); return r.getBoundingClientRect().left; }; return [x(8), x(14)]; }"
    )
    assert first[0] > first[1]  # the "f" of "fdp.exe" stands right of its last "e"
    page.close()
