"""`rag labels`: what is listed, and tasks that leave one library and come whole into another."""

import json
import shutil

import pytest

from eval.tasks.retrieval import load_retrieval_task
from file_builders import write
from rag.labels import LabelTable
from rag.library import Library
from rag.votes import Found, Side, Vote, VoteTable

QUESTION = "Which planet has rings of ice?"
BEIR = {
    "queries.jsonl": (
        '{"_id": "q1", "text": "Which planet has rings?", "metadata": {"kind": "keyword"}}\n'
        '{"_id": "q2", "text": "Who won the cup?", "metadata": {"kind": "unanswerable"}}\n'
    ),
    "qrels/test.tsv": "query-id\tcorpus-id\tscore\nq1\tplanets.md\t2\nq1\tbread.txt\t0\nq1\tgone.md\t1\n",
    "answers.jsonl": (
        '{"_id": "q1", "doc": "planets.md", "answers": ["Saturn is known for its bright rings of ice."]}\n'
    ),
    "task.toml": 'family = "retrieval"\ncorpus = "small"\n',
}


@pytest.fixture
def judged(copied):
    """A library with two labels and a vote."""
    folder = copied()
    library = Library(folder)
    table = LabelTable(library.database)
    text = library.document(library.sources("small")["planets.md"]).text
    span = text[text.index("Saturn is known") :]
    table.judge("small", QUESTION, "planets.md", span, text.index(span), 2, "queue", "ann")
    table.judge("small", QUESTION, "bread.txt", "a passage that is gone", 5, 1, "thumb", "bob")
    side = Side("hash", "dense", 1.25, (Found("planets.md", 0, 9),))
    VoteTable(library.database).add(Vote("small", QUESTION, (side, Side("", "lexical", 0.5, ())), "A", True, "ann"))
    library.close()
    return folder


@pytest.fixture
def beir(tmp_path):
    for name, text in BEIR.items():
        write(tmp_path / "rings", name, text)
    return tmp_path / "rings"


def kept_in(home, task):
    library = Library(home)
    table = LabelTable(library.database)
    kept = table.queries(task), table.labels(task), VoteTable(library.database).votes("small")
    library.close()
    return kept


def listed(rag, home):
    done = rag("--home", home, "labels", "--json")
    assert done.status == 0
    return json.loads(done.out)["tasks"]


def test_an_empty_list_says_where_labels_come_from(rag, copied):
    home = copied()
    assert listed(rag, home) == []
    assert "rag labels import DIR" in rag("--home", home, "labels").out


def test_tasks_are_listed_with_their_counts_and_their_folder(rag, judged):
    folder = judged / "tasks" / "small-labels"
    assert listed(rag, judged) == [
        {
            "name": "small-labels",
            "corpus": "small",
            "questions": 1,
            "labels": 2,
            "grades": {"0": 0, "1": 1, "2": 1},
            "gone": 1,
            "votes": 1,
            "folder": str(folder),
        }
    ]
    told = rag("--home", judged, "labels").out
    assert f"rag eval {folder}" in told and "1 gone from the corpus" in told
    assert load_retrieval_task(folder).qrels  # it was written by the command


def test_what_is_exported_comes_back_whole(rag, judged, copied, tmp_path):
    out, other = tmp_path / "out" / "small-labels", copied()
    assert rag("--home", judged, "labels", "export", out).status == 0
    assert load_retrieval_task(out).corpus == "small"
    for _ in range(2):  # a second time changes nothing
        done = rag("--home", other, "labels", "import", out)
        assert (done.status, done.out) == (
            0,
            "small-labels: 1 questions and 2 labels; 1 of them judge what is not in the corpus\n",
        )
        assert kept_in(other, "small-labels") == kept_in(judged, "small-labels")
    again = tmp_path / "again"
    assert rag("--home", other, "labels", "export", again, "--task", "small-labels").status == 0
    for path in ("queries.jsonl", "qrels/test.tsv", "answers.jsonl", "labels.jsonl", "votes.jsonl", "task.toml"):
        assert (again / path).read_bytes() == (out / path).read_bytes()


def test_an_export_with_documents_stands_alone(rag, judged, tmp_path):
    out = tmp_path / "alone"
    assert rag("--home", judged, "labels", "export", out, "--documents").status == 0
    assert load_retrieval_task(out).has_documents
    done = rag("--home", tmp_path / "elsewhere", "eval", out, "--retriever", "lexical", "--no-ragas", "--json")
    assert done.status == 0, done.err
    assert json.loads(done.out)["rows"][0]["metrics"]["nDCG@10"]["value"] == 1.0


