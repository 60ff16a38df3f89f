"""Bytes to text in any encoding: byte order mark, UTF-8, the pattern of NULs, and last a guess from the bytes' look."""

import codecs
import re
from typing import NamedTuple

from ingest.errors import UnsupportedFormatError
from ingest.text_building import clean_text

SAMPLE_BYTES = 256 * 1024
"""How much of a file is looked at to guess a legacy encoding, or to tell text from binary data."""

MAX_CONTROL_SHARE = 0.01
"""Above this share of control characters data is not text. Logs with terminal colours and a stray NUL stay below."""

_MARKS = (  # UTF-32 before UTF-16: its little-endian mark starts with the other's
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CONTROL_BYTES = bytes(range(9)) + bytes(range(14, 27)) + bytes(range(28, 32)) + b"\x7f"  # not TAB LF VT FF CR ESC
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_WESTERN = frozenset(
    "àâäáãåæçèéêëìíîïñòóôöõøœùúûüýÿßÀÂÄÁÃÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÖÕØŒÙÚÛÜÝ«»‹›„“”‘’‚–—…•·°§©®™€£¥¢¡¿ºª½¼¾±×²´¨\xa0\xad"
)
_NO_GUESS = ["utf_7", "utf_16", "utf_16_le", "utf_16_be", "utf_32", "utf_32_le", "utf_32_be"]


class Decoded(NamedTuple):
    """A file's text with clean characters, and what the reader should know about how it was decoded."""

    text: str
    warnings: tuple[str, ...] = ()


def decode(data: bytes) -> Decoded:
    """Decodes a text file, whatever its encoding.

    Raises UnsupportedFormatError where NULs and control characters show that the data is not text.
    """
    decoded = _decode_marked(data) or _decode_utf8(data) or _decode_legacy(data)
    controls = len(_CONTROLS.findall(decoded.text))
    if controls > MAX_CONTROL_SHARE * len(decoded.text) and controls > 1:
        raise UnsupportedFormatError(
            f"Binary data, not text: {controls} of {len(decoded.text)} characters are NULs or control characters."
        )
    warnings = decoded.warnings
    if nuls := decoded.text.count("\x00"):
        warnings = (*warnings, f"{nuls} NUL characters were removed.")
    return Decoded(clean_text(decoded.text), warnings)


def looks_like_text(data: bytes) -> bool:
    """Tells from the start of a file whether `decode` will take it for text."""
    sample = data[:SAMPLE_BYTES]
    if _marked_encoding(sample) or _unmarked_unicode(sample):
        return True
    controls = len(sample) - len(sample.translate(None, _CONTROL_BYTES))
    return controls <= max(1, MAX_CONTROL_SHARE * len(sample))


def start_of_text(data: bytes, size: int = 4096) -> str:
    """Returns the first characters of a file for a look at its kind, decoded leniently; no more than a peek."""
    encoding, mark = _marked_encoding(data) or (_unmarked_unicode(data[:SAMPLE_BYTES]) or "utf-8", 0)
    return data[mark : mark + size].decode(encoding, "replace")


def _marked_encoding(data: bytes) -> tuple[str, int] | None:
    """Returns the encoding that a byte order mark names, and the mark's length."""
    return next(((encoding, len(mark)) for mark, encoding in _MARKS if data.startswith(mark)), None)


def _decode_marked(data: bytes) -> Decoded | None:
    found = _marked_encoding(data)
    if found:
        encoding, mark = found
        return _decode_as(data[mark:], encoding)
    unmarked = _unmarked_unicode(data[:SAMPLE_BYTES])
    return _decode_as(data, unmarked) if unmarked else None


def _unmarked_unicode(sample: bytes) -> str | None:
    """Tells UTF-16 and UTF-32 without a mark by where the NULs of their Latin letters, blanks and line ends stand."""
    nuls = [sample[place::4].count(0) for place in range(4)]
    total = sum(nuls)
    if total < len(sample) / 8:
        return None
    quarter = len(sample) / 4
    if min(nuls[1:]) > 0.7 * quarter > 2 * nuls[0]:
        return "utf-32-le"
    if min(nuls[:3]) > 0.7 * quarter > 2 * nuls[3]:
        return "utf-32-be"
    if nuls[1] + nuls[3] > 0.95 * total:
        return "utf-16-le"
    if nuls[0] + nuls[2] > 0.95 * total:
        return "utf-16-be"
    return None


def _decode_utf8(data: bytes) -> Decoded | None:
    """Decodes UTF-8, also where a few bytes are damaged, as in a file that was cut in the middle of a character."""
    try:
        return Decoded(data.decode("utf-8"))
    except UnicodeDecodeError:
        text = data.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    whole = sum(1 for character in text if character > "\x7f") - broken
    return _with_replacements(text, "utf-8") if whole > 10 * broken else None


def _decode_legacy(data: bytes) -> Decoded:
    return _decode_as(data, _guess_legacy_encoding(data[:SAMPLE_BYTES]))


def _guess_legacy_encoding(sample: bytes) -> str:
    """Returns the likeliest encoding of text that is not Unicode.

    charset-normalizer judges by letter frequencies; in short texts and among the Latin code pages it has nothing to go
    by and names cp1250 for French. Text whose every letter is a Western European one in Windows-1252 is taken for that
    unless the other reading is the better language.
    """
    from charset_normalizer import from_bytes

    best = from_bytes(sample, cp_exclusion=_NO_GUESS).best()
    if best is None:
        return "cp1252"
    if _reads_as_western(sample):
        western = from_bytes(sample, cp_isolation=["cp1252"]).best()
        if western is None or western.coherence >= best.coherence:
            return "cp1252"
    return best.encoding


def _reads_as_western(sample: bytes) -> bool:
    try:
        text = sample.decode("cp1252")
    except UnicodeDecodeError:
        return False
    special = [character for character in text if character > "\x7f"]
    return len(special) < 0.25 * len(text) + 1 and all(character in _WESTERN for character in special)


def _decode_as(data: bytes, encoding: str) -> Decoded:
    try:
        return Decoded(data.decode(encoding))
    except UnicodeDecodeError:
        return _with_replacements(data.decode(encoding, "replace"), encoding)


def _with_replacements(text: str, encoding: str) -> Decoded:
    broken = text.count("\ufffd")
    return Decoded(text, (f"{broken} places are not valid {encoding} and were replaced by U+FFFD.",))
