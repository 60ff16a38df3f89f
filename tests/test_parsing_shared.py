"""Every real and hostile file through the parser pool: each ends as expected, none hangs or takes the parent along."""

import json
from functools import cache
from pathlib import Path

import pytest

from ingest.parsing import NoTextError, ParseError, UnsupportedFormatError
from ingest.sandbox import Parsed, ParserPool

SHARED = Path(__file__).parents[2] / "shared"
MANIFEST = SHARED / "files_manifest.jsonl"

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not MANIFEST.is_file(), reason=f"no test material at {SHARED}"),
]

UNSUPPORTED_SUFFIXES = {".doc"}

# What else than a document is right, by the manifest's expectation; every file not named is to be a document.
EXPECTED: dict[str, type[ParseError]] = {
    "documents/pdf/table-multi-row-column-cells.pdf": NoTextError,
    "hostile/real/unstructured_password.pdf": ParseError,
    "hostile/real/loremipsum-flat.pdf": NoTextError,
    "hostile/real/MEDRPT-2024-PAT-3847_medical_report_scan.pdf": NoTextError,
    "hostile/real/imagemagick-images.pdf": NoTextError,
    "hostile/real/empty.txt": NoTextError,
    "hostile/real/fake-text-all-whitespace.txt": NoTextError,
    "hostile/made/truncated_half.pdf": ParseError,
    "hostile/made/garbage.pdf": ParseError,
    "hostile/made/txt_named.docx": ParseError,
    "hostile/made/png_named.pdf": ParseError,
    "hostile/made/empty.md": NoTextError,
    "hostile/made/nul_bytes.txt": UnsupportedFormatError,
    "hostile/made/script_only.html": NoTextError,
    "hostile/made/bomb_200MB.docx": ParseError,
    "hostile/made/billion_laughs.docx": ParseError,
    "hostile/made/xxe.docx": ParseError,
    "hostile/made/cyclic_pages.pdf": ParseError,
    "hostile/made/no_text.pdf": NoTextError,
    "hostile/made/zip_slip.zip": ParseError,
    "hostile/real/password_protected.xlsx": ParseError,
}
SNIFFED = {"hostile/made/docx_named.zip": "docx", "hostile/made/html_named.pdf": "html"}

# Text that must be found, and what a wrong decoding or parser would leave behind.
CONTENTS = {
    "hostile/made/latin1.txt": "Crème brûlée, Straße, naïve, £5 — “quote",
    "hostile/real/umlauts-non-utf8.md": "äöüß",
    "hostile/real/fake-text-utf-16-le.txt": "This is a test document to use for unit tests.",
    "hostile/real/fake-text-utf-32.txt": "This is a test document to use for unit tests.",
    "hostile/real/stanley-cups-utf-16.csv": "Team: Blues; Location: STL; Stanley Cups: 1",
    "documents/pdf/GeoTopo-komprimiert.pdf": "Topologische Grundbegriffe",
    "documents/docx/docx-tables.docx": "Header Col 1 | Header Col 2",
    "documents/docx/fake.odt": "Header row | Mon | Wed | Fri\nColor | Blue | Red | Green",
    "documents/office_other/fake-power-point.pptx": "Adding a Bullet Slide\n\nFind the bullet slide layout\n",
    "documents/office_other/sample-presentation.pptx": "Table | A | B | C\n1 | A1 | B1 | C1",
    "documents/office_other/vodafone.xlsx": "Operational metrics\nTopic: Mobile customers; Period: Nine quarters",
    "documents/office_other/2023-half-year-analyses-by-segment.xlsx": "Zone NA; January–June 2023 Sales (a): 12553;",
    "documents/office_other/winter-sports.epub": "There is an amazingly silly proverb which quite mistakenly",
    "documents/docx/test.rtf": "This is a Sample RTF File\n\nIt is included",
    "documents/eml/fake-email.eml": "Subject: Test Email\n\nThis is a test email to use for unit tests.",
    "documents/html/test_wikipedia.html": "Microsoft Corporation is an American multinational",
}
ABSENT = {
    "documents/html/wiki_duck.html": "Articles with Project Gutenberg links",
    "documents/docx/docx-hdrftr.docx": "header",
    "documents/html/test_wikipedia.html": "Afrikaans",
}


@cache
def outcomes() -> dict[str, Parsed | ParseError]:
    names = [json.loads(line)["path"] for line in MANIFEST.read_text(encoding="utf-8").splitlines()]
    with ParserPool(memory_mb=1024, seconds=20) as pool:
        return {name: outcome(pool, SHARED / name) for name in names}


def outcome(pool: ParserPool, path: Path) -> Parsed | ParseError:
    try:
        result = pool.parse(path)
    except ParseError as error:
        return error
    assert isinstance(result, Parsed)
    return result


def expected_error(name: str) -> type[ParseError] | None:
    if name not in SNIFFED and Path(name).suffix in UNSUPPORTED_SUFFIXES:
        return UnsupportedFormatError
    return EXPECTED.get(name)


def test_every_file_ends_as_expected() -> None:
    assert len(outcomes()) > 90
    ends = {name: type(result) if isinstance(result, ParseError) else None for name, result in outcomes().items()}
    assert ends == {name: expected_error(name) for name in ends}


def test_messages_are_one_printable_line() -> None:
    for result in outcomes().values():
        if isinstance(result, ParseError):
            assert str(result).isprintable() and 10 < len(str(result)) < 300


def test_documents_are_sound() -> None:
    for name, result in outcomes().items():
        if isinstance(result, ParseError):
            continue
        document = result.document
        assert document.text.strip(), name
        assert "\r" not in document.text and "\x00" not in document.text and "\ufffe" not in document.text, name
        document.text.encode()
        assert list(document.pages) == sorted(set(document.pages)), name
        assert not document.pages or (document.pages[0] == 0 and document.pages[-1] <= len(document.text)), name
        starts = [heading.start for heading in document.headings]
        assert starts == sorted(set(starts)), name
        for heading in document.headings:
            there = " ".join(document.text[heading.start :][: 3 * len(heading.text) + 100].split())
            assert result.format in ("markdown", "rst") or there.startswith(heading.text), (name, heading)


@pytest.mark.parametrize("name", CONTENTS)
def test_contents(name: str) -> None:
    assert CONTENTS[name] in outcomes()[name].document.text


@pytest.mark.parametrize("name", ABSENT)
def test_what_is_no_content_is_left_out(name: str) -> None:
    assert ABSENT[name] not in outcomes()[name].document.text


@pytest.mark.parametrize("name", SNIFFED)
def test_content_counts_more_than_the_name(name: str) -> None:
    assert outcomes()[name].format == SNIFFED[name]


def test_outlines_become_headings() -> None:
    document = outcomes()["documents/pdf/GeoTopo-komprimiert.pdf"].document
    assert len(document.pages) == 117
    found = {heading.text: heading.level for heading in document.headings}
    assert found["1 Topologische Grundbegriffe"] == 1 and found["1.1 Topologische Räume"] == 2


def test_some_empty_pages_are_told() -> None:
    document = outcomes()["hostile/real/layout-parser-paper-with-empty-pages.pdf"].document
    assert document.warnings == ("2 of 4 pages hold no text; scanned pages need OCR.",)
