"""The day that a document says it is dated: from what formats hold of it, each in its own spelling."""

import io
import re
import zipfile
from datetime import date, datetime
from email.utils import parsedate_to_datetime

from ingest.errors import ParseError
from ingest.safe_xml import read_member_xml

FIRST_YEAR, LAST_YEAR = 1800, 2200
"""A year outside of these is a slip, or what an empty field stands for."""

_TERMS = "http://purl.org/dc/terms/"
_ISO = re.compile(r"\s*(\d{4})-(\d{2})-(\d{2})(?!\d)")
_COMPACT = re.compile(r"\s*(?:D:)?(\d{4})(\d{2})(\d{2})(?:\d{6})?(?!\d)")  # as PDF has it (ISO 32000, 7.9.4)


def choose_date(*candidates: str | None) -> str:
    """Returns the day of the first candidate that tells one, as 2024-03-01; "" where none does.

    Understood are ISO 8601, PDF's D:20240301120000 and mail's Fri, 1 Mar 2024 12:00:00 +0100 (RFC 5322), each in
    the time zone that it is written in.

    >>> choose_date(None, "no date", "D:20240301120000+01'00'"), choose_date("0000-00-00")
    ('2024-03-01', '')
    """
    return next(filter(None, map(_day, candidates)), "")


def office_date(data: bytes) -> str:
    """Returns the day on which an Office Open XML file was last saved, else made; "" where it does not say.

    The packages that read these files put today's date in the place of a missing one, so they are not asked.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            properties = read_member_xml(archive, "docProps/core.xml")
    except (ParseError, SyntaxError, ValueError, zipfile.BadZipFile):  # a document is not refused for its date
        return ""
    if properties is None:
        return ""
    return choose_date(*(properties.findtext(f"{{{_TERMS}}}{name}") for name in ("modified", "created")))


def _day(value: str | None) -> str:
    try:
        found = _read((value or "")[:80])
    except (ValueError, TypeError, IndexError, OverflowError):  # what the standard library raises for a strange one
        return ""
    return found.isoformat() if FIRST_YEAR <= found.year <= LAST_YEAR else ""


def _read(text: str) -> date:
    written = _ISO.match(text) or _COMPACT.match(text)
    if written:
        year, month, day = map(int, written.groups())
        return date(year, month, day)
    mailed: datetime = parsedate_to_datetime(text)
    return mailed.date()
