"""What a file seems to be that no parser reads, so that its message in the ledger can say so."""

import io
import zipfile

from ingest.decoding import looks_like_text, start_of_text
from ingest.zip_limits import DAMAGED

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "a PDF document"),
    (b"\x89PNG\r\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"BM", "a BMP image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"\x7fELF", "an executable"),
    (b"MZ", "a Windows executable"),
    (b"\xca\xfe\xba\xbe", "an executable or Java class"),
    (b"\xcf\xfa\xed\xfe", "an executable"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"{\\rtf", "an RTF document"),
    (b"%!PS", "a PostScript document"),
    (b"OggS", "an Ogg recording"),
    (b"ID3", "an MP3 recording"),
    (b"fLaC", "a FLAC recording"),
)
_TEXT_SIGNATURES = frozenset({b"BM", b"MZ", b"GIF8", b"BZh", b"ID3", b"OggS", b"fLaC"})
"""Signatures that a text file may start with as well, and that count only where the data is not text."""

DAMAGED_ZIP = "a damaged zip archive or Office file"
ENCRYPTED_OFFICE = "an encrypted Office file"
ZIP_ARCHIVE = "a zip archive"

_ZIP_KINDS: tuple[tuple[str, str], ...] = (
    ("word/document.xml", "a Word document (docx)"),
    ("ppt/presentation.xml", "a PowerPoint presentation (pptx)"),
    ("xl/workbook.xml", "an Excel workbook (xlsx)"),
    ("xl/workbook.bin", "a binary Excel workbook (xlsb)"),
    ("[Content_Types].xml", "an Office file of a kind that is not read"),
    ("META-INF/container.xml", "an EPUB book"),
    ("META-INF/manifest.xml", "an OpenDocument file of a kind that is not read"),
)
"""By a member that is there in this kind, and hardly in an archive of anybody's own files."""

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_STREAM = "EncryptedPackage".encode("utf-16-le")  # [MS-OFFCRYPTO] 2.3.4.4
_MAX_MIMETYPE = 200
_MAIL_HEADERS = ("mime-version:", "message-id:", "received:", "return-path:", "delivered-to:")


def known_kind(data: bytes) -> str | None:
    """Names the content that a signature gives away, such as "a PNG image"; None where there is none, as for text."""
    for signature, kind in _SIGNATURES:
        if data.startswith(signature) and not (signature in _TEXT_SIGNATURES and looks_like_text(data)):
            return kind
    if data.startswith(_OLE):
        return ENCRYPTED_OFFICE if _ENCRYPTED_STREAM in data else "a legacy Office file (doc, xls, ppt)"
    if data.startswith(b"PK\x03\x04"):
        return _zip_kind(data)
    if data.startswith(b"PK\x05\x06"):
        return "an empty zip archive"
    if data[4:8] == b"ftyp":
        return "an MP4 or HEIC recording or image"
    if data.startswith(b"RIFF") and data[8:12] in (b"WAVE", b"AVI ", b"WEBP"):
        return "a WAV, AVI or WebP file"
    return "an e-mail message" if is_mail(data) else None


def describe_content(data: bytes) -> str:
    """Names what the data seems to be, for a message: "a PNG image", "text", "binary data of an unknown kind"."""
    return known_kind(data) or ("text" if looks_like_text(data) else "binary data of an unknown kind")


def zip_names(data: bytes) -> list[str]:
    """Returns the names of a zip archive's members, none where the data is not a readable archive."""
    if not data.startswith(b"PK\x03\x04"):
        return []
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return archive.namelist()
    except DAMAGED:
        return []


def zip_mimetype(data: bytes) -> str:
    """Returns what the member `mimetype` says, which OpenDocument and EPUB files have; "" where there is none."""
    if "mimetype" not in zip_names(data):
        return ""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive, archive.open("mimetype") as member:
            return member.read(_MAX_MIMETYPE).decode("ascii", "replace").strip()
    except DAMAGED:
        return ""


def _zip_kind(data: bytes) -> str:
    names = frozenset(zip_names(data))
    if not names:
        return DAMAGED_ZIP
    return next((kind for member, kind in _ZIP_KINDS if member in names), ZIP_ARCHIVE)


def is_mail(data: bytes) -> bool:
    """Tells a message by two of the headers that mail servers write: read as plain text its body is often base64."""
    first_lines = start_of_text(data, 2048).lower().splitlines()[:30]
    return sum(any(line.startswith(header) for line in first_lines) for header in _MAIL_HEADERS) >= 2
