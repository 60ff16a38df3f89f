"""`rag labels`: what is listed, and tasks that leave one library and come whole into another."""

import json
import shutil

import pytest

from conftest import SMALL_FILES
from eval.tasks.retrieval import load_retrieval_task
from file_builders import write
from rag.labels import LabelTable
from rag.library import Library
from rag.reader import Reader
from rag.settings import read_settings
from rag.votes import Found, Side, Vote, VoteTable
from scripted_llm import ScriptedLlm
from ui.embedder_states import EmbedderStates
from ui.labelling import Labelling

QUESTION = "Which planet has rings of ice?"
THUMBS = {
    "Which planet is smallest?": "smallest planet",
    "Which planet has rings?": "rings of ice",
    "How many planets are there?": "eight planets",
    "What ferments the dough?": "sourdough starter",
    "How hot is the oven?": "230 degrees",
    "When is a bicycle chain replaced?": "three thousand kilometres",
    "Why do brakes squeal?": "contaminated with oil",
    "What is the capital of Peru?": "Lima",
    "How long is green tea brewed?": "two minutes",
    "What does black tea take?": "boiling water",
}
"""Ten questions, each with words of the passage that gets a thumb."""

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
            "origins": {"queue": 1, "thumb": 1},
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


# --- from a table, and from the documents


TABLE = "question,source,passage\nWhich planet has rings?,planets.md,bright rings of ice\nHow is bread baked?,bread,\n"


def test_a_table_is_imported_and_evaluated(rag, copied, tmp_path):
    home = copied()
    write(tmp_path, "my questions.csv", TABLE)
    done = rag("--home", home, "labels", "import", tmp_path / "my questions.csv")
    folder = home / "tasks" / "my-questions"
    assert (done.status, done.out) == (0, f"my-questions: 2 questions and 2 labels\n  rag eval {folder}\n")
    scored = json.loads(rag("--home", home, "eval", folder, "--retriever", "lexical", "--no-ragas", "--json").out)
    [row] = scored["rows"]
    assert row["metrics"]["nDCG@10"]["value"] == 1.0
    assert list(row["per_query"]["span_recall@5"].values()) == [1.0]  # of the question whose row names a passage
    assert scored["provenance"]["indexes"][0]["label_sources"] == {"import": 2}


def test_a_table_with_bad_rows_is_refused_whole_or_taken_in_part(rag, copied, tmp_path):
    home, path = copied(), tmp_path / "q.csv"
    write(tmp_path, "q.csv", TABLE + "Who?,planet.md,\n")
    done = rag("--home", home, "labels", "import", path)
    assert done.status == 1 and done.out == ""
    assert done.err.splitlines() == [
        f"{path}, line 4: 'small' holds no document 'planet.md'. Did you mean 'planets.md'?",
        "rag: 1 row could not be used, nothing was imported; correct them, or say --partial.",
    ]
    assert listed(rag, home) == []
    done = rag("--home", home, "labels", "import", path, "--partial", "--task", "mine")
    assert done.status == 1 and "mine: 2 questions" in done.out and "the others are imported" in done.err
    assert [task["name"] for task in listed(rag, home)] == ["mine"]


@pytest.fixture
def terms(rag, tmp_path):
    """A library of two documents, each of which defines a term and is long enough to be asked about."""
    for term in ("reranker", "tokeniser"):
        told = f"A {term} is a part of the pipeline that does one thing and does it well. "
        write(tmp_path / "docs", f"{term}.md", told + f"The {term} is seldom at fault. " * 10)
    home = tmp_path / "terms"
    assert rag("--home", home, "ingest", tmp_path / "docs", "--corpus", "terms", "--embedder", "hash").status == 0
    return home


def test_questions_are_generated_validated_and_listed_as_synthetic(rag, terms):
    done = rag("--home", terms, "labels", "generate", "--method", "definitions", "--count", "2")
    assert (done.status, done.err) == (0, "")
    folder = terms / "tasks" / "terms-synthetic"
    assert done.out == f"terms-synthetic: 2 synthetic questions (2 by definitions)\n  rag eval {folder}\n"
    assert sorted(load_retrieval_task(folder).queries.values()) == ["What is a reranker?", "What is a tokeniser?"]
    done = rag("--home", terms, "labels", "validate", "terms-synthetic")
    assert done.out == "terms-synthetic: 2 questions (2 synthetic), 2 with answers; 0 problems\n"
    assert "terms-synthetic: 2 synthetic questions over terms" in rag("--home", terms, "labels").out
    assert listed(rag, terms)[0]["origins"] == {"synthetic": 2}
    done = rag("--home", terms, "labels", "generate", "--method", "definitions", "--count", "9", "--json")
    assert json.loads(done.out)["methods"] == {"definitions": 2}
    assert "yield 2 questions of the 9" in done.err


