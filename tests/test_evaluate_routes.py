"""The Evaluate tab as a browser asks for it: tasks, plans, what runs, results, queries, and texts of strangers."""

import io
import json
import shutil
import time
import zipfile

import pytest
from bs4 import BeautifulSoup
from fastapi import FastAPI
from fastapi.testclient import TestClient

from attacks import ATTACKS, TURNED
from evaluation_tasks import labelled_task, lines, retrieval_task
from file_builders import write
from rag.labels import LabelTable
from rag.library import Library
from rag.settings import read_settings
from test_attack_html import checked
from ui.evaluate_routes import add_evaluate_routes
from ui.holding import Holding
from ui.jobs import IngestJobs
from ui.library_routes import add_library_routes

URL = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def home(small_library, tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate") / "home"
    shutil.copytree(small_library.settings.home, folder)
    (folder / "rag.toml").write_text('embedder = "hash"\n')
    return folder


@pytest.fixture(scope="module")
def holding(home):
    library = Library(home)
    held = Holding(library, read_settings(home))
    yield held
    held.close()
    library.close()


@pytest.fixture(scope="module")
def open_app(holding):
    """Opens the routes, as one at this machine or from elsewhere sees them."""
    opened = []

    def make(local=True):
        app = FastAPI()
        jobs = IngestJobs(holding)
        add_library_routes(app, holding, jobs, local=local)
        opened.extend([jobs, add_evaluate_routes(app, holding, local=local)])
        return TestClient(app)

    yield make
    for each in opened:
        each.close()


@pytest.fixture(scope="module")
def client(open_app):
    return open_app()


@pytest.fixture(scope="module")
def birds(client, tmp_path_factory):
    return add_folder(client, retrieval_task(tmp_path_factory.mktemp("tasks") / "birds"))


def add_folder(client, folder):
    reply = client.post("/evaluate/folder", json={"folder": str(folder)})
    assert reply.status_code == 200, reply.text
    page = soup(reply.json()["html"])
    return page.select_one("input[name=task][checked]")["value"]


def soup(html):
    return BeautifulSoup(html, "lxml")


def order(*ids, embedders=("hash",), retrievers=("dense", "lexical"), family="retrieval", **more):
    tasks = [{"id": id_, "family": family, "split": "test"} for id_ in ids]
    return {"tasks": tasks, "embedders": list(embedders), "retrievers": list(retrievers), "ragas": False, **more}


def evaluate(client, asked, **body):
    """Starts an evaluation, waits for its end, and returns the id of its results."""
    reply = client.post("/evaluate/start", json={"order": asked, **body})
    assert reply.status_code == 200, reply.text
    for _ in range(1500):
        told = client.get("/evaluate/job").json()
        if not told["running"]:
            assert told["saved"], told["html"]
            return told["saved"]
        time.sleep(0.02)
    raise AssertionError("The evaluation does not end.")


@pytest.fixture(scope="module")
def done(client, birds):
    """An evaluation of four rows."""
    return evaluate(client, order(birds, embedders=("hash", "wordllama"), retrievers=("dense", "lexical", "hybrid")))


# --- what can be evaluated


def test_the_form_offers_tasks_embedders_and_what_they_lack(client, birds):
    page = soup(client.get("/evaluate/setup").text)
    names = [each.get_text() for each in page.select(".eva-task b")]
    assert "birds" in names and "task" in names  # the demo's, whose corpus this library lacks
    demo = page.select_one('input[name="task"][value="demo"]')
    assert demo.has_attr("disabled") and "is not in the library" in demo.find_parent("li").get_text()
    assert "rag ingest PATH --corpus demo" in demo.find_parent("li").get_text()
    chosen = [each["value"] for each in page.select('input[name="embedder"][checked]')]
    assert sorted(chosen) == ["hash", "wordllama"]
    assert "constant" not in {each["value"] for each in page.select('input[name="embedder"]')}
    assert "OPENAI_API_KEY" in page.select_one(".eva-lacking").get_text()
    assert [each["value"] for each in page.select('input[name="retriever"][checked]')] == ["dense", "lexical", "hybrid"]


def test_without_a_task_the_form_says_how_to_get_one(client, monkeypatch, tmp_path):
    monkeypatch.setattr("ui.evaluate_tasks.DEMO_TASK", tmp_path / "nowhere")
    monkeypatch.setattr("ui.evaluate_tasks.TaskShelf._folders", lambda self: [])
    text = soup(client.get("/evaluate/setup").text).get_text()
    assert "No task yet." in text and "thumb" in text and "CSV" in text and "generated" in text


def test_a_label_task_is_offered_as_soon_as_there_is_one(client, holding):
    table = LabelTable(holding.library.database)
    table.judge("small", "Which planet has rings?", "planets.md", "", 0, 2, "queue")
    try:
        page = soup(client.get("/evaluate/setup").text)
        row = page.select_one('input[value="labels/small-labels"]').find_parent("li")
        assert "1 query" in row.get_text() and "over small" in row.get_text()
        id_ = evaluate(client, order("labels/small-labels"))
        told = soup(client.get(f"/evaluate/results?id={id_}").text).get_text()
        assert "1 query: too few to say anything" in told
    finally:
        table.delete("small-labels")


def test_a_plan_tells_rows_texts_and_what_is_scored_already(client, birds, done, tmp_path):
    told = soup(client.post("/evaluate/plan", json={"order": order(birds)}).text).get_text()
    assert "2 rows" in told and "2 of them scored before" in told and "free" in told
    folder = retrieval_task(tmp_path / "fishes", queries=7, documents=9)
    for name in ("corpus.jsonl", "queries.jsonl"):
        write(folder, name, (folder / name).read_text().replace("bird", "fish").replace("dawn", "dusk"))
    told = soup(client.post("/evaluate/plan", json={"order": order(add_folder(client, folder))}).text).get_text()
    assert "9 passages to embed" in told and "7 texts" in told and "is indexed under hash first" in told
    told = soup(client.post("/evaluate/plan", json={"order": order("folder//nowhere")}).text)
    assert "not there any more" in told.select_one(".lib-warn").get_text()


def test_what_leaves_this_computer_is_agreed_to_first(client, birds, monkeypatch):
    monkeypatch.setattr("ui.evaluate_plan.receiver_of", lambda spec: "api.example.com")
    asked = order(birds, embedders=("wordllama",), retrievers=("dense",), chunkers=["sentence"])
    assert "Texts are sent to api.example.com" in client.post("/evaluate/plan", json={"order": asked}).text
    reply = client.post("/evaluate/start", json={"order": asked})
    assert reply.status_code == 400 and "agree to it first" in reply.json()["error"]
    assert evaluate(client, asked, agreed=True)


@pytest.mark.parametrize(
    "body",
    [{}, {"order": {}}, {"order": []}, {"order": {"tasks": 1}}, {"order": {"tasks": [{"id": 1}]}}, {"order": None}],
)
def test_an_order_that_is_none_is_refused(client, body):
    for path in ("plan", "start"):
        assert client.post(f"/evaluate/{path}", json=body).status_code in (400, 422)


# --- tasks that are brought


def upload(client, token, files):
    for name, content in files.items():
        reply = client.post(f"/evaluate/upload?upload={token}&path={name}", content=content)
        if reply.status_code != 200:
            return reply
    return client.post("/evaluate/adopt", json={"upload": token, "name": "mine"})


def packed(files):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("how", ["files", "zip", "nested"])
def test_a_task_is_uploaded_evaluated_and_taken_off_the_list(client, home, tmp_path, how):
    files = files_of(retrieval_task(tmp_path / "birds"))
    if how == "files":
        sent = {name.rpartition("/")[2]: content for name, content in files.items()}
    else:
        within = "a/b/" if how == "nested" else ""
        sent = {"birds.zip": packed({f"{within}{name}": content for name, content in files.items()} | {"x.exe": b"x"})}
    reply = upload(client, "a" * 32, sent)
    assert reply.status_code == 200, reply.text
    assert soup(reply.json()["html"]).select_one("input[checked]")["value"] == "uploaded/mine"
    assert files_of(home / "uploaded-tasks" / "mine") == files
    assert evaluate(client, order("uploaded/mine"))
    reply = client.post("/evaluate/forget", json={"task": "uploaded/mine"})
    assert "uploaded/mine" not in reply.json()["html"] and not (home / "uploaded-tasks" / "mine").exists()


def test_what_is_no_task_is_refused_and_leaves_nothing(client, home, tmp_path):
    good = files_of(retrieval_task(tmp_path / "birds"))
    bomb = packed({"corpus.jsonl": b"\0" * (300 << 20)})
    for sent, told in (
        ({"queries.jsonl": good["queries.jsonl"]}, "This is no task"),
        ({"notes.exe": b"x"}, "no file of a task"),
        ({"birds.zip": b"PK no zip"}, "cannot be read"),
        ({"birds.zip": bomb}, "more than 256 MiB"),
        ({"birds.zip": packed({"a/queries.jsonl": b"", "b/queries.jsonl": b""})}, "two files"),
        ({**{name.rpartition("/")[2]: text for name, text in good.items()}, "queries.jsonl": b"{"}, "line 1"),
    ):
        reply = upload(client, "b" * 32, sent)
        assert 400 <= reply.status_code < 500 and told in reply.json()["error"], reply.text
    for token in ("", "../x", "A" * 32, "b" * 31):
        assert client.post(f"/evaluate/upload?upload={token}&path=test.jsonl", content=b"x").status_code in (400, 422)
    for name in ("", "..", "a/b", "x" * 200, "<b>"):
        reply = client.post("/evaluate/adopt", json={"upload": "c" * 32, "name": name})
        assert 400 <= reply.status_code < 500
    left = [path.name for path in (home / "uploaded-tasks").rglob("*") if path.is_file()]
    assert "queries.jsonl" not in left


def test_folders_of_this_computer_are_only_for_those_who_sit_at_it(open_app, client, birds, tmp_path):
    stranger = open_app(local=False)
    folder = str(retrieval_task(tmp_path / "birds"))
    for path in ("folder", "open"):
        assert stranger.post(f"/evaluate/{path}", json={"folder": folder}).status_code == 400
    page = stranger.get("/evaluate/setup").text + stranger.get("/evaluate/page").text
    assert birds not in page and "Folder of this computer" not in page
    assert stranger.post("/evaluate/start", json={"order": order(birds)}).status_code == 400
    for wrong in ("relative", "", str(tmp_path / "nowhere"), str(tmp_path)):
        reply = client.post("/evaluate/folder", json={"folder": wrong})
        assert reply.status_code == 400 and reply.json()["error"]


# --- results


def test_results_show_the_verdict_the_table_and_the_plots(client, done):
    page = soup(client.get(f"/evaluate/results?id={done}").text)
    assert "leads" in page.select_one(".eva-verdict").get_text()
    rows = page.select("table.board tbody tr")
    values = [float(row.select_one("td.main")["data-value"]) for row in rows]
    assert len(rows) == 5 and values == sorted(values, reverse=True)
    assert len(page.select("table.matrix tbody tr")) == 5
    assert page.select("figure[data-plot] svg") and page.select("figure[data-pair] svg")
    assert len(page.select("figure[data-pair]")) == 10 and len(page.select("figure[data-pair]:not([hidden])")) == 1
    assert soup(client.get("/evaluate/page").text).select_one(f'.eva-saved[data-id="{done}"]')
    report = client.get(f"/evaluate/report?id={done}")
    assert "attachment" in report.headers["content-disposition"] and b"<!DOCTYPE html>" in report.content
    names = zipfile.ZipFile(io.BytesIO(client.get(f"/evaluate/download?id={done}").content)).namelist()
    assert f"{done}/results.json" in names


def test_queries_are_filtered_and_paged(client, done):
    def shown(**asked):
        page = soup(client.get("/evaluate/queries", params={"id": done, **asked}).text)
        return [each["data-query"] for each in page.select(".eva-query")], page

    every, page = shown()
    assert len(every) == 12
    counts = {each["data-show"]: int(each.i.get_text()) for each in page.select("button[data-show]")}
    assert counts[""] == 12 and sum(count for name, count in counts.items() if name) == 12
    found = {name: shown(show=name)[0] for name in ("all right", "all wrong", "disagree")}
    assert {name: len(ids) for name, ids in found.items() if ids} == {n: c for n, c in counts.items() if n}
    assert sorted(id_ for ids in found.values() for id_ in ids) == sorted(every)
    assert shown(q="marsh")[0] == ["q0"] and shown(q="MARSH number")[0] == ["q0"]
    assert shown(q="nothing like this")[1].select_one(".lib-empty")
    assert shown(kind="no such kind")[0] == []


def test_a_query_shows_where_every_row_has_what_is_relevant(client, done):
    page = soup(client.get(f"/evaluate/query?id={done}&query=q1").text)
    rows = page.select(".eva-ranks tbody tr")
    assert len(rows) == 5 and all("#" in row.select_one(".eva-golds").get_text() for row in rows)
    buttons = page.select('button[data-eva="chat"]')
    assert {(each["data-retriever"], each["data-embedder"]) for each in buttons} >= {("lexical", ""), ("dense", "hash")}
    assert {each["data-question"] for each in buttons} == {"which bird lives in the forest, number 1"}
    assert len(page.select(".eva-top")) == 5
    panel = soup(client.get(f"/evaluate/gold?id={done}&query=q1").text)
    assert len(panel.select(".eva-goldbox tr")) == 5 and panel.select_one(".eva-goldbox a")["href"].startswith(
        "?document="
    )
    assert client.get(f"/evaluate/query?id={done}&query=nope").status_code == 400
    assert client.get("/evaluate/results?id=nope").status_code == 400


def test_one_is_deleted_and_the_others_stay(client, birds, done):
    id_ = evaluate(client, order(birds))
    assert done in client.post("/evaluate/delete", json={"id": id_}).text
    assert client.get(f"/evaluate/results?id={id_}").status_code == 400
    assert client.get(f"/evaluate/results?id={done}").status_code == 200
    for wrong in ("../../etc", "..", "", "folder//etc"):
        assert client.post("/evaluate/delete", json={"id": wrong}).status_code == 400
        assert client.get("/evaluate/download", params={"id": wrong}).status_code == 400


def test_an_evaluation_without_notes_on_its_queries_opens_all_the_same(client, home, done):
    copy = home / "runs" / "evaluations" / "bare"
    shutil.copytree(home / "runs" / "evaluations" / done, copy)
    for name in ("queries.json", "evaluation.json"):
        (copy / name).unlink()
    try:
        assert len(soup(client.get("/evaluate/queries?id=bare").text).select(".eva-query")) == 12  # from the evidence
        shutil.rmtree(copy / "tasks")
        written = json.loads((copy / "results.json").read_text())
        (copy / "results.json").write_text(json.dumps(written))
        assert "was not written down" in client.get("/evaluate/queries?id=bare").text
        assert client.get("/evaluate/results?id=bare").status_code == 200
        (copy / "results.json").write_text("{")
        assert client.get("/evaluate/results?id=bare").status_code == 400
        assert "damaged" in client.get("/evaluate/results?id=bare").json()["error"]
        assert client.get("/evaluate/page").status_code == 200
    finally:
        shutil.rmtree(copy)


# --- strangers' texts


def test_texts_names_and_titles_of_strangers_are_text(client, tmp_path):
    texts = [attack.text(URL) for attack in ATTACKS]
    documents = [
        {"_id": f"d{at} {' '.join(text[:60].split())}", "title": text, "text": f"bird {at} {text}"}
        for at, text in enumerate(texts)
    ]
    queries = [
        {"_id": f"q{at}", "text": f"{text} bird {at}", "metadata": {"kind": text}} for at, text in enumerate(texts)
    ]
    folder = tmp_path / f"<img src=x onerror=alert(1)> {TURNED}"
    write(folder, "corpus.jsonl", lines(documents))
    write(folder, "queries.jsonl", lines(queries))
    judged = "".join(f"q{at}\t{each['_id']}\t1\n" for at, each in enumerate(documents))
    write(folder, "qrels/test.tsv", f"query-id\tcorpus-id\tscore\n{judged}")
    id_ = evaluate(client, order(add_folder(client, folder)))
    pages = [
        client.get("/evaluate/setup").text,
        client.get("/evaluate/page").text,
        client.get("/evaluate/job").json()["html"],
    ]
    pages += [client.get(f"/evaluate/results?id={id_}").text]
    pages += [client.get(f"/evaluate/queries?id={id_}&page={page}").text for page in (1, 2, 3)]
    pages += [
        client.get("/evaluate/queries", params={"id": id_, "q": text[:200], "kind": text[:200]}).text
        for text in texts[::9]
    ]
    for at in range(0, len(texts), 7):
        pages += [client.get(f"/evaluate/{name}?id={id_}&query=q{at}").text for name in ("query", "gold")]
    for page in pages:
        seen = checked(page)
        assert TURNED not in seen.words
    assert all(text.split("\n")[0][:30] in checked(pages[4] + pages[5] + pages[6]).words for text in texts[:3])
    client.post("/evaluate/delete", json={"id": id_})


def test_what_is_wrong_with_a_task_is_told_as_text(client, tmp_path):
    bad = labelled_task(tmp_path / "bad")
    write(bad, "train.jsonl", '{"text": "<img src=x onerror=alert(1)>", "label": "a"}\n')
    reply = client.post("/evaluate/folder", json={"folder": str(bad)})
    assert reply.headers["content-type"] == "application/json" and reply.status_code == 400
