"""Limits on what a zip-based document may inflate to, checked before any parser opens it."""

import io
import zipfile

from ingest.errors import ParseError

MAX_INFLATED_BYTES = 500_000_000
"""Sum of the inflated sizes of all members; the largest real book seen as docx inflates to some 30 MB."""

MAX_RATIO = 200
"""Inflated to stored size. Word's own XML stays below 50; deflate can reach 1032, and then it is a bomb."""

RATIO_FLOOR_BYTES = 20_000_000
"""Below this inflated size any ratio is harmless."""

_XML_SUFFIXES = (".xml", ".rels")
_DECLARATIONS = (b"<!DOCTYPE", b"<!ENTITY")


def check_zip(data: bytes) -> None:
    """Refuses an archive that inflates too far or whose XML declares a document type, hence entities.

    `zipfile` never reads more of a member than the size its directory declares, so the declared sizes bound the work.
    Office's own standard (ECMA-376 part 2, 8.2.4) forbids document type declarations, so nothing genuine is lost.
    Raises ParseError.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            _check_sizes(sum(member.file_size for member in members), len(data))
            for member in members:
                if member.filename.lower().endswith(_XML_SUFFIXES):
                    _check_declarations(member.filename, archive.read(member))
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        # RuntimeError is how zipfile says that a member is encrypted
        raise ParseError(f"The file is a damaged or encrypted zip archive: {error}") from error


def _check_sizes(inflated: int, stored: int) -> None:
    if inflated > MAX_INFLATED_BYTES:
        raise ParseError(
            f"Refused: it inflates to {inflated // 1_000_000} MB, more than {MAX_INFLATED_BYTES // 1_000_000} MB."
        )
    if inflated > RATIO_FLOOR_BYTES and inflated > MAX_RATIO * stored:
        raise ParseError(
            f"Refused: {stored // 1000} kB inflate to {inflated // 1_000_000} MB, more than {MAX_RATIO} times as much."
        )


def _check_declarations(name: str, xml: bytes) -> None:
    flat = xml.replace(b"\x00", b"")  # as ASCII, also where the part is UTF-16
    if any(declaration in flat for declaration in _DECLARATIONS):
        raise ParseError(f"Refused: {name} declares a document type or entities, which Office files never do.")
