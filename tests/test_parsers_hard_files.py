"""Files that are empty, damaged, hostile or of no known format are refused; huge and odd ones are read all the same."""

import io
import zipfile

import docx
import pytest

from file_builders import make_docx, make_pdf, rezip, save
from ingest.parsers import csv, html
from ingest.parsers import docx as docx_parser
from ingest.parsing import NoTextError, ParseError, UnsupportedFormatError, parse_bytes
from ingest.zip_limits import MAX_RATIO, RATIO_FLOOR_BYTES

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
        ("bomb.docx", BOMB, ParseError, f"than {MAX_RATIO} times"),
        ("xml.docx", rezip(GOOD_DOCX, word__document_xml=b"<a"), ParseError, "XMLSyntaxError"),
        ("data.bin", bytes(range(256)) * 9, UnsupportedFormatError, "binary data"),
        ("nuls.txt", b"text\x00with\x00nuls\n" * 9, UnsupportedFormatError, "binary data"),
        ("photo.jpg", b"\xff\xd8\xff\xe0" + bytes(90), UnsupportedFormatError, "a JPEG image"),
        ("letter.rtf", b"only text", ParseError, "named .rtf but is no RTF file: it seems to be text"),
        ("blank.rtf", b"{\\rtf1 {\\pict 00}\\par }", NoTextError, "no text"),
        ("mail.eml", b"only text", ParseError, "named .eml but is no EML file: it seems to be text"),
        ("blank.eml", b"MIME-Version: 1.0\nMessage-ID: <a@b>\n\n\n", NoTextError, "neither a subject nor a text"),
        ("blank.json", b" \n", NoTextError, "white space"),
        ("nothing.json", b'{"a": [null, ""]}', NoTextError, "no values"),
        ("blank.rst", b"\n", NoTextError, "white space"),
        ("blank.py", b"\n", NoTextError, "white space"),
        ("blank.ipynb", b'{"cells": [{"cell_type": "code", "source": []}]}', NoTextError, "empty"),
        ("video.ts", b"\x47\x40\x00\x10" + bytes(184), ParseError, "named .ts but is no source code file"),
        ("old.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(90), UnsupportedFormatError, "legacy"),
        ("run.exe", b"MZ\x90\x00" + bytes(90), UnsupportedFormatError, "executable"),
    ],
)
def test_refusals(name: str, data: bytes, error: type[ParseError], message: str) -> None:
    with pytest.raises(error) as caught:
        parse_bytes(data, name)
    assert type(caught.value) is error
    assert message in str(caught.value)
    assert str(caught.value).isprintable()


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


def test_docx_is_known_by_content() -> None:
    assert docx_parser.accepts(GOOD_DOCX, "any.zip")
    assert not docx_parser.accepts(b"PK\x03\x04 not a zip", "a.docx")
