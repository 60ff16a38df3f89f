"""What tests of the chat's page share: asking there, choosing, and what the server is told of a library."""

import shutil
from contextlib import contextmanager

import pytest

from browser_app import start, stop
from file_builders import write

expect = pytest.importorskip("playwright.sync_api", reason="the Python package playwright is not installed").expect


FRUITS = ("apple", "pear", "plum", "cherry", "quince", "medlar", "fig", "olive")
RINGS = "Which planet has bright rings of ice?"
TEA = "How is green tea brewed?"
CARE = "It matters how {word} are chosen, and the {word} are looked after with care. " * 4


def ask(page, question):
    """Asks and waits until the answer is complete."""
    before = begin(page, question)
    expect(page.locator("#messages .rag-chips")).to_have_count(before + 1, timeout=20_000)
    return page.locator(".rag-answer").nth(before)


def begin(page, question):
    """Asks, and returns how many answers there were; this one may still be written."""
    box = page.locator("#question textarea")
    expect(box).to_be_enabled()
    expect(page.locator("#status")).to_contain_text("chunks")
    before = page.locator("#messages .rag-answer").count()
    box.fill(question)
    box.press("Enter")
    expect(page.locator("#messages .rag-answer")).to_have_count(before + 1, timeout=20_000)
    return before


def opened_anew(page):
    """Opens the same address in another tab of the same browser; a reload may cut off what is still being said."""
    other = page.context.new_page()
    other.goto(page.url)
    return other


def choose(page, label, option):
    page.get_by_role("combobox", name=label, exact=True).click()
    page.get_by_role("option", name=option).click()


def slide(page, value):
    """Moves the slider of the dense weight."""
    page.locator("#weight input[type=range]").fill(str(value))


def make_library(home, folder, corpus, toml='embedder = "hash"\n'):
    """Ingests a folder under the two light embedders."""
    from rag.library import Library
    from rag.settings import read_settings
    from ui.ingesting import ingest_paths

    home.mkdir(exist_ok=True)
    (home / "rag.toml").write_text(toml)
    settings = read_settings(home)
    library = Library(home, create=True)
    ingest_paths(library, settings, [folder], corpus, ["hash", "wordllama"])
    library.close()
    return home


def small_chat(folder, small_folder):
    """Makes a library of the small files, of an orchard's fruits, and of a guide that can be asked about."""
    documents = shutil.copytree(small_folder, folder / "documents")
    for number, fruit in enumerate(FRUITS):
        words = " ".join(FRUITS[number:])
        write(
            documents, f"fruit/{fruit}.md", f"# The {fruit}\n\nThe {fruit} grows on a tree. {words} in the orchard.\n"
        )
    write(documents, "orchard.md", f"# Orchard guide\n\n## Ladders\n\n{CARE.format(word='ladders')}\n")
    return make_library(folder / "home", documents, "small")


@contextmanager
def application(home, open_page, **options):
    """Runs an application and gives what opens its pages, which are closed before it is stopped."""
    process, address = start(home, **options)
    pages = []

    def opened():
        pages.append(open_page(address))
        return pages[-1]

    try:
        yield opened
    finally:
        for page in pages:
            page.close()
        assert stop(process) == 0


def rows(page):
    return page.locator("#chats .rag-chat")
