"""Uploads through the real application: where files go, what is refused, and by whom."""

import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.library import Library
from rag.settings import read_settings
from ui import uploads
from ui.uploads import FOLDER, INCOMING, UploadError, clear_stale, relative_path, store, upload_folder


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("uploads") / "home"


@pytest.fixture(scope="module")
def client(home):
    from starlette.testclient import TestClient

    from ui.access import Access
    from ui.app import build_app, make_server_app
    from ui.holding import Holding
    from ui.jobs import IngestJobs

    settings = read_settings(home)
    library = Library(settings.home, create=True)
    holding = Holding(library, settings)
    app = make_server_app(build_app(holding.reader, settings), holding, IngestJobs(holding), Access())
    with TestClient(app, base_url="http://127.0.0.1:7860") as opened:
        yield opened
    holding.close()
    library.close()


def send(client, path, data=b"text", corpus="c", **headers):
    return client.post(f"/library/upload?corpus={quote(corpus)}&path={quote(path)}", content=data, headers=headers)


def run(work):
    """Runs a coroutine in a thread of its own: a browser in another test may have left a loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def stored(home):
    """Lists the files under the uploads, and whatever was left half done."""
    return {path.relative_to(home / FOLDER).as_posix() for path in (home / FOLDER).rglob("*") if path.is_file()}


def test_a_file_is_stored_with_its_folders_and_a_newer_one_replaces_it(client, home):
    reply = send(client, "räume/süß & gut/tea.txt", b"green")
    assert (reply.status_code, reply.json()) == (200, {"stored": "räume/süß & gut/tea.txt"})
    assert send(client, "räume/süß & gut/tea.txt", b"black").status_code == 200
    assert (home / FOLDER / "c" / "räume" / "süß & gut" / "tea.txt").read_bytes() == b"black"
    assert not any(INCOMING in name for name in stored(home))


def test_an_empty_file_and_a_large_one_arrive_whole(client, home):
    data = os.urandom(3_000_000)
    assert send(client, "empty.txt", b"").status_code == 200
    assert send(client, "large.bin", data).status_code == 200
    folder = home / FOLDER / "c"
    assert (folder / "empty.txt").read_bytes() == b"" and (folder / "large.bin").read_bytes() == data


def test_another_site_is_refused(client, home):
    before = stored(home)
    for headers in ({"origin": "http://evil.test"}, {"host": "evil.test"}, {"origin": "null"}):
        reply = send(client, "evil.txt", **headers)
        assert reply.status_code == 403, headers
    assert stored(home) == before
    assert send(client, "own.txt", origin="http://127.0.0.1:7860").status_code == 200


@pytest.mark.parametrize("route", ["ingest", "backfill", "remove", "stop", "resume", "dismiss"])
def test_another_site_starts_no_job(client, route):
    body = {"corpus": "c", "embedders": [], "sources": []}
    assert client.post(f"/library/{route}", json=body, headers={"origin": "http://evil.test"}).status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        *("../evil.txt", "a/../../evil.txt", "/etc/evil", "a//b", "a/./b", "..", ".", "", "a/"),
        *("C:evil.txt", "C:/evil.txt", "a\\..\\evil.txt", "\\\\server\\share"),
        *("a\x00b", "a\nb", "a\x1b[2J", "\u202egpj.exe"),
        *("con", "NUL.txt", "a/lpt1", "aux.tar.gz", ".hidden", "a/.git/config", " a", "a ", "a.", "ends /x"),
        *("x" * 201, "ä" * 101, "/".join(["abcdefgh"] * 120)),
    ],
)
def test_paths_that_could_lead_astray_are_refused(client, home, path):
    before = stored(home)
    reply = send(client, path)
    assert reply.status_code == 400 and reply.json()["error"], path
    assert stored(home) == before


@pytest.mark.parametrize("corpus", ["", "..", "a/b", ".incoming", "a b", "x" * 101, "ä"])
def test_a_name_that_cannot_be_a_corpus_is_refused(client, corpus):
    assert send(client, "a.txt", corpus=corpus).status_code == 400


@given(st.text(min_size=1, max_size=60))
def test_an_accepted_path_stays_below_its_folder(text):
    try:
        path = relative_path(text)
    except UploadError:
        return
    assert path.parts and not path.is_absolute() and ".." not in path.parts
    assert not any(part.startswith(".") or not part.isprintable() for part in path.parts if part.isascii())


def test_a_link_inside_the_uploads_leads_nowhere(client, home, tmp_path):
    folder = upload_folder(home, "linked")
    folder.mkdir(parents=True)
    (folder / "out").symlink_to(tmp_path, target_is_directory=True)
    assert send(client, "out/evil.txt", corpus="linked").status_code == 400
    assert list(tmp_path.iterdir()) == []


def test_a_file_and_a_folder_cannot_share_a_name(client, home):
    assert send(client, "same", corpus="clash").status_code == 200
    reply = send(client, "same/inner.txt", corpus="clash")
    assert reply.status_code == 409 and "Rename one of them" in reply.json()["error"]
    assert send(client, "folder/inner.txt", corpus="clash").status_code == 200
    assert send(client, "folder", corpus="clash").status_code == 409
    assert not any(INCOMING in name for name in stored(home))


def test_a_file_over_the_limit_is_refused_by_its_length_and_by_its_bytes(client, home, monkeypatch):
    monkeypatch.setattr(uploads, "LIMIT", 1000)
    before = stored(home)
    assert send(client, "big.txt", b"x" * 1001).status_code == 413

    def pieces():
        yield from [b"x" * 600] * 3

    assert (
        client.post("/library/upload?corpus=c&path=big.txt", content=pieces()).status_code == 413
    )  # of unknown length
    assert stored(home) == before
    assert send(client, "fits.txt", b"x" * 1000).status_code == 200


def test_a_disk_that_is_nearly_full_takes_nothing(client, monkeypatch):
    monkeypatch.setattr(uploads, "KEPT_FREE", 1 << 60)
    reply = send(client, "a.txt")
    assert reply.status_code == 507 and "MiB left" in reply.json()["error"]


def test_an_upload_that_breaks_off_leaves_nothing(tmp_path):
    async def half():
        yield b"half"

    with pytest.raises(UploadError, match="Only 4 of 8 bytes"):
        run(store(tmp_path, "c", "a.txt", 8, half()))

    async def broken():
        yield b"half"
        raise ConnectionResetError("gone")

    with pytest.raises(UploadError):
        run(store(tmp_path, "c", "a.txt", 8, broken()))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_killed_uploads_left_is_cleared_and_what_still_comes_is_kept(tmp_path):
    folder = tmp_path / FOLDER / INCOMING
    folder.mkdir(parents=True)
    (folder / "old").write_text("x")
    (folder / "new").write_text("x")
    os.utime(folder / "old", (time.time() - 7200,) * 2)
    clear_stale(tmp_path)
    assert [path.name for path in folder.iterdir()] == ["new"]


def test_gradios_own_route_takes_nothing(client):
    reply = client.post("/gradio_api/upload", files={"files": ("a.txt", b"x" * 10)})
    assert reply.status_code == 404
