"""Attacks in a real browser: every tab of a hostile library is visited; no script runs, nothing is asked of a stranger.

The fixture `open_page` fails a test where a page logs an error, and what the content policy stops is one: so these show
that nothing even tries. That the policy would stop it is shown apart, by putting the attacks into the page itself.
"""

import json
import urllib.parse

import pytest

from attacked_library import SECRET, make_library
from attacks import ATTACKS, FORGED, LITERAL
from browser_app import start, stop
from scripted_llm import Reply, ScriptedLlm

expect = pytest.importorskip("playwright.sync_api", reason="the Python package playwright is not installed").expect
pytestmark = pytest.mark.browser

LLM = '[llm]\nmodel = "openai:scripted"\nbase_url = "{url}/v1"\nask_anyway = true\n'
AT_ONCE = 8
"""Attacks in one question."""


@pytest.fixture(scope="module")
def model():
    with ScriptedLlm() as running:
        yield running


@pytest.fixture(scope="module")
def home(tmp_path_factory, outside, model):
    return make_library(tmp_path_factory.mktemp("attacked"), outside.url, LLM.format(url=model.url))


@pytest.fixture(scope="module")
def url(home):
    process, address = start(home)
    yield address
    assert stop(process) == 0


@pytest.fixture(autouse=True)
def unharmed(outside):
    """Whatever a test does: the stranger hears nothing."""
    outside.paths.clear()
    yield
    assert outside.paths == []


def settled(page):
    """Waits for what may still be on its way, and asserts that no script of a stranger has run."""
    page.wait_for_timeout(500)
    assert page.evaluate("window.attacked") is None
    assert page.title() == "RAG Embedder Bakeoff"
    strange = "img, video, audio, iframe, object, embed, base, form[action^='http'], script:not([nonce]):not([src])"
    assert page.locator("[role=tabpanel], dialog").locator(strange).count() == 0


def quoting(page):
    """Has answers quoted from the documents instead of written by the model."""
    box = page.locator("#answers-by").get_by_role("radio").or_(page.locator("#answers-by").get_by_role("combobox"))
    expect(box.first).to_be_attached()
    if page.locator("#answers-by").get_by_role("combobox").count():
        page.locator("#answers-by").get_by_role("combobox").click()
        page.get_by_role("option").first.click()
    else:
        page.locator("#answers-by").get_by_role("radio").first.check()


def ask(page, question):
    box = page.locator("#question textarea")
    expect(box).to_be_enabled()
    expect(page.locator("#status")).to_contain_text("chunks")
    answers = page.locator(".rag-chips")
    before = answers.count()
    box.fill(question)
    box.press("Enter")
    expect(answers).to_have_count(before + 1, timeout=30_000)
    return page.locator(".rag-answer").nth(before)


def opened_all(page):
    """Opens whatever is folded in the evidence."""
    page.evaluate("document.querySelectorAll('#evidence details').forEach((each) => (each.open = true))")


def test_questions_evidence_and_answers(open_page, outside):
    page = open_page(viewport={"width": 1400, "height": 900})
    quoting(page)
    for first in range(0, len(ATTACKS), AT_ONCE):
        some = ATTACKS[first : first + AT_ONCE]
        words = " ".join(attack.name for attack in some)
        question = f"What is the {SECRET} password {words}? " + " ".join(attack.text(outside.url) for attack in some)
        ask(page, question)
        expect(page.locator(".rag-question").last).to_have_text(" ".join(question.split()))
        opened_all(page)
        expect(page.locator("#evidence")).to_contain_text(SECRET)
    ask(page, f"What is the {SECRET} password? {LITERAL[0]} {LITERAL[8]}")
    opened_all(page)
    expect(page.locator("#evidence .katex")).to_have_count(0)
    settled(page)


def test_forged_citations_of_documents(open_page):
    page = open_page()
    quoting(page)
    answer = ask(page, "How does the vault open, and has it a second door?")
    expect(answer).to_contain_text("ostrich [1]")
    for marker in answer.locator("a.rag-cite").all():
        target = marker.get_attribute("href").removeprefix("#")
        assert page.locator(f"#evidence [id='{target}']").count() == 1
    assert "[99]" not in "".join(answer.locator("a.rag-cite").all_text_contents())
    settled(page)


def test_the_library_and_its_reader(open_page, url):
    page = open_page(f"{url}/?tab=library&corpus=attacks&q=invoice")
    expect(page.locator(".lib-table")).to_contain_text("invoice⟨U+202E⟩fdp.exe")
    page.goto(f"{url}/?tab=library&corpus=attacks")
    expect(page.locator(".lib-table")).to_contain_text("onerror=window.attacked=1")
    links = [link.get_attribute("href") for link in page.locator(".lib-name a").all()]
    assert len(links) > 20
    for link in links[::6]:
        page.goto(f"{url}/{link}")
        expect(page.locator("#doc-reader")).to_be_visible()
    settled(page)


def test_the_embedders(open_page, url):
    page = open_page(f"{url}/?tab=embedders")
    expect(page.locator(".emb-table")).to_contain_text("onerror=window.attacked=3")
    expect(page.locator(".emb-table")).to_contain_text("<script>window.attacked=4</script>")
    assert page.locator(".emb-table a[href^='javascript']").count() == 0
    settled(page)


