import json
import tracemalloc
from pathlib import Path

import pytest

from eval.metrics import RETRIEVAL_METRICS, score
from eval.tasks.beir import check_corpus
from eval.tasks.chunking import load_span_task
from eval.tasks.registry import detect_family
from eval.tasks.retrieval import check_documents, identical_ids_note, load_retrieval_task, missing_note, read_judgements
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
        ("q1\ta.md\t1\n\nqx\ta.md\t1\n", "test.tsv, line 4: .*queries.jsonl lacks, the first is 'qx'"),
        ("q1 0 a.md 1\n", "line 2 is malformed.*read where the file has no header line"),
        ("q1\ta.md\t0\n", "No query .* has a relevant document"),
        ("", "No query .* has a relevant document"),
    ],
)
def test_bad_qrels_are_refused_with_the_line_and_a_remedy(folder, lines, message):
    (folder / "qrels" / "test.tsv").write_text(HEADER + lines)
    with pytest.raises(UsageError, match=message):
        load_retrieval_task(folder)


@pytest.mark.parametrize("text", ["", QRELS.removeprefix(HEADER), "q1\tb c.md\t1\n"])
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
    with pytest.raises(UsageError, match=r"queries\.jsonl, line 1 is not UTF-8"):
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
    (folder / "answers.jsonl").write_text(f"\n{answer}")
    with pytest.raises(UsageError, match=r"answers\.jsonl, line 2"):
        load_retrieval_task(folder)


def test_judged_documents_that_the_corpus_lacks_are_named(folder):
    task = load_retrieval_task(folder)
    assert check_documents(task, {"a.md", "b c.md", "other"}) == ()
    assert check_documents(task, {"a.md"}) == ("b c.md",)
    with pytest.raises(UsageError, match=r"none of the 2 documents.*'a\.md' \(qrels/test\.tsv, line 2\)"):
        check_documents(task, {"A.md"})
    assert "such as 'b c.md' (qrels/test.tsv, line 3)" in missing_note(task, ("b c.md",))


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
    assert detect_family(labelled) == "classification"
    assert detect_family(labelled, "clustering") == "clustering"
    assert detect_family(labelled, "anomaly") == "anomaly"
    assert detect_family(pairs) == "sts"
    with pytest.raises(UsageError, match=r"Looked for: retrieval: corpus\.jsonl"):
        detect_family(pairs, "retrieval")


def test_what_is_no_task_folder_is_told_with_what_was_looked_for(tmp_path):
    with pytest.raises(UsageError, match=r"not a task folder.*retrieval:.*classification:.*sts:"):
        detect_family(tmp_path)
    with pytest.raises(UsageError, match="not a folder"):
        detect_family(tmp_path / "absent")
    with pytest.raises(UsageError, match="Did you mean 'retrieval'"):
        detect_family(tmp_path, "retreival")


def test_trec_s_four_columns_are_read_as_they_are(folder):
    before = load_retrieval_task(folder)
    trec = "q1 0 a.md 2\nq1\t0\tb\t0\n2 Q0 b 1\nq3 0 a.md -1\n"
    (folder / "qrels" / "test.tsv").write_text(trec)
    task = load_retrieval_task(folder)
    assert task.qrels == {"q1": {"a.md": 2, "b": 0}, "2": {"b": 1}}
    assert task.queries == before.queries
    with pytest.raises(UsageError, match=r"'a\.md' \(qrels/test\.tsv, line 1\)"):
        check_documents(task, ())
    (folder / "qrels" / "test.tsv").write_text(trec + "q1\tb c.md\t1\n")
    with pytest.raises(UsageError, match=r"line 5 is malformed.*query 0 document score"):
        load_retrieval_task(folder)


def test_a_negative_grade_is_not_relevant_as_cranfield_and_trec_eval_have_it(folder):
    (folder / "qrels" / "test.tsv").write_text(HEADER + "q1\ta.md\t3\nq1\tb c.md\t-1\nq3\ta.md\t-1\n")
    task = load_retrieval_task(folder)
    assert list(task.queries) == ["q1"]
    run = {"q1": {"b c.md": 2.0, "a.md": 1.0}}
    zero = {"q1": {"a.md": 3, "b c.md": 0}}
    assert score(task.qrels, run, RETRIEVAL_METRICS) == score(zero, run, RETRIEVAL_METRICS)


def test_one_query_is_a_task(folder):
    (folder / "queries.jsonl").write_text('{"_id": "q1", "text": "alone"}')
    (folder / "qrels" / "test.tsv").write_text(HEADER + "q1\ta.md\t1")
    assert load_retrieval_task(folder).queries == {"q1": "alone"}


def test_documents_of_the_folder_go_before_a_corpus_and_settings_need_not_name_one(folder):
    (folder / "corpus.jsonl").write_text("")
    (folder / "task.toml").write_text("\ufeffignore_identical_ids = true\n", encoding="utf-8")
    task = load_retrieval_task(folder)
    assert (task.corpus, task.ignore_identical_ids) == (None, True)
    assert read_judgements(folder).corpus is None
    (folder / "task.toml").write_text('ignore_identical_ids = "yes"\n')
    with pytest.raises(UsageError, match=r"ignore_identical_ids is 'yes'.*true or false"):
        load_retrieval_task(folder)


