"""What routes and chat tell of a hostile library holds no element, no attribute and no address of a stranger's."""

from html.parser import HTMLParser
from urllib.parse import quote

import pytest

from attacked_library import NAMES, SECRET, make_library
from attacks import ATTACKS, FORGED, LITERAL, TURNED
from ui.access import Access
from web_app import client_of, opened_app

URL = "http://127.0.0.1:9"

ELEMENTS = frozenset(
    {
        *("a", "article", "b", "br", "button", "code", "details", "div", "em", "form", "h1", "h2", "h3", "header"),
        *("hr", "i", "input", "label", "li", "main", "mark", "nav", "ol", "option", "output", "p", "path", "pre"),
        *("rect", "section", "select", "small", "span", "strong", "summary", "sup", "svg", "table", "tbody", "td"),
        *("textarea", "th", "thead", "time", "tr", "ul", "aside", "circle", "dd", "dl", "dt", "fieldset", "footer"),
        *("kbd", "legend", "line", "meter", "polyline", "progress", "s", "sub", "text"),
        *("article", "bdi", "figure"),
    }
)
"""Elements that our pages are made of; none of them loads anything or runs."""
LOADING = {"src", "srcset", "srcdoc", "poster", "data", "background", "formaction", "ping", "action", "xlink:href"}
VOID = {"br", "hr", "input"}


