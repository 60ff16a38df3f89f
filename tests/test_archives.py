"""Zip archives of documents: what they list, and what of them, or which of their members, they refuse."""

import io
import os
import stat
import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from file_builders import make_docx, zip_info, zipped
from ingest import archives
from ingest.archives import Member, OpenArchive
from ingest.parsing import ParseError, is_archive
from ingest.zip_limits import MAX_RATIO, RATIO_FLOOR_BYTES

LINK, FIFO, FOLDER = (kind << 16 for kind in (stat.S_IFLNK | 0o777, stat.S_IFIFO | 0o644, stat.S_IFDIR | 0o755))


def encrypted(data: bytes) -> bytes:
    """Returns the archive with the flag "encrypted" on all members, both in their headers and in the directory."""
    changed = bytearray(data)
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = changed.find(signature)
        while place >= 0:
            changed[place + offset] |= 1
            place = changed.find(signature, place + 1)
    return bytes(changed)


def opened(data: bytes) -> OpenArchive:
    return OpenArchive(io.BytesIO(data))


def only(data: bytes) -> Member:
    (member,) = opened(data).members
    return member


def test_members_are_listed_in_order_and_read() -> None:
    archive = opened(zipped((zip_info("docs/", FOLDER), b""), ("docs/b.txt", b"bee"), ("a/ünï 文件.md", b"# A")))
    assert archive.members == (Member("docs/b.txt", 3), Member("a/ünï 文件.md", 3))
    assert archive.read("docs/b.txt") == b"bee"
    assert archive.read("a/ünï 文件.md") == b"# A"


def test_names_without_the_utf8_flag_are_cp437() -> None:
    data = zipped(("m\x01\x02ller.txt", b"x")).replace(b"m\x01\x02ller", "m\u00fc_ller".encode("cp437"))
    assert only(data).name == "mü_ller.txt"


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        ("__MACOSX/._a.txt", "macOS"),
        (".hidden.txt", "a hidden file"),
        ("a/.git/config", "in a hidden folder"),
        (zip_info("link.txt", LINK), "a link, which is not followed"),
        (zip_info("pipe.txt", FIFO), "not a regular file"),
        ("line\nbreak.txt", "control characters"),
        ("nul.txt\x00.exe", "control characters"),
    ],
)
def test_members_that_are_no_documents_are_refused_one_by_one(member: str | zipfile.ZipInfo, reason: str) -> None:
    if isinstance(member, str) and "\x00" in member:  # zipfile cuts such a name when it writes
        data = zipped(("a.txt", b"good"), (member.replace("\x00", "\x01"), b"bad")).replace(b"\x01.exe", b"\x00.exe")
    else:
        data = zipped(("a.txt", b"good"), (member, b"bad"))
    archive = opened(data)
    assert [bool(each.refusal) for each in archive.members] == [False, True]
    assert reason in archive.members[1].refusal
    with pytest.raises(ParseError, match=reason):
        archive.read(archive.members[1].name)
    assert archive.read("a.txt") == b"good"


def test_encrypted_members_are_refused() -> None:
    assert "encrypted" in only(encrypted(zipped(("a.txt", b"secret")))).refusal


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_methods_are_refused(method: int) -> None:
    assert "method other than deflate" in only(zipped(("a.txt", b"text"), method=method)).refusal


def test_a_bomb_costs_only_itself() -> None:
    archive = opened(zipped(("bomb.txt", bytes(RATIO_FLOOR_BYTES + 1)), ("a.txt", b"good")))
    assert f"more than {MAX_RATIO} times" in archive.members[0].refusal
    assert archive.read("a.txt") == b"good"


def test_the_later_of_one_name_is_refused() -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        archive = opened(zipped(("a.txt", b"first"), ("a.txt", b"second")))
    assert [member.refusal for member in archive.members] == ["", "an earlier member has the same name"]
    assert archive.read("a.txt") == b"first"


@pytest.mark.parametrize(
    "name",
    [
        "../../evil.txt",
        "a/../../evil.txt",
        "/etc/passwd",
        "C:/evil.txt",
        "c:evil.txt",
        "..\\evil.txt",
        "\\evil.txt",
        "..",
    ],
)
def test_one_name_that_leads_outside_refuses_the_whole_archive(name: str) -> None:
    with pytest.raises(ParseError) as caught:
        opened(zipped(("ok.txt", b"ok"), (name, b"evil")))
    assert str(caught.value) == f"Refused: its member {name!r} leads outside the archive."


def test_backslashes_are_refused_too() -> None:
    with pytest.raises(ParseError, match="backslashes; pack it anew"):
        opened(zipped(("docs\\a.txt", b"text")))


@pytest.mark.parametrize("name", ["..a.txt", "a..b/c.txt", "a...", "notes (2).txt", "ab:c.txt"])
def test_harmless_names_are_not_refused(name: str) -> None:
    assert only(zipped((name, b"text"))).refusal == ("a hidden file" if name.startswith(".") else "")


def test_limits_on_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    data = zipped(*((f"{n}.txt", b"12345") for n in range(20)))
    assert len(opened(data).members) == 20
    monkeypatch.setattr(archives, "MAX_ARCHIVE_BYTES", 99)
    with pytest.raises(ParseError, match="inflates to"):
        opened(data)
    monkeypatch.setattr(archives, "MAX_MEMBERS", 19)
    with pytest.raises(ParseError, match="20 members, more than 19"):
        opened(data)


def test_a_member_is_never_longer_than_it_says() -> None:
    data = bytearray(zipped(("a.txt", b"x" * 1000)))
    directory = data.find(b"PK\x01\x02")
    data[directory + 24 : directory + 28] = struct.pack("<I", 10)
    archive = opened(bytes(data))
    assert archive.members == (Member("a.txt", 10),)
    with pytest.raises(ParseError, match=r"'a\.txt' is damaged"):  # what comes out does not have its checksum
        archive.read("a.txt")


def test_a_spoilt_member_is_told() -> None:
    words = os.urandom(500)
    data = bytearray(zipped(("a.txt", words), ("b.txt", b"good")))
    data[data.find(words[:20]) + 100] ^= 0xFF
    archive = opened(bytes(data))
    with pytest.raises(ParseError, match=r"'a\.txt' is damaged"):
        archive.read("a.txt")
    assert archive.read("b.txt") == b"good"
    with pytest.raises(ParseError, match="no such file"):
        archive.read("c.txt")


@given(st.binary(max_size=60), st.integers(0, 400))
def test_any_damage_is_a_parse_error(noise: bytes, place: int) -> None:
    """Overwrites part of a good archive: it is listed, or refused, and each member is read or refused."""
    good = zipped(("docs/a.txt", b"text " * 30), ("docs/b.txt", b"more"))
    data = good[:place] + noise + good[place + len(noise) :]
    try:
        archive = opened(data)
        for member in archive.members:
            archive.read(member.name)
    except ParseError as error:
        assert str(error).isprintable()


def test_what_is_an_archive() -> None:
    archive, docx = zipped(("word/letter.docx", make_docx()), ("content.xml", b"<a/>")), make_docx()
    assert is_archive(archive, "a.zip") and is_archive(archive, "a") and is_archive(archive, "a.txt")
    assert not is_archive(archive, "a.docx")  # a damaged document, to say so
    assert not is_archive(docx, "a.zip")
    assert not is_archive(b"text", "a.zip") and not is_archive(b"PK\x03\x04 text", "a.zip")
