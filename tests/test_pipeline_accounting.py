"""Every file under the given paths is accounted for once, under a name of its own."""

import os
import shutil
from pathlib import Path

from file_builders import write
from pipeline_results import HASH, ledger, reasons, statuses, texts_in


def test_one_bad_file_does_not_stop_the_others(docs, ingest):
    (docs / "broken.pdf").write_bytes(b"%PDF-1.7\n" + bytes(range(256)) * 20)
    (docs / "fake.docx").write_bytes(b"PK\x03\x04 but not really")
    (docs / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    made = ingest(docs)
    assert made.report.counts() == {"done": 3, "unchanged": 0, "skipped": 1, "failed": 2, "deleted": 0}
    for name, status in {"broken.pdf": "failed", "fake.docx": "failed", "picture.png": "skipped"}.items():
        assert ledger(made.library)[name] == (status, reasons(made.report)[name])
        assert len(reasons(made.report)[name]) > 20
    assert len(texts_in(made.library, HASH)) == 5


def test_every_file_is_accounted_for(docs, ingest):
    write(docs, "empty.txt", "")
    write(docs, "blank.txt", " \n\n ")
    write(docs, ".hidden.txt", "A hidden file.")
    write(docs, ".git/config", "In a hidden folder.")
    (docs / "dangling.txt").symlink_to(docs / "nowhere.txt")
    (docs / "loop.txt").symlink_to(docs / "loop.txt")
    (docs / "to-file.txt").symlink_to(docs / "bread.txt")
    (docs / "to-folder").symlink_to(docs / "sub")
    os.mkfifo(docs / "pipe")
    made = ingest(docs)
    expected = {
        "rivers.md": "done", "bread.txt": "done", "sub/tea.txt": "done", "to-file.txt": "done",
        "empty.txt": "skipped", "blank.txt": "skipped", ".hidden.txt": "skipped", ".git": "skipped",
        "dangling.txt": "skipped", "loop.txt": "skipped", "to-folder": "skipped", "pipe": "skipped",
    }  # fmt: skip
    assert statuses(made.report) == expected
    assert len(made.report.outcomes) == len(expected)
    said = reasons(made.report)
    assert all(said[source] for source, status in expected.items() if status == "skipped")
    assert "hidden" in said[".git"]
    assert "leads nowhere" in said["dangling.txt"]
    assert said["loop.txt"] == said["dangling.txt"]
    assert "not followed" in said["to-folder"]
    assert "not a regular file" in said["pipe"]
    assert {source: status for source, (status, _) in ledger(made.library).items()} == expected
    assert statuses(ingest(docs).report) == {
        source: "unchanged" if status == "done" else status for source, status in expected.items()
    }


def test_a_name_that_is_not_utf8_is_told_and_stops_nothing(docs, ingest):
    with open(os.fsencode(docs) + b"/caf\xe9.txt", "w") as file:  # noqa: PTH123
        file.write("A file from another age.")
    made = ingest(docs)
    assert statuses(made.report)["caf\\xe9.txt"] == "skipped"
    assert "not valid UTF-8" in ledger(made.library)["caf\\xe9.txt"][1]
    assert made.report.counts()["done"] == 3


def test_a_file_that_cannot_be_read_fails_alone(docs, ingest, monkeypatch):
    stat = os.stat

    def denied(path, *args, **kwargs):
        if str(path).endswith("bread.txt"):
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, *args, **kwargs)

    monkeypatch.setattr(os, "stat", denied)  # root may read everything, so that a mode would not do
    made = ingest(docs)
    assert statuses(made.report) == {"bread.txt": "failed", "rivers.md": "done", "sub/tea.txt": "done"}
    assert reasons(made.report)["bread.txt"] == "cannot be read: Permission denied"


def test_what_lies_in_a_folder_that_cannot_be_read_is_not_taken_for_deleted(docs, ingest, monkeypatch):
    before = texts_in(ingest(docs).library, HASH)
    scandir = os.scandir

    def denied(path):
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", denied)
        made = ingest(docs)
    assert statuses(made.report) == {"bread.txt": "unchanged", "rivers.md": "unchanged", "sub": "failed"}
    assert "cannot be read: Permission denied" in reasons(made.report)["sub"]
    assert texts_in(made.library, HASH) == before
    assert statuses(ingest(docs).report)["sub/tea.txt"] == "unchanged"


def test_a_hidden_folder_that_was_given_itself_survives_an_ingest_of_its_parent(docs, ingest):
    write(docs, ".notes/secret.txt", "The treasure lies under the oak.")
    ingest(docs / ".notes")
    made = ingest(docs)
    assert any("treasure" in text for text in texts_in(made.library, HASH))
    (docs / ".notes" / "secret.txt").unlink()
    assert statuses(ingest(docs / ".notes").report) == {"secret.txt": "deleted"}


# --- names


def test_equal_names_under_two_roots_stay_apart(tmp_path, ingest):
    for root in ("one", "two"):
        write(tmp_path / root, "readme.txt", f"This is the readme of project {root}.")
    made = ingest(tmp_path / "one", tmp_path / "two")
    assert statuses(made.report) == {"readme.txt": "done", "two/readme.txt": "done"}
    assert statuses(ingest(tmp_path / "two", tmp_path / "one").report) == {
        "readme.txt": "unchanged",
        "two/readme.txt": "unchanged",
    }
    shutil.rmtree(tmp_path / "one")
    (tmp_path / "one").mkdir()
    made = ingest(tmp_path / "one")  # only what was under this root may go
    assert statuses(made.report) == {"readme.txt": "deleted"}
    assert list(made.library.sources("c")) == ["two/readme.txt"]


def test_a_file_under_two_of_the_paths_counts_once(docs, ingest):
    made = ingest(docs, docs / "sub", docs / "bread.txt")
    assert statuses(made.report) == {"rivers.md": "done", "bread.txt": "done", "sub/tea.txt": "done"}
    assert len(made.report.outcomes) == 3


def test_a_folder_is_the_same_however_its_path_is_spelled(docs, ingest, monkeypatch):
    ingest(docs)
    monkeypatch.chdir(docs / "sub")
    for spelling in ("..", "../../docs", "../sub/..", "../../docs/./"):
        made = ingest(Path(spelling))
        assert statuses(made.report) == dict.fromkeys(["rivers.md", "bread.txt", "sub/tea.txt"], "unchanged"), spelling
    write(docs, "bread.txt", "Rye bread keeps for a week.")
    (docs / "rivers.md").unlink()
    assert statuses(ingest(Path("..")).report) == {
        "rivers.md": "deleted",
        "bread.txt": "done",
        "sub/tea.txt": "unchanged",
    }


def test_a_link_that_is_given_itself_may_lead_elsewhere_later(tmp_path, ingest):
    for version in ("v1", "v2"):
        write(tmp_path / version, "news.txt", f"What is new in {version}.")
    (tmp_path / "latest").symlink_to(tmp_path / "v1")
    ingest(tmp_path / "latest")
    (tmp_path / "latest").unlink()
    (tmp_path / "latest").symlink_to(tmp_path / "v2")
    assert texts_in(ingest(tmp_path / "latest").library, HASH) == ["What is new in v2."]
