"""Comparisons: who is drawn, what a blind round keeps to itself, one vote each, and how the contestants stand."""

import json
import re
import shutil
from collections import Counter

import pytest
from bs4 import BeautifulSoup
from fastapi import FastAPI
from fastapi.testclient import TestClient

from eval.ratings import Ballot, rate
from rag.errors import UsageError
from rag.labels import LabelTable, LabelTask, Query
from rag.library import Library
from rag.settings import read_settings
from rag.votes import Found, Side, Vote, VoteTable, vote_of, vote_record
from ui.compare_html import round_html, verdicts_of
from ui.compare_routes import add_compare_routes
from ui.comparing import Comparing, Contestant, draw
from ui.embedder_states import EmbedderStates
from ui.holding import Holding
from ui.jobs import IngestJobs
from ui.library_routes import add_library_routes
from ui.visitors import USER

QUESTION = "Which planet has rings of ice?"
KNOWN = [Contestant(name, retriever) for name in ("hash", "wordllama") for retriever in ("hybrid", "dense")]
KNOWN.append(Contestant("", "lexical"))
NAMES = ("hash", "wordllama", "hybrid", "dense", "lexical")


@pytest.fixture
def holding(small_library, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(small_library.settings.home, home)
    (home / "rag.toml").write_text('embedder = "hash"\n')
    library = Library(home)
    held = Holding(library, read_settings(home))
    yield held
    held.close()
    library.close()


@pytest.fixture
def comparing(holding):
    return Comparing(holding.reader, EmbedderStates(holding.library, holding.settings))


@pytest.fixture
def open_as(holding):
    app = FastAPI()
    jobs = IngestJobs(holding)
    add_library_routes(app, holding, jobs, local=True)
    add_compare_routes(app, holding)

    def opened(user=""):
        async def named(scope, receive, send):
            await app({**scope, USER: user}, receive, send)

        return TestClient(named)

    yield opened
    jobs.close()


def order(**changes):
    return {"corpus": "small", "question": QUESTION, "sides": ["dense hash", "lexical"], "blind": True, **changes}


# --- who is compared


def test_contestants_are_all_that_can_search_the_corpus(comparing):
    assert set(comparing.contestants("small")) == set(KNOWN)


def test_the_drawn_are_none_of_the_named_and_all_get_their_turn():
    drawn = Counter()
    for _ in range(200):
        chosen = [each.name for each in draw(KNOWN, ["lexical", "", ""], blind=True)]
        assert "lexical" in chosen and len(set(chosen)) == 3
        drawn.update(chosen)
    assert set(drawn) == {each.name for each in KNOWN}


def test_blind_sides_are_shuffled_and_named_ones_are_not():
    wanted = ["dense hash", "lexical"]
    blind = Counter(draw(KNOWN, wanted, blind=True)[0].name for _ in range(300))
    assert 100 < blind["lexical"] < 200  # either side alike
    assert {draw(KNOWN, wanted, blind=False)[0].name for _ in range(20)} == {"dense hash"}


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (["lexical"], "2 to 4"),
        ([""] * 5, "2 to 4"),
        (["lexical", "lexical"], "once"),
        (["lexical", "dense hsah"], "Did you mean 'dense hash'"),
    ],
)
def test_what_cannot_be_compared_is_refused(wanted, told):
    with pytest.raises(UsageError, match=told):
        draw(KNOWN, wanted, blind=True)
    with pytest.raises(UsageError, match="only 2 contestants"):
        draw(KNOWN[:2], ["", "", ""], blind=True)


# --- a round


def test_sides_hold_what_their_contestants_find_and_answer(comparing, holding):
    asked = comparing.ask("small", QUESTION, ["hybrid wordllama", "lexical"], blind=False, k=3)
    for shown in asked.sides:
        opened = holding.reader.open("small", shown.contestant.embedder or None, shown.contestant.retriever)
        expected = opened.retriever.retrieve(QUESTION, 3)
        assert [hit.chunk.id for hit in shown.hits] == [hit.chunk.id for hit in expected]
        assert "".join(part.text for part in shown.answer)
        assert shown.milliseconds > 0


