"""Real PDFs, compared by eye with their pages: what stands on which page, in which order, with which headings."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from ingest.parsing import ParseError, parse_bytes
from rag.schema import ParsedDocument

PDFS = Path(__file__).parents[2] / "shared" / "documents" / "pdf"

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not PDFS.is_dir(), reason=f"no test material at {PDFS}"),
]


@dataclass(frozen=True)
class Page:
    """Phrases that stand on a page in this order; a line end in a phrase stands for one in the text."""

    name: str
    number: int
    phrases: tuple[str, ...]


PAGES = [
    Page(
        "amt_handbook_sample",
        1,
        (
            "pulleys, provided the inner race",
            "\nBoots Self-Locking Nut\n",
            "styles and in various shapes and sizes. The wing type that is\nthe most common ranges in size",
            "No. 6 up to 1⁄4 inch, the\nRol-top ranges from 1⁄4 inch to 1⁄6 inch",
            "\nElastic Stop Nut\n",
            "7-45",
        ),
    ),
    Page(
        "multi-column-2p",
        1,
        (
            "Dense Passage Retrieval for Open-Domain Question Answering",
            "\nAbstract\n",
            "benchmarks.1\n1 Introduction\n",
            "Yang et al., 2019a).\nRetrieval in open-domain QA is usually implemented",
            "results on multiple open-domain",
        ),
    ),
    Page(
        "multi-column-2p",
        2,
        (
            "QA datasets, it also suffers from two weaknesses.",
            "More specifically, we assume\nthe extractive QA setting",
            "\n3 Dense Passage Retriever (DPR)\n",
            "\n3.1 Overview\n",
        ),
    ),
    Page(
        "multicolumn",
        1,
        (
            "Two-Column Document with Lorem Ipsum",
            "Vivamus viverra fermentum felis. Donec nonummy\npellentesque ante. Phasellus adipiscing semper elit.",
            "leo. Quisque egestas wisi eget nunc. Nam feugiat",
        ),
    ),
    Page(
        "multicolumn",
        3,
        (
            "Table 1: EU Countries Information\n"
            "Country | Population (millions) | Area (km2) | Capital | Official Language\n"
            "Austria | 8.9 | 83,879 | Vienna | German\n",
            "Czech Republic | 10.7 | 78,866 | Prague | Czech\n",
        ),
    ),
    Page(
        "SPARSE-2024-INV-1234_borderless_table",
        1,
        (
            "Product Code | Location | Expected | Actual | Variance | Status\nSKU-8847 | A-12 | 450\n",
            "B-07 | 289 | -23\n",
            "180 | -24\n",
            "935 | +15 | OK\n",
            "Summary Statistics:\nTotal Variance Cost: $4,287.50",
        ),
    ),
    Page(
        "SPARSE-2024-INV-1234_borderless_table",
        2,
        ("SKU-6678 | Software | $200.00 | $42,000.00 | 2024-10-25 | High Value\n", "Recommendations:"),
    ),
    Page(
        "google-doc-document",
        1,
        (
            "Beautiful is better than ugly.",
            "Indonesia | Germany | Austria | France | Vatican\nContinent | Asia | Europe\n",
            "Population | 273.879.750 1 | 83,190,556 2 | 8,935,112 3 | 67,413,000 | 453\n",
        ),
    ),
    Page(
        "layout-parser-paper-fast",
        1,
        (
            "Zejiang Shen1",
            ", Ruochen Zhang2, Melissa Dell3, Benjamin Charles Germain\nLee4, Jacob Carlson3",
            "\nAbstract. Recent advances",
            "easy reuse of important innovations",
            "arXiv:2103.15348v2",
        ),
    ),
    Page(
        "layout-parser-paper-fast",
        2,
        ("2 Z. Shen et al.", "1. An off-the-shelf toolkit", "large-scale digitization projects"),
    ),
    Page(
        "interface-config-guide-p93",
        1,
        ("A:node-2>config>port-xc# info", "port 1/x1/1/c1/1", "• Only unused faceplate", "6.4 Internal PXC\nWith"),
    ),
    Page(
        "reliance",
        2,
        ("I would like the story of", "dream big.", "Reliance Industries Limited (RIL)", "EMPLOYMENT CREATION"),
    ),
    Page("598us1r4_1a7d", 2, ("OCTOBER TERM, 2022 39", "HEWITT", "predetermined and fxed salary that does not vary")),
    Page("598us1r4_1a7d", 3, ("40 HELIX ENERGY SOLUTIONS", "Syllabus\n", "the Fifth Circuit reversed")),
    Page(
        "GeoTopo-komprimiert",
        4,
        ("Inhaltsverzeichnis\n", "1 Topologische Grundbegriffe | 2\n1.1 Topologische Räume | 2\n"),
    ),
    Page("GeoTopo-komprimiert", 10, ("Also für n = 1:", "\n1.2 Metrische Räume\nDefinition 8\n", "diskrete Topologie")),
    Page("crazyones-pdfa", 1, ("The Crazy Ones\nOctober 14, 1998\n", "are the ones who do.")),
]  # fmt: skip

HEADINGS = {
    "multi-column-2p": [
        (1, "Dense Passage Retrieval for Open-Domain Question Answering"),
        (2, "Abstract"),
        (2, "1 Introduction"),
        (2, "2 Background"),
        (2, "3 Dense Passage Retriever (DPR)"),
        (3, "3.1 Overview"),
    ],
    "layout-parser-paper-fast": [
        (1, "LayoutParser: A Unified Toolkit for Deep Learning Based Document Image Analysis"),
        (2, "1 Introduction"),
    ],
    "multicolumn": [(1, "Two-Column Document with Lorem Ipsum"), (2, "Abstract")],
    "markitdown_test": [(1, "1 Introduction")],
    "crazyones-pdfa": [(1, "The Crazy Ones")],
    "google-doc-document": [(1, "Example document")],
    "SPARSE-2024-INV-1234_borderless_table": [
        (1, "INVENTORY RECONCILIATION REPORT"),
        (2, "Summary Statistics:"),
        (2, "Detailed Analysis by Category:"),
        (2, "Extended Inventory Review:"),
        (2, "Recommendations:"),
    ],
    "002-trivial-libre-office-writer": [],
    "598us1r4_1a7d": [],
    "reliance": [],
    "pdflatex-forms": [],
}

TITLES = {
    "multi-column-2p": "Dense Passage Retrieval for Open-Domain Question Answering",
    "SPARSE-2024-INV-1234_borderless_table": "INVENTORY RECONCILIATION REPORT",
    "crazyones-pdfa": "The Crazy Ones",
    "google-doc-document": "PDF Example Document",
    "markitdown_test": "",
    "GeoTopo-komprimiert": "Geometrie und Topologie",
}


@cache
def document(name: str) -> ParsedDocument:
    return parse_bytes((PDFS / f"{name}.pdf").read_bytes(), f"{name}.pdf")[1]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.name}-{page.number}")
def test_pages_read_as_people_read_them(page: Page) -> None:
    parsed = document(page.name)
    ends = [*parsed.pages[1:], len(parsed.text) + 1]
    text = parsed.text[parsed.pages[page.number - 1] : ends[page.number - 1]]
    position = 0
    for phrase in page.phrases:
        found = text.find(phrase, position)
        assert found >= 0, (phrase, text)
        position = found + 1


@pytest.mark.parametrize("name", HEADINGS)
def test_headings(name: str) -> None:
    assert [(heading.level, heading.text) for heading in document(name).headings] == HEADINGS[name]


@pytest.mark.parametrize("name", TITLES)
def test_titles(name: str) -> None:
    assert document(name).title == TITLES[name]


@pytest.mark.parametrize("name", ["multi-column-2p", "amt_handbook_sample", "layout-parser-paper-fast"])
def test_columns_of_running_text_are_no_tables(name: str) -> None:
    others = ("Figure 7-26.", "Flexloc nut", "texts CF ⊂ C")  # captions side by side, and bars of a formula
    bars = [line for line in document(name).text.split("\n") if " | " in line and not line.startswith(others)]
    assert bars == []


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("name", ["multicolumn", "reliance", "pdflatex-outline"])
def test_cut_files_are_damaged_and_say_so(name: str, share: float) -> None:
    data = (PDFS / f"{name}.pdf").read_bytes()
    with pytest.raises(ParseError, match="The PDF is damaged"):
        parse_bytes(data[: int(len(data) * share)], f"{name}.pdf")


def test_files_with_flipped_bytes_are_documents_or_refused() -> None:
    data = (PDFS / "multi-column-2p.pdf").read_bytes()
    for place in range(100, len(data), len(data) // 25):
        spoilt = data[:place] + bytes(byte ^ 0x55 for byte in data[place : place + 40]) + data[place + 40 :]
        try:
            parsed = parse_bytes(spoilt, "a.pdf")[1]
        except ParseError as error:
            assert str(error).isprintable()
            continue
        assert parsed.text.strip()
        assert all(parsed.text[heading.start :].split()[0] == heading.text.split()[0] for heading in parsed.headings)