def test_compare_and_labels(open_page, url, outside):
    page = open_page(f"{url}/?tab=compare")
    words = " ".join(attack.name for attack in ATTACKS[:6])
    question = f"What is the {SECRET} password {words}? {ATTACKS[4].text(outside.url)}"
    compare = page.locator(".cmp-page")
    compare.get_by_label("Question").fill(question)
    compare.get_by_role("button", name="Compare", exact=True).click()
    expect(compare.locator(".cmp-round")).to_contain_text(SECRET, timeout=20_000)
    settled(page)
    page.get_by_role("tab", name="Labels").click()
    labels = page.locator(".lab-page")
    labels.get_by_role("textbox", name="Question").fill(question)
    labels.get_by_role("button", name="Judge", exact=True).click()
    expect(labels.locator(".lab-queue")).to_contain_text(SECRET, timeout=20_000)
    settled(page)


def test_an_upload_with_a_hostile_name_and_an_error_that_tells_of_it(open_page, url):
    page = open_page(f"{url}/?tab=library&corpus=attacks")
    expect(page.locator(".lib-drop")).to_be_attached()
    name = "<img src=x: onerror=window.attacked=8>.zzz"
    page.locator("input[data-files]:not([webkitdirectory])").first.set_input_files(
        [{"name": name, "mimeType": "text/html", "buffer": b"<script>window.attacked=9</script>"}]
    )
    expect(page.locator(".job-done")).to_be_visible(timeout=30_000)
    expect(page.locator(".job-list")).to_contain_text("onerror=window.attacked=8")
    settled(page)


@pytest.mark.parametrize("key", ["document", "chunk", "corpus", "tab", "q", "show", "__theme", "view", "deep_link"])
def test_an_address_with_an_attack(chromium, url, outside, key):
    context = chromium.new_context()
    page = context.new_page()
    dialogs = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    asks = {"tab": "library", "document": "0" * 32} | {
        key: "".join(attack.text(outside.url) for attack in ATTACKS[4:12])
    }
    page.goto(f"{url}/?{urllib.parse.urlencode(asks)}")
    expect(page.locator("#question textarea")).to_be_attached()
    settled(page)
    assert dialogs == []
    context.close()


# --- a model that does what the documents tell it


def test_a_model_that_obeys_the_documents(open_page, model, outside):
    page = open_page(viewport={"width": 1400, "height": 900})
    for first in range(0, len(ATTACKS), AT_ONCE):
        said = "The password is ostrich [1]. " + " ".join(
            attack.text(outside.url) for attack in ATTACKS[first : first + AT_ONCE]
        )
        model.say(Reply([said[at : at + 150] for at in range(0, len(said), 150)]))
        answer = ask(page, f"What is the {SECRET} password? {first}")
        expect(answer).to_contain_text("ostrich")
        assert answer.locator("a:not(.rag-cite)[href]").count() == 0
    settled(page)


def test_citations_that_the_model_invents_are_not_shown(open_page, model):
    page = open_page()
    model.say(
        Reply(
            "It is ostrich [77]. "
            + " ".join(FORGED)
            + " Also [0], [-1], [1e1], [١], 【3†source】 and ["
            + "9" * 50
            + "]."
        )
    )
    answer = ask(page, "How does the vault open?")
    links = answer.locator("a.rag-cite").all()
    shown = [link.inner_text() for link in links]
    assert not {"[77]", "[99]", "[0]"} & set(shown), shown
    for link in links:
        target = link.get_attribute("href").removeprefix("#")
        assert page.locator(f"#evidence [id='{target}']").count() >= 1, target
    settled(page)


def test_an_instruction_of_a_document_reaches_the_model_as_data(open_page, model, outside):
    page = open_page()
    model.say(Reply("I cannot tell."))
    ask(page, f"What is the {SECRET} password md-image-query?")
    rules, told = model.asked[-1].system, model.asked[-1].last
    assert "never" in rules.lower() or "not" in rules.lower()
    assert "![x](http" not in told and "<img" not in told and "<script" not in told
    settled(page)


# --- the second layer


def test_the_policy_stops_what_would_get_into_the_page(chromium, url, outside):
    """Puts the attacks into the living page, as a hole in it would; it stops all but a link and a refresh."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(url)
    expect(page.locator("#question textarea")).to_be_attached()
    texts = [attack.text(outside.url) for attack in ATTACKS if not attack.markdown and attack.name != "meta-refresh"]
    page.evaluate(
        """(texts) => { for (const text of texts) {
          const range = document.createRange(); range.selectNode(document.body);
          document.body.append(range.createContextualFragment(text)); } }""",
        texts,
    )
    clicked = "#attack:not([href^=http]):not([ping])"
    page.evaluate("(which) => document.querySelectorAll(which).forEach((each) => each.click())", clicked)
    page.wait_for_timeout(1500)
    assert page.evaluate("window.attacked") is None
    context.close()


def test_the_page_is_framed_by_nobody(chromium, url, outside, tmp_path):
    context = chromium.new_context()
    page = context.new_page()
    refused = []
    page.on("console", lambda message: refused.append(message.text))
    page.set_content(f"<iframe id=f src={json.dumps(url)}></iframe>")
    page.wait_for_timeout(1000)
    assert page.frame_locator("#f").locator("gradio-app").count() == 0
    assert refused
    context.close()
