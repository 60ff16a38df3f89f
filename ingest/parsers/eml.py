"""E-mail messages, and mailboxes of them: who wrote to whom, when and about what, then the message itself."""

import re
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import Message
from pathlib import PurePath

from ingest.content_kinds import is_mail
from ingest.dating import choose_date
from ingest.decoding import decode, start_of_text
from ingest.errors import NoTextError, ParseError
from ingest.parsers import html
from ingest.text_building import TextBuilder, choose_title, one_line
from rag.schema import Heading, ParsedDocument

FORMAT = "eml"
SUFFIXES = frozenset({".eml", ".mbox"})

_HEADERS = ("From", "To", "Cc", "Date", "Subject")
_HEADER_LINE = re.compile(r"(?:from|to|cc|date|subject|sender|reply-to|message-id|mime-version|received):\s", re.I)
_MBOX_LINE = re.compile(rb"(?:\A|(?<=\n\n)|(?<=\n\r\n))From [^\r\n]*\d\d:\d\d[^\r\n]*\r?\n")
_WIDER = {"iso-8859-1": "cp1252", "us-ascii": "utf-8", "ascii": "utf-8", "gb2312": "gb18030"}
"""What is really used under these names."""

_MAX_NAMED = 10


def accepts(data: bytes, name: str) -> bool:
    """Accepts what has a mail server's headers, and what is named as mail and starts with any header of a message."""
    if is_mail(data):
        return True
    start = start_of_text(data).lstrip().splitlines()[:30]
    return PurePath(name).suffix.lower() in SUFFIXES and any(_HEADER_LINE.match(line) for line in start)


def parse(data: bytes, name: str) -> ParsedDocument:
    """Returns the headers a reader looks at and the body: as plain text where there is one, else the page in it.

    Messages inside a message follow it under their subject as a heading, and so does each message of a mailbox.
    Attachments are named, not read.
    """
    messages = [message_from_bytes(part, policy=policy.default) for part in _split_mailbox(data)]
    is_mailbox = len(messages) > 1
    writer = _Writer()
    for message in messages:
        writer.write_message(message, depth=int(is_mailbox))
    if not writer.has_body and not writer.attachments and len(messages) == 1 and not _header(messages[0], "Subject"):
        raise NoTextError("The message has neither a subject nor a text.")
    subject = None if is_mailbox else _header(messages[0], "Subject")
    return ParsedDocument(
        choose_title(subject),
        writer.builder.text,
        headings=tuple(writer.headings),
        warnings=writer.warnings(),
        date="" if is_mailbox else choose_date(_header(messages[0], "Date")),
    )


class _Writer:
    """Writes messages one after the other, and remembers what it leaves out."""

    def __init__(self) -> None:
        self.builder = TextBuilder()
        self.headings: list[Heading] = []
        self.attachments: list[str] = []
        self.has_body = False

    def write_message(self, message: Message, depth: int) -> None:
        """Writes a message; one inside another, at a depth of 1 or more, below its subject as a heading."""
        gap = 2
        if depth:
            heading = _header(message, "Subject") or "Message without a subject"
            self.headings.append(Heading(self.builder.add(heading, gap), depth, heading))
        for name in _HEADERS:
            value = _header(message, name)
            if value:
                self.builder.add(f"{name}: {value}", gap)
                gap = 1
        attachments = [part for part in _leaves(message) if not _is_text(part)]
        if attachments:
            self.builder.add("Attachments: " + ", ".join(f"{_name(part)} ({_size(part)})" for part in attachments), gap)
            self.attachments += map(_name, attachments)
        self._write_part(message, depth)

    def warnings(self) -> tuple[str, ...]:
        """Returns a sentence that names the attachments, where there are any."""
        count = len(self.attachments)
        if not count:
            return ()
        more = f" and {count - _MAX_NAMED} more" if count > _MAX_NAMED else ""
        names = ", ".join(self.attachments[:_MAX_NAMED]) + more
        return (f"{count} attachments are not read: {names}." if count > 1 else f"1 attachment is not read: {names}.",)

    def _write_part(self, part: Message, depth: int) -> bool:
        """Writes the text of a part and the parts in it; tells whether there was any."""
        kind = part.get_content_type()
        parts = _parts(part)
        if kind == "message/rfc822":
            for message in parts:
                self.write_message(message, depth + 1)
            return bool(parts)
        if kind == "multipart/alternative":
            return any(self._write_part(choice, depth) for choice in _best_first(parts))
        if parts:
            return any([self._write_part(inner, depth) for inner in parts])
        return _is_text(part) and self._write_text(part, depth)

    def _write_text(self, part: Message, depth: int) -> bool:
        text = _text(part)
        headings: tuple[Heading, ...] = ()
        if part.get_content_type() == "text/html":
            try:
                page = html.parse(text.encode("utf-8", "replace"), "")
            except NoTextError:
                return False
            text, headings = page.text, page.headings
        if not text.strip():
            return False
        start = self.builder.add(text.rstrip(), gap=2)
        self.headings += (Heading(start + each.start, each.level + depth, each.text) for each in headings)
        self.has_body = True
        return True


