"""The demo corpus and its labelled task: whole, consistent, and our own."""

import json
import re
from collections import defaultdict
from pathlib import Path

import pytest

from eval.tasks.retrieval import load_retrieval_task
from ingest.parsing import parse_bytes

CORPUS = Path(__file__).parents[1] / "corpus"
KINDS = {"keyword", "paraphrase", "typo", "multi-hop", "cross-lingual", "unanswerable"}

FOREIGN = re.compile(
    r"\b(?:sessions?|workspaces?|sandbox(?:ed)?)\b|as an ai\b|/(?:work|tmp|root|home|users|var)/|\blocalhost\b"
    r"|pypi\.org|pythonhosted|registry\.npmjs|huggingface\.co/api",
    re.IGNORECASE,
)
"""Words of a workplace or a machine, which have no place in the documents."""


def read_lines(name):
    return [json.loads(line) for line in (CORPUS / "task" / name).read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def texts():
    """Maps each document's name to its parsed text."""
    paths = sorted((CORPUS / "documents").iterdir())
    return {path.name: parse_bytes(path.read_bytes(), path.name)[1].text for path in paths}


@pytest.fixture(scope="module")
def queries():
    return {query["_id"]: query for query in read_lines("queries.jsonl")}


@pytest.fixture(scope="module")
def qrels():
    header, *lines = (CORPUS / "task" / "qrels" / "test.tsv").read_text(encoding="utf-8").splitlines()
    assert header == "query-id\tcorpus-id\tscore"
    judged = defaultdict(dict)
    for line in lines:
        query_id, document, grade = line.split("\t")
        assert document not in judged[query_id], f"{query_id} judges {document} twice"
        judged[query_id][document] = int(grade)
    return judged


def test_the_documents_are_many_and_of_every_format(texts):
    assert len(texts) >= 45
    assert {Path(name).suffix for name in texts} == {".md", ".txt", ".html", ".pdf", ".docx", ".csv"}
    assert all(re.fullmatch(r"[a-z0-9-]+\.[a-z]+", name) for name in texts)
    assert all(len(text) > 500 for text in texts.values())


def test_no_two_documents_say_the_same(texts):
    beginnings = defaultdict(list)
    for name, text in texts.items():
        beginnings[" ".join(text.split())[:200]].append(name)
    assert [names for names in beginnings.values() if len(names) > 1] == []


def test_the_documents_are_our_own_words(texts):
    found = {name: FOREIGN.findall(text) for name, text in texts.items() if FOREIGN.search(text)}
    assert found == {}
    raw = {name: FOREIGN.search((CORPUS / "task" / name).read_text()) for name in ("queries.jsonl", "answers.jsonl")}
    assert not any(raw.values())


def test_the_queries_are_many_and_of_every_kind_and_several_languages(queries):
    assert len(queries) == len(read_lines("queries.jsonl")) >= 180
    kinds = [query["metadata"]["kind"] for query in queries.values()]
    assert set(kinds) == KINDS
    assert min(kinds.count(kind) for kind in KINDS) >= 20
    assert {query["metadata"]["language"] for query in queries.values()} >= {"en", "de", "es", "zh"}
    asked = [query["text"].strip().lower() for query in queries.values()]
    assert len(set(asked)) == len(asked)
    assert all(asked)


def test_judgements_name_queries_and_documents_that_exist(texts, queries, qrels):
    assert set(qrels) <= set(queries)
    assert {document for judged in qrels.values() for document in judged} <= set(texts)
    assert {grade for judged in qrels.values() for grade in judged.values()} == {0, 1, 2}


def test_every_answerable_query_has_an_answer_and_no_other_has_one(queries, qrels):
    for query_id, query in queries.items():
        best = max(qrels.get(query_id, {}).values(), default=0)
        assert best == (0 if query["metadata"]["kind"] == "unanswerable" else 2), query_id


def test_every_document_is_wanted_by_some_query(texts, qrels):
    wanted = {document for judged in qrels.values() for document, grade in judged.items() if grade > 0}
    assert set(texts) - wanted == set()


def test_every_answer_stands_exactly_once_in_its_document(texts, queries, qrels):
    flat = {name: " ".join(text.split()) for name, text in texts.items()}
    for line in read_lines("answers.jsonl"):
        assert qrels[line["_id"]][line["doc"]] == 2, line
        assert line["answers"], line
        for answer in line["answers"]:
            assert flat[line["doc"]].count(" ".join(answer.split())) == 1, (line["_id"], line["doc"], answer)


def test_every_answerable_query_has_an_answer_span(queries, qrels):
    with_span = {line["_id"] for line in read_lines("answers.jsonl")}
    answerable = {query_id for query_id, query in queries.items() if query["metadata"]["kind"] != "unanswerable"}
    assert with_span == answerable


def test_the_task_loads_as_the_evaluation_reads_it(queries):
    task = load_retrieval_task(CORPUS / "task")
    assert (task.corpus, task.has_documents, task.split, task.left_out) == ("demo", False, "test", ())
    assert {**task.queries, **task.unanswerable} == {query_id: query["text"] for query_id, query in queries.items()}
