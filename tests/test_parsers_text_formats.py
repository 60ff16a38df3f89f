"""reStructuredText, RTF and mail: files made here, real ones, and anything at all."""

import io
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.parsers import eml, rst, rtf
from ingest.parsing import NoTextError, ParseError, parse_bytes
from rag.schema import ParsedDocument

SHARED = Path(__file__).parents[2] / "shared" / "documents"
needs_shared = [
    pytest.mark.shared,
    pytest.mark.skipif(not SHARED.is_dir(), reason=f"no test material at {SHARED}"),
]

RST = """\
=====
Guide
=====

Intro\x0c text\u2028more.

First *part* ``code``
---------------------

::

   Not a title
   -----------

.. note:: x

   Nor this
   --------

.. include:: /etc/hostname
.. raw:: html

   <b>

Deeper
~~~~~~

Second
------
"""


def shared(name: str) -> ParsedDocument:
    path = SHARED / name
    return parse_bytes(path.read_bytes(), path.name)[1]


def outline(document: ParsedDocument) -> list[tuple[int, str]]:
    return [(heading.level, heading.text) for heading in document.headings]


# --- reStructuredText


def test_rst_is_kept_verbatim_with_its_sections() -> None:
    kind, document = parse_bytes(RST.encode(), "guide.rst")
    assert kind == "rst"
    assert document.text == RST
    assert document.title == "Guide"
    assert outline(document) == [(1, "Guide"), (2, "First part code"), (3, "Deeper"), (2, "Second")]
    lines = [document.text[heading.start :].split("\n")[0] for heading in document.headings]
    assert lines == ["Guide", "First *part* ``code``", "Deeper", "Second"]
    assert document.warnings == ()


def test_rst_never_inserts_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret.rst"
    secret.write_text("Secret\n======\n", encoding="utf-8")
    document = rst.parse(f".. include:: {secret}\n\n.. csv-table::\n   :file: {secret}\n".encode(), "a.rst")
    assert outline(document) == []
    assert "======" not in document.text


def test_rst_nested_too_deeply_keeps_its_text() -> None:
    deep = "".join(f"{'  ' * depth}x\n\n" for depth in range(300))
    document = rst.parse(deep.encode(), "a.rst")
    assert document.text == deep
    assert "docutils gives up" in document.warnings[0]


def test_rst_with_a_long_line_keeps_its_sections() -> None:
    document = rst.parse(b"Top\n===\n\n" + b"word " * 10_000 + b"\n\nEnd\n===\n", "a.rst")
    assert [text for _, text in outline(document)] == ["Top", "End"]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(max_size=12) | st.sampled_from(["===\n", "\n", "---\n", "Title\n", ".. x:: ", "::\n\n   "])))
def test_rst_takes_any_text(parts: list[str]) -> None:
    try:
        document = rst.parse("".join(parts).encode("utf-8", "replace"), "a.rst")
    except ParseError:
        return
    for heading in document.headings:
        assert document.text[heading.start].strip()
        assert heading.start == 0 or document.text[: heading.start].rstrip(" \t\v\f\x1c\x1d\x1e\x85")[-1:] in ("", "\n")


# --- RTF


def make_rtf(body: str, head: str = r"\ansi\ansicpg1252") -> bytes:
    return f"{{\\rtf1{head} {body}}}".encode("cp1252")


RTF_BODY = r"""{\fonttbl{\f0\fcharset0 Arial;}{\f1\fcharset204 Arial Cyr;}}
{\stylesheet{\s0 Normal;}{\s7\sbasedon0 heading 2;}}{\info{\title The \'abReport\'bb}{\author HIDDEN}}
{\header HIDDEN}\pard\outlinelevel0 Results\par
\pard Caf\'e9 {\f1 \'cf\'f0} \u-10179?\u-8704? \u8217\'92s\line second line\par
\pard\s7 Styled\par \pard
\trowd \cellx1\cellx2 a\cell b\cell\row \trowd c\cell\cell\row
\pard {\pntext\'b7\tab}{\listtext 1.\tab}one\par {\listtext 2.\tab}two\par
{\field{\*\fldinst{HYPERLINK "http://HIDDEN"}}{\fldrslt linked}} {\pict\pngblip 89504e47} \{braces\} x\\par y\par
\ulnone\super up{\footnote HIDDEN}\par"""


def test_rtf() -> None:
    kind, document = parse_bytes(make_rtf(RTF_BODY), "letter.txt")
    assert kind == "rtf"
    assert document.title == "The «Report»"
    assert outline(document) == [(1, "Results"), (2, "Styled")]
    assert document.text == (
        "Results\n\nCafé Пр 😀 ’s\nsecond line\n\nStyled\n\na | b\nc\n\n1. one\n2. two\n\n"
        "linked  {braces} x\\par y\n\nup"
    )
    for heading in document.headings:
        assert document.text.startswith(heading.text, heading.start)


