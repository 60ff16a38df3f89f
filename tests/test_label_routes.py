"""Thumbs, the queue and the tasks as a browser asks for them; what is labelled there changes what `rag eval` scores."""

import io
import json
import shutil
import zipfile

import pytest
from bs4 import BeautifulSoup
from fastapi import FastAPI
from fastapi.testclient import TestClient

from eval.tasks.retrieval import load_retrieval_task
from file_builders import write
from rag.labels import LabelTable
from rag.library import Library
from rag.settings import read_settings
from ui.holding import Holding
from ui.jobs import IngestJobs
from ui.label_routes import add_label_routes
from ui.library_routes import add_library_routes
from ui.visitors import USER

QUESTION = "Which planet has rings of ice?"
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def home(small_library, tmp_path):
    folder = tmp_path / "home"
    shutil.copytree(small_library.settings.home, folder)
    (folder / "rag.toml").write_text('embedder = "hash"\n')
    return folder


@pytest.fixture
def holding(home):
    library = Library(home)
    held = Holding(library, read_settings(home))
    yield held
    held.close()
    library.close()


@pytest.fixture
def open_as(holding):
    """Opens the routes as a person sees them."""
    app = FastAPI()
    jobs = IngestJobs(holding)
    add_library_routes(app, holding, jobs, local=True)
    add_label_routes(app, holding)

    def opened(user=""):
        async def named(scope, receive, send):
            await app({**scope, USER: user}, receive, send)

        return TestClient(named)

    yield opened
    jobs.close()


@pytest.fixture
def client(open_as):
    return open_as()


def chunk_with(library, words):
    row = library.database.query("SELECT id FROM chunks WHERE text LIKE ?", (f"%{words}%",)).fetchone()
    return row[0]


def thumb(client, chunk, grade, question=QUESTION, origin="thumb"):
    reply = client.post("/labels/judge", json={"chunk": chunk, "question": question, "grade": grade, "origin": origin})
    assert reply.status_code == 200, reply.text


def queue_of(client, question=QUESTION):
    page = BeautifulSoup(client.post("/labels/queue", json={"corpus": "small", "question": question}).text, "lxml")
    return [each["data-chunk"] for each in page.select(".lab-chunk")], page


def test_a_thumb_changes_what_eval_scores(client, holding, rag, tmp_path):
    """The one of two passages that is called relevant decides how good the same ranking is."""
    saturn, bread = (chunk_with(holding.library, words) for words in ("rings of ice", "sourdough"))
    folder = holding.settings.home / "tasks" / "small-labels"
    scores = []
    for good, bad in ((saturn, bread), (bread, saturn)):
        thumb(client, good, 1)
        thumb(client, bad, 0)
        done = rag("--home", holding.settings.home, "eval", folder, "--retriever", "lexical", "--no-ragas", "--json")
        assert done.status == 0, done.err
        [row] = json.loads(done.out)["rows"]
        assert row["task"] == "small-labels"
        scores.append(row["metrics"]["nDCG@10"]["value"])
    assert scores[0] == 1.0
    assert scores[1] < 1.0


def test_a_thumb_is_shown_again_where_the_same_question_meets_the_same_chunk(client, holding):
    saturn, bread = (chunk_with(holding.library, words) for words in ("rings of ice", "sourdough"))
    asked = {"question": f" {QUESTION}\n", "chunks": [saturn, bread, "no-such-chunk"]}
    assert client.post("/labels/grades", json=asked).json() == {}
    thumb(client, saturn, 1)
    thumb(client, bread, 0)
    assert client.post("/labels/grades", json=asked).json() == {saturn: 1, bread: 0}
    assert client.post("/labels/grades", json={**asked, "question": "Another one?"}).json() == {}
    assert client.post("/labels/grades", json={**asked, "question": "  "}).json() == {}
    thumb(client, saturn, None)
    assert client.post("/labels/grades", json=asked).json() == {bread: 0}


