"""The Labels tab makes tasks without judging: from a table of questions and sources, and from the documents."""

import json

import pytest

from browser_app import start, stop
from file_builders import write

expect = pytest.importorskip("playwright.sync_api", reason="the Python package playwright is not installed").expect
pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=alert(1)>"
TABLE = (
    "question,source,passage\n"
    "Which planet has rings of ice?,planets.md,bright rings of ice\n"
    "How long does the dough rest?,bread,\n"
    f"What is this?,{HOSTILE}.md,\n"
)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    from conftest import SMALL_FILES
    from rag.library import Library
    from rag.settings import read_settings
    from ui.ingesting import ingest_paths

    folder = tmp_path_factory.mktemp("labels")
    for name, text in SMALL_FILES.items():
        write(folder / "docs", name, text)
    (folder / "home").mkdir()
    (folder / "home" / "rag.toml").write_text('embedder = "hash"\n')
    settings = read_settings(folder / "home")
    library = Library(settings.home, create=True)
    ingest_paths(library, settings, [folder / "docs"], "small", ["hash"])
    library.close()
    return settings.home


@pytest.fixture(scope="module")
def url(home):
    process, address = start(home)
    yield address
    assert stop(process) == 0


@pytest.fixture
def page(open_page, url):
    page = open_page(f"{url}/?tab=labels")
    expect(page.locator(".lab-make")).to_be_visible(timeout=20_000)
    return page


def labels_of(home, task):
    return [json.loads(line) for line in (home / "tasks" / task / "labels.jsonl").read_text().splitlines()]


def test_a_table_tells_its_bad_rows_and_is_taken_without_them(page, home):
    table = {"name": "my questions.csv", "mimeType": "text/csv", "buffer": TABLE.encode()}
    page.locator(".lab-file").set_input_files(table)
    report = page.locator(".lab-report")
    expect(report).to_contain_text("nothing was imported")
    expect(report).to_contain_text(f"Line 4: 'small' holds no document '{HOSTILE}.md'.")
    assert not (home / "tasks" / "my-questions").exists()
    page.get_by_role("button", name="Import the other 2 questions").click()
    expect(report).to_contain_text("my-questions: 2 questions and 2 labels")
    expect(page.locator(".lab-table")).to_contain_text("my-questions")
    assert {(label["source"], label["span"], label["origin"]) for label in labels_of(home, "my-questions")} == {
        ("planets.md", "bright rings of ice", "import"),
        ("bread.txt", "", "import"),
    }


def test_generated_questions_are_called_synthetic(page, home):
    opens = page.get_by_role("button", name="Generate questions")
    expect(page.locator(".lab-generate")).to_be_hidden()
    opens.click()
    expect(opens).to_have_attribute("aria-expanded", "true")
    page.get_by_label("How many").fill("4")
    page.get_by_label("Sentences").uncheck()
    page.get_by_role("button", name="Generate", exact=True).click()
    expect(page.locator(".lab-report")).to_contain_text("small-synthetic:")
    expect(page.locator(".lab-table .lab-synthetic")).to_have_text("Synthetic")
    assert {label["origin"] for label in labels_of(home, "small-synthetic")} == {"synthetic"}


def test_what_cannot_be_made_is_told(chromium, url):
    context = chromium.new_context()  # a refused request is an error in the console
    page = context.new_page()
    page.goto(f"{url}/?tab=labels")
    page.get_by_role("button", name="Generate questions").click()
    for name in ("Headings", "Definitions", "Sentences"):
        page.get_by_label(name).uncheck()
    page.get_by_role("button", name="Generate", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("at least one way to make them")
    context.close()