@pytest.mark.parametrize(
    ("head", "body", "text"),
    [
        (r"\ansi\ansicpg1251", r"\'cf\'f0\'e8", "При"),
        (r"\ansi\ansicpg932", r"\'93\'fa\'96\'7b", "日本"),
        (r"\mac", r"caf\'8e", "café"),
        (r"\pc", r"\'81ber", "über"),
        (r"\ansi\ansicpg99999", r"gr\'fc\'df", "grüß"),
        (r"\ansi\ansicpg65001", r"\'c3\'bc", "ü"),
    ],
)
def test_rtf_encodings(head: str, body: str, text: str) -> None:
    assert rtf.parse(make_rtf(body, head), "a.rtf").text == text


def test_rtf_raw_bytes_are_of_the_declared_code_page() -> None:
    assert rtf.parse(b"{\\rtf1\\ansi\\ansicpg1251 \xcf\xf0\xe8}", "a.rtf").text == "При"


def test_rtf_nested_too_deeply_is_refused() -> None:
    with pytest.raises(ParseError, match="nested more than 1000 deep"):
        rtf.parse(b"{\\rtf1" + b"{" * 100_000 + b"x", "a.rtf")


def test_rtf_pictures_cost_little() -> None:
    picture = "{\\pict\\pngblip\n" + "89504e470d0a\n" * 200_000 + "}"
    assert rtf.parse(make_rtf(f"before {picture}after"), "a.rtf").text == "before after"


RTF_PIECES = [
    "{",
    "}",
    "\\par ",
    "\\'e4",
    "\\u8364 ?",
    "\\outlinelevel1 ",
    "\\pard",
    "\\s1 ",
    "\\bin9",
    "\\uc",
    "\\*",
    "\\",
]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(max_size=8) | st.sampled_from(RTF_PIECES)))
def test_rtf_takes_anything(parts: list[str]) -> None:
    try:
        _, document = parse_bytes(b"{\\rtf1 " + "".join(parts).encode("utf-8", "replace"), "a.rtf")
    except ParseError:
        return
    document.text.encode()
    for heading in document.headings:
        assert document.text.startswith(heading.text, heading.start)


# --- mail


def make_mail() -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = "Zoë Ünal <zoe@example.org>"
    mail["To"] = "bob@example.org, Carl <carl@example.org>"
    mail["Date"] = "Fri, 16 Dec 2022 17:04:16 -0500"
    mail["Subject"] = "Grüße – and a very long subject line which the writer of the message folds over two lines"
    return mail


def test_mail_is_headers_then_text() -> None:
    mail = make_mail()
    mail.set_content("Hello Bob,\n\nnaïve café — €5.\n", cte="quoted-printable")
    mail.add_alternative("<p>HTML</p>", subtype="html")
    kind, document = parse_bytes(mail.as_bytes(), "a.eml")
    assert kind == "eml"
    assert document.title == mail["Subject"]
    assert document.text == (
        "From: Zoë Ünal <zoe@example.org>\nTo: bob@example.org, Carl <carl@example.org>\n"
        f"Date: Fri, 16 Dec 2022 17:04:16 -0500\nSubject: {mail['Subject']}\n\nHello Bob,\n\nnaïve café — €5."
    )
    assert document.warnings == ()


def test_mail_in_html_is_read_as_a_page() -> None:
    mail = make_mail()
    mail.set_content("<style>STYLE</style><h1>News</h1><p>Read <b>this</b></p>", subtype="html", cte="base64")
    document = eml.parse(mail.as_bytes(), "a.eml")
    assert document.text.endswith("\n\nNews\n\nRead this")
    assert outline(document) == [(1, "News")]
    assert document.text.startswith("News", document.headings[0].start)


def test_an_empty_plain_alternative_gives_way_to_the_page() -> None:
    mail = make_mail()
    mail.set_content(" \n")
    mail.add_alternative("<p>The page</p>", subtype="html")
    assert eml.parse(mail.as_bytes(), "a.eml").text.endswith("\n\nThe page")


def test_attachments_are_named() -> None:
    mail = make_mail()
    mail.set_content("See the files.")
    mail.add_attachment(b"x" * 2500, maintype="application", subtype="pdf", filename="Verträge.pdf")
    mail.add_attachment("TEXT INSIDE", filename="notes.txt")
    mail.add_attachment(b"y" * 10, maintype="image", subtype="png")
    document = eml.parse(mail.as_bytes(), "a.eml")
    assert "Attachments: Verträge.pdf (2 kB), notes.txt (1 kB), a part of type image/png (1 kB)" in document.text
    assert document.warnings == ("3 attachments are not read: Verträge.pdf, notes.txt, a part of type image/png.",)
    assert "TEXT INSIDE" not in document.text


def test_pictures_of_a_page_are_no_attachments() -> None:
    mail = make_mail()
    mail.set_content("<p>Look <img src='cid:1'></p>", subtype="html")
    mail.add_related(b"png", maintype="image", subtype="png", cid="<1>", filename="logo.png")
    assert eml.parse(mail.as_bytes(), "a.eml").warnings == ()