def test_each_person_sees_and_takes_back_only_what_is_theirs(open_as, holding):
    saturn = chunk_with(holding.library, "rings of ice")
    ann, bob = open_as("ann"), open_as("bob")
    thumb(ann, saturn, 1)
    assert bob.post("/labels/grades", json={"question": QUESTION, "chunks": [saturn]}).json() == {}
    thumb(bob, saturn, None)
    assert ann.post("/labels/grades", json={"question": QUESTION, "chunks": [saturn]}).json() == {saturn: 1}
    assert [label.user for label in LabelTable(holding.library.database).labels("small-labels")] == ["ann"]


@pytest.mark.parametrize(
    "order",
    [
        {"chunk": "nowhere", "question": QUESTION, "grade": 1},
        {"chunk": None, "question": QUESTION, "grade": 1},
        {"chunk": "x", "question": QUESTION, "grade": 7},
        {"chunk": "x", "question": QUESTION, "grade": 1, "origin": "import"},
        {"chunk": "x", "question": " ", "grade": 1},
    ],
)
def test_what_cannot_be_a_label_is_refused(client, holding, order):
    assert client.post("/labels/judge", json=order).status_code in (400, 422)
    assert LabelTable(holding.library.database).tasks() == []


# --- the queue


def test_the_queue_pools_what_every_embedder_and_the_words_find_and_hides_who_did(client, holding):
    chunks, page = queue_of(client)
    library, reader = holding.library, holding.reader
    expected = set()
    for embedder, retriever in (("hash", "dense"), ("wordllama", "dense"), (None, "lexical")):
        opened = reader.open("small", embedder, retriever)
        expected |= {scored.chunk_id for scored in opened.retriever.rank([QUESTION], 10)[0]}
    assert set(chunks) == expected and len(chunks) == len(expected)
    assert not any(name in str(page) for name in ("hash", "wordllama", "dense", "lexical"))
    assert queue_of(client)[0] == chunks  # the same order for the same question,
    assert queue_of(client, "Which loaf is baked?")[0] != chunks  # another for another,
    ranked = [
        scored.chunk_id for scored in reader.open("small", "wordllama", "dense").retriever.rank([QUESTION], 10)[0]
    ]
    assert chunks[: len(ranked)] != ranked  # and that of no contestant
    assert library.chunks(chunks).keys() == set(chunks)


def test_nobody_is_left_out_of_the_pool(client, holding, monkeypatch):
    monkeypatch.setattr("ui.labelling.POOL_DEPTH", 1)
    question = "sourdough pads ice Lima"  # of which each finds another passage first
    ranked = [
        holding.reader.open("small", embedder, retriever).retriever.rank([question], 1)[0][0].chunk_id
        for embedder, retriever in (("hash", "dense"), ("wordllama", "dense"), (None, "lexical"))
    ]
    assert len(set(ranked)) == 3
    assert set(queue_of(client, question)[0]) == set(ranked)


def test_what_was_judged_or_agreed_is_not_asked_again(open_as):
    ann, bob, kim = (open_as(name) for name in ("ann", "bob", "kim"))
    chunks, _ = queue_of(ann)
    thumb(ann, chunks[0], 2, origin="queue")
    thumb(bob, chunks[0], 2, origin="queue")
    thumb(ann, chunks[1], 0, origin="queue")
    thumb(bob, chunks[1], 1, origin="queue")
    thumb(ann, chunks[2], 0, origin="queue")
    assert queue_of(ann)[0] == chunks[3:]
    assert queue_of(bob)[0] == chunks[2:]
    assert queue_of(kim)[0] == chunks[1:]  # two agree on the first, and not on the second
    page = queue_of(kim)[1]
    assert (page.select_one(".lab-box")["data-settled"], page.select_one(".lab-box")["data-pooled"]) == (
        "1",
        str(len(chunks)),
    )


