"""PDFs set here line by line: headings told by their type, rows of tables, and what must not be taken for either."""

import pytest

from ingest.parsing import parse_bytes
from rag.schema import ParsedDocument

PROSE = "Running text of the document, as long as lines are."
REGULAR, BOLD, FIXED = "F1", "F2", "F3"
FONTS = {REGULAR: "Helvetica", BOLD: "Helvetica-Bold", FIXED: "Courier"}

Text = tuple[float, float, str]  # left, baseline, words; a font and a size may follow


def typeset(*pages: list[tuple], box: str = "0 0 600 800", rotate: int = 0) -> bytes:
    """Writes a PDF of texts (x, y, words, size = 10, font = REGULAR, matrix = "1 0 0 1"), in the order given."""
    fonts = "".join(f"/{key}<</Type/Font/Subtype/Type1/BaseFont/{name}>>" for key, name in FONTS.items())
    objects = ["<</Type/Catalog/Pages 2 0 R>>", ""]
    for page in pages:
        stream = "".join(_shown(*text) for text in page)
        objects.append(
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 1200 800]/CropBox[{box}]/Rotate {rotate}"
            f"/Resources<</Font<<{fonts}>>>>/Contents {len(objects) + 2} 0 R>>"
        )
        objects.append(f"<</Length {len(stream)}>>stream\n{stream}\nendstream")
    kids = " ".join(f"{number} 0 R" for number in range(3, len(objects), 2))
    objects[1] = f"<</Type/Pages/Count {len(pages)}/Kids[{kids}]>>"
    body, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(body))
        body += f"{number} 0 obj{content}endobj\n".encode("cp1252")
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    trailer = f"trailer<</Size {len(objects) + 1}/Root 1 0 R>>\nstartxref\n{len(body)}\n%%EOF"
    return body + f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{trailer}".encode()


def _shown(x: float, y: float, words: str, size: float = 10, font: str = REGULAR, matrix: str = "1 0 0 1") -> str:
    escaped = words.replace("(", "\\(").replace(")", "\\)")
    return f"BT /{font} {size} Tf {matrix} {x} {y} Tm ({escaped}) Tj ET\n"


def paragraph(top: float, lines: int = 6, left: float = 50) -> list[tuple]:
    return [(left, top - 12 * line, PROSE) for line in range(lines)]


def parse(*pages: list[tuple], **options: object) -> ParsedDocument:
    document = parse_bytes(typeset(*pages, **options), "a.pdf")[1]
    for heading in document.headings:
        there = " ".join(document.text[heading.start :].split())
        assert there.startswith(heading.text)
    return document


def headings(*pages: list[tuple]) -> list[tuple[int, str]]:
    return [(heading.level, heading.text) for heading in parse(*pages).headings]


# --- headings


def test_larger_type_and_bold_lines_with_space_above_are_headings() -> None:
    page = [
        (50, 760, "The Whole Work", 20),
        *paragraph(730),
        (50, 640, "1 First Part", 14, BOLD),
        *paragraph(620),
        (50, 530, "Notes on a bold line", 10, BOLD),
        *paragraph(516),
    ]
    document = parse(page)
    assert [(h.level, h.text) for h in document.headings] == [
        (1, "The Whole Work"),
        (2, "1 First Part"),
        (3, "Notes on a bold line"),
    ]
    assert document.title == "The Whole Work"


def test_a_heading_of_two_lines_is_one_and_numbers_part_two() -> None:
    page = [
        (50, 760, "A heading that is so long", 16),
        (50, 742, "a reader needs two lines", 16),
        *paragraph(720),
        (50, 600, "2 Methods", 16),
        (50, 582, "2.1 Data", 14),
        *paragraph(560),
    ]
    assert headings(page) == [
        (1, "A heading that is so long a reader needs two lines"),
        (1, "2 Methods"),
        (2, "2.1 Data"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        (50, 652, "Bold without space above", 10, BOLD),
        (50, 630, "begins with a small letter", 14),
        (50, 630, "Is a sentence in large type.", 14),
        (50, 630, "14 October 1998", 14),
        (50, 630, "Figure 3: What it shows", 14),
        (50, 630, "1 2 3 4 5 6 7 8 9 A", 14),
        (50, 630, "• An item of a list", 14, BOLD),
        (50, 630, "a = load(name)", 10, FIXED),
        (50, 630, "No heading " * 12, 12),
        (590, 400, "Up the margin it runs", 20, REGULAR, "0 1 -1 0"),
    ],
    ids=lambda line: line[2][:20],
)
def test_what_is_no_heading(line: tuple) -> None:
    assert headings([*paragraph(724, 7), line, *paragraph(600)]) == []


def test_running_heads_are_no_headings_but_the_title_is() -> None:
    pages = [
        [
            (50, 780, "The Work", 24 if number == 0 else 13),
            *[(50, 740 - 12 * line, f"{letter * 3} {PROSE}") for line in range(6)],
            (50, 30, f"Page {number}", 13),
        ]
        for number, letter in enumerate("ABCDEF")
    ]
    assert headings(*pages) == [(1, "The Work")]