def test_messages_inside_a_message_follow_under_their_subject() -> None:
    inner = EmailMessage()
    inner["From"] = "eve@example.org"
    inner["Subject"] = "The plan"
    inner.set_content("Inner words.")
    inner.add_attachment(b"z", maintype="application", subtype="zip", filename="z.zip")
    mail = make_mail()
    mail.set_content("Outer words.")
    mail.add_attachment(inner)
    document = eml.parse(mail.as_bytes(), "a.eml")
    assert outline(document) == [(1, "The plan")]
    assert document.text.endswith(
        "\n\nOuter words.\n\nThe plan\n\n"
        "From: eve@example.org\nSubject: The plan\nAttachments: z.zip (1 kB)\n\nInner words."
    )
    assert document.warnings == ("1 attachment is not read: z.zip.",)


@pytest.mark.parametrize(
    ("charset", "body", "text"),
    [
        ("iso-8859-1", "“Straße”".encode("cp1252"), "“Straße”"),
        ("no-such-charset", "Привет, как дела? Это письмо".encode(), "Привет, как дела? Это письмо"),
        ("us-ascii", "Grüße".encode(), "Grüße"),
        ("zlib", b"words", "words"),
        ("utf-8", "Die Größe".encode("cp1252"), "Die Größe"),
        ("koi8-r", "Привет".encode("koi8-r"), "Привет"),
    ],
)
def test_mail_charsets(charset: str, body: bytes, text: str) -> None:
    head = f"From: a@b\r\nSubject: x\r\nContent-Type: text/plain; charset={charset}\r\n"
    head += "Content-Transfer-Encoding: 8bit\r\n\r\n"
    assert eml.parse(head.encode() + body, "a.eml").text == f"From: a@b\nSubject: x\n\n{text}"


def test_headers_that_break_the_rules() -> None:
    data = "From: Jörg <j@example.org>\nTo: @@<,;\nDate: some day\nSubject: =?utf-8?B?R3LDvMOfZQ==?= =?x?Q?y?=\n\nhello"
    document = eml.parse(data.encode(), "a.eml")
    assert document.title.startswith("Grüße")
    assert document.text.startswith("From: Jörg <j@example.org>\nTo: ")
    assert "Date: some day\n" in document.text


def test_mail_is_known_by_its_headers() -> None:
    assert parse_bytes(b"MIME-Version: 1.0\nMessage-ID: <a@b>\n\nhello", "mail.txt")[0] == "eml"
    assert parse_bytes(b"From: a\nSubject: b\n\nhello", "mail.txt")[0] == "plain_text"


def test_a_mailbox_is_its_messages() -> None:
    one = b"From a@b Mon Jan  1 10:00:00 2024\nFrom: a@b\nSubject: One\n\nFirst body\nFrom here on\n\n"
    two = b"From c@d Mon Jan  1 11:00:00 2024\nFrom: c@d\nSubject: Two\n\nSecond body\n"
    document = parse_bytes(one + two, "box.mbox")[1]
    assert document.title == ""
    assert outline(document) == [(1, "One"), (1, "Two")]
    assert "First body\nFrom here on\n\nTwo\n\nFrom: c@d" in document.text


@pytest.mark.parametrize("depth", [50, 3000])
def test_deep_mail_is_read_or_refused(depth: int) -> None:
    parts = "".join(f'Content-Type: multipart/mixed; boundary="b{n}"\n\n--b{n}\n' for n in range(depth))
    data = f"MIME-Version: 1.0\nMessage-ID: <a>\nSubject: deep\n{parts}Content-Type: text/plain\n\nbottom".encode()
    try:
        document = parse_bytes(data, "a.eml")[1]
    except ParseError:
        assert depth > 50
    else:
        assert "deep" in document.text


MAIL_PIECES = [
    "From: ",
    "Subject: ",
    "Content-Type: ",
    "multipart/mixed; boundary=x\n\n--x\n",
    "text/html\n\n",
    "\n",
    "=?utf-8?",
]
MAIL_PIECES += [
    "Content-Disposition: attachment; filename*=",
    "Content-Transfer-Encoding: base64\n",
    "message/rfc822",
    "\n\n",
]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=8) | st.sampled_from([piece.encode() for piece in MAIL_PIECES])))
def test_mail_takes_anything(parts: list[bytes]) -> None:
    try:
        document = eml.parse(b"Subject: s\n" + b"".join(parts), "a.eml")
    except NoTextError:
        return
    document.text.encode()
    for heading in document.headings:
        assert document.text.startswith(heading.text, heading.start)


# --- real files


class TestShared:
    pytestmark = needs_shared

    def test_rst(self) -> None:
        document = shared("md/README.rst")
        assert outline(document) == [(1, "Example Docs"), (2, "XBRL 10-K")]
        assert io.StringIO(document.text[document.headings[1].start :]).readline() == "XBRL 10-K\n"

    def test_rtf(self) -> None:
        document = shared("docx/test.rtf")
        assert document.text == (
            "This is a Sample RTF File\n\n"
            "It is included to test if the MarkItDown sample plugin can correctly convert RTF files."
        )

    def test_mail(self) -> None:
        document = shared("eml/family-day.eml")
        assert document.title == "Family Day"
        assert "From: Mallori Harrell <mallori@unstructured.io>\n" in document.text
        assert "Get excited for our first annual family day!" in document.text
        assert "None" not in document.text