def test_questions_from_headings_come_with_a_warning(rag, terms, tmp_path):
    write(tmp_path / "docs", "guide.md", "# Guide\n\n## Choosing quiet keyboards\n\n" + "It goes on and on. " * 20)
    assert rag("--home", terms, "ingest", tmp_path / "docs", "--corpus", "terms").status == 0
    done = rag("--home", terms, "labels", "generate", "--method", "headings", "--count", "1")
    assert done.status == 0 and "favour embedders that only count words" in done.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--method", "headngs"), "Did you mean 'headings'"),
        (("--method", "llm"), "--llm PROVIDER:MODEL"),
        (("--count", "0"), "--count"),
        (("--corpus", "smal"), "No corpus 'smal'"),
        (("--method", "headings"), "yield no question by headings"),
    ],
)
def test_what_cannot_be_generated_is_told(rag, terms, arguments, told):
    done = rag("--home", terms, "labels", "generate", *arguments)
    assert done.status == 2 and told in done.err and listed(rag, terms) == []


def test_a_language_model_is_asked_and_what_it_used_is_told(rag, terms):
    reply = json.dumps({"answerable": True, "question": "Which part does one thing well?", "quote": "does it well."})
    with ScriptedLlm('{"answerable": false}', reply) as server:
        asks = ("--llm", "openai:tiny", "--llm-base-url", f"{server.url}/v1")
        done = rag("--home", terms, "labels", "generate", "--count", "1", *asks)
    assert done.status == 0, done.err
    assert "1 synthetic questions (1 by llm)\n  dropped 1: nothing to ask about" in done.out
    assert "2 requests, 240 tokens read, 60 written." in done.err


def test_a_task_is_looked_over_with_every_fault_in_its_place(rag, copied, beir):
    home = copied()
    done = rag("--home", home, "labels", "validate", beir)
    assert (done.status, done.out) == (
        1,
        "qrels/test.tsv, query 'q1': the document 'gone.md' is not in the corpus\n"
        "rings: 1 questions, 1 with answers; 1 problems\n",
    )
    assert "rings has 1 problems" in done.err
    (beir / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\tplanets.md\t2\nq3\tbread.txt\t1\n")
    queries = BEIR["queries.jsonl"] + '{"_id": "q3", "text": "which planet has rings"}\n'
    (beir / "queries.jsonl").write_text(queries)
    (beir / "answers.jsonl").write_text(
        '{"_id": "q1", "doc": "planets.md", "answers": ["Saturn is  known for", "never said"], "starts": [1, 2]}\n'
        '{"_id": "q1", "doc": "tea.md", "answers": ["x"]}\n'
        '{"_id": "q3", "doc": "notes/tea.md", "answers": ["Green tea"]}\n'
    )
    done = rag("--home", home, "labels", "validate", beir, "--json")
    found = [(each["where"], each["message"], each["problem"]) for each in json.loads(done.out)["findings"]]
    text = SMALL_FILES["planets.md"]
    assert found == [
        ("queries.jsonl, line 1", "'planets.md' does not hold its answer 'never said'", True),
        ("queries.jsonl, line 1", "its answer is in 'tea.md', which is not in the corpus", True),
        ("queries.jsonl, line 3", "its answer is in 'notes/tea.md', which is not judged relevant", True),
        (
            "queries.jsonl, line 3",
            "'which planet has rings' is asked by 'q1' already (queries.jsonl, line 1): it counts twice",
            True,
        ),
        (
            "queries.jsonl, line 1",
            f"its answer 'Saturn is known for' stands at {text.index('Saturn is')} of 'planets.md', not at 1; it is "
            "taken from there",
            False,
        ),
    ]


def test_a_folder_with_its_documents_is_looked_over_without_a_library(rag, task, tmp_path):
    done = rag("--home", tmp_path / "none", "labels", "validate", task)
    assert (done.status, done.out) == (0, "tiny: 2 questions, 0 with answers; 0 problems\n")
    done = rag("--home", tmp_path / "none", "labels", "validate", "nothing")
    assert done.status == 2 and "neither a folder nor a task" in done.err


def test_from_a_folder_and_ten_thumbs_to_a_leaderboard(rag, small_folder, tmp_path):
    """One's own documents, and no file written by hand: ingest, judge in the chat, evaluate."""
    home = tmp_path / "home"
    ingest = ("ingest", small_folder, "--corpus", "mine", "--embedder", "hash", "--embedder", "wordllama")
    assert rag("--home", home, *ingest).status == 0
    library = Library(home)
    labelling = Labelling(Reader(library, read_settings(home)), EmbedderStates(library, read_settings(home)))
    for question, words in THUMBS.items():
        [chunk] = library.database.query("SELECT id FROM chunks WHERE text LIKE ? LIMIT 1", (f"%{words}%",)).fetchone()
        labelling.judge(chunk, question, 1, "thumb", "")
    library.close()
    done = rag("--home", home, "eval", home / "tasks" / "mine-labels", "--no-ragas", "--out", tmp_path / "out")
    assert done.status == 0, done.err
    for name in ("wordllama", "hash", "lexical", "hybrid", "nDCG@10"):
        assert name in done.out
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert len(results["rows"]) == 5  # dense and hybrid under two embedders, and words alone
    assert {len(row["per_query"]["nDCG@10"]) for row in results["rows"]} == {10}
    assert all(each["label_sources"] == {"human": 10} for each in results["provenance"]["indexes"])
    comparisons = json.loads((tmp_path / "out" / "comparisons.json").read_text())
    assert len(comparisons["tasks"][0]["pairs"]) == 10


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