def test_a_blind_round_says_nothing_of_its_contestants_until_the_vote(open_as, comparing):
    client = open_as()
    reply = client.post("/compare/ask", json=order()).json()
    assert set(reply) == {"round", "html"}
    assert not re.search(r"\bms\b|hue", reply["html"])
    for name in NAMES:
        assert name not in json.dumps(reply)
    assert reply["html"].count("hidden until you vote") == 2
    told = client.post("/compare/vote", json={"round": reply["round"], "verdict": "A"}).json()
    assert {"hash" in head for head in told["heads"].values()} == {True, False}
    assert all(" ms<" in head for head in told["heads"].values())
    assert "your choice" in told["heads"]["A"] and "your choice" not in told["heads"]["B"]


def test_the_page_of_a_blind_round_depends_on_nothing_but_what_was_found(comparing):
    """Two contestants that find the same look the same: a name, a score or a time would tell them apart."""
    pages = set()
    for _ in range(12):
        asked = comparing.ask("small", "ice", ["hybrid hash", "hybrid wordllama"], blind=True, k=1)
        page = BeautifulSoup(round_html(asked), "lxml")
        for side in page.select(".cmp-side"):
            text = re.sub(r"\b[AB]\b", "?", str(side.select_one(".cmp-card")))
            pages.add(text)
    found = {hit.chunk.id for shown in asked.sides for hit in shown.hits}
    assert len(pages) == len(found)


def test_a_named_round_shows_names_and_times_at_once(open_as):
    reply = open_as().post("/compare/ask", json=order(blind=False)).json()
    heads = BeautifulSoup(reply["html"], "lxml").select(".cmp-side h2")
    assert [head.select(".rag-chip")[-1].get_text() for head in heads] == ["dense", "lexical"]
    assert all(head.select_one(".cmp-took").get_text().endswith(" ms") for head in heads)


def test_where_the_other_side_has_a_passage_is_told(comparing):
    asked = comparing.ask("small", QUESTION, ["dense hash", "lexical"], blind=True, k=5)
    page = BeautifulSoup(round_html(asked), "lxml")
    ranks = [{hit.chunk.id: hit.rank for hit in shown.hits} for shown in asked.sides]
    for place, side in enumerate(page.select(".cmp-side")):
        other, letter = ranks[1 - place], "BA"[place]
        told = [card.select_one(".cmp-also").get_text() for card in side.select(".cmp-card")]
        expected = [f"also {letter} #{other[c]}" if c in other else "only here" for c in ranks[place]]
        assert told == expected


# --- votes


def test_a_round_takes_one_vote_of_the_person_who_asked(open_as, holding):
    ann, bob = open_as("ann"), open_as("bob")
    asked = ann.post("/compare/ask", json=order()).json()
    vote = {"round": asked["round"], "verdict": "tie"}
    assert bob.post("/compare/vote", json=vote).status_code == 400
    assert ann.post("/compare/vote", json={**vote, "verdict": "C"}).status_code == 400
    assert ann.post("/compare/vote", json={"round": "guess", "verdict": "A"}).status_code == 400
    assert ann.post("/compare/vote", json=vote).status_code == 200
    again = ann.post("/compare/vote", json={**vote, "verdict": "A"})
    assert again.status_code == 400 and "its vote already" in again.json()["error"]
    [kept] = VoteTable(holding.library.database).votes("small")
    assert (kept.verdict, kept.user, kept.blind, kept.winner) == ("tie", "ann", True, None)
    assert {side.name for side in kept.sides} == {"dense hash", "lexical"}


def test_ids_of_rounds_cannot_be_guessed(comparing):
    ids = {comparing.ask("small", QUESTION, ["", ""], blind=True, k=1).id for _ in range(5)}
    assert len(ids) == 5 and all(len(each) >= 24 for each in ids)


