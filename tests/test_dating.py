"""The dates that documents say of themselves, through the parsers that read them, and those of files."""

import os
from datetime import UTC, date, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.dating import choose_date
from ingest.parsing import parse_bytes

DAY = "2024-03-01"


@given(st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2100, 1, 1)))
def test_each_spelling_is_read(moment):
    moment = moment.replace(tzinfo=UTC, microsecond=0)
    day = moment.date().isoformat()
    pdf = moment.strftime("D:%Y%m%d%H%M%S+00'00'")
    for spelling in (moment.isoformat(), day, format_datetime(moment), pdf, pdf[2:]):
        assert choose_date(spelling) == day


@given(st.text(max_size=60))
def test_no_text_breaks_it_and_what_comes_out_is_a_day(text):
    found = choose_date(text)
    assert found == "" or date.fromisoformat(found).isoformat() == found


@pytest.mark.parametrize("nonsense", [None, "", "yesterday", "2024-13-01", "2024-02-30", "0001-01-01", "20240", "D:"])
def test_what_is_no_date_is_none_and_the_next_one_counts(nonsense):
    assert choose_date(nonsense) == ""
    assert choose_date(nonsense, DAY) == DAY


def _docx(**properties):
    import io

    import docx

    document = docx.Document()
    document.add_paragraph("A text of some words.")
    for name, value in properties.items():
        setattr(document.core_properties, name, value)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def _xlsx():
    import io

    import openpyxl

    book = openpyxl.Workbook()
    book.active.append(["name", "price"])
    book.active.append(["tea", 3])
    book.properties.created = datetime(2024, 3, 1, 12)
    buffer = io.BytesIO()
    book.save(buffer)  # sets `modified` to now
    return buffer.getvalue()


def _without_properties(data):
    import io
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            if name != "docProps/core.xml":
                content = old.read(name)
                if name in ("_rels/.rels", "[Content_Types].xml"):
                    import re

                    content = re.sub(rb"<(?:Relationship|Override)[^>]*core[^>]*/>", b"", content)
                new.writestr(name, content)
    return buffer.getvalue()


PAGE = "<html><head><title>t</title>{}</head><body><p>Some words of a page.</p></body></html>"
MAIL = "From: a@b.c\nTo: d@e.f\nSubject: tea\nDate: Fri, 1 Mar 2024 23:30:00 +0500\n\nSome words.\n"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.eml", MAIL.encode()),
        ("a.md", f"---\ntitle: Tea\ndate: {DAY}\n---\n\n# Tea\n\nSome words.\n".encode()),
        ("a.html", PAGE.format(f'<meta property="article:published_time" content="{DAY}T10:00:00Z">').encode()),
        ("a.html", PAGE.format(f'<meta name="DC.date" content="{DAY}">').encode()),
        ("a.docx", _docx(modified=datetime(2024, 3, 1, 10))),
    ],
)
def test_formats_tell_their_date(name, data):
    assert parse_bytes(data, name)[1].date == DAY


def test_an_office_file_without_a_date_has_none_not_todays():
    for name, data in (("a.docx", _docx()), ("a.xlsx", _xlsx())):
        assert parse_bytes(_without_properties(data), name)[1].date == ""


def test_a_pdf_tells_its_date():
    import io

    from pypdf import PdfReader, PdfWriter

    from file_builders import make_pdf

    writer = PdfWriter(PdfReader(io.BytesIO(make_pdf(["Some words of a page."]))))
    writer.add_metadata({"/CreationDate": "D:20230101000000Z", "/ModDate": "D:20240301120000+01'00'"})
    buffer = io.BytesIO()
    writer.write(buffer)
    assert parse_bytes(buffer.getvalue(), "a.pdf")[1].date == DAY


def test_the_library_keeps_a_documents_own_date_else_its_files(ingest, tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "mail.eml").write_text(MAIL)
    (folder / "plain.txt").write_text("Some words without a date.")
    moment = datetime(2021, 7, 9, 12, tzinfo=UTC).timestamp()
    for file in folder.iterdir():
        os.utime(file, (moment, moment))
    library = ingest(folder).library
    assert {document.source: document.date for document in library.documents("c")} == {
        "mail.eml": DAY,
        "plain.txt": "2021-07-09",
    }


def test_a_record_of_a_data_set_has_no_date(ingest, task):
    assert {document.date for document in ingest(task).library.documents("c")} == {""}


def test_open_documents_and_books_tell_their_date():
    import io
    import zipfile

    from office_builders import make_epub, make_odf

    dc = 'xmlns:dc="http://purl.org/dc/elements/1.1/"'
    text = make_odf("text", "<text:p>Some words.</text:p>", title="Tea")
    book = make_epub({"one.xhtml": "<p>Some words of a book.</p>"}, title="Tea")
    for name, data, part in (("a.odt", text, "meta.xml"), ("a.epub", book, None)):
        with zipfile.ZipFile(io.BytesIO(data)) as old:
            part = part or next(each for each in old.namelist() if each.endswith(".opf"))
            members = [(info, old.read(info)) for info in old.infolist()]
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as new:
            for info, content in members:
                if info.filename == part:
                    assert b"title>" in content
                    end = content.index(b"title>", content.index(b"title>") + 1) + len(b"title>")
                    content = content[:end] + f"<dc:date {dc}>{DAY}T09:00:00</dc:date>".encode() + content[end:]
                new.writestr(info, content)
        assert parse_bytes(buffer.getvalue(), name)[1].date == DAY
        assert parse_bytes(data, name)[1].date == ""