def test_a_title_page_alone_gives_no_headings() -> None:
    assert headings([(50, 780, "Official Reports", 24), *paragraph(740)], *[paragraph(740)] * 12) == []


def test_the_contents_stand_above_no_heading_however_large() -> None:
    page = [(50, 780, "Contents", 24), *paragraph(750), (50, 660, "First", 16), *paragraph(640)]
    assert headings(page) == [(1, "Contents"), (1, "First")]


def test_headings_without_text_below_are_none() -> None:
    page = [(50, 780, "The Work", 24), (50, 750, "A Person", 14), (50, 700, "Part One", 18), *paragraph(670)]
    assert headings(page) == [(1, "The Work"), (2, "Part One")]


def test_type_without_a_usual_size_is_a_poster() -> None:
    assert headings([(50, 760 - 40 * n, f"Word number {n} of it", 10 + 2 * n) for n in range(8)]) == []


# --- tables


def row(y: float, *cells: str, left: float = 50, width: float = 120) -> list[tuple]:
    return [(left + width * place, y, cell) for place, cell in enumerate(cells) if cell]


def test_rows_of_a_table_are_lines_with_bars() -> None:
    page = [*paragraph(760), *row(660, "Name", "Price", "Sold"), *row(640, "Tea", "", "17"), *row(620, "", "3", "4")]
    assert parse(page).text.endswith("Name | Price | Sold\nTea | 17\n3 | 4")


def test_cells_of_several_lines_are_put_together() -> None:
    page = [
        *row(700, "Name", "Use", "Price"),
        *[(50, 680, "green"), (50, 668, "tea"), (170, 680, "to drink in"), (170, 668, "the morning"), (290, 680, "3")],
        *[(50, 650, "ink"), (170, 650, "to write"), (290, 650, "4"), (290, 638, "or more")],
    ]
    text = "Name | Use | Price\ngreen tea | to drink in the morning | 3\nink | to write | 4 or more"
    assert parse(page).text == text


@pytest.mark.parametrize(
    "page",
    [
        [*row(700, "One row", "by itself"), *paragraph(500)],
        [*row(700, "far", "apart"), *row(600, "from", "below")],
        [(50, 700, "•"), (66, 700, "an item"), (50, 688, "•"), (66, 688, "another")],
        [(50, 700, "1."), (72, 700, "an item"), (50, 688, "2."), (72, 688, "another")],
        [(50, 700, "x = 1", 10, FIXED), (170, 700, "# one", 10, FIXED), (50, 688, "y = 2", 10, FIXED),
         (170, 688, "# two", 10, FIXED)],
        [*paragraph(700), *paragraph(700, left=330)],
        [*paragraph(700, 2), *paragraph(700, 2, left=330)],
    ],
    ids=["one row", "far apart", "bullets", "numbers", "program", "two columns", "short columns"],
)  # fmt: skip
def test_what_is_no_table(page: list[tuple]) -> None:
    assert "|" not in parse(page).text


def test_columns_keep_the_order_of_the_file() -> None:
    left = [(50, 700 - 12 * line, f"Left line {line} of the running text") for line in range(9)]
    right = [(330, 700 - 12 * line, f"Right line {line} of the running text") for line in range(9)]
    lines = parse([*left, *right]).text.split("\n")
    assert lines == [words for _, _, words in [*left, *right]]


def test_dots_that_lead_to_a_page_number_are_left_out() -> None:
    entries = [(50, 700 - 14 * n, f"Part {n} {'. ' * 30}") for n in range(3)]
    numbers = [(500, 700 - 14 * n, f"{n}7") for n in range(3)]
    page = [text for pair in zip(entries, numbers, strict=True) for text in pair]
    assert parse(page).text == "Part 0 | 07\nPart 1 | 17\nPart 2 | 27"


# --- lines


def test_raised_numbers_stay_in_their_line_and_do_not_become_digits() -> None:
    page = [(50, 700, "Population 8,935,112"), (149, 704, "3", 6), (152.5, 700, ", as counted")]
    assert parse(page).text.startswith("Population 8,935,112 3")
    assert "\n" not in parse(page).text


def test_what_lies_beside_the_page_is_left_out() -> None:
    page = [(50, 700, "On the page"), (700, 700, "On the other half"), (50, 680, "Below"), (50, -20, "Under it")]
    assert parse(page).text == "On the page\nBelow"


def test_a_line_that_runs_off_the_page_is_kept() -> None:
    assert parse([(50, 700, "word " * 90)]).text == ("word " * 90).strip()


def test_pages_are_read_as_they_are_turned() -> None:
    """Everything as on an upright page, but written upwards on a page that readers turn clockwise."""
    upright = [(50, 760, "The Heading", 20), *paragraph(730), *row(600, "Name", "Price"), *row(585, "Tea", "3")]
    turned = [
        (800 - y, x, words, *(rest or [10]), *([REGULAR] if len(rest) < 2 else []), "0 1 -1 0")
        for x, y, words, *rest in upright
    ]
    first = parse(upright)
    second = parse(turned, box="0 0 800 600", rotate=90)
    assert second.text == first.text
    assert second.headings == first.headings != ()
    assert "Name | Price\nTea | 3" in first.text