def test_a_vote_that_cannot_be_kept_may_be_given_again(comparing, holding, monkeypatch):
    asked = comparing.ask("small", QUESTION, ["", ""], blind=True)
    with monkeypatch.context() as broken:
        broken.setattr(VoteTable, "add", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            comparing.vote(asked.id, "A")
    assert comparing.vote(asked.id, "B").verdict == "B"


def test_old_rounds_are_forgotten(comparing, monkeypatch):
    monkeypatch.setattr("ui.comparing.ROUNDS", 2)
    first, *_ = [comparing.ask("small", QUESTION, ["", ""], blind=True, k=1) for _ in range(3)]
    with pytest.raises(UsageError, match="not there any more"):
        comparing.vote(first.id, "A")


def test_votes_are_in_the_folder_of_the_corpus_s_own_task(comparing, holding):
    asked = comparing.ask("small", QUESTION, ["dense hash", "lexical"], blind=True)
    comparing.vote(asked.id, "A")
    lines = (holding.settings.home / "tasks" / "small-labels" / "votes.jsonl").read_text().splitlines()
    [record] = map(json.loads, lines)
    assert vote_of(record) == VoteTable(holding.library.database).votes("small")[0]
    assert LabelTable(holding.library.database).labels("small-labels") == []  # a vote is no label


def test_what_is_written_of_a_vote_is_read_again():
    sides = (Side("hash", "dense", 1.5, (Found("a b.md", 0, 9),)), Side("", "lexical", 0.2, ()))
    vote = Vote("c", "Why?", sides, "B", True, "ann", "2026-01-01T00:00:00.000+00:00")
    assert vote_of(json.loads(json.dumps(vote_record(vote)))) == vote
    with pytest.raises(ValueError, match="C"):
        vote_of({**vote_record(vote), "sides": [], "verdict": "C"})


def test_verdicts_name_the_sides():
    assert list(verdicts_of(2).items()) == [
        ("A", "A is better"),
        ("B", "B is better"),
        ("tie", "Tie"),
        ("bad", "Both bad"),
    ]
    assert list(verdicts_of(4)) == ["A", "B", "C", "D", "tie", "bad"]
    assert verdicts_of(3)["C"] == "C is best" and verdicts_of(3)["bad"] == "All bad"


# --- standings


def test_standings_are_bradley_terry_over_blind_votes_beside_the_scores_of_eval(comparing, holding, rag):
    verdicts = ["dense hash", "lexical", "lexical", "dense hash", "lexical"]
    for winner in verdicts:
        asked = comparing.ask("small", QUESTION, ["dense hash", "lexical"], blind=True)
        comparing.vote(asked.id, "AB"[[each.contestant.name for each in asked.sides].index(winner)])
    named = comparing.ask("small", QUESTION, ["dense hash", "lexical"], blind=False)
    comparing.vote(named.id, "A")  # is kept, and does not count
    before = comparing.standings("small")
    assert (before.votes, before.task) == (5, "")
    expected = rate([Ballot(("dense hash", "lexical"), winner) for winner in verdicts], seed=13)
    assert [row.rating.name for row in before.rows] == ["lexical", "dense hash"]
    assert [row.rating.strength for row in before.rows] == pytest.approx([each.strength for each in expected])
    assert [(row.rating.wins, row.rating.losses) for row in before.rows] == [(3, 2), (2, 3)]
    assert all(row.score is None for row in before.rows)

    table = LabelTable(holding.library.database)
    for question, source, words in (
        (QUESTION, "planets.md", "Saturn is known"),
        ("What do squealing brakes need?", "bicycles.html", "Squealing"),
        ("How long is a loaf baked?", "bread.txt", "Bake the loaf"),
    ):
        text = holding.library.document(holding.library.sources("small")[source]).text
        table.judge("small", question, source, words, text.index(words), 2, "thumb")
    after = comparing.standings("small")
    assert (after.task, after.queries) == ("small-labels", 3)
    folder = holding.settings.home / "tasks" / "small-labels"
    options = ["--retriever", "lexical", "--retriever", "dense", "--embedder", "hash", "--no-ragas", "--json"]
    rows = json.loads(rag("--home", holding.settings.home, "eval", folder, *options).out)["rows"]
    of_eval = {f"{row['retriever']} {row['embedder'] or ''}".strip(): row["metrics"]["nDCG@10"] for row in rows}
    for row in after.rows:
        assert row.score.value == pytest.approx(of_eval[row.rating.name]["value"])
        assert row.score.low == pytest.approx(of_eval[row.rating.name]["ci_low"])
        assert 0 < row.judged <= 1
    again = comparing.standings("small", "small-labels")
    assert again == after
    with pytest.raises(UsageError, match="Did you mean"):
        comparing.standings("small", "small-lables")


def test_a_contestant_whose_index_is_gone_keeps_its_rating(comparing, holding):
    asked = comparing.ask("small", QUESTION, ["dense wordllama", "lexical"], blind=True)
    comparing.vote(asked.id, "A")
    table = LabelTable(holding.library.database)
    table.judge("small", QUESTION, "planets.md", "Saturn", 0, 2, "thumb")
    with holding.library.database.transaction() as connection:
        connection.execute("DELETE FROM index_cards WHERE card LIKE '%wordllama%'")
    rows = {row.rating.name: row for row in comparing.standings("small").rows}
    assert rows["dense wordllama"].score is None and rows["lexical"].score is not None


def test_the_pages_of_the_tab(open_as, holding):
    client = open_as()
    page = BeautifulSoup(client.get("/compare/page").text, "lxml")
    assert [each["value"] for each in page.select('select[name="corpus"] option')] == ["small"]
    assert len(page.select("[data-side]")) == 4 and len(page.select("[data-side][hidden]")) == 2
    assert "No blind vote" in client.get("/compare/standings?corpus=small").text
    reply = client.get("/compare/question?corpus=small")
    assert reply.status_code == 400 and "rag labels import" in reply.json()["error"]
    LabelTable(holding.library.database).judge("small", QUESTION, "planets.md", "Saturn", 0, 2, "thumb")
    table = LabelTable(holding.library.database)
    table.add(LabelTask("small-labels", "small"), [Query("u", "Who won the cup?", "unanswerable")], [])
    assert {client.get("/compare/question?corpus=small").json()["question"] for _ in range(20)} == {QUESTION}
    for corpus in ("nowhere",):
        assert client.get(f"/compare/sides?corpus={corpus}").status_code == 400
        assert client.post("/compare/ask", json=order(corpus=corpus)).status_code == 400
    assert client.post("/compare/ask", json=order(question="  ")).status_code == 400


def test_questions_of_the_demo_come_with_it(comparing, holding, monkeypatch):
    from ui.labelling import Labelling

    labelling = Labelling(holding.reader, EmbedderStates(holding.library, holding.settings))
    assert labelling.questions("small") == []
    assert len(labelling.questions("demo")) > 100


def test_documents_in_a_round_are_data(ingest, tmp_path):
    from file_builders import write

    hostile = "<img src=x onerror=alert(1)>"
    write(tmp_path / "evil", f"a{hostile}.md", f"# {hostile}\n\nRivers {hostile} run to the sea.\n")
    made = ingest(tmp_path / "evil")
    held = Holding(made.library, made.settings)
    comparing = Comparing(held.reader, EmbedderStates(made.library, made.settings))
    asked = comparing.ask("c", f"rivers {hostile}", ["dense hash", "lexical"], blind=False)
    assert asked.sides[0].hits
    page = round_html(asked)
    assert "<img" not in page and hostile in BeautifulSoup(page, "lxml").get_text()
    held.close()
