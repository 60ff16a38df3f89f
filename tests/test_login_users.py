"""Two people with accounts in one server: neither sees, opens, renames or deletes a conversation of the other."""

import json
import re

import pytest

from file_builders import write
from people import Person
from ui.access import Access
from ui.accounts import Accounts, hashed
from web_app import opened_app, serving

PASSWORDS = {"anna": "correct horse 1", "ben": "battery staple"}


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    from rag.library import Library
    from rag.settings import read_settings
    from ui.ingesting import ingest_paths

    folder = tmp_path_factory.mktemp("users")
    write(folder / "notes", "ferry.txt", "The ferry sails to the harbour at noon.\n")
    settings = read_settings(folder / "home")
    library = Library(settings.home, create=True)
    ingest_paths(library, settings, [folder / "notes"], "notes", ["hash"])
    library.close()
    access = Access(accounts=Accounts({user: hashed(password) for user, password in PASSWORDS.items()}))
    with opened_app(folder / "home", access) as app, serving(app) as address:
        yield address


def arrive(url, user):
    return Person(url, "notes", "hash", login={"user": user, "password": PASSWORDS[user]})


def command(person, **asked):
    """Asks for what the list of conversations offers, and returns all that the page is told."""
    function = person.function("chat-command", "change")
    return str(person.page.call(function, person.data(function, chat_command=json.dumps(asked))))


def test_conversations_are_a_users_own_also_for_who_knows_their_ids(url):
    anna, ben = arrive(url, "anna"), arrive(url, "ben")
    anna.ask("When does the ferry sail?")
    chat = re.search(r"chat-([0-9a-f]{16,})", str(arrive(url, "anna").arrival))[1]
    for asked in ({"do": "open"}, {"do": "rename", "title": "Mine"}, {"do": "delete"}):
        assert "When does the ferry sail" not in command(ben, chat=chat, **asked)
    assert "When does the ferry sail" in command(arrive(url, "anna"), do="open", chat=chat)
    assert "When does the ferry sail" not in str(arrive(url, "ben").arrival)
    assert "When does the ferry sail" in str(arrive(url, "anna").arrival)
