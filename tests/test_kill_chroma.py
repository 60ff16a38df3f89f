"""Kill -9 while Chroma writes: its graph's files, which it overwrites in place, are never trusted after that.

Chroma is made to write them with every few chunks. A store that was not closed is examined in some tests, which is what
happens to a large one, and built anew unseen in others.
"""

import random
import time

import pytest

from killing import EXAMINED, FLUSHING, Killed, write_notes

FILES = 60


class GraphWritten:
    """Holds a while after a file of a graph has been seen to change for the n-th time since the first question."""

    def __init__(self, killed, number=1, milliseconds=0):
        self._chroma = killed.home / "chroma"
        self._left = number
        self._milliseconds = milliseconds
        self._stamps = None

    def __call__(self):
        stamps = self._look()
        self._left -= self._stamps is not None and stamps != self._stamps
        self._stamps = stamps
        if self._left > 0:
            return False
        time.sleep(self._milliseconds / 1000)
        return True

    def _look(self):
        stamps = []
        for path in self._chroma.glob("*/*.bin"):
            try:
                status = path.stat()
            except FileNotFoundError:  # the store has just been thrown away
                continue
            stamps.append((path, status.st_mtime_ns, status.st_size))
        return stamps


def started():
    return True


@pytest.fixture
def grown(tmp_path):
    """Makes a library of notes, in whose processes some constants are changed."""

    def make(**changes):
        write_notes(tmp_path / "notes", range(FILES))
        killed = Killed(tmp_path / "notes", tmp_path, changes)
        killed.finish()
        return killed

    return make


def grow(killed):
    """Adds some notes, changes others and deletes a few."""
    number = FILES + 20 * killed.kills
    write_notes(killed.folder, range(number, number + 20))
    write_notes(killed.folder, range(number - 40, number - 25), edition=number)
    for gone in range(number - 60, number - 55):
        (killed.folder / f"note-{gone:03}.md").unlink()


def test_killed_in_the_flush_of_a_graph_that_is_examined(grown, capsys):
    chance = random.Random(7)
    killed = grown(**FLUSHING, **EXAMINED)
    for milliseconds in (0, 0, 0, 0, 1, 3, 10, 40):
        grow(killed)
        killed.kill_when(started, then=GraphWritten(killed, chance.randint(1, 12), milliseconds))
        killed.open_thrice()
    assert killed.kills == 8
    killed.finish()
    killed.whole(capsys)


def test_killed_in_the_flush_of_a_graph_that_is_built_anew(grown, capsys):
    chance = random.Random(8)
    killed = grown(**FLUSHING)
    for milliseconds in (0, 2, 20):
        grow(killed)
        killed.kill_when(started, then=GraphWritten(killed, chance.randint(1, 12), milliseconds))
        killed.open_thrice()
    killed.finish()
    killed.whole(capsys)


def test_killed_while_chroma_is_fed_beside_the_embedding(grown, capsys):
    killed = grown(**FLUSHING, **EXAMINED)
    for _ in range(2):
        grow(killed)
        state = killed.rows("SELECT * FROM chroma_state")
        killed.kill_when(lambda state=state: killed.rows("SELECT * FROM chroma_state") != state)
        killed.open_thrice()
    killed.finish()
    killed.whole(capsys)


def test_killed_while_the_caches_are_rebuilt(grown, capsys):
    """In the three moments when nothing is there yet, when one collection is being filled, and when both are."""
    killed = grown(**FLUSHING, **EXAMINED)
    for collections in (0, 1, 2):
        killed.kill_when(started, then=Refilled(killed, collections), command=["rebuild"])
        killed.open_thrice()
    killed.finish(["rebuild"])
    killed.whole(capsys)


class Refilled:
    """Holds once Chroma has begun with so many collections since the first question."""

    def __init__(self, killed, collections):
        self._killed = killed
        self._collections = collections
        self._emptied = False

    def __call__(self):
        there = len(self._killed.rows("SELECT * FROM chroma_state"))
        self._emptied |= there == 0
        return self._emptied and there >= self._collections
