"""The members of an archive are documents of their own, however the archive changes."""

import io
import zipfile

from file_builders import write
from pipeline_results import HASH, ledger, reasons, statuses, texts_in
from rag.health import examine


def pack(folder, name, files):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, text in files.items():
            archive.writestr(member, text)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(packed.getvalue())


TWO = {"a/tea.txt": "Green tea is brewed at eighty degrees.", "bread.md": "# Bread\n\nThe dough rests overnight."}


def test_members_become_documents_and_the_archive_is_in_the_ledger(tmp_path, ingest):
    pack(tmp_path / "docs", "notes.zip", {**TWO, "photo.png": b"\x89PNG\r\n\x1a\n" + bytes(60), "empty.txt": ""})
    write(tmp_path / "docs", "plain.txt", "A file beside it.")
    made = ingest(tmp_path / "docs")
    assert statuses(made.report) == {
        "notes.zip": "unpacked", "notes.zip/a/tea.txt": "done", "notes.zip/bread.md": "done",
        "notes.zip/photo.png": "skipped", "notes.zip/empty.txt": "skipped", "plain.txt": "done",
    }  # fmt: skip
    assert made.report.counts() == {"done": 3, "unchanged": 0, "skipped": 2, "failed": 0, "deleted": 0}
    assert reasons(made.report)["notes.zip"] == "an archive of 4 files"
    assert "PNG" in reasons(made.report)["notes.zip/photo.png"]
    assert ledger(made.library)["notes.zip"][0] == "unpacked"
    assert len(texts_in(made.library, HASH)) == 3
    assert all(finding.well for finding in examine(made.library, made.settings.embedders, is_writer=True))


def test_an_unchanged_archive_is_left_alone_and_a_changed_one_gives_what_changed(tmp_path, ingest):
    docs = tmp_path / "docs"
    pack(docs, "notes.zip", TWO)
    ingest(docs)
    made = ingest(docs)
    assert made.report.counts()["unchanged"] == 2
    assert made.report.embedded == {"hash": 0}

    pack(docs, "notes.zip", {"bread.md": TWO["bread.md"], "new.txt": "The ferry was late."})
    made = ingest(docs)
    assert statuses(made.report) == {
        "notes.zip": "unpacked",
        "notes.zip/a/tea.txt": "deleted",
        "notes.zip/bread.md": "unchanged",
        "notes.zip/new.txt": "done",
    }
    assert made.report.embedded == {"hash": 1}
    assert sorted(made.library.sources("c")) == ["notes.zip/bread.md", "notes.zip/new.txt"]


def test_an_archive_that_goes_or_becomes_something_else_takes_its_members_along(tmp_path, ingest):
    docs = tmp_path / "docs"
    pack(docs, "one.zip", TWO)
    pack(docs, "two.zip", TWO)
    ingest(docs)
    (docs / "one.zip").unlink()
    (docs / "two.zip").write_text("no archive any more")
    made = ingest(docs)
    assert made.library.sources("c") == {}
    assert statuses(made.report)["two.zip"] == "skipped"
    assert {source for source, status in statuses(made.report).items() if status == "deleted"} >= {
        "one.zip/a/tea.txt", "one.zip/bread.md", "two.zip/a/tea.txt", "two.zip/bread.md",
    }  # fmt: skip
    pack(docs, "two.zip", TWO)
    assert len(ingest(docs).library.sources("c")) == 2


def test_an_archive_that_leads_outside_is_refused_whole(tmp_path, ingest):
    pack(tmp_path / "docs", "slip.zip", {"ok.txt": "Fine.", "../../evil.txt": "Not fine."})
    made = ingest(tmp_path / "docs")
    assert statuses(made.report) == {"slip.zip": "failed"}
    assert "../../evil.txt" in reasons(made.report)["slip.zip"]
    assert not (tmp_path.parent / "evil.txt").exists()
    assert made.library.sources("c") == {}
