"""`rag eval` on tasks of one's own that are wrong somewhere: one line with the file and the line, or a true score."""

import json
import re

import pytest

from conftest import TASK_FILES
from file_builders import write

HEADER = "query-id\tcorpus-id\tscore\n"


def evaluated(rag, home, folder, *options):
    done = rag("--home", home, "eval", folder, "--retriever", "lexical", "--no-ragas", "--json", *options)
    return done, json.loads(done.out)["rows"][0] if done.status == 0 else None


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("corpus.jsonl", '{"_id": "bread", "text": "Once more."}', "corpus.jsonl, line 3 is malformed: .*used before"),
        ("corpus.jsonl", '{"_id": "x", "text": "broken', "corpus.jsonl, line 3"),
        ("queries.jsonl", '{"_id": "q1", "text": "again"}', "queries.jsonl, line 3 is malformed: .*used before"),
        ("queries.jsonl", '{"_id": "q3", "text": "  "}', "queries.jsonl, line 3 is malformed: .*not empty"),
        ("qrels/test.tsv", "q9\tbread\t1\n", "qrels/test.tsv, line 4: .*queries.jsonl lacks, the first is 'q9'"),
        ("qrels/test.tsv", "q1\tbread\tgood\n", "qrels/test.tsv, line 4 is malformed: .*whole number"),
        ("qrels/test.tsv", "q1\tbread\t0\n", "qrels/test.tsv, line 4 is malformed: .*another score further up"),
        ("answers.jsonl", '{"_id": "q9", "doc": "bread", "answers": ["x"]}', "answers.jsonl, line 1 is malformed"),
        ("task.toml", "ignore_identical_ids = 1\n", "task.toml: ignore_identical_ids is 1. Say true or false"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line(rag, task, tmp_path, file, text, told):
    (task / file).write_text(TASK_FILES.get(file, "") + text)
    done, _ = evaluated(rag, tmp_path / "home", task)
    assert done.status == 2
    last = done.err.rstrip("\n").split("\n")[-1]
    assert re.search(told, last), done.err


def test_judged_documents_that_are_not_there_are_an_error_only_where_none_is(rag, task, tmp_path):
    write(task, "qrels/test.tsv", f"{HEADER}q1\tbread\t1\nq1\tcake\t1\nq2\tferry\t1\n")
    done, row = evaluated(rag, tmp_path / "home", task)
    assert "1 judged documents are not in the corpus, such as 'cake' (qrels/test.tsv, line 3)" in done.err
    assert row["per_query"]["R@100"] == {"q1": 0.5, "q2": 1.0}
    write(task, "qrels/test.tsv", f"{HEADER}q1\tcake\t1\n")
    done, _ = evaluated(rag, tmp_path / "home", task)
    assert done.status == 2 and "holds none of the 1 documents" in done.err and "line 2" in done.err


def test_one_query_with_grades_in_trec_s_columns_is_scored(rag, task, tmp_path):
    """A perfect ranking of grades 3 and 1, and a document of grade -1 that counts as not relevant."""
    records = [
        {"_id": "a", "text": "herons herons herons"},
        {"_id": "b", "text": "herons and much else besides them"},
        {"_id": "c", "text": "nothing"},
    ]
    (task / "corpus.jsonl").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(map(json.dumps, records)).encode())
    write(task, "queries.jsonl", '\n{"_id": 7, "text": "herons"}\n\n')
    write(task, "qrels/test.tsv", "7 0 a 3\n7 0 b 1\n7 0 c -1\n")
    done, row = evaluated(rag, tmp_path / "home", task)
    assert done.status == 0, done.err
    assert row["per_query"]["nDCG@10"] == {"7": 1.0}


def test_a_query_that_is_a_document_itself_is_no_hit_where_the_task_says_so(rag, task, tmp_path):
    write(task, "queries.jsonl", '{"_id": "bread", "text": "Sourdough bread for two hours on the ferries"}\n')
    write(task, "qrels/test.tsv", f"{HEADER}bread\tferry\t1\n")
    done, kept = evaluated(rag, tmp_path / "home", task)
    assert "1 of 1 queries have the id of a document. If" in done.err
    write(task, "task.toml", "ignore_identical_ids = true\n")
    done, ignored = evaluated(rag, tmp_path / "home", task)
    assert "which is no hit of theirs" in done.err
    assert (kept["per_query"]["RR@10"], ignored["per_query"]["RR@10"]) == ({"bread": 0.5}, {"bread": 1.0})
    assert json.loads(done.out)["provenance"]["protocol"]["ignore_identical_ids"] is True


def test_queries_without_results_score_0(rag, task, tmp_path):
    (task / "queries.jsonl").write_text(TASK_FILES["queries.jsonl"] + '{"_id": "q3", "text": "zzzz"}\n')
    (task / "qrels" / "test.tsv").write_text(TASK_FILES["qrels/test.tsv"] + "q3\tbread\t1\n")
    _, row = evaluated(rag, tmp_path / "home", task)
    assert row["per_query"]["nDCG@10"] == {"q1": 1.0, "q2": 1.0, "q3": 0.0}
