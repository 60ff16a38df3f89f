"""Scans: what is said of them without OCR, and what is read of them with it."""

import io
from pathlib import Path

import pytest

from file_builders import make_pdf
from ingest import ocr
from ingest.parsing import NoTextError, ParseError, UnsupportedFormatError, parse_bytes
from ingest.pdf_lines import Cell, Line, Style
from ingest.reading_order import in_reading_order

SHARED = Path(__file__).parents[2] / "shared"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(60)


def test_without_the_extra_messages_say_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(NoTextError, match=r"needs OCR: 2 pages hold no text\. .*pip install -e '\.\[ocr\]'"):
        parse_bytes(make_pdf(["", ""]), "scan.pdf")
    with pytest.raises(UnsupportedFormatError, match=r"a PNG image\. .*pip install -e '\.\[ocr\]'"):
        parse_bytes(PNG, "photo.png")


def test_only_what_is_named_as_an_image_is_read_as_one() -> None:
    with pytest.raises(ParseError, match=r"named \.pdf but is no PDF"):
        parse_bytes(PNG, "photo.pdf")


# --- the order of lines


def line(left: float, top: float, width: float) -> Line:
    return Line([Cell(f"{left}/{top}", left, left + width)], top - 10, top, Style(10))


def test_columns_are_read_one_after_the_other() -> None:
    title, note = line(0, 900, 400), line(0, 400, 400)
    left = [line(0, 800 - 12 * n, 190) for n in range(8)]
    right = [line(210, 800 - 12 * n, 190 - 20 * (n == 7)) for n in range(8)]
    mixed = [each for pair in zip(right, left, strict=True) for each in pair]
    assert in_reading_order([note, *mixed, title]) == [title, *left, *right, note]


def test_tables_are_read_row_by_row() -> None:
    rows = [[line(x, 800 - 20 * n, 40 + 10 * (n == 3)) for x in (0, 150, 300)] for n in range(8)]
    shuffled = [each for row in reversed(rows) for each in (row[1], row[2], row[0])]
    assert in_reading_order(shuffled) == [each for row in rows for each in row]


def test_no_lines_have_an_order() -> None:
    assert in_reading_order([]) == []


# --- with the extra


@pytest.fixture(scope="module")
def page_image():
    """A page of text as an image."""
    pytest.importorskip("rapidocr", reason="the extra `ocr` is not installed")
    import pypdfium2

    lines = "The harbour office opens at seven.\nFerries leave every hour.\n\nTickets cost four crowns."
    return pypdfium2.PdfDocument(make_pdf([lines]))[0].render(scale=2).to_pil().convert("RGB")


def saved(image, **options) -> bytes:
    target = io.BytesIO()
    image.save(target, **options)
    return target.getvalue()


def test_a_scan_is_read(page_image) -> None:
    from PIL import Image

    blank = Image.new("RGB", page_image.size, "white")
    scan = saved(page_image, format="PDF", save_all=True, append_images=[blank, page_image])
    document = parse_bytes(scan, "scan.pdf")[1]
    page = "The harbour office opens at seven.\nFerries leave every hour.\nTickets cost four crowns."
    assert document.text == f"{page}\n\n{page}"
    assert document.pages == (0, len(page) + 1, len(page) + 2)
    assert document.warnings == (
        "2 of 3 pages were read by OCR, which makes mistakes.",
        "1 of 3 pages hold no text.",
    )


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_images_are_read(page_image, kind: str) -> None:
    form, document = parse_bytes(saved(page_image, format=kind), f"scan.{kind.lower()}")
    assert form == "image"
    assert "Ferries leave every hour." in document.text
    assert document.pages == ()
    assert document.warnings == ("The text was read by OCR, which makes mistakes.",)


def test_an_image_of_several_pages(page_image) -> None:
    data = saved(page_image, format="TIFF", save_all=True, append_images=[page_image])
    document = parse_bytes(data, "scan.tiff")[1]
    assert [document.text[start:].startswith("The harbour") for start in document.pages] == [True, True]


def test_transparent_images_are_on_white(page_image) -> None:
    from PIL import Image, ImageOps

    ink = Image.new("RGBA", page_image.size, "black")
    ink.putalpha(ImageOps.invert(page_image.convert("L")))
    assert "Tickets cost four crowns." in parse_bytes(saved(ink, format="PNG"), "a.png")[1].text


def test_images_without_text_and_huge_ones_are_refused(page_image) -> None:
    from PIL import Image

    with pytest.raises(NoTextError, match="found no text"):
        parse_bytes(saved(Image.new("RGB", (300, 200), "navy"), format="PNG"), "a.png")
    for side in (10_000, 20_000):
        with pytest.raises(ParseError, match="more than 89 million pixels"):
            parse_bytes(saved(Image.new("1", (side, side)), format="PNG"), "a.png")
    with pytest.raises(ParseError, match="damaged"):
        parse_bytes(saved(page_image, format="PNG")[:2000], "a.png")


def test_it_is_silent_and_downloads_nothing(page_image, monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    import socket

    import numpy as np

    def refuse(*_: object) -> None:
        raise AssertionError("it wants to connect")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    ocr._engine.cache_clear()
    assert "Ferries" in ocr.read_page(np.asarray(page_image))
    assert capfd.readouterr() == ("", "")


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no test material at {SHARED}")
@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("documents/pdf/table-multi-row-column-cells.pdf", ["Blind | 5 | 1 | 4 | 34.5%, n=1 | 1199 sec, n=1"]),
        (
            "hostile/real/MEDRPT-2024-PAT-3847_medical_report_scan.pdf",
            ["Heart Rate | 78 bpm | 60-100 bpm | NORMAL", "1. Lisinopril 10mg - once daily for hypertension"],
        ),
        ("hostile/real/loremipsum-flat.pdf", ["Lorem ipsum dolor sit amet, consectetur adipiscing elit."]),
    ],
    ids=lambda value: Path(value).stem[:10] if isinstance(value, str) else "",
)
def test_real_scans(name: str, lines: list[str]) -> None:
    pytest.importorskip("rapidocr", reason="the extra `ocr` is not installed")
    text = parse_bytes((SHARED / name).read_bytes(), name)[1].text
    assert all(line in text for line in lines), text