def test_ignoring_identical_ids_is_another_task_and_is_told(folder):
    plain = load_retrieval_task(folder)
    assert identical_ids_note(plain, {"a.md"}) == ""
    assert "1 of 2 queries have the id of a document. If" in identical_ids_note(plain, {"q1"})
    (folder / "task.toml").write_text('corpus = "demo"\nignore_identical_ids = true\n')
    other = load_retrieval_task(folder)
    assert other.digest != plain.digest
    assert "which is no hit of theirs" in identical_ids_note(other, {"q1", "2"})


def label(query, origin, grade=1):
    return {"query": query, "source": "a.md", "span": "", "start": 0, "grade": grade, "origin": origin}


def test_where_labels_are_from_is_told_by_their_weakest_source(folder):
    assert load_retrieval_task(folder).sources == {}
    labels = [label("q1", "synthetic"), label("q1", "thumb"), label("2", "queue"), label("q3", "vote")]
    (folder / "labels.jsonl").write_text("\n".join(map(json.dumps, [*labels, label("2", "import", 0)])))
    task = load_retrieval_task(folder)
    assert task.sources == {"q1": "synthetic", "2": "human"}
    assert task.label_sources == {"human": 1, "synthetic": 1}
    (folder / "labels.jsonl").write_text(json.dumps(label("q1", "guess")))
    with pytest.raises(UsageError, match=r"labels\.jsonl, line 1 is malformed"):
        load_retrieval_task(folder)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"_id": "d1", "text": "again"}', "line 3 is malformed.*'d1' was used before"),
        ('{"text": "nameless"}', "line 3 is malformed"),
        ('{"_id": "d9", "text": ', "line 3 is malformed"),
        ('{"_id": "\\u0000", "text": "x"}', "line 3 is malformed"),
    ],
)
def test_a_corpus_that_names_a_document_twice_is_refused(tmp_path, line, message):
    path = tmp_path / "corpus.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"_id": "d1", "text": "x"}\r\n{"_id": 2, "text": "x"}\r\n')
    assert check_corpus(path) == 2
    path.write_text(path.read_text("utf-8") + line, encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        check_corpus(path)


def test_a_large_corpus_is_read_a_line_at_a_time(tmp_path):
    path = tmp_path / "corpus.jsonl"
    with path.open("w") as file:
        for number in range(2_000):
            file.write(json.dumps({"_id": f"d{number}", "text": "x" * 20_000}) + "\n")
    tracemalloc.start()
    assert check_corpus(path) == 2_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000 < 20 * 2_000_000 < path.stat().st_size


SPANS = {
    "_id": "c0",
    "text": "Who sings?",
    "corpus_id": "birds",
    "spans": [{"content": "ab", "start_index": 3, "end_index": 5}],
}


@pytest.fixture
def span_folder(tmp_path):
    folder = tmp_path / "spans"
    (folder / "corpora").mkdir(parents=True)
    (folder / "corpora" / "birds.md").write_text("---ab---")
    (folder / "questions.jsonl").write_text(json.dumps(SPANS) + "\n")
    return folder


def test_published_spans_are_read_over_whole_documents(span_folder):
    assert detect_family(span_folder) == "spans"
    task = load_span_task(span_folder)
    assert (task.family, task.corpus, task.documents_folder) == ("spans", None, span_folder / "corpora")
    assert task.qrels == {"c0": {"birds.md": 1}}
    [answer] = task.answers
    assert (answer.document, answer.answers, answer.starts) == ("birds.md", ("ab",), (3,))
    moved = {**SPANS, "spans": [{"content": "ab", "start_index": 4, "end_index": 6}]}
    (span_folder / "questions.jsonl").write_text(json.dumps(moved))
    assert load_span_task(span_folder).digest != task.digest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spans": []}, "line 2 is malformed"),
        ({"spans": [{"content": "ab"}]}, "line 2 is malformed"),
        ({"spans": [{"content": " ", "start_index": 0, "end_index": 1}]}, "line 2 is malformed"),
        ({"text": ""}, "line 2 is malformed"),
        ({"_id": "c0"}, "line 2 is malformed.*used before"),
        ({"corpus_id": "fish"}, "line 2 is malformed.*holds no 'fish', only: birds"),
    ],
)
def test_bad_spans_are_refused_with_the_line(span_folder, change, message):
    with (span_folder / "questions.jsonl").open("a") as file:
        file.write(json.dumps({**SPANS, "_id": "c1", **change}))
    with pytest.raises(UsageError, match=message):
        load_span_task(span_folder)


def test_spans_without_documents_or_questions_are_told(span_folder):
    (span_folder / "questions.jsonl").write_text("")
    with pytest.raises(UsageError, match="holds no questions"):
        load_span_task(span_folder)
    (span_folder / "corpora" / "birds.md").unlink()
    with pytest.raises(UsageError, match="holds no documents"):
        load_span_task(span_folder)


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