def test_a_question_that_is_done_says_so(client):
    for chunk in queue_of(client)[0]:
        thumb(client, chunk, 0, origin="queue")
    chunks, page = queue_of(client)
    assert chunks == [] and "are judged" in page.get_text()


def test_the_next_question_is_the_least_judged_one_that_was_not_seen(client, holding):
    reply = client.post("/labels/next", json={"corpus": "small"})
    assert reply.status_code == 400 and "rag labels import" in reply.json()["error"]
    saturn, bread = (chunk_with(holding.library, words) for words in ("rings of ice", "sourdough"))
    thumb(client, saturn, 1)
    thumb(client, bread, 0)
    thumb(client, bread, 1, question="How is bread baked?")
    assert client.post("/labels/next", json={"corpus": "small"}).json() == {"question": "How is bread baked?"}
    seen = {"corpus": "small", "seen": ["How is bread baked?"]}
    assert client.post("/labels/next", json=seen).json() == {"question": QUESTION}


def test_the_queue_needs_a_question_and_a_corpus(client):
    for order in ({"corpus": "small", "question": " "}, {"corpus": "nowhere", "question": QUESTION}):
        assert client.post("/labels/queue", json=order).status_code == 400


# --- tasks


def test_a_task_is_listed_exported_and_deleted(client, holding):
    assert "No labels yet" in client.get("/labels/page").text
    thumb(client, chunk_with(holding.library, "rings of ice"), 1)
    page = BeautifulSoup(client.get("/labels/page?shell=true").text, "lxml")
    numbers = [cell.get_text() for cell in page.select(".lab-table td.lib-number")]
    assert numbers == ["1", "0", "1", "0", "0", "0"]
    assert str(holding.settings.home / "tasks" / "small-labels") in page.select_one(".lab-command").get_text()

    first, again = (client.get("/labels/export/small-labels.zip") for _ in range(2))
    assert first.content == again.content
    with zipfile.ZipFile(io.BytesIO(first.content)) as archive:
        names = archive.namelist()
        qrels = archive.read("small-labels/qrels/test.tsv").decode()
    assert "small-labels/corpus.jsonl" not in names and "planets.md\t1" in qrels
    whole = client.get("/labels/export/small-labels.zip?documents=true").content
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        sources = [json.loads(line)["_id"] for line in archive.read("small-labels/corpus.jsonl").decode().splitlines()]
    assert sources == sorted(holding.library.sources("small"))

    assert "No labels yet" in client.post("/labels/delete", json={"name": "small-labels"}).text
    assert not (holding.settings.home / "tasks" / "small-labels").exists()
    for name in ("small-labels", "../../etc"):
        assert client.post("/labels/delete", json={"name": name}).status_code == 400
    assert client.get("/labels/export/small-labels.zip").status_code == 400


def test_a_folder_that_a_kill_left_behind_is_made_good_when_the_application_starts(client, holding):
    thumb(client, chunk_with(holding.library, "rings of ice"), 1)
    folder = holding.settings.home / "tasks" / "small-labels"
    shutil.rmtree(folder)
    add_label_routes(FastAPI(), holding)
    assert len(load_retrieval_task(folder).queries) == 1


def test_a_folder_that_is_behind_is_made_good_by_eval(client, holding, rag):
    saturn = chunk_with(holding.library, "rings of ice")
    thumb(client, saturn, 1)
    folder = holding.settings.home / "tasks" / "small-labels"
    stored = holding.library.chunks([saturn])[saturn]
    table = LabelTable(holding.library.database)
    table.judge("small", "Which one has Titan?", stored.source, stored.chunk.text, stored.chunk.start, 2, "thumb")
    done = rag("--home", holding.settings.home, "eval", folder, "--retriever", "lexical", "--no-ragas", "--json")
    [row] = json.loads(done.out)["rows"]
    assert len(row["per_query"]["nDCG@10"]) == 2


