import json
from pathlib import Path

import pytest

from eval.tasks.registry import detect_family
from eval.tasks.retrieval import check_documents, load_retrieval_task
from rag.errors import UsageError

SHARED = Path(__file__).parents[2] / "shared" / "data"

QUERIES = [
    {"_id": "q1", "text": "first", "metadata": {"kind": "keyword"}},
    {"_id": 2, "text": "second\u2028with a line separator", "metadata": {}},
    {"_id": "q3", "text": "judged, but not relevant"},
    {"_id": "q4", "text": "nobody knows", "metadata": {"kind": "unanswerable"}},
    {"_id": "q5", "text": "of another split"},
]
HEADER = "query-id\tcorpus-id\tscore\n"
QRELS = HEADER + "q1\ta.md\t2\nq1\tb c.md\t0\n2\tb c.md\t1\nq3\ta.md\t0\n"


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "my-task"
    (folder / "qrels").mkdir(parents=True)
    lines = [json.dumps(query, ensure_ascii=False) for query in QUERIES]
    (folder / "queries.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "qrels" / "test.tsv").write_text(QRELS)
    (folder / "task.toml").write_text('corpus = "demo"\n')
    return folder


def test_a_task_is_its_scored_queries_and_what_was_left_aside(folder):
    task = load_retrieval_task(folder)
    assert (task.name, task.corpus, task.has_documents, task.split) == ("my-task", "demo", False, "test")
    assert task.queries == {"q1": "first", "2": "second\u2028with a line separator"}
    assert task.qrels == {"q1": {"a.md": 2, "b c.md": 0}, "2": {"b c.md": 1}}
    assert task.kinds == {"q1": "keyword", "2": ""}
    assert task.unanswerable == {"q4": "nobody knows"}
    assert task.left_out == ("q3", "q5")


def test_a_folder_with_documents_names_no_corpus(folder):
    (folder / "corpus.jsonl").write_text("")
    task = load_retrieval_task(folder)
    assert (task.corpus, task.has_documents) == (None, True)


def test_the_digest_changes_with_judgements_and_texts_only(folder):
    before = load_retrieval_task(folder).digest
    lines = (folder / "queries.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "qrels" / "test.tsv").write_text(QRELS + "\n")
    assert load_retrieval_task(folder).digest == before
    (folder / "qrels" / "test.tsv").write_text(QRELS.replace("a.md\t2", "a.md\t1"))
    changed = load_retrieval_task(folder).digest
    assert changed != before
    (folder / "queries.jsonl").write_text("".join(lines).replace("first", "First"), encoding="utf-8")
    assert load_retrieval_task(folder).digest not in (before, changed)


def test_windows_line_ends_and_a_byte_order_mark_change_nothing(folder):
    before = load_retrieval_task(folder)
    for path in (folder / "queries.jsonl", folder / "qrels" / "test.tsv"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert load_retrieval_task(folder) == before


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("q1\ta.md\n", "line 2 is malformed: 'q1\\\\ta.md'"),
        ("q1\ta.md\t1.0\n", "line 2 is malformed.*whole number"),
        ("q1 a.md 1\n", "line 2 is malformed"),
        ("q1\ta.md\t1\nq1\ta.md\t2\n", "line 3 is malformed.*Keep one"),
        ("q1\t\t1\n", "line 2 is malformed"),
        ("q1\ta.md\t10000000000\n", "line 2 is malformed"),
        ("qx\ta.md\t1\n", "queries.jsonl lacks, the first is 'qx'"),
        ("q1\ta.md\t0\n", "No query .* has a relevant document"),
        ("", "No query .* has a relevant document"),
    ],
)
def test_bad_qrels_are_refused_with_the_line_and_a_remedy(folder, lines, message):
    (folder / "qrels" / "test.tsv").write_text(HEADER + lines)
    with pytest.raises(UsageError, match=message):
        load_retrieval_task(folder)


@pytest.mark.parametrize("text", ["", QRELS.removeprefix(HEADER)])
def test_a_missing_header_is_told_rather_than_a_judgement_lost(folder, text):
    (folder / "qrels" / "test.tsv").write_text(text)
    with pytest.raises(UsageError, match="header line"):
        load_retrieval_task(folder)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 6 is malformed"),
        ("[]", "line 6 is malformed"),
        ('{"_id": "q9"}', "line 6 is malformed"),
        ('{"_id": "q9", "text": " "}', "line 6 is malformed"),
        ('{"_id": null, "text": "x"}', "line 6 is malformed"),
        ('{"_id": "\\ud800", "text": "x"}', "line 6 is malformed"),
        ('{"_id": "q1", "text": "x"}', "line 6 is malformed.*used before"),
    ],
)
def test_bad_queries_are_refused_with_the_line(folder, line, message):
    with (folder / "queries.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(UsageError, match=message):
        load_retrieval_task(folder)


def test_a_missing_split_lists_those_that_are_there(folder):
    with pytest.raises(UsageError, match=r"no split 'dev'.*are there: test\."):
        load_retrieval_task(folder, "dev")


def test_missing_or_unreadable_files_are_told(folder):
    (folder / "queries.jsonl").write_bytes(b'{"_id": "q1", "text": "\xff"}')
    with pytest.raises(UsageError, match="not UTF-8"):
        load_retrieval_task(folder)
    (folder / "queries.jsonl").unlink()
    with pytest.raises(UsageError, match="does not exist"):
        load_retrieval_task(folder)


@pytest.mark.parametrize("settings", ["", "corpus = 3", "corpus ="])
def test_a_folder_without_documents_must_name_a_corpus(folder, settings):
    (folder / "task.toml").write_text(settings)
    with pytest.raises(UsageError, match=r"task\.toml"):
        load_retrieval_task(folder)


def test_answers_are_read_for_scored_queries(folder):
    answers = [
        {"_id": "q1", "doc": "a.md", "answers": ["x", "y"], "starts": [3, 9]},
        {"_id": "2", "doc": "b c.md", "answers": ["z"]},
        {"_id": "q5", "doc": "a.md", "answers": ["of another split"]},
    ]
    (folder / "answers.jsonl").write_text("\n".join(map(json.dumps, answers)))
    first, second = load_retrieval_task(folder).answers
    assert (first.query_id, first.document, first.answers, first.starts) == ("q1", "a.md", ("x", "y"), (3, 9))
    assert second.starts == ()


@pytest.mark.parametrize(
    "answer",
    [
        '{"_id": "q1", "doc": "a"}',
        '{"_id": "q1", "doc": "a", "answers": ["x"], "starts": [1, 2]}',
        '{"_id": "qx", "doc": "a", "answers": []}',
    ],
)
def test_bad_answers_are_refused(folder, answer):
    (folder / "answers.jsonl").write_text(answer)
    with pytest.raises(UsageError, match=r"answers\.jsonl"):
        load_retrieval_task(folder)


def test_judged_documents_that_the_corpus_lacks_are_named(folder):
    task = load_retrieval_task(folder)
    assert check_documents(task, {"a.md", "b c.md", "other"}) == ()
    assert check_documents(task, {"a.md"}) == ("b c.md",)
    with pytest.raises(UsageError, match="none of the 2 documents"):
        check_documents(task, {"A.md"})


def write_records(path, **record):
    path.write_text(json.dumps(record) + "\n")


def test_families_are_told_by_their_files(folder, tmp_path):
    assert detect_family(folder) == "retrieval"
    assert detect_family(folder, "retrieval") == "retrieval"
    labelled = tmp_path / "labelled"
    labelled.mkdir()
    write_records(labelled / "train.jsonl", text="x", label="y")
    write_records(labelled / "test.jsonl", text="x", label="y")
    pairs = tmp_path / "pairs"
    pairs.mkdir()
    write_records(pairs / "test.jsonl", sentence1="x", sentence2="y", score=1)
    for path, family, name in [
        (labelled, None, "classification"),
        (labelled, "clustering", "clustering"),
        (labelled, "anomaly", "anomaly"),
        (pairs, None, "sts"),
    ]:
        with pytest.raises(UsageError, match=rf"is a {name} task.*evaluates retrieval tasks only"):
            detect_family(path, family)
    with pytest.raises(UsageError, match=r"Looked for: retrieval: corpus\.jsonl"):
        detect_family(pairs, "retrieval")


def test_what_is_no_task_folder_is_told_with_what_was_looked_for(tmp_path):
    with pytest.raises(UsageError, match=r"not a task folder.*retrieval:.*classification:.*sts:"):
        detect_family(tmp_path)
    with pytest.raises(UsageError, match="not a folder"):
        detect_family(tmp_path / "absent")
    with pytest.raises(UsageError, match="Did you mean 'retrieval'"):
        detect_family(tmp_path, "retreival")


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="the test material is not beside the checkout")
@pytest.mark.parametrize(
    ("name", "queries", "judgements"), [("scifact", 300, 339), ("cranfield", 225, 1837), ("mtragun-ref", 377, 1180)]
)
def test_published_sets_are_read_whole(name, queries, judgements):
    folder = SHARED / "retrieval" / name
    assert detect_family(folder) == "retrieval"
    task = load_retrieval_task(folder)
    assert len(task.queries) == queries
    assert sum(map(len, task.qrels.values())) == judgements
