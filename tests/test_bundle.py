"""The evidence of an evaluation: figures follow from runs and judgements, and no change goes unseen."""

import csv
import json
import shutil

import ir_measures
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.bundle import verify
from eval.evidence import evidence_files, read_evidence
from eval.manifest import MANIFEST, manifest_text, read_manifest
from eval.tasks.registry import load_task
from evaluation_tasks import labelled_task, retrieval_task, sts_task
from rag.errors import RagError
from ui.cli import run


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Outputs of three families, made by the command; not to be changed."""
    folder = tmp_path_factory.mktemp("bundle")
    tasks = [retrieval_task(folder / "birds"), sts_task(folder / "pairs"), labelled_task(folder / "topics")]
    command = ["--home", folder / "home", "bakeoff", *tasks, "--embedder", "hash", "--out", folder / "out"]
    assert run([str(word) for word in command]) == 0
    return folder / "out"


@pytest.fixture
def out(written, tmp_path):
    """A copy that may be changed."""
    return shutil.copytree(written, tmp_path / "out")


def reseal(folder):
    """Writes the manifest anew, as somebody would who wants a change to go unseen."""
    names = read_manifest(folder).files
    (folder / MANIFEST).write_text(manifest_text(folder, names), encoding="utf-8")


def test_what_was_written_agrees(written, rag):
    found = verify(written)
    assert found.agrees, found.differences
    assert found.figures > 200
    ran = rag("eval", "verify", written)
    assert (ran.status, f"{found.figures:,} figures agree" in ran.out) == (0, True)
    assert "birds: citable" in ran.out
    document = json.loads(rag("eval", "verify", written, "--json").out)
    assert (document["agrees"], document["differences"]) == (True, [])


def test_every_file_is_in_the_manifest(written):
    names = {path.relative_to(written).as_posix() for path in written.rglob("*") if path.is_file()}
    assert set(read_manifest(written).files) == names - {MANIFEST}
    assert {"report.html", "tasks/birds/qrels/test.tsv", "tasks/topics/items.jsonl"} <= names


def test_a_changed_byte_anywhere_is_caught(written, out):
    for name in [*read_manifest(written).files, MANIFEST]:
        whole = (written / name).read_bytes()
        for at in {0, len(whole) // 3, len(whole) // 2, len(whole) - 1}:
            (out / name).write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            found = verify(out)
            assert any(each.file == name for each in found.differences), (name, at)
        (out / name).write_bytes(whole)
    assert verify(out).agrees


@given(data=st.data())
def test_a_changed_manifest_is_caught(written, tmp_path_factory, data):
    whole = (written / MANIFEST).read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    folder = tmp_path_factory.getbasetemp() / "manifest"
    folder.mkdir(exist_ok=True)
    (folder / MANIFEST).write_bytes(whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :])
    with pytest.raises(RagError, match="was changed or is damaged"):
        read_manifest(folder)


def test_a_missing_file_is_caught_and_a_strange_one_noted(out):
    (out / "runs" / "birds.hash.dense.trec").unlink()
    assert any(each.file == "runs/birds.hash.dense.trec" for each in verify(out).differences)


def test_a_strange_file_is_noted(out):
    (out / "notes.txt").write_text("mine")
    found = verify(out)
    assert found.agrees
    assert found.notes == ["1 files beside it belong to no evaluation, such as notes.txt"]


# --- changes whose author has written the manifest anew


def change_results(out, change):
    document = json.loads((out / "results.json").read_text(encoding="utf-8"))
    change(document)
    (out / "results.json").write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    reseal(out)


@pytest.mark.parametrize(
    ("row", "metric"),
    [(0, "nDCG@10"), (1, "R@100"), (3, "cosine_spearman"), (5, "accuracy"), (0, "ragas.IDBasedContextRecall@10")],
)
@pytest.mark.parametrize("field", ["value", "ci_low"])
def test_a_figure_that_does_not_follow_is_named(out, row, metric, field):
    def change(document):
        document["rows"][row]["metrics"][metric][field] += 0.001

    change_results(out, change)
    [difference] = verify(out).differences
    assert (difference.file, difference.where) == ("results.json", f"rows {row} metrics {metric} {field}")
    assert difference.written == pytest.approx(difference.found + 0.001)


def test_a_score_of_one_query_that_its_run_has_not_is_named(out):
    def change(document):
        document["rows"][0]["per_query"]["nDCG@10"]["q3"] = 0.123

    change_results(out, change)
    assert "rows 0 per_query nDCG@10 q3" in [each.where for each in verify(out).differences]


def test_another_run_gives_other_figures(out, rag):
    path = out / "runs" / "birds.hash.dense.trec"
    lines = path.read_text().splitlines()
    first = [line for line in lines if line.startswith("q1 ")]
    swapped = [line.split(" ")[2] for line in reversed(first)]
    turned = [
        " ".join([*line.split(" ")[:2], doc, *line.split(" ")[3:]]) for line, doc in zip(first, swapped, strict=True)
    ]
    path.write_text("\n".join(turned + [line for line in lines if not line.startswith("q1 ")]) + "\n")
    reseal(out)
    places = [each.where for each in verify(out).differences]
    assert "rows 0 metrics nDCG@10 value" in places
    assert "tasks 0 pairs 0 difference" in places
    ran = rag("eval", "verify", out)
    assert (ran.status, " differences; " in ran.out) == (1, True)


def test_other_judgements_are_another_task(out):
    path = out / "tasks" / "birds" / "qrels" / "test.tsv"
    path.write_text(path.read_text().replace("q1\td1\t1", "q1\td2\t1"))
    reseal(out)
    assert "provenance tasks birds digest" in [each.where for each in verify(out).differences]


def test_other_labels_give_other_figures(out):
    path = out / "tasks" / "pairs" / "items.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    records[0]["gold"], records[6]["gold"] = records[6]["gold"], records[0]["gold"]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    reseal(out)
    assert "rows 3 metrics cosine_spearman value" in [each.where for each in verify(out).differences]


def test_a_verdict_and_a_leaderboard_that_do_not_follow_are_named(out):
    document = json.loads((out / "comparisons.json").read_text())
    document["tasks"][0]["pairs"][0]["verdict"] = "a is better"
    (out / "comparisons.json").write_text(json.dumps(document))
    lines = list(csv.reader((out / "leaderboard.csv").open(newline="")))
    lines[1], lines[2] = lines[2], lines[1]
    (out / "leaderboard.csv").write_text("".join(",".join(line) + "\n" for line in lines))
    reseal(out)
    found = {each.file: each.where for each in verify(out).differences}
    assert found["comparisons.json"] == "tasks 0 pairs 0 verdict"
    assert found["leaderboard.csv"].startswith("line ")


def test_a_manifest_that_names_a_file_elsewhere_is_refused(out, tmp_path):
    (tmp_path / "secret").write_text("mine")
    (out / MANIFEST).write_text(manifest_text(out, ["results.json", "../secret"]))
    assert any("names a file outside its folder" in str(each.found) for each in verify(out).differences)


@pytest.mark.parametrize("content", ["", "{}", '{"rows": []}', '{"rows": 1, "provenance": 2}', "[]"])
def test_what_is_no_results_is_a_difference_and_no_crash(out, content):
    (out / "results.json").write_text(content)
    assert not verify(out).agrees


def test_a_folder_without_results_says_so(tmp_path, rag):
    ran = rag("eval", "verify", tmp_path)
    assert (ran.status, "Name a folder that rag eval --out has written." in ran.err) == (1, True)


# --- tasks as evidence


@pytest.mark.parametrize(("make", "name"), [(retrieval_task, "birds"), (sts_task, "pairs"), (labelled_task, "topics")])
def test_a_task_comes_back_from_its_evidence(tmp_path, make, name):
    task = load_task(make(tmp_path / name))
    for path, text in evidence_files(task).items():
        target = tmp_path / "evidence" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    back = read_evidence(tmp_path / "evidence")
    for field in ("name", "family", "split", "digest", "items", "gold", "kinds"):
        assert getattr(back, field) == getattr(task, field)
    if name == "birds":
        assert (back.qrels, back.answers, back.sources) == (task.qrels, task.answers, task.sources)


def test_the_saved_judgements_are_read_by_other_tools(written):
    qrels = {}
    for line in (written / "tasks" / "birds" / "qrels" / "test.tsv").read_text().splitlines()[1:]:
        query, document, grade = line.split("\t")
        qrels.setdefault(query, {})[document] = int(grade)
    run_of = list(ir_measures.read_trec_run(str(written / "runs" / "birds.hash.dense.trec")))
    [row, *_] = json.loads((written / "results.json").read_text())["rows"]
    value = ir_measures.calc_aggregate([ir_measures.nDCG @ 10], qrels, run_of)[ir_measures.nDCG @ 10]
    assert value == pytest.approx(row["metrics"]["nDCG@10"]["value"], abs=1e-9)