class Checked(HTMLParser):
    """Reads a page and complains about what a stranger could have put there."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.complaints, self.text, self.links, self.open = [], [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        if tag not in ELEMENTS and not (tag == "title" and "svg" in self.open):
            self.complaints.append(f"<{tag}>")
        for name, value in attrs:
            value = value or ""
            if name.startswith("on") or name in LOADING:
                self.complaints.append(f"{tag} {name}={value[:80]}")
            if name == "href":
                self.links.append(value)
                if not value.startswith(("?", "#", "https://", "labels/export/", "evaluate/")):
                    self.complaints.append(f"{tag} href={value[:80]}")
            if name == "style" and ("url(" in value or "expression" in value or "image" in value):
                self.complaints.append(f"{tag} style={value[:80]}")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.complaints.append(f"</{tag}> ends what it did not begin")

    def handle_comment(self, data):
        self.complaints.append(f"<!--{data[:80]}")

    def handle_decl(self, decl):
        self.complaints.append(f"<!{decl[:80]}")

    def handle_data(self, data):
        self.text.append(data)

    @property
    def words(self):
        return " ".join("".join(self.text).split())


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return make_library(tmp_path_factory.mktemp("attacked"), URL)


@pytest.fixture(scope="module")
def app(home):
    with opened_app(home, Access()) as made:
        yield made


@pytest.fixture(scope="module")
def client(app):
    return client_of(app)


@pytest.fixture(scope="module")
def library(home):
    from rag.library import Library

    opened = Library(home)
    yield opened
    opened.close()


def checked(html):
    page = Checked(html)
    assert page.complaints == []
    return page


def answered(library, question, k=30):
    """Asks as the chat does and returns the finished turn."""
    from rag.reader import Reader
    from rag.settings import read_settings
    from ui.conversation import Chat, Choices, Conversation

    chat = Chat(Reader(library, read_settings(library.home)))
    *_, turn = chat.ask(Conversation(), question, Choices("attacks", "hash", "hybrid", k, 0.5, "rrf"))
    assert not turn.error, turn.error
    return turn


def test_the_check_sees_what_it_must():
    caught = [attack.name for attack in ATTACKS if not attack.markdown and Checked(attack.text(URL)).complaints]
    assert caught == [attack.name for attack in ATTACKS if not attack.markdown]


# --- the chat


@pytest.mark.parametrize("start", range(0, len(ATTACKS), 8))
def test_questions_answers_and_evidence_are_text(library, start):
    from ui.evidence_html import evidence_html
    from ui.render import answer_html, question_html

    for attack in ATTACKS[start : start + 8]:
        text = attack.text(URL)
        turn = answered(library, f"What is the {SECRET} password {attack.name}? {text}")
        assert " ".join(text.split()) in checked(question_html(turn)).words
        answer, evidence = answer_html(turn), evidence_html(turn)
        assert " ".join(text.split()) in checked(evidence).words, attack.name
        checked(answer)
        assert "\n" not in question_html(turn) + answer + evidence  # else Gradio's Markdown would read what follows


def test_templates_formulas_and_entities_are_shown_as_they_are(library):
    from ui.evidence_html import evidence_html

    shown = checked(evidence_html(answered(library, f"What is the {SECRET} password? 7*7"))).words
    for text in LITERAL:
        assert text in shown, text
    assert "\x00" not in shown and "\x07" not in shown


def test_citations_that_a_document_brings_are_text(library):
    from ui.render import answer_html

    turn = answered(library, "How does the vault open, has it a second door, and what is it made of?")
    assert any("[1]" in part.text.replace(f"[{c.marker}]", "", 1) for part in turn.parts for c in part.citations)
    page = checked(answer_html(turn))
    marked = [link for link in page.links if link.startswith("#evidence")]
    assert marked == [f"#evidence-{turn.number}-{citation.marker}" for citation in turn.citations]
    assert "[99]" not in "".join(marked) and any(text.split("[")[0] in page.words for text in FORGED)


# --- the other tabs


@pytest.mark.parametrize("show", ["documents", "indexes", "chunks", "files", "overview"])
def test_the_library_tab_is_text(client, show):
    seen = "".join(
        client.get(f"/library/page?corpus=attacks&show={show}&shell=true&page={number}").text for number in (1, 2, 3)
    )
    page = checked(seen)
    if show == "documents":
        assert "<img src=x: onerror=window.attacked=1>.txt" in page.words
        assert "invoice⟨U+202E⟩fdp.exe.txt" in page.words and TURNED not in page.words
        assert "two⟨U+000A⟩lines⟨U+001B⟩[31m.txt" in page.words


def test_a_search_of_the_library_is_text(client):
    for attack in ATTACKS[:8]:
        checked(client.get("/library/page", params={"corpus": "attacks", "q": attack.text(URL)[:200]}).text)


def test_every_document_opens_as_text(client, library):
    for document in library.documents("attacks"):
        page = checked(client.get("/library/document", params={"id": document.id}).text)
        assert "\u202e" not in page.words.split(" characters")[0]


def test_the_embedders_tab_is_text_and_links_only_to_the_web(client):
    page = checked(
        client.get("/embedders/page?shell=true").text + client.get("/embedders/menu?corpus=attacks").json()["options"]
    )
    assert "<script>window.attacked=4</script>" in page.words and "<img src=x: onerror=window.attacked=3>" in page.words
    assert not any("javascript" in link for link in page.links)
    offer = client.get(
        "/embedders/offer", params={"corpus": "attacks", "embedder": "<img src=x: onerror=window.attacked=3>"}
    )
    checked(offer.text)


def test_compare_and_labels_are_text(client):
    sides = ["dense hash", "lexical"]
    for attack in ATTACKS[::6]:
        question = f"What is the {SECRET} password {attack.name}? {attack.text(URL)}"[:1900]
        body = {"corpus": "attacks", "question": question, "sides": sides, "blind": False, "k": 10}
        asked = client.post("/compare/ask", json=body)
        assert asked.status_code == 200, asked.text
        checked(asked.json()["html"])
        checked(client.post("/labels/queue", json={"corpus": "attacks", "question": question}).text)
    checked(client.get("/compare/page").text)
    checked(client.get("/labels/page?shell=true").text)


# --- what is sent


@pytest.mark.parametrize("name", [*NAMES, "<img src=x onerror=alert(1)>", "../x", "a\x00b", TURNED, "[1]", "{{7*7}}"])
def test_no_corpus_has_such_a_name_and_its_refusal_is_no_page(client, name):
    for path, body in (
        ("/library/ingest", {"corpus": name, "embedders": ["hash"]}),
        ("/library/remove", {"corpus": name, "sources": ["a"]}),
        ("/embedders/build", {"corpus": name, "embedder": "hash"}),
    ):
        reply = client.post(path, json=body)
        assert 400 <= reply.status_code < 500 and reply.headers["content-type"] == "application/json", path
    for path in (f"/library/page?corpus={quote(name)}", f"/compare/page?corpus={quote(name)}"):
        checked(client.get(path).text)


@pytest.mark.parametrize("attack", [attack for attack in ATTACKS if "/" not in attack.name][::7], ids=lambda a: a.name)
def test_an_error_that_repeats_an_attack_is_json(client, attack):
    text = attack.text(URL)
    for reply in (
        client.get("/library/document", params={"id": text}),
        client.get("/embedders/offer", params={"corpus": text, "embedder": text}),
        client.post("/embedders/test", json={"name": text}),
        client.post("/library/upload", params={"corpus": "a", "path": text}),
        client.post("/compare/vote", json={"round": text, "verdict": text}),
        client.post("/labels/judge", json={"chunk": text, "question": text, "grade": 1}),
    ):
        assert reply.headers["content-type"].startswith(("application/json", "text/plain")), reply.url
        assert reply.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "text", ["A" * 900_000, "\x00" * 1000, "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")]
)
def test_huge_and_broken_texts_break_nothing(client, text):
    for path, body in (
        ("/compare/ask", {"corpus": "attacks", "question": text, "sides": []}),
        ("/labels/queue", {"corpus": "attacks", "question": text}),
        ("/library/ingest", {"corpus": text, "embedders": [text]}),
        ("/embedders/test", {"name": text}),
    ):
        assert client.post(path, json=body).status_code < 500, path
    assert client.get("/healthz").status_code == 200
