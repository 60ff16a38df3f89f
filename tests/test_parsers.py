"""Each parser by a table of files made here: what must and must not come through, headings, pages, title."""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

import docx
import pytest
from docx.oxml import OxmlElement
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.decoding import decode, looks_like_text
from ingest.parsers import csv, html
from ingest.parsers import docx as docx_parser
from ingest.parsing import PARSERS, NoTextError, ParseError, UnsupportedFormatError, parse_bytes
from ingest.zip_limits import MAX_RATIO, RATIO_FLOOR_BYTES
from rag.schema import ParsedDocument

# --- files made by hand


def make_pdf(pages: Sequence[str], outline: Sequence[tuple[str, int]] = (), title: str = "", extra: str = "") -> bytes:
    """Writes a PDF with one Helvetica text per page, line by line, and a flat outline of (title, page index)."""
    first_page, count = 4, len(pages)
    first_entry = first_page + 2 * count + 1
    objects = {
        1: f"<</Type/Catalog/Pages 2 0 R/Outlines {first_entry - 1} 0 R>>",
        2: f"<</Type/Pages/Count {count}/Kids[{' '.join(f'{first_page + 2 * i} 0 R' for i in range(count))}]>>",
        3: "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
    }
    for i, text in enumerate(pages):
        lines = "".join(f"({line}) Tj 0 -14 Td " for line in text.split("\n"))
        stream = f"BT /F1 11 Tf 50 700 Td {lines}ET" if text else ""
        objects[first_page + 2 * i] = (
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F1 3 0 R>>>>"
            f"/Contents {first_page + 2 * i + 1} 0 R>>"
        )
        objects[first_page + 2 * i + 1] = f"<</Length {len(stream)}>>stream\n{stream}\nendstream"
    last = first_entry + len(outline) - 1
    links = f"/First {first_entry} 0 R/Last {last} 0 R/Count {len(outline)}" if outline else ""
    objects[first_entry - 1] = f"<</Type/Outlines{links}>>"
    for i, (entry, page) in enumerate(outline):
        number = first_entry + i
        after = f"/Next {number + 1} 0 R" if number < last else ""
        objects[number] = (
            f"<</Title({entry})/Parent {first_entry - 1} 0 R/Dest[{first_page + 2 * page} 0 R /Fit]{after}>>"
        )
    info = max(objects) + 1
    objects[info] = f"<</Title({title})>>"
    body, offsets = b"%PDF-1.4\n", {}
    for number in sorted(objects):
        offsets[number] = len(body)
        body += f"{number} 0 obj{objects[number]}endobj\n".encode("latin-1")
    table = "".join(f"{offsets[number]:010} 00000 n \n" for number in sorted(objects))
    trailer = f"trailer<</Size {info + 1}/Root 1 0 R/Info {info} 0 R{extra}>>\nstartxref\n{len(body)}\n%%EOF"
    return body + f"xref\n0 {info + 1}\n0000000000 65535 f \n{table}{trailer}".encode()