def _split_mailbox(data: bytes) -> list[bytes]:
    """Returns the messages of a mailbox in the mbox format (RFC 4155), or the data where it is one message."""
    if not data.startswith(b"From "):
        return [data]
    return [part for part in _MBOX_LINE.split(data) if part.strip()] or [data]


def _header(message: Message, name: str) -> str:
    """Returns a header as one line, as it stands where it cannot be decoded; "" where there is none."""
    raw = next((str(value) for key, value in message.raw_items() if key.lower() == name.lower()), "")
    if not raw:
        return ""
    if not raw.isascii():  # not allowed before RFC 6532, and often not even UTF-8
        return one_line(_decode(raw.encode("utf-8", "surrogateescape")))
    try:
        return one_line(str(message[name]))
    except Exception:  # the email package's parsers of addresses and dates raise anything at all
        return one_line(raw)


def _parts(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [inner for inner in payload if isinstance(inner, Message)] if isinstance(payload, list) else []


def _best_first(alternatives: list[Message]) -> list[Message]:
    """Orders alternatives: plain text, then the others from the last on, which is the richest."""
    return sorted(reversed(alternatives), key=lambda part: part.get_content_type() != "text/plain")


def _leaves(message: Message, in_page: bool = False) -> Iterator[Message]:
    """Yields the parts that hold content, without those of messages inside and without pictures that a page shows."""
    parts = _parts(message)
    in_page = in_page or message.get_content_type() == "multipart/related"
    for part in parts:
        if part.get_content_type() in ("message/rfc822", "message/delivery-status"):
            continue
        yield from _leaves(part, in_page)
    is_shown = in_page and not _is_text(message) and ("Content-ID" in message or not _is_attached(message))
    if not parts and not message.is_multipart() and not is_shown:
        yield message


def _is_text(part: Message) -> bool:
    """Tells whether a part is for reading, and not a file or something for programs, such as an invitation."""
    readable = part.get_content_type() in ("text/plain", "text/html", "text/enriched", "text/markdown")
    return readable and not _is_attached(part) and not part.get_filename()


def _is_attached(part: Message) -> bool:
    return part.get_content_disposition() == "attachment"


def _name(part: Message) -> str:
    return one_line(part.get_filename() or "") or f"a part of type {one_line(part.get_content_type())}"


def _size(part: Message) -> str:
    return f"{max(len(_content(part)), 1000) / 1000:.0f} kB"


def _content(part: Message) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _text(part: Message) -> str:
    """Decodes a part as it declares, or where that is wrong as any text; "" for what is no text at all."""
    content = _content(part)
    charset = (part.get_content_charset() or "utf-8").lower()
    try:
        return content.decode(_WIDER.get(charset, charset))
    except (LookupError, ValueError):
        return _decode(content)


def _decode(data: bytes) -> str:
    try:
        return decode(data).text
    except ParseError:  # binary data under a false name
        return ""