def test_a_folder_of_beir_comes_in_with_grades_kinds_and_spans(rag, judged, beir):
    done = rag("--home", judged, "labels", "import", beir)
    assert done.status == 0, done.err
    queries, labels, _ = kept_in(judged, "rings")
    assert {query.id: query.kind for query in queries.values()} == {"q1": "keyword", "q2": "unanswerable"}
    assert {(x.source, x.span[:6], x.grade, x.origin) for x in labels} == {
        ("planets.md", "", 2, "import"),
        ("planets.md", "Saturn", 2, "import"),
        ("bread.txt", "", 0, "import"),
        ("gone.md", "", 1, "import"),
    }
    task = load_retrieval_task(judged / "tasks" / "rings")
    assert task.qrels == {"q1": {"planets.md": 2, "bread.txt": 0}}  # "gone.md" is kept, and counts when it is there
    assert list(task.unanswerable.values()) == ["Who won the cup?"]
    assert [answer.answers for answer in task.answers] == [("Saturn is known for its bright rings of ice.",)]


def test_scores_of_an_imported_task_are_those_of_its_folder(rag, judged, beir):
    (beir / "qrels" / "test.tsv").write_text(BEIR["qrels/test.tsv"].replace("q1\tgone.md\t1\n", ""))
    assert rag("--home", judged, "labels", "import", beir, "--task", "taken").status == 0
    scores = [
        json.loads(rag("--home", judged, "eval", folder, "--embedder", "hash", "--no-ragas", "--json").out)["rows"]
        for folder in (beir, judged / "tasks" / "taken")
    ]
    assert [row["per_query"] for row in scores[0]] == [row["per_query"] for row in scores[1]]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("export", "OUT", "--task", "nothing"), "No task 'nothing'"),
        (("export", "BEIR"), "there already"),
        (("import", "NOWHERE"), "does not exist"),
        (("import", "BEIR", "--corpus", "smal"), "Did you mean 'small'"),
        (("import", "BEIR", "--task", "../x"), "cannot name a task"),
        (("import", "BEIR", "--split", "dev"), "no split 'dev'"),
    ],
)
def test_wrong_use_is_told_in_one_line(rag, judged, beir, tmp_path, arguments, told):
    places = {"OUT": tmp_path / "out", "BEIR": beir, "NOWHERE": tmp_path / "nowhere"}
    done = rag("--home", judged, "labels", *(places.get(each, each) for each in arguments))
    assert done.status == 2 and told in done.err and done.err.count("\n") == 1
    assert [task["name"] for task in listed(rag, judged)] == ["small-labels"]


def test_a_task_over_another_corpus_is_refused(rag, judged, beir):
    (beir / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\telsewhere.md\t1\n")
    (beir / "answers.jsonl").unlink()
    done = rag("--home", judged, "labels", "import", beir)
    assert done.status == 2 and "holds none of the documents" in done.err and "'elsewhere.md'" in done.err


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("labels.jsonl", "not json"),
        ("labels.jsonl", '{"query": "q9"}'),
        ("labels.jsonl", "[]"),
        (
            "labels.jsonl",
            '{"query": "unknown", "source": "a", "span": "", "start": 0, "grade": 1, "origin": "thumb", "user": "", '
            '"time": ""}',
        ),
        ("votes.jsonl", '{"sides": [], "verdict": "A"}'),
    ],
)
def test_a_spoilt_file_of_ours_is_told_by_its_line(rag, judged, tmp_path, file, line):
    out = tmp_path / "out"
    assert rag("--home", judged, "labels", "export", out).status == 0
    (out / file).write_text((out / file).read_text() + line + "\n")
    before = kept_in(judged, "small-labels")
    done = rag("--home", judged, "labels", "import", out, "--task", "again")
    assert done.status == 2 and file in done.err and "line" in done.err
    assert kept_in(judged, "small-labels") == before and len(listed(rag, judged)) == 1


def test_a_deleted_task_leaves_nothing_of_its_passages_on_the_disk(rag, judged):
    words = b"a passage that is gone"
    assert rag("--home", judged, "labels").status == 0

    def holding():
        return [path for path in judged.rglob("*") if path.is_file() and words in path.read_bytes()]

    assert holding()
    done = rag("--home", judged, "labels", "delete", "small-labels")
    assert (done.status, done.out) == (0, "small-labels: deleted\n")
    assert holding() == [] and not (judged / "tasks" / "small-labels").exists()
    assert rag("--home", judged, "labels", "delete", "small-labels").status == 2


def test_a_deleted_task_is_imported_from_its_export(rag, judged, tmp_path):
    out = tmp_path / "small-labels"
    rag("--home", judged, "labels", "export", out)
    before = kept_in(judged, "small-labels")
    library = Library(judged)
    LabelTable(library.database).delete("small-labels")
    library.close()
    shutil.rmtree(judged / "tasks", ignore_errors=True)
    assert listed(rag, judged) == []
    assert rag("--home", judged, "labels", "import", out).status == 0
    assert kept_in(judged, "small-labels") == before
