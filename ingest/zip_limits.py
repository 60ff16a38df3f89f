"""Limits on what a zip-based document may inflate to, checked before any parser opens it."""

import io
import re
import zipfile
import zlib

from ingest.errors import ParseError

MAX_INFLATED_BYTES = 500_000_000
"""Sum of the inflated sizes of all members; the largest real book seen as docx inflates to some 30 MB."""

MAX_RATIO = 200
"""Inflated to stored size. Word's own XML stays below 50; deflate can reach 1032, and then it is a bomb."""

RATIO_FLOOR_BYTES = 20_000_000
"""Below this inflated size any ratio is harmless."""

METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""The methods that OPC, ODF and EPUB allow; `zipfile` inflates the others in pieces of any size."""

DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError)
"""What `zipfile` raises for damaged archives; RuntimeError says that a member is encrypted."""

_XML_SUFFIXES = (".xml", ".rels", ".opf", ".ncx")
_DOCTYPE = b"<!DOCTYPE"
_ENTITY = b"<!ENTITY"
_INTERNAL_SUBSET = re.compile(rb"<!DOCTYPE[^>\[]*\[")


def check_zip(data: bytes, allow_doctype: bool = False) -> None:
    """Refuses an archive that inflates too far or whose XML declares entities.

    `zipfile` never reads more of a member than the size its directory declares, so the declared sizes bound the work.
    Office's own standard (ECMA-376 part 2, 8.2.4) forbids document type declarations, so nothing genuine is lost;
    OpenDocument and EPUB files may name a document type, and `allow_doctype` lets them, but not define one.
    Raises ParseError.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            check_sizes(sum(member.file_size for member in members), len(data))
            for member in members:
                if member.compress_type not in METHODS:
                    raise ParseError(f"Refused: {member.filename} is compressed by a method other than deflate.")
                if member.filename.lower().endswith(_XML_SUFFIXES):
                    _check_declarations(member.filename, archive.read(member), allow_doctype)
    except DAMAGED as error:
        raise ParseError(f"The file is a damaged or encrypted zip archive: {error}") from error


def check_sizes(inflated: int, stored: int) -> None:
    """Refuses what inflates to too many bytes, or to too many for its stored size; raises ParseError."""
    if inflated > MAX_INFLATED_BYTES:
        raise ParseError(
            f"Refused: it inflates to {inflated // 1_000_000} MB, more than {MAX_INFLATED_BYTES // 1_000_000} MB."
        )
    if inflated > RATIO_FLOOR_BYTES and inflated > MAX_RATIO * stored:
        raise ParseError(
            f"Refused: {stored // 1000} kB inflate to {inflated // 1_000_000} MB, more than {MAX_RATIO} times as much."
        )


def _check_declarations(name: str, xml: bytes, allow_doctype: bool) -> None:
    flat = xml.replace(b"\x00", b"")  # as ASCII, also where the part is UTF-16
    if allow_doctype and _ENTITY not in flat and not _INTERNAL_SUBSET.search(flat):
        return
    if _DOCTYPE in flat or _ENTITY in flat:
        raise ParseError(f"Refused: {name} declares a document type or entities, which genuine files never do.")
