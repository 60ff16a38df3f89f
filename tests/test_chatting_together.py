"""Eight people chat at the same time in one server while documents are ingested: nobody sees another's words."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from browser_app import start, stop
from file_builders import write
from people import Person, chat_together, percentile
from scripted_llm import Reply, ScriptedLlm

RAG = Path(sys.executable).with_name("rag")
PEOPLE = 8
QUESTIONS = 3
MORE = 300
SLOWEST = 30
"""Seconds that nineteen of twenty answers may take here, where other tests may be running: `python -m benchmarks
together` measures it."""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    from rag.library import Library
    from rag.settings import read_settings
    from ui.ingesting import ingest_paths

    folder = tmp_path_factory.mktemp("together")
    for number in range(PEOPLE * QUESTIONS):
        write(
            folder / "notes", f"note{number}.txt", f"The ferry {name_of(number)} sails to harbour {number * 37 + 11}.\n"
        )
    for number in range(MORE):
        write(folder / "more", f"more{number}.txt", f"Barge {number} carries {number * 91} bricks up the river.\n")
    settings = read_settings(folder / "home")
    library = Library(settings.home, create=True)
    ingest_paths(library, settings, [folder / "notes"], "notes", ["hash", "wordllama"])
    library.close()
    return settings.home


def name_of(number):
    """Returns a name of a ferry that shares no word with the others."""
    return "".join(
        "bdfgklmnprstvz"[digit] + "aeiou"[digit % 5] for digit in (number % 14, number // 14, 5 + number % 7)
    )


@pytest.fixture(scope="module")
def url(home):
    process, address = start(home)
    yield address
    assert stop(process) == 0


def test_eight_people_ask_while_documents_come_in(url, home):
    people = [Person(url, "notes", ("hash", "wordllama")[number % 2]) for number in range(PEOPLE)]
    numbers = [range(person * QUESTIONS, (person + 1) * QUESTIONS) for person in range(PEOPLE)]
    questions = [[f"Where does the ferry {name_of(number)} sail to?" for number in own] for own in numbers]

    order = {"corpus": "more", "embedders": ["hash", "wordllama"], "folder": str(home.parent / "more")}
    job = httpx.post(f"{url}/library/ingest", json=order, headers={"origin": url})
    assert job.status_code == 200, job.text
    assert httpx.get(f"{url}/library/job").json()["running"]
    chat_together(people, questions)
    running = httpx.get(f"{url}/library/job").json()["running"]

    assert [person.failure for person in people] == [""] * PEOPLE
    for person, asked, own in zip(people, questions, numbers, strict=True):
        for count, (told, number) in enumerate(zip(person.told, own, strict=True), start=1):
            assert told.questions == asked[:count]  # the whole conversation, and nobody else's
            assert f"harbour {number * 37 + 11}" in told.answer, told
            assert asked[count - 1] in told.evidence and name_of(number) in told.evidence
        person.leave()
    assert percentile([told.seconds for person in people for told in person.told], 95) < SLOWEST
    while running:
        running = httpx.get(f"{url}/library/job").json()["running"]
    done = httpx.get(f"{url}/library/job").json()["html"]
    assert "job-done" in done and f"{MORE} done" in done, done


def test_a_closed_page_ends_what_a_model_writes_for_it(tmp_path):
    """The model's server hears at once that nobody listens any more, and pays for no further word."""
    write(tmp_path / "notes", "ferry.txt", "The ferry sails to the harbour at noon.\n")
    with ScriptedLlm(Reply(["word "] * 600, pause=0.05)) as model:
        settings = (
            f'embedder = "hash"\n[llm]\nmodel = "openai:scripted"\nbase_url = "{model.url}/v1"\nask_anyway = true\n'
        )
        write(tmp_path / "home", "rag.toml", settings)
        ingested = subprocess.run([RAG, "--home", tmp_path / "home", "ingest", tmp_path / "notes", "--corpus", "notes"])
        assert ingested.returncode == 0
        process, url = start(tmp_path / "home")
        try:
            person = Person(url, "notes", "hash")
            stream = person.page.stream(person.asking, person.inputs("When does the ferry sail?"))
            written = (message for message in stream if "word" in str(message.get("output")))
            next(written)
            stream.close()
            assert model.wait_left(seconds=15) is not None
        finally:
            assert stop(process) == 0
