"""Archives through the parser pool: they are listed, and each member is parsed as if it were a file of its own."""

import hashlib
import os
import shutil
import stat
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from file_builders import make_docx, zip_info, zipped
from ingest.parsing import NoTextError, ParseError, UnsupportedFormatError
from ingest.sandbox import Archive, Parsed, ParserPool

SHARED = Path(__file__).parents[2] / "shared"
FOLDER = (stat.S_IFDIR | 0o755) << 16
Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def write(*members: tuple[str | zipfile.ZipInfo, bytes], name: str = "a.zip") -> Path:
        path = tmp_path / name
        path.write_bytes(zipped(*members))
        return path

    return write


def test_the_pool_lists_and_parses_members(save: Save) -> None:
    docx = make_docx()
    path = save(
        ("docs/report.docx", docx),
        ("docs/deep/a.md", b"# A\n\ntext"),
        ("empty.txt", b""),
        ("x.exe", b"MZ\x90\x00" + bytes(90)),
    )
    with ParserPool() as pool:
        archive = pool.parse(path)
        assert isinstance(archive, Archive)
        assert archive.content_hash == hashlib.sha256(path.read_bytes()).hexdigest()
        assert [member.name for member in archive.members] == [
            "docs/report.docx",
            "docs/deep/a.md",
            "empty.txt",
            "x.exe",
        ]
        kind, document, content_hash = pool.parse_member(path, "docs/report.docx")
        assert (kind, document.title) == ("docx", "Annual Report")
        assert content_hash == hashlib.sha256(docx).hexdigest()
        assert pool.parse_member(path, "docs/deep/a.md").document.text == "# A\n\ntext"
        with pytest.raises(NoTextError, match="0 bytes"):
            pool.parse_member(path, "empty.txt")
        with pytest.raises(UnsupportedFormatError, match="executable"):
            pool.parse_member(path, "x.exe")
        with pytest.raises(ParseError, match="no such file"):
            pool.parse_member(path, "missing.txt")


def test_a_member_has_its_own_name_not_its_folders(save: Save) -> None:
    path = save(("a.csv/table", b"a,b\n1,2"), ("folder/b.csv", b"a,b\n1,2"))
    with ParserPool() as pool:
        assert pool.parse_member(path, "a.csv/table").format == "plain_text"
        assert pool.parse_member(path, "folder/b.csv").format == "csv"


def test_an_archive_in_an_archive_is_refused(save: Save) -> None:
    path = save(("inner.zip", zipped(("a.txt", b"text"))), ("docs.zip", make_docx()))
    with ParserPool() as pool:
        with pytest.raises(UnsupportedFormatError, match="archive in an archive; unpack it"):
            pool.parse_member(path, "inner.zip")
        assert pool.parse_member(path, "docs.zip").format == "docx"


def test_a_changed_archive_is_opened_anew(save: Save) -> None:
    with ParserPool() as pool:
        path = save(("a.txt", b"old"))
        assert pool.parse_member(path, "a.txt").document.text == "old"
        save(("b.txt", b"longer"), ("a.txt", b"newer"))
        assert pool.parse_member(path, "a.txt").document.text == "newer"
        path.unlink()
        with pytest.raises(ParseError, match="No such file"):
            pool.parse_member(path, "a.txt")
        other = save(("a.txt", b"other"), name="b.zip")
        assert pool.parse_member(other, "a.txt").document.text == "other"


def test_threads_share_a_pool(save: Save) -> None:
    names = [f"{n}.txt" for n in range(30)]
    path = save(*((name, f"text of {name}".encode()) for name in names))
    with ParserPool(workers=2) as pool, ThreadPoolExecutor(5) as threads:
        parsed = list(threads.map(lambda name: pool.parse_member(path, name), names))
    assert [each.document.text for each in parsed] == [f"text of {name}" for name in names]


def test_folders_alone_are_an_archive_without_members(save: Save) -> None:
    with ParserPool() as pool:
        assert pool.parse(save((zip_info("docs/", FOLDER), b""))).members == ()
        with pytest.raises(UnsupportedFormatError, match="an empty zip archive"):
            pool.parse(save())


def test_nothing_is_written_beside_the_archive(save: Save, tmp_path: Path) -> None:
    path = save(("docs/a.txt", b"text"))
    with ParserPool() as pool:
        pool.parse(path)
        pool.parse_member(path, "docs/a.txt")
    assert [each.name for each in tmp_path.rglob("*")] == ["a.zip"]


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.99])
def test_truncated_archives_are_refused(keep: float, tmp_path: Path) -> None:
    data = zipped(*((f"{n}.txt", os.urandom(50)) for n in range(9)))
    path = tmp_path / "cut.zip"
    path.write_bytes(data[: int(len(data) * keep)])
    with ParserPool() as pool, pytest.raises(ParseError, match="damaged zip") as caught:
        pool.parse(path)
    assert type(caught.value) is ParseError


@pytest.mark.shared
@pytest.mark.skipif(not (SHARED / "hostile/made").is_dir(), reason=f"no test material at {SHARED}")
def test_real_files_in_an_archive(tmp_path: Path) -> None:
    with ParserPool() as pool:
        with pytest.raises(ParseError) as caught:
            pool.parse(SHARED / "hostile/made/zip_slip.zip")
        assert str(caught.value) == "Refused: its member '../../evil.txt' leads outside the archive."
        shutil.copytree(SHARED / "documents/office_other", tmp_path / "files")
        path = Path(shutil.make_archive(str(tmp_path / "made"), "zip", tmp_path / "files"))
        archive = pool.parse(path)
        assert isinstance(archive, Archive) and len(archive.members) == 5
        for member in archive.members:
            inside, outside = pool.parse_member(path, member.name), pool.parse(tmp_path / "files" / member.name)
            assert isinstance(outside, Parsed) and inside == outside
