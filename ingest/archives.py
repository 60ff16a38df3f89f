"""Zip archives of documents: their members are listed and read one by one, within limits, and never extracted."""

import re
import stat
import zipfile
from typing import BinaryIO, NamedTuple

from ingest.errors import ParseError
from ingest.zip_limits import DAMAGED, METHODS, check_sizes

MAX_MEMBERS = 10_000
"""Files and folders in one archive; more than that is a backup, to be unpacked by its owner."""

MAX_ARCHIVE_BYTES = 2_000_000_000
"""Sum of the inflated sizes of all members; each one alone has the limit of any zip-based document."""

_ENCRYPTED = 0x1  # a bit of the general purpose flags
_ENCRYPTED_REFUSAL = "encrypted; unpack it with its password"
_DRIVE = re.compile(r"[A-Za-z]:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Member(NamedTuple):
    """A file in an archive: its path there, its inflated size, and why it is not to be read ("" where it is).

    `failed` tells a document that cannot be read, such as an encrypted one, from what is left out by choice.
    """

    name: str
    size: int
    refusal: str = ""
    failed: bool = False


class OpenArchive:
    """A zip archive whose directory was read and checked; the file stays open for its members to be read.

    Raises ParseError for a damaged archive, one over a limit, and one with a member that leads outside, whatever the
    others are: nobody makes such an archive by accident.
    """

    def __init__(self, file: BinaryIO) -> None:
        try:
            self._archive = zipfile.ZipFile(file)
        except DAMAGED as error:
            raise ParseError(f"The file is a damaged zip archive: {error}") from error
        infos = self._archive.infolist()
        if len(infos) > MAX_MEMBERS:
            raise ParseError(f"Refused: it has {len(infos)} members, more than {MAX_MEMBERS}; unpack it.")
        for info in infos:
            _check_name(info.orig_filename)
        _check_total(sum(info.file_size for info in infos))
        self._infos: dict[str, zipfile.ZipInfo] = {}
        self.members = tuple(self._member(info) for info in infos if not info.is_dir())

    def read(self, name: str) -> bytes:
        """Returns the bytes of a member, of the first where several have the name; raises ParseError."""
        info = self._infos.get(name)
        refusal = _refusal(info) if info else "the archive holds no such file; it may have changed"
        if info is None or refusal:
            raise ParseError(f"The member {name!r} is not read: {refusal}.")
        try:
            return self._archive.read(info)
        except DAMAGED as error:
            raise ParseError(f"The member {name!r} is damaged: {error}") from error

    def close(self) -> None:
        """Ends the reading; a file that was given open is left open."""
        self._archive.close()

    def _member(self, info: zipfile.ZipInfo) -> Member:
        """Lists a member; later ones of a name that was taken are told, not read."""
        first = self._infos.setdefault(info.filename, info)
        refusal = _refusal(info) if first is info else "an earlier member has the same name"
        failed = refusal in (_ENCRYPTED_REFUSAL, _over_limit(info))
        return Member(info.filename, info.file_size, refusal, bool(refusal) and failed)


def _check_total(inflated: int) -> None:
    if inflated > MAX_ARCHIVE_BYTES:
        raise ParseError(
            f"Refused: it inflates to {inflated // 1_000_000} MB, more than {MAX_ARCHIVE_BYTES // 1_000_000} MB."
        )


def _check_name(name: str) -> None:
    """Refuses a name that would lead out of the folder into which some system might extract it."""
    parts = name.replace("\\", "/").split("/")
    if ".." in parts or not parts[0] or _DRIVE.match(name):
        raise ParseError(f"Refused: its member {name!r} leads outside the archive.")
    if "\\" in name:  # a folder to Windows and a letter to others: what is checked here is not what they would see
        raise ParseError(f"Refused: its member {name!r} is named with backslashes; pack it anew.")


def _refusal(info: zipfile.ZipInfo) -> str:
    """Says why a member is not to be read, "" where nothing speaks against it."""
    parts = info.filename.split("/")
    kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where the archive comes from a system without such modes
    if "__MACOSX" in parts:
        return "what macOS adds to an archive, no document"
    if any(part.startswith(".") and part != "." for part in parts):
        return "a hidden file" if parts[-1].startswith(".") else "in a hidden folder"
    if _CONTROL.search(info.orig_filename):
        return "its name holds control characters"
    if kind == stat.S_IFLNK:
        return "a link, which is not followed"
    if kind not in (0, stat.S_IFREG):
        return "not a regular file"
    if info.flag_bits & _ENCRYPTED:
        return _ENCRYPTED_REFUSAL
    if info.compress_type not in METHODS:
        return "compressed by a method other than deflate; unpack it"
    return _over_limit(info)


def _over_limit(info: zipfile.ZipInfo) -> str:
    """Says of one member what its size alone would say of a document."""
    try:
        check_sizes(info.file_size, info.compress_size)
    except ParseError as error:
        return str(error).removeprefix("Refused: ").removesuffix(".")
    return ""
