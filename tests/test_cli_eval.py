"""`rag eval` as a command with commands below it, and what it is asked to leave out."""

import json
import os

import pytest

from evaluation_tasks import labelled_task, retrieval_task, sts_task
from rag.labels import LabelTable
from rag.library import Library
from rag.task_folders import write_folder


@pytest.mark.parametrize("command", ["verify", "compare", "seal"])
def test_the_commands_below_have_help_of_their_own(rag, command):
    shown = rag("eval", command, "--help")
    assert (shown.status, shown.out.startswith(f"Usage: rag eval {command} [OPTIONS]")) == (0, True)
    assert f"  {command} " in rag("eval", "--help").out


def test_without_tasks_it_says_what_is_missing(rag):
    shown = rag("eval")
    assert (shown.status, shown.err) == (2, "rag: Missing argument 'TASK_DIR...'. See: rag eval --help\n")


def test_a_folder_named_like_a_command_is_given_with_its_place(rag, tmp_path, monkeypatch):
    retrieval_task(tmp_path / "verify")
    monkeypatch.chdir(tmp_path)
    ran = rag("--home", "home", "eval", f".{os.sep}verify", "--embedder", "hash", "--retriever", "dense", "--no-ragas")
    assert ran.status == 0, ran.err
    assert "verify (test): 12 queries" in ran.out


def test_the_home_may_stand_behind_a_command_below(rag, tmp_path):
    task, home = retrieval_task(tmp_path / "birds"), tmp_path / "home"
    assert rag("eval", "seal", task, "--home", home).status == 0
    assert rag("--home", home, "eval", "seal", task).status == 2, "it is sealed there"


@pytest.mark.parametrize(
    ("make", "metric"), [(retrieval_task, "nDCG@10"), (sts_task, "cosine_spearman"), (labelled_task, "accuracy")]
)
def test_every_family_is_evaluated(rag, tmp_path, make, metric):
    ran = rag("--home", tmp_path / "home", "eval", make(tmp_path / "task"), "--embedder", "hash", "--json")
    assert ran.status == 0, ran.err
    rows = json.loads(ran.out)["rows"]
    assert all(0 <= row["metrics"][metric]["value"] <= 1 for row in rows)
    assert {row["embedder"] for row in rows} == {"hash", None}


def test_a_lexical_row_is_left_out_where_other_retrievers_are_named(rag, tmp_path):
    command = ("--home", tmp_path / "home", "eval", sts_task(tmp_path / "task"), "--embedder", "hash", "--json")
    for retriever, expected in (("dense", ["hash"]), ("lexical", [None])):
        rows = json.loads(rag(*command, "--retriever", retriever).out)["rows"]
        assert [row["embedder"] for row in rows] == expected


def test_unknown_names_are_told_before_anything_is_indexed(rag, tmp_path):
    task = retrieval_task(tmp_path / "birds")
    for wrong in (
        ("--embedder", "hsah"),
        ("--retriever", "dens"),
        ("--family", "retrival"),
        ("--split", "tset"),
        ("--chunker", "headings"),
    ):
        ran = rag("--home", tmp_path / "home", "eval", task, "--embedder", "hash", *wrong)
        assert (ran.status, "indexing" in ran.err, wrong[1] in ran.err) == (2, False, True), ran.err


def test_an_empty_task_is_told(rag, tmp_path):
    task = retrieval_task(tmp_path / "birds")
    (task / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n")
    ran = rag("--home", tmp_path / "home", "eval", task, "--embedder", "hash")
    assert (ran.status, "No query of" in ran.err) == (2, True)


# --- label sources


@pytest.fixture
def labelled_library(tmp_path, ingest, docs):
    """A library with questions that a person judged and others that were generated: its home and the task's folder."""
    made = ingest(docs, corpus="notes")
    table = LabelTable(made.library.database)
    for question, source, span, origin in (
        ("How long is the Nile?", "rivers.md", "It is long.", "thumb"),
        ("How is tea brewed?", "sub/tea.txt", "Green tea is brewed at eighty degrees.", "thumb"),
        ("What rests overnight?", "bread.txt", "Sourdough bread rests overnight before it is baked.", "synthetic"),
    ):
        table.judge("notes", question, source, span, 0, 1, origin)
    folder = write_folder(made.library, "notes-labels")
    made.library.close()
    return tmp_path / "home", folder


def test_label_sources_are_kept_apart(rag, labelled_library, tmp_path):
    home, folder = labelled_library
    command = ("--home", home, "eval", folder, "--embedder", "hash", "--retriever", "dense", "--no-ragas")
    assert rag(*command, "--out", tmp_path / "all").status == 0
    provenance = json.loads((tmp_path / "all" / "results.json").read_text())["provenance"]
    assert provenance["indexes"][0]["label_sources"] == {"human": 2, "synthetic": 1}
    reasons = provenance["tasks"]["notes-labels"]["reasons"]
    assert "1 of 3 items have synthetic labels (--labels human leaves them out)" in reasons

    human = json.loads(rag(*command, "--labels", "human", "--json").out)
    assert len(human["rows"][0]["per_query"]["nDCG@10"]) == 2
    assert human["provenance"]["indexes"][0]["label_sources"] == {"human": 2}
    synthetic = json.loads(rag(*command, "--labels", "synthetic", "--json").out)
    assert (
        "all labels are synthetic: nobody has judged anything"
        in (synthetic["provenance"]["tasks"]["notes-labels"]["reasons"])
    )


def test_label_sources_that_are_not_there_are_told(rag, labelled_library, tmp_path):
    home, folder = labelled_library
    vote = rag("--home", home, "eval", folder, "--labels", "vote")
    assert (vote.status, "has no item with vote labels only. It has: 2 human, 1 synthetic." in vote.err) == (2, True)
    wrong = rag("--home", home, "eval", folder, "--labels", "humans")
    assert (wrong.status, "No label source 'humans'. Did you mean 'human'?" in wrong.err) == (2, True)
    beir = rag("--home", home, "eval", retrieval_task(tmp_path / "birds"), "--labels", "human")
    assert (beir.status, "does not say where its labels are from" in beir.err) == (2, True)


def test_the_library_is_open_for_others_meanwhile(rag, tmp_path, task):
    home = tmp_path / "home"
    command = ("--home", home, "eval", task, "--embedder", "hash", "--retriever", "dense", "--no-ragas")
    assert rag(*command).status == 0
    library = Library(home, read_only=True)
    assert rag(*command, "--fresh").status == 0
    library.close()
