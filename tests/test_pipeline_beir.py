"""The records of a BEIR folder as documents: their ids, and records that are broken, repeated or empty."""

import json

import pytest

from ingest.items import find_items
from ingest.pipeline import Ingest
from pipeline_results import HASH, reasons, statuses, texts_in
from rag.errors import UsageError
from rag.library import Library
from rag.settings import read_settings


def beir(folder, *records):
    folder.mkdir(exist_ok=True)
    (folder / "queries.jsonl").write_text("")
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    (folder / "corpus.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def test_the_records_of_a_beir_folder_are_documents(tmp_path, ingest):
    records = [
        {"_id": "d1", "title": "Herons", "text": "They fish in ponds."},
        {"_id": "d2", "title": "Only a title about storks", "text": ""},
        {"_id": "d3", "title": "", "text": ""},
        {"_id": 4, "text": "No title, and a number for an id.", "metadata": {}},
        {"_id": "d5", "title": None, "text": "Half a character \ud83d is not lost."},
    ]
    folder = beir(tmp_path / "task", *records, "")
    made = ingest(folder, chunker="whole")
    assert statuses(made.report) == {"d1": "done", "d2": "done", "d3": "skipped", "4": "done", "d5": "done"}
    assert reasons(made.report)["d3"] == "the record holds no text"
    passages = {source: text for _, text, source in made.library.chunk_passages("c", "whole")}
    assert passages == {
        "d1": "Herons They fish in ponds.",
        "d2": "Only a title about storks",
        "4": "No title, and a number for an id.",
        "d5": "Half a character \ufffd is not lost.",
    }
    assert statuses(ingest(folder, chunker="whole").report)["d5"] == "unchanged"

    beir(folder, {"_id": "d1", "title": "Herons", "text": "They fish in rivers."}, *records[1:4])
    made = ingest(folder, chunker="whole")
    assert statuses(made.report) == {
        "d1": "done",
        "d2": "unchanged",
        "d3": "skipped",
        "4": "unchanged",
        "d5": "deleted",
    }
    assert "They fish in rivers." in texts_in(made.library, HASH, "whole")
    assert made.report.embedded == {"hash": 1}


@pytest.mark.parametrize("line", ["no json", "[]", '{"title": "no id"}', '{"_id": 1, "text": ["not", "text"]}'])
def test_a_broken_record_is_named_by_its_line(tmp_path, ingest, line):
    folder = beir(tmp_path / "task", {"_id": "d1", "text": "Good."}, line)
    with pytest.raises(UsageError, match=r"corpus\.jsonl, line 2: "):
        ingest(folder)


def test_a_repeated_beir_id_is_skipped_with_its_reason_and_the_first_record_stays(tmp_path):
    folder = tmp_path / "task"
    folder.mkdir()
    (folder / "queries.jsonl").write_text("")
    (folder / "corpus.jsonl").write_text('{"_id": "a", "text": "the first"}\n{"_id": "a", "text": "the second"}\n')
    library = Library(tmp_path / "home", create=True)
    for _ in range(2):  # and again, for the second run must not take the one for a change of the other
        report = Ingest(library, read_settings(tmp_path / "home"), "task", ["hash"], "whole").run([folder])
        [skipped] = [outcome for outcome in report.outcomes if outcome.status == "skipped"]
        assert skipped.reason == "an earlier record has the id 'a' as well"
        assert [document.text for document in library.documents("task")] == ["the first"]
    library.close()


def test_a_beir_file_that_is_not_utf_8_is_refused_with_its_line(tmp_path):
    (tmp_path / "queries.jsonl").write_text("")
    (tmp_path / "corpus.jsonl").write_bytes('{"_id": "a", "text": "café"}\n'.encode("latin-1"))
    with pytest.raises(UsageError, match=r"corpus\.jsonl, line 1: UnicodeDecodeError"):
        find_items([tmp_path])
