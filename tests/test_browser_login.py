"""The login in a real browser, with and without scripts: in, wrong, to the page that was asked for, and out."""

import os

import pytest

from browser_app import start, stop
from file_builders import write

expect = pytest.importorskip("playwright.sync_api", reason="the Python package playwright is not installed").expect
pytestmark = pytest.mark.browser

PASSWORD = "correct horse 1"


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    from rag.library import Library
    from rag.settings import read_settings
    from ui.ingesting import ingest_paths

    folder = tmp_path_factory.mktemp("login")
    write(folder / "notes", "ferry.txt", "The ferry sails at noon.\n")
    settings = read_settings(folder / "home")
    library = Library(settings.home, create=True)
    ingest_paths(library, settings, [folder / "notes"], "notes", ["hash"])
    library.close()
    process, address = start(folder / "home", env=os.environ | {"RAG_AUTH": f"anna:{PASSWORD}"})
    yield address
    assert stop(process) == 0


def give(page, password):
    page.get_by_label("User").fill("anna")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def test_in_and_out_with_what_was_asked_for(open_page, url):
    page = open_page(f"{url}/?tab=library")
    give(page, PASSWORD)
    expect(page.locator(".lib-table")).to_contain_text("ferry.txt", timeout=20_000)
    page.get_by_role("button", name="Account").click()
    expect(page.locator("main")).to_contain_text("You are logged in as anna.")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    page.goto(url)
    expect(page.get_by_label("Password")).to_be_visible()


@pytest.mark.parametrize("options", [{"java_script_enabled": False}, {"viewport": {"width": 390, "height": 844}}])
def test_a_wrong_password_and_no_script(chromium, url, options):
    context = chromium.new_context(**options)
    page = context.new_page()
    page.goto(url)
    give(page, "wrong")
    expect(page.get_by_role("alert")).to_have_text("The user or the password is wrong.")
    expect(page.get_by_label("User")).to_have_value("anna")
    give(page, PASSWORD)
    expect(page.locator("gradio-app")).to_be_attached()
    context.close()