def test_text_of_documents_and_questions_is_data(ingest, tmp_path):
    write(tmp_path / "evil", f"a{HOSTILE.replace('/', '')}.md", f"# {HOSTILE}\n\nRivers {HOSTILE} run to the sea.\n")
    made = ingest(tmp_path / "evil")
    held = Holding(made.library, made.settings)
    app = FastAPI()
    add_label_routes(app, held)
    client = TestClient(app)
    question = f"Where do rivers run {HOSTILE}?"
    reply = client.post("/labels/queue", json={"corpus": "c", "question": question})
    assert "lab-chunk" in reply.text and HOSTILE in BeautifulSoup(reply.text, "lxml").get_text()
    chunk = BeautifulSoup(reply.text, "lxml").select_one(".lab-chunk")["data-chunk"]
    assert client.post("/labels/judge", json={"chunk": chunk, "question": question, "grade": 2}).status_code == 200
    for page in (reply.text, client.get("/labels/page?shell=true").text):
        assert "<img" not in page
    held.close()


# --- tasks without judging


def send_table(client, text, name="questions.csv", **options):
    params = {"corpus": "small", "name": name, **options}
    return client.post("/labels/import", params=params, content=text.encode())


def test_a_table_arrives_whole_or_in_part(client, holding):
    table = f"question,source\n{QUESTION},planets.md\n{HOSTILE},{HOSTILE}\n"
    reply = send_table(client, table, HOSTILE)
    assert reply.status_code == 200 and HOSTILE not in reply.text
    page = BeautifulSoup(reply.text, "lxml")
    assert page.select_one(".lab-lines li").text.startswith(f"Line 3: 'small' holds no document '{HOSTILE}'")
    assert page.select_one('[data-lab="partial"]').text == "Import the other 1 question"
    assert LabelTable(holding.library.database).tasks() == []
    page = BeautifulSoup(send_table(client, table, "mine.csv", partial=True).text, "lxml")
    assert page.select_one("b").text == "mine: 1 question and 1 label"
    assert page.select_one('[data-lab="partial"]') is None
    assert [label.origin for label in LabelTable(holding.library.database).labels("mine")] == ["import"]


@pytest.mark.parametrize(
    ("text", "options", "told"),
    [
        ("a,b\n", {}, "no column is named question or source"),
        ("question,source\nx,planets.md\n", {"corpus": "smal"}, "Did you mean 'small'"),
        ("x" * (9 << 20), {}, "larger than 8 MiB"),
    ],
)
def test_a_table_that_cannot_be_read_is_told(client, text, options, told):
    reply = send_table(client, text, **options)
    assert reply.status_code == 400 and told in reply.json()["error"]


def test_generated_questions_are_a_synthetic_task(client, holding):
    asked = {"corpus": "small", "count": 3, "methods": ["definitions", "headings"]}
    reply = client.post("/labels/generate", json=asked)
    assert reply.status_code == 200, reply.text
    assert "synthetic question" in reply.text
    assert {label.origin for label in LabelTable(holding.library.database).labels("small-synthetic")} == {"synthetic"}
    page = BeautifulSoup(client.get("/labels/page").text, "lxml")
    assert page.select_one(".lab-synthetic").text == "Synthetic"


@pytest.mark.parametrize("change", [{"count": 0}, {"count": 501}, {"methods": []}, {"methods": ["llm"]}])
def test_the_page_generates_no_more_than_it_offers(client, change):
    reply = client.post("/labels/generate", json={"corpus": "small", "count": 3, "methods": ["cloze"], **change})
    assert reply.status_code == 400


def test_nobody_judges_as_a_generator_or_an_import(client, holding):
    chunk = chunk_with(holding.library, "rings of ice")
    for origin in ("synthetic", "import"):
        asked = {"chunk": chunk, "question": QUESTION, "grade": 1, "origin": origin}
        assert client.post("/labels/judge", json=asked).status_code == 400