def make_docx() -> bytes:
    document = docx.Document()
    document.core_properties.title = ""
    document.sections[0].header.paragraphs[0].text = "RUNNING HEAD"
    document.add_paragraph("Annual Report", style="Title")
    document.add_heading("Results", level=1)
    document.add_paragraph("Before the table.")
    table = document.add_table(rows=2, cols=2)
    for place, text in enumerate(["Year", "Sales", "2024", "17"]):
        table.cell(place // 2, place % 2).text = text
    table.cell(1, 1).add_table(rows=1, cols=1).cell(0, 0).text = "nested"
    document.add_heading("Outlook", level=2)
    paragraph = document.add_paragraph("After ")
    for tag, kind, text in (("w:ins", "w:t", "inserted"), ("w:del", "w:delText", "DELETED")):
        change, run, words = OxmlElement(tag), OxmlElement("w:r"), OxmlElement(kind)
        words.text = text
        run.append(words)
        change.append(run)
        paragraph._p.append(change)
    control, content = OxmlElement("w:sdt"), OxmlElement("w:sdtContent")
    control.append(content)
    content.append(document.add_paragraph("In a content control.")._p)
    document.element.body.insert(len(document.element.body) - 1, control)
    localised = document.styles.add_style("Kapitel", 1)
    localised.base_style = document.styles["Heading 3"]
    document.add_paragraph("Based on a heading", style="Kapitel")
    return save(document)


def save(document: "docx.document.Document") -> bytes:
    target = io.BytesIO()
    document.save(target)
    return target.getvalue()


def rezip(data: bytes, **parts: bytes) -> bytes:
    """Returns the archive with some parts replaced; a key spells a path with __ for / and _ for ."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, parts.get(name.replace("/", "__").replace(".", "_"), old.read(name)))
    return target.getvalue()


PAGE = """<!DOCTYPE html><html><head><title> The
 Page </title><style>STYLE</style></head><body><header><h1>SITE</h1></header><nav>NAVIGATION</nav>
<main><article><header><h1>Top <em>words</em>¶</h1><ul><li>LANGUAGE</ul></header>
<p>One&nbsp;<b>bold</b>er<br>Two</p><p hidden>HIDDEN</p><div style="display: none">UNSEEN</div>
<h2>Data<span class="mw-editsection">[EDIT]</span></h2>
<table><tr><th>Name</th><th>Price</th></tr><tr><td><p>Tea</p></td><td></td><td>3</td></tr></table>
<table><tr><td><h3>In a layout table</h3><p>Left</p></td><td>Right</td></tr></table>
<ul><li>first</li><li>second</li></ul><pre>a  =  1
  b</pre><form>SIGN UP</form><script>SCRIPT</script><!-- COMMENT --></article></main>
<aside>ASIDE</aside><footer>FOOTER</footer></body></html>"""

TEASER = b"<article>ad</article><h1>H</h1><p>" + b"word " * 50

MARKDOWN = """---
title: "The Guide"
---

# First *part* `code` [link](https://example.org)

text

   ## Indented ##

```
# not a heading
```

Setext
------

> # quoted

- # in a list

####
"""


@dataclass(frozen=True)
class Vector:
    name: str
    data: bytes
    format: str
    title: str
    must_include: tuple[str, ...] = ()
    must_not_include: tuple[str, ...] = ()
    headings: tuple[tuple[int, str], ...] = ()
    pages: tuple[int, ...] = ()
    warnings: int = 0


VECTORS = [
    Vector(
        "report.pdf",
        make_pdf(
            ["1 Introduction\nIn the introduction we say hello", "", "Methods\nof much work"],
            [("Introduction", 0), ("4.2 Methods", 2), ("Nowhere to be found", 2)],
            title="A Report",
        ),
        "pdf",
        "A Report",
        ("1 Introduction\nIn the introduction", "Methods\nof"),
        ("\r", "\x00"),
        ((1, "1 Introduction"), (1, "Methods")),
        (0, 48, 49),
        warnings=1,
    ),
    Vector("scan7.pdf", make_pdf(["text"], title="Microsoft Word - x.doc"), "pdf", "scan7", ("text",), pages=(0,)),
    Vector("whole.pdf", make_pdf(["text"], [("The Work", 0)]), "pdf", "The Work", ("text",), pages=(0,)),
    Vector("late.pdf", b"\n\n" + make_pdf(["text"]), "pdf", "late", ("text",), pages=(0,)),
    Vector(
        "report.docx",
        make_docx(),
        "docx",
        "Annual Report",
        ("Before the table.\n\nYear | Sales\n2024 | 17 nested\n\nOutlook", "After inserted", "In a content control."),
        ("RUNNING HEAD", "DELETED"),
        ((1, "Results"), (2, "Outlook"), (3, "Based on a heading")),
    ),
    Vector(
        "page.html",
        PAGE.encode(),
        "html",
        "The Page",
        (
            "Top words\n\nOne bolder\nTwo\n\nData\n\nName | Price\nTea | 3\n\n",
            "In a layout table\n\nLeft\n\nRight\n\nfirst\nsecond\n\na  =  1\n  b",
        ),
        # what is written in capitals is not content
        (
            [
                "SITE",
                "STYLE",
                "NAVIGATION",
                "LANGUAGE",
                "HIDDEN",
                "UNSEEN",
                "EDIT",
                "SIGN",
                "SCRIPT",
                "COMMENT",
                "ASIDE",
                "FOOTER",
                "doctype",
            ]
        ),
        ((1, "Top words"), (2, "Data"), (3, "In a layout table")),
    ),
    Vector(
        "named.txt",
        "<!-- x --><html><meta charset=windows-1251><p>Привет".encode("cp1251"),
        "html",
        "named",
        ("Привет",),
    ),
    Vector("aspx.html", b"<body><form><p>All is in a form</p></form>", "html", "aspx", ("All is in a form",)),
    Vector(
        "teaser.html",
        b"<article>ad</article><h1>H</h1><p>" + b"word " * 50,
        "html",
        "H",
        ("word word",),
        (),
        ((1, "H"),),
    ),
    Vector(
        "guide.md",
        MARKDOWN.encode(),
        "markdown",
        "The Guide",
        (MARKDOWN,),
        (),
        ((1, "First part code link"), (2, "Indented"), (2, "Setext")),
    ),
    Vector("plain.md", b"no heading\r\nhere", "markdown", "plain", ("no heading\nhere",), ("\r",)),
    Vector("notes.txt", "Grüße".encode("utf-8-sig"), "plain_text", "notes", ("Grüße",), ("\ufeff",)),
    Vector("noname", b"words", "plain_text", "noname", ("words",)),
    Vector("log.txt", b"word " * 100 + b"\x1b[31m\x00", "plain_text", "log", ("word",), ("\x00",), warnings=1),
    Vector(
        "cups.csv",
        b'Stanley Cups,,\nTeam,Location,Note\nBlues,STL,"two\nlines"\nFlyers,PHI,,extra\n',
        "csv",
        "cups",
        (
            "Stanley Cups\nTeam: Blues; Location: STL; Note: two lines\n",
            "Team: Flyers; Location: PHI; column 4: extra",
        ),
    ),
    Vector("semi.csv", "a;b\n1,5;2,5\n".encode("utf-16"), "csv", "semi", ("a: 1,5; b: 2,5",)),
    Vector("tabs.tsv", b"1\t2\n3\t4\n", "csv", "tabs", ("column 1: 1; column 2: 2\ncolumn 1: 3",)),
    Vector("broken.csv", b'a,b\n"open,1\n2,3\n', "csv", "broken", ('a,b\n"open,1\n2,3\n',), warnings=1),
    Vector("long.csv", b"a,b\n1," + b"x" * 200_000, "csv", "long", ("b: " + "x" * 200_000,)),
]


def check_invariants(document: ParsedDocument) -> None:
    text = document.text
    assert text.strip()
    assert "\r" not in text and "\x00" not in text
    text.encode("utf-8")  # no lone surrogates
    assert document.title and document.title == " ".join(document.title.split())
    assert list(document.pages) == sorted(set(document.pages))
    assert not document.pages or (document.pages[0] == 0 and document.pages[-1] <= len(text))
    starts = [heading.start for heading in document.headings]
    assert starts == sorted(set(starts))
    for heading in document.headings:
        assert 0 <= heading.start < len(text) and heading.level >= 1 and heading.text
        assert not text[heading.start].isspace()
        assert_stands_at(heading.text, text, heading.start)


def assert_stands_at(words: str, text: str, start: int) -> None:
    """Asserts that the words follow each other from there on, with nothing but blanks and markup between."""
    for word in words.split():
        found = text.find(word, start)
        between = text[start:found]
        assert found >= 0 and not any(c.isalnum() for c in between.split("](")[0]), (words, text[start : start + 80])
        start = found + len(word)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_vector(vector: Vector) -> None:
    kind, document = parse_bytes(vector.data, vector.name)
    assert kind == vector.format
    assert document.title == vector.title
    for text in vector.must_include:
        assert text in document.text
    for text in vector.must_not_include:
        assert text not in document.text
    assert tuple((heading.level, heading.text) for heading in document.headings) == vector.headings
    assert document.pages == vector.pages
    assert len(document.warnings) == vector.warnings
    check_invariants(document)


ENCRYPTED = "/Encrypt<</Filter/Standard/V 1/R 2/P -4/O(" + "o" * 32 + ")/U(" + "u" * 32 + ")>>/ID[(a)(a)]"
GOOD_DOCX = make_docx()
DECLARATION = b'<!DOCTYPE a [<!ENTITY b "boo">]>'


def with_declaration(encoding: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(GOOD_DOCX)) as archive:
        xml = archive.read("word/document.xml").decode()
    head, root = xml.split("?>", 1)
    part = f"{head.replace('UTF-8', encoding)}?>{DECLARATION.decode()}{root}".encode(encoding)
    return rezip(GOOD_DOCX, word__document_xml=part)


BOMB = rezip(GOOD_DOCX, word__document_xml=bytes(RATIO_FLOOR_BYTES))


@pytest.mark.parametrize(
    ("name", "data", "error", "message"),
    [
        ("empty.md", b"", NoTextError, "0 bytes"),
        ("blank.txt", b" \n\t", NoTextError, "white space"),
        ("blank.md", b" \n", NoTextError, "white space"),
        ("blank.csv", b"\n \n", NoTextError, "white space"),
        ("commas.csv", b",,\n,,\n", NoTextError, "no values"),
        ("blank.docx", save(docx.Document()), NoTextError, "no text"),
        ("script.html", b"<html><script>let a</script>", NoTextError, "visible"),
        ("scan.pdf", make_pdf(["", "", ""]), NoTextError, "needs OCR: 3 pages hold no text"),
        ("locked.pdf", make_pdf(["text"], extra=ENCRYPTED), ParseError, "encrypted"),
        ("cut.pdf", make_pdf(["text"])[:200], ParseError, "damaged"),
        ("random.pdf", bytes(range(256)) * 9, ParseError, "named .pdf but is no PDF"),
        ("image.pdf", b"\x89PNG\r\n\x1a\n" + bytes(90), ParseError, "a PNG image"),
        ("text.docx", b"only text", ParseError, "named .docx but is no DOCX file: it seems to be text"),
        ("cut.docx", GOOD_DOCX[:3000], ParseError, "damaged zip"),
        ("dtd.docx", with_declaration("UTF-8"), ParseError, "document type"),
        ("dtd16.docx", with_declaration("UTF-16"), ParseError, "document type"),
        (
            "bomb.docx",
            rezip(GOOD_DOCX, word__document_xml=bytes(RATIO_FLOOR_BYTES)),
            ParseError,
            f"than {MAX_RATIO} times",
        ),
        ("xml.docx", rezip(GOOD_DOCX, word__document_xml=b"<a"), ParseError, "XMLSyntaxError"),
        ("data.bin", bytes(range(256)) * 9, UnsupportedFormatError, "binary data"),
        ("nuls.txt", b"text\x00with\x00nuls\n" * 9, UnsupportedFormatError, "binary data"),
        ("photo.jpg", b"\xff\xd8\xff\xe0" + bytes(90), UnsupportedFormatError, "a JPEG image"),
        ("letter.rtf", b"{\\rtf1 hello}", UnsupportedFormatError, "an RTF document"),
        ("old.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(90), UnsupportedFormatError, "legacy"),
        ("run.exe", b"MZ\x90\x00" + bytes(90), UnsupportedFormatError, "executable"),
        ("mail.txt", b"MIME-Version: 1.0\nMessage-ID: <a@b>\n\nhello", UnsupportedFormatError, "e-mail"),
    ],
)
def test_refusals(name: str, data: bytes, error: type[ParseError], message: str) -> None:
    with pytest.raises(error) as caught:
        parse_bytes(data, name)
    assert type(caught.value) is error
    assert message in str(caught.value)
    assert str(caught.value).isprintable()


UNICODE = ("utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Crème brûlée, Straße, naïve, £5 — “quoted”\n", "cp1252"),
        ("café", "cp1252"),
        ("L'été à la mer, où l'on est né", "cp1252"),
        ("Žluťoučký kůň úpěl ďábelské ódy", "cp1250"),
        ("Привет, как дела сегодня? Это короткий текст.", "cp1251"),
        ("こんにちは世界。これは短い文です。", "shift_jis"),
        ("你好世界，这是一个短文本。", "gb18030"),
        *(("Plain words, and Grüße.\n", encoding) for encoding in UNICODE),
    ],
)
def test_decoding(text: str, encoding: str) -> None:
    data = text.encode(encoding)
    assert looks_like_text(data)
    assert decode(data).text == text


def test_a_few_damaged_bytes_leave_utf8_what_it_is() -> None:
    text, warnings = decode("Grüße, größer, schön. ".encode() * 9 + b"\xc3")
    assert text.startswith("Grüße") and text.endswith("\ufffd")
    assert len(warnings) == 1


def test_pdf_soft_hyphens_join_their_words() -> None:
    _, document = parse_bytes(make_pdf(["An exam-\nple stands here"]), "a.pdf")
    assert "example" in document.text


def test_pypdf_reads_what_pdfium_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    import pypdfium2

    def refuse(data: bytes) -> None:
        raise pypdfium2.PdfiumError("refused", err_code=3)

    monkeypatch.setattr(pypdfium2, "PdfDocument", refuse)
    _, document = parse_bytes(make_pdf(["first page", "second page"], title="Work"), "a.pdf")
    assert document.text == "first page\nsecond page"
    assert document.pages == (0, 11)
    assert document.title == "Work"


@pytest.mark.parametrize("tag", ["div", "table", "b", "ul"])
def test_deep_html_does_not_recurse(tag: str) -> None:
    document = html.parse(f"<{tag}>".encode() * 20_000 + b"bottom", "deep.html")
    assert document.text == "bottom"


def test_wide_csv_is_read() -> None:
    wide = ",".join(f"c{n}" for n in range(20_000)) + "\n" + ",".join("x" for _ in range(20_000))
    assert csv.parse(wide.encode(), "wide.csv").text.endswith("c19999: x")


def test_each_format_has_its_own_name_and_suffixes() -> None:
    formats = [parser.FORMAT for parser in PARSERS]
    suffixes = [suffix for parser in PARSERS for suffix in parser.SUFFIXES]
    assert len(set(formats)) == len(formats)
    assert len(set(suffixes)) == len(suffixes)


def test_docx_is_known_by_content() -> None:
    assert docx_parser.accepts(GOOD_DOCX, "any.zip")
    assert not docx_parser.accepts(b"PK\x03\x04 not a zip", "a.docx")


words = st.text(st.characters(codec="utf-8"), max_size=30)
TAGS = [
    "<p>",
    "</p>",
    "<h1>",
    "</h1>",
    "<h2>x",
    "</h2>",
    "<table>",
    "<tr>",
    "<td>",
    "</table>",
    "<br>",
    "<pre>",
    "</pre>",
    "<li>",
    "<a",
]
MARKUP = ["# ", "\n", "\n\n", "===\n", "---\n", "```\n", "> ", "- ", "    ", "title: x\n", "**", "\\"]
pieces = st.lists(words | st.sampled_from(TAGS + MARKUP), max_size=25)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["a.md", "a.html", "a.csv", "a.txt"]), pieces)
def test_any_text_is_a_document_or_refused(name: str, parts: list[str]) -> None:
    try:
        _, document = parse_bytes("".join(parts).encode(), name)
    except ParseError:
        return
    assert document.text.strip()
    assert "\r" not in document.text and "\x00" not in document.text
    starts = [heading.start for heading in document.headings]
    assert starts == sorted(set(starts))
    for heading in document.headings:
        assert 0 <= heading.start < len(document.text)
        if name == "a.html":
            assert document.text.startswith(heading.text, heading.start)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["a.pdf", "a.docx", "a", "a.html", "a.csv", "a.md"]))
def test_any_bytes_are_a_document_or_refused(data: bytes, name: str) -> None:
    for whole in (data, b"%PDF-1.4\n" + data):
        try:
            _, document = parse_bytes(whole, name)
        except ParseError:
            continue
        check_invariants(document)
