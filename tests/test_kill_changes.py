"""Kill -9 while documents change or leave: each is there whole in one version, or gone from everywhere."""

import zipfile

import pytest

from killing import CORPUS, EMBEDDERS, PARTS, Killed, hash_of, never_twice, note, write_notes
from rag.embedders.registry import find_spec

FILES = 60


@pytest.fixture
def killed(tmp_path):
    write_notes(tmp_path / "notes", range(FILES))
    return Killed(tmp_path / "notes", tmp_path)


def chroma_is_open(killed):
    return (killed.home / "chroma" / "open.pid").exists()


def test_files_that_were_deleted(killed, capsys):
    killed.finish()
    for at, reached in enumerate((lambda: killed.count("documents") < FILES, lambda: chroma_is_open(killed))):
        for number in range(at, FILES, 7):
            (killed.folder / f"note-{number:03}.md").unlink()
        killed.kill_when(reached)
        opening = killed.open_thrice()
        assert opening["done"] == killed.contents(), "what was deleted came back"
    assert killed.finish() == []
    killed.whole(capsys)
    assert len(killed.stored()) == len(killed.contents()) * PARTS * len(EMBEDDERS)


def test_a_changed_file_is_there_in_one_version(killed, capsys):
    killed.finish()
    old, versions = killed.stored(), killed.done()
    write_notes(killed.folder, range(0, FILES, 2), edition=1)
    (killed.folder / "note-001.md").unlink()

    before = killed.kill_when(lambda: killed.stored() != old)
    stored = killed.stored()
    assert old <= stored, "a vector was dropped before its replacement was there"
    killed.open_thrice()
    again = killed.kill_when(lambda: killed.done().get("note-000.md") == hash_of(note(0, 1).encode()))
    never_twice(before, stored, again)
    opening = killed.open_thrice()
    assert {opening["done"][source] == versions[source] for source in opening["done"]} == {True, False}

    after = killed.finish()
    never_twice(again, killed.stored() - set(after), after)
    assert set(before + again + after) & old == set(), "what had not changed was embedded again"
    killed.whole(capsys)
    assert len(killed.stored()) == (FILES - 1) * PARTS * len(EMBEDDERS)


def test_an_embedder_that_is_added_later(killed, capsys):
    killed.finish(killed.ingest("hash"))
    added = find_spec("wordllama").fingerprint
    backfill = ["ingest", "--backfill", "--corpus", CORPUS, "--embedder", "wordllama"]
    query = f"SELECT source FROM documents d JOIN indexed i ON i.document_id = d.id WHERE i.fingerprint = '{added}'"

    runs = []
    for reached in (lambda: killed.rows(query), lambda: chroma_is_open(killed)):
        stored = killed.stored()
        runs.append(killed.kill_when(reached, command=backfill))
        assert stored.isdisjoint(runs[-1])
        complete = {source for (source,) in killed.rows(query)}
        opening = killed.open_thrice(lacking=["wordllama"])
        assert set(opening["found"]["wordllama"]) == complete
        assert opening["done"] == killed.contents()
    assert 0 < len(runs[0]) < FILES * PARTS
    stored = killed.stored()
    never_twice(runs[-1], stored, killed.finish(backfill))
    killed.whole(capsys)


def test_documents_that_are_removed_by_hand(killed, capsys):
    killed.finish()
    removed = []
    for at, reached in enumerate((lambda: killed.count("documents") < FILES, lambda: chroma_is_open(killed))):
        chosen = [f"note-{number:03}.md" for number in range(at, FILES, 9)]
        removed += chosen
        killed.kill_when(reached, command=["remove", *chosen, "--corpus", CORPUS])
        opening = killed.open_thrice(removed)
        assert set(removed).isdisjoint(opening["done"]), "what was removed came back"
    assert killed.finish() == []
    killed.whole(capsys, removed)
    assert len(killed.stored()) == (FILES - len(removed)) * PARTS * len(EMBEDDERS)


def zip_notes(folder, numbers, edition=0):
    with zipfile.ZipFile(folder / "notes.zip", "w") as archive:
        for number in numbers:
            archive.writestr(f"old/note-{number}.md", note(number, edition))


def test_the_members_of_an_archive(killed, capsys):
    zip_notes(killed.folder, range(100, 150))

    def members():
        return {source: value for source, value in killed.done().items() if source.startswith("notes.zip/")}

    before = killed.kill_when(lambda: len(members()) > 0)
    assert 0 < len(members()) < 50
    killed.open_thrice()
    stored = killed.stored()
    never_twice(before, stored, killed.finish())
    old = members()
    zip_notes(killed.folder, range(110, 150), edition=1)
    killed.kill_when(lambda: len(members()) == 40)
    killed.open_thrice()
    killed.kill_when(lambda: any(old[source] != value for source, value in members().items()))
    opening = killed.open_thrice()
    assert {opening["done"][source] == old[source] for source in members()} == {True, False}
    killed.finish()
    killed.whole(capsys)
    assert len(killed.stored()) == (FILES + 40) * PARTS * len(EMBEDDERS)
