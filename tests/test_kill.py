"""Kill -9 in the middle of an ingest: nothing acknowledged is lost, and nothing that was paid for is paid for again.

After each kill the library is opened three times, each time in another process: a Chroma store that was torn may be
well at its first opening and crash at its second.
"""

import random
from pathlib import Path

import pytest

from ingest.targets import LARGEST_SLICE
from killing import EMBEDDERS, PARTS, Killed, never_twice, write_notes
from rag.library import Library
from ui.cli import run

SHARED = (Path(__file__).resolve().parents[2] / "shared" / "documents").resolve()  # as the ledger writes paths
FILES = 120
VECTORS = FILES * PARTS * len(EMBEDDERS)


@pytest.fixture
def killed(tmp_path):
    write_notes(tmp_path / "notes", range(FILES))
    return Killed(tmp_path / "notes", tmp_path)


MOMENTS = {
    "at the first vectors": lambda killed: killed.count("vectors") > 0,
    "at the first documents": lambda killed: killed.count("documents") > 0,
    "when all is embedded": lambda killed: killed.count("vectors") >= VECTORS,
    "while Chroma is written": lambda killed: (killed.home / "chroma" / "open.pid").exists(),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_ingest_goes_on_where_it_was(killed, capsys, moment):
    before = killed.kill_when(lambda: MOMENTS[moment](killed))
    if moment == "at the first documents":
        assert 0 < len(killed.acknowledged) < FILES
    stored = killed.stored()
    killed.open_thrice()
    after = killed.finish()

    never_twice(before, stored, after)
    assert set(before) | set(after) == killed.stored()
    assert len(killed.stored()) == VECTORS
    killed.whole(capsys)


def test_killed_again_and_again(killed, capsys):
    runs, total = [], 0
    for wanted in (1, VECTORS // 3, 2 * VECTORS // 3, VECTORS):
        stored = killed.stored()
        after = killed.kill_when(lambda wanted=wanted: killed.count("vectors") >= wanted)
        if runs:
            never_twice(runs[-1], stored, after)
        runs.append(after)
        total += len(after)
        killed.open_thrice()
    stored = killed.stored()
    last = killed.finish()
    never_twice(runs[-1], stored, last)
    assert total + len(last) <= VECTORS + len(runs) * LARGEST_SLICE, "at most one slice was lost to each kill"
    assert killed.finish() == [], "all is there, and yet something was embedded"
    killed.whole(capsys)


def test_killed_in_the_last_moment(killed, capsys):
    """After the last commit and before the index cards: then there is nothing left to do but to count."""
    before = killed.kill_when(killed.has_stopped, stop="finish")
    assert len(killed.acknowledged) == FILES
    assert set(before) == killed.stored()
    assert run(["--home", str(killed.home), "doctor"]) == 1
    assert "an ingest was interrupted" in capsys.readouterr().out
    killed.open_thrice()
    assert killed.finish() == []
    killed.whole(capsys)


def test_killed_at_random_moments_while_the_folder_changes(killed, capsys):
    """Kills come at any time from the first look at the library to the end of an undisturbed run."""
    chance = random.Random(20)
    longest = 3.0
    while killed.kills < 8:
        start = chance.randrange(FILES)
        write_notes(killed.folder, range(start, start + 20), edition=killed.kills)
        (killed.folder / f"note-{chance.choice(sorted(killed.contents()))[5:8]}.md").unlink()
        if killed.kill_after(chance.uniform(0, longest)):
            killed.open_thrice()
        else:
            longest *= 0.8  # it had ended before: the machine is faster
    killed.finish()
    killed.whole(capsys)


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no test material at {SHARED}")
def test_real_documents(tmp_path, capsys):
    killed = Killed(SHARED, tmp_path)
    before = killed.kill_when(lambda: killed.count("vectors") > 1500)
    stored = killed.stored()
    killed.open_thrice()
    after = killed.finish()
    never_twice(before, stored, after)
    library = Library(killed.home)
    entries = library.ledger.entries("notes")
    library.close()
    assert len(entries) > 50
    assert {path for path in SHARED.rglob("*") if path.is_file()} <= {Path(entry.path) for entry in entries}
