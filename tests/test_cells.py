"""The store of scored rows: what is read is what was written, what is damaged is told."""

import ast
import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.cells import _SCORING, CellStore, DamagedCellError, key_of, scoring_code, task_state
from eval.context_metrics import ContextScore
from eval.rows import EvalRow
from eval.tasks.retrieval import load_retrieval_task
from evaluation_tasks import retrieval_task

ROOT = Path(__file__).parents[1]
ROW = EvalRow(
    task="birds",
    family="retrieval",
    embedder="hash",
    retriever="dense",
    chunker="whole",
    run={"q1": {"d2": 0.1 + 0.2, "文 档": 1e-17, "d\u2028": -0.0}},
    per_query={"nDCG@10": {"q1": 1 / 3}},
    cost={"query_ms_p50": 1.5, "usd": None},
    task_digest="abc",
    provenance={"index": {"fingerprint": "f"}},
    context={"ragas.X@10": ContextScore({"q1": None, "q2": 0.5}, {"q1": "nan"}, ({"q2": 0.4}, {"q2": 0.6}))},
)
FACTS = {"task": "t", "depth": 1000}


def test_a_row_comes_back_as_it_was(tmp_path):
    store = CellStore(tmp_path)
    path = store.write(ROW, FACTS, 2.5)
    stored = store.read(key_of(FACTS))
    assert stored.row == ROW
    assert (stored.facts, stored.seconds) == (FACTS, 2.5)
    assert list(stored.row.run["q1"]) == list(ROW.run["q1"])  # best first
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == [path]
    assert path.read_bytes() == store.write(ROW, FACTS, 2.5).read_bytes()


@given(st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=20))
def test_every_number_and_text_survives(tmp_path_factory, value, text):
    store = CellStore(tmp_path_factory.getbasetemp() / "cells")
    row = replace(ROW, run={text: {text: value}}, per_query={"m": {text: value}})
    store.write(row, FACTS, 0)
    assert store.read(key_of(FACTS)).row == row


def test_what_is_not_there_is_none(tmp_path):
    assert CellStore(tmp_path).read(key_of(FACTS)) is None
    assert not CellStore(tmp_path).holds(key_of(FACTS))


@pytest.mark.parametrize("keep", [0, 1, 10, 100, -1])
def test_a_file_that_is_cut_short_is_told(tmp_path, keep):
    store = CellStore(tmp_path)
    path = store.write(ROW, FACTS, 0)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DamagedCellError, match=r"damaged .*made anew"):
        store.read(key_of(FACTS))


def test_every_changed_byte_is_told_or_changes_nothing(tmp_path):
    store = CellStore(tmp_path)
    path = store.write(ROW, FACTS, 0)
    whole = path.read_bytes()
    told = 0
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        try:
            assert store.read(key_of(FACTS)).row == ROW  # a byte of gzip's header that says nothing
        except DamagedCellError:
            told += 1
    assert told >= len(whole) - 10


def test_the_cell_of_another_key_is_told(tmp_path):
    store = CellStore(tmp_path)
    path = store.path(key_of({"other": 1}))
    path.parent.mkdir(parents=True)
    path.write_bytes(store.write(ROW, FACTS, 0).read_bytes())
    with pytest.raises(DamagedCellError, match="of another cell"):
        store.read(key_of({"other": 1}))


@pytest.mark.parametrize("document", [[], {}, {"format": 1, "facts": FACTS}, {"format": 99, "facts": FACTS, "row": {}}])
def test_what_is_no_cell_is_told(tmp_path, document):
    path = CellStore(tmp_path).path(key_of(FACTS))
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(json.dumps(document).encode()))
    with pytest.raises(DamagedCellError):
        CellStore(tmp_path).read(key_of(FACTS))


def test_a_key_is_made_of_the_facts_whatever_their_order():
    assert key_of({"a": 1, "b": {"c": None, "d": 2}}) == key_of({"b": {"d": 2, "c": None}, "a": 1})
    assert key_of({"a": 1}) != key_of({"a": 2}) != key_of({"a": "2"})


def test_all_that_a_task_holds_is_in_its_state_but_its_place(tmp_path):
    task = load_retrieval_task(retrieval_task(tmp_path / "birds"))
    assert task_state(task) == task_state(load_retrieval_task(retrieval_task(tmp_path / "elsewhere")))
    for change in (
        {"queries": {**task.queries, "q1": "another"}},
        {"qrels": {**task.qrels, "q1": {"d2": 2}}},
        {"ignore_identical_ids": True},
        {"sources": {"q1": "synthetic"}},
    ):
        assert task_state(replace(task, **change)) != task_state(task)


def test_the_code_that_scores_is_part_of_every_key(monkeypatch, tmp_path):
    import eval.cells

    assert scoring_code() == scoring_code()
    (tmp_path / "eval").mkdir()
    (tmp_path / "eval" / "metrics.py").write_text("one")
    monkeypatch.setattr(eval.cells, "_ROOT", tmp_path)
    first = scoring_code.__wrapped__()
    (tmp_path / "eval" / "metrics.py").write_text("two")
    assert scoring_code.__wrapped__() != first


def test_no_file_that_scores_is_forgotten():
    """Whatever the runners import of `eval` is part of every key."""
    found, left = set(), ["eval.runner", "eval.embedding_runner", "eval.context_metrics"]
    while left:
        path = ROOT / f"{left.pop().replace('.', '/')}.py"
        if path.is_file() and path not in found:
            found.add(path)
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and str(node.module).startswith("eval."):
                    left.append(node.module)
    hashed = {path for pattern in _SCORING for path in ROOT.glob(pattern)}
    assert found <= hashed
    assert all(list(ROOT.glob(pattern)) for pattern in _SCORING)


def test_a_damaged_cell_is_told_and_made_anew(rag, tmp_path, task):
    command = ("--home", tmp_path / "home", "eval", task, "--embedder", "hash", "--retriever", "dense", "--no-ragas")
    rag(*command)
    [path] = (tmp_path / "home" / "runs" / "cells").rglob("*.gz")
    path.write_bytes(b"rubbish")
    ran = rag(*command)
    assert ran.status == 0
    assert f"The stored scores in {path} are damaged" in ran.err
    assert ": stored" not in ran.err
    assert ": stored" in rag(*command).err
