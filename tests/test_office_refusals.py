"""Office files that are empty, damaged, hostile, encrypted or of no known kind are refused, each with its reason."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from file_builders import rezip
from ingest.parsing import NoTextError, ParseError, UnsupportedFormatError, parse_bytes
from ingest.zip_limits import MAX_RATIO, RATIO_FLOOR_BYTES
from office_builders import make_epub, make_odf, make_pptx, make_xlsx, make_zip

ENTITIES = '<!DOCTYPE a [<!ENTITY b "boo">]>'
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500)
GOOD_XLSX = make_xlsx({"Sheet": [["a", "b"], [1, 2]]})
GOOD_PPTX = make_pptx()
GOOD_ODT = make_odf("text", "<text:p>words</text:p>")
GOOD_EPUB = make_epub({"a.xhtml": "<p>words</p>"})
MANIFEST = (
    '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"><manifest:file-entry>'
    "<manifest:encryption-data/></manifest:file-entry></manifest:manifest>"
)
BOMB = bytes(RATIO_FLOOR_BYTES)


@pytest.mark.parametrize(
    ("name", "data", "error", "message"),
    [
        ("blank.xlsx", make_xlsx({"a": [[None, ""]]}), NoTextError, "no values"),
        ("blank.pptx", rezip(GOOD_PPTX, ppt__presentation_xml=b""), ParseError, "damaged"),
        ("blank.odt", make_odf("text", "<text:p> </text:p>"), NoTextError, "no text"),
        ("blank.ods", make_odf("spreadsheet", ""), NoTextError, "no values"),
        ("blank.odp", make_odf("presentation", "<draw:page/><draw:page/>"), NoTextError, "on its 2 slides"),
        ("blank.epub", make_epub({"a.xhtml": "<img/>"}), NoTextError, "pictures"),
        ("cut.xlsx", GOOD_XLSX[:3000], ParseError, "named .xlsx but is no XLSX file: it seems to be a damaged zip"),
        ("cut.pptx", GOOD_PPTX[:9000], ParseError, "named .pptx but is no PPTX file"),
        ("cut.odt", GOOD_ODT[:300], ParseError, "named .odt"),
        ("cut.epub", GOOD_EPUB[:300], ParseError, "named .epub"),
        ("text.pptx", b"only text", ParseError, "it seems to be text"),
        ("bomb.xlsx", rezip(GOOD_XLSX, xl__workbook_xml=BOMB), ParseError, f"than {MAX_RATIO} times"),
        ("bomb.pptx", rezip(GOOD_PPTX, docProps__app_xml=BOMB), ParseError, f"than {MAX_RATIO} times"),
        ("bomb.odt", rezip(GOOD_ODT, content_xml=BOMB), ParseError, f"than {MAX_RATIO} times"),
        ("bomb.epub", rezip(GOOD_EPUB, OPS__a_xhtml=BOMB), ParseError, f"than {MAX_RATIO} times"),
        ("dtd.xlsx", rezip(GOOD_XLSX, xl__workbook_xml=b"<!DOCTYPE a>"), ParseError, "document type"),
        ("dtd.pptx", rezip(GOOD_PPTX, docProps__app_xml=ENTITIES.encode("utf-16")), ParseError, "document type"),
        ("dtd.epub", rezip(GOOD_EPUB, OPS__book_opf=ENTITIES.encode()), ParseError, "entities"),
        ("xml.xlsx", rezip(GOOD_XLSX, xl__workbook_xml=b"<a"), ParseError, "XLSX parser cannot read it"),
        ("xml.odt", rezip(GOOD_ODT, content_xml=b"<a"), ParseError, "XMLSyntaxError"),
        ("other.odt", rezip(GOOD_ODT, content_xml=b"<a/>"), ParseError, "without its text"),
        ("lost.epub", make_zip({"META-INF/container.xml": "<a/>"}), ParseError, "package document is missing"),
        ("locked.xlsx", OLE + "EncryptedPackage".encode("utf-16-le"), ParseError, "encrypted"),
        ("locked.pptx", OLE + "EncryptedPackage".encode("utf-16-le"), ParseError, "encrypted"),
        ("old.xlsx", OLE, ParseError, "named .xlsx but is no XLSX file: it seems to be a legacy Office file"),
        ("old.xls", OLE, UnsupportedFormatError, "legacy"),
        ("locked.odt", make_odf("text", "", **{"META-INF/manifest.xml": MANIFEST}), ParseError, "encrypted"),
        ("whole.odt", make_odf("text", "", **{"encrypted-package": "x"}), ParseError, "encrypted"),
        (
            "draw.odg",
            make_odf("graphics", "", **{"META-INF/manifest.xml": "<a/>"}),
            UnsupportedFormatError,
            "OpenDocument",
        ),
        ("flow.vsdx", make_zip({"[Content_Types].xml": "<a/>"}), UnsupportedFormatError, "Office file of a kind"),
        ("pack.docx", make_zip({"a.txt": "text"}), ParseError, "named .docx but is no DOCX file: it seems to be a zip"),
        ("pack.zip", make_zip({"a.txt": "text"}), UnsupportedFormatError, "a zip archive"),
    ],
)
def test_refusals(name: str, data: bytes, error: type[ParseError], message: str) -> None:
    with pytest.raises(error) as caught:
        parse_bytes(data, name)
    assert type(caught.value) is error
    assert message in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("data", "kind"),
    [(GOOD_XLSX, "xlsx"), (GOOD_PPTX, "pptx"), (GOOD_ODT, "odt"), (GOOD_EPUB, "epub"), (make_zip({}), "")],
)
def test_content_counts_more_than_the_name(data: bytes, kind: str) -> None:
    if kind:
        assert parse_bytes(data, "any.zip")[0] == kind
    else:
        with pytest.raises(UnsupportedFormatError, match="an empty zip archive"):
            parse_bytes(data, "any.zip")


@settings(max_examples=60)
@given(st.sampled_from([GOOD_XLSX, GOOD_ODT, GOOD_EPUB]), st.binary(min_size=1, max_size=20), st.floats(0, 1))
def test_any_damage_is_a_parse_error(good: bytes, noise: bytes, share: float) -> None:
    place = int(share * len(good))
    try:
        _, document = parse_bytes(good[:place] + noise + good[place + len(noise) :], "a.zip")
        assert document.text.strip()
    except ParseError as error:
        assert str(error).isprintable()
