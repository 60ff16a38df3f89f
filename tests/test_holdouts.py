"""Sealed hold-outs: who is held out, what may be looked at, and that every look is recorded."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation_tasks import labelled_task, retrieval_task
from rag.errors import UsageError
from rag.holdouts import HoldoutTable, choose
from rag.library import Library

IDS = [f"q{at}" for at in range(20)]


@given(st.sets(st.text(min_size=1), min_size=4, max_size=40), st.integers(), st.randoms())
def test_the_choice_owes_nothing_to_the_order(items, seed, random):
    shuffled = list(items)
    random.shuffle(shuffled)
    assert choose(shuffled, 0.5, seed) == choose(sorted(items), 0.5, seed)
    assert len(choose(items, 0.5, seed)) == round(0.5 * len(items))


def test_another_seed_chooses_others_and_a_share_of_one_all():
    assert choose(IDS, 0.3, 1) != choose(IDS, 0.3, 2)
    assert choose(IDS, 1, 1) == set(IDS)


@pytest.mark.parametrize("share", [0, -1, 1.5, 0.01, 0.99, float("nan")])
def test_a_share_that_leaves_nothing_is_refused(share):
    with pytest.raises(UsageError):
        choose(IDS, share, 13)


@pytest.fixture
def table(tmp_path):
    library = Library(tmp_path / "home", create=True)
    yield HoldoutTable(library.database)
    library.close()


def test_openings_are_counted_by_what_is_new_to_the_eye(table):
    seal = table.seal("digest", "/task", IDS[:5], 13)
    assert table.find("digest") == seal
    assert [table.open(seal, rows) for rows in (["dense a"], ["dense a"], ["dense a", "dense b"], ["dense b"])] == [
        1, 1, 2, 2,
    ]  # fmt: skip
    assert [opening.rows for opening in table.openings(seal)] == [("dense a",), ("dense a", "dense b")]


def test_a_seal_is_not_made_twice(table):
    table.seal("digest", "/task", IDS[:5], 13)
    with pytest.raises(UsageError, match="is sealed since"):
        table.seal("digest", "/task", IDS[5:], 13)


def test_labels_that_change_do_not_wash_openings_away(table):
    table.open(table.seal("old", "/task", IDS[:5], 13), ["dense a"])
    again = table.seal("new", "/task", IDS[3:8], 13)
    elsewhere = table.seal("third", "/other", IDS[3:8], 13)
    assert table.open(again, ["dense b"]) == 2
    assert table.open(elsewhere, ["dense b"]) == 1


# --- by the command line


def evaluate(rag, home, folder, *more):
    return rag("--home", home, "eval", folder, "--embedder", "hash", "--retriever", "dense", "--no-ragas", *more)


def test_a_sealed_task_is_taken_apart_and_its_openings_are_told(rag, tmp_path):
    home, folder = tmp_path / "home", retrieval_task(tmp_path / "birds", queries=40)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    sealed = json.loads(rag("--home", home, "eval", "seal", folder, "--share", "0.25", "--json").out)
    assert (len(sealed["holdout"]), len(sealed["dev"])) == (10, 30)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before

    refused = evaluate(rag, home, folder)
    assert (refused.status, "10 of its 40 items are held out" in refused.err) == (2, True)

    scored = {}
    for split in ("dev", "holdout"):
        ran = evaluate(rag, home, folder, "--split", split, "--out", tmp_path / split)
        assert ran.status == 0, ran.err
        [row] = json.loads((tmp_path / split / "results.json").read_text())["rows"]
        scored[split] = set(row["per_query"]["nDCG@10"])
    assert scored == {"dev": set(sealed["dev"]), "holdout": set(sealed["holdout"])}
    assert "opened for the first time" in ran.out.replace("\n", " ")

    again = evaluate(rag, home, folder, "--split", "holdout", "--out", tmp_path / "holdout")
    assert "opened for the first time" in again.out.replace("\n", " "), "the same row tells nothing new"
    other = rag(
        "--home", home, "eval", folder, "--retriever", "lexical", "--no-ragas", "--split", "holdout",
        "--out", tmp_path / "holdout",
    )  # fmt: skip
    assert "opened 2 times" in other.out.replace("\n", " ")
    provenance = json.loads((tmp_path / "holdout" / "results.json").read_text())["provenance"]
    assert [each["holdout_openings"] for each in provenance["indexes"]] == [2]
    assert provenance["tasks"]["birds"]["citable"] is False
    assert (
        "the hold-out was opened 2 times: its figures are no longer untouched"
        in (provenance["tasks"]["birds"]["reasons"])
    )
    assert rag("eval", "verify", tmp_path / "holdout").status == 0


def test_a_task_that_has_changed_since_says_so(rag, tmp_path):
    home, folder = tmp_path / "home", retrieval_task(tmp_path / "birds")
    assert rag("--home", home, "eval", "seal", folder).status == 0
    with (folder / "qrels" / "test.tsv").open("a") as file:
        file.write("q1\td9\t1\n")
    changed = evaluate(rag, home, folder, "--split", "holdout")
    assert (changed.status, "has changed since it was sealed" in changed.err) == (2, True)


def test_what_is_not_sealed_has_no_holdout(rag, tmp_path):
    ran = evaluate(rag, tmp_path / "home", retrieval_task(tmp_path / "birds"), "--split", "holdout")
    assert (ran.status, "is not sealed. To seal it: rag eval seal" in ran.err) == (2, True)


def test_splits_of_the_folder_come_first(rag, tmp_path):
    home, folder = tmp_path / "home", retrieval_task(tmp_path / "birds")
    (folder / "qrels" / "dev.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\n")
    refused = rag("--home", home, "eval", "seal", folder)
    assert (refused.status, "has a split 'dev' of its own" in refused.err) == (2, True)
    assert rag("--home", home, "eval", "seal", folder, "--share", "1").status == 0
    assert "1 query scored" in evaluate(rag, home, folder, "--split", "dev").out
    assert "is sealed as a whole" in evaluate(rag, home, folder).err
    assert evaluate(rag, home, folder, "--split", "holdout").status == 0


def test_other_families_are_sealed_too(rag, tmp_path):
    home, folder = tmp_path / "home", labelled_task(tmp_path / "topics")
    sealed = json.loads(rag("--home", home, "eval", "seal", folder, "--json").out)
    ran = rag("--home", home, "eval", folder, "--embedder", "hash", "--split", "dev", "--json")
    assert ran.status == 0, ran.err
    rows = json.loads(ran.out)["rows"]
    assert {item for row in rows for item in row["per_query"]["accuracy"]} == set(sealed["dev"])
