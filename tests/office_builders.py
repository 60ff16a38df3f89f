"""Builds the office files that tests read, presentations, workbooks, OpenDocument files and books, and reads them."""

import io
import zipfile
from collections.abc import Mapping, Sequence

from ingest.parsing import parse_bytes
from rag.schema import ParsedDocument

ODF = " ".join(
    f'xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for prefix, name in {
        "office": "office",
        "text": "text",
        "table": "table",
        "draw": "drawing",
        "style": "style",
        "presentation": "presentation",
    }.items()
)
CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
)


def make_zip(members: Mapping[str, str | bytes]) -> bytes:
    """Zips the members in their order; `mimetype` stays uncompressed, as OpenDocument and EPUB want it."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            method = zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED
            archive.writestr(name, data, method)
    return target.getvalue()


def make_odf(kind: str, body: str, title: str = "", doctype: str = "", styles: str = "", **more: str) -> bytes:
    """Makes a package of a kind, "text", "spreadsheet" or "presentation", with XML for its body and its styles."""
    return make_zip(
        {
            "mimetype": f"application/vnd.oasis.opendocument.{kind}",
            "content.xml": f"<?xml version='1.0'?>{doctype}<office:document-content {ODF}>"
            f"<office:automatic-styles>{styles}</office:automatic-styles>"
            f"<office:body><office:{kind}>{body}</office:{kind}></office:body></office:document-content>",
            "meta.xml": f'<office:document-meta {ODF} xmlns:dc="http://purl.org/dc/elements/1.1/">'
            f"<office:meta><dc:title>{title}</dc:title></office:meta></office:document-meta>",
            **more,
        }
    )


def make_epub(chapters: Mapping[str, str], spine: Sequence[str] = (), title: str = "", **more: str) -> bytes:
    """Makes a book of the given chapters, named by their paths; nav.xhtml is its table of contents."""
    items = "".join(
        f'<item id="i{n}" href="{name}" properties="{name.removesuffix(".xhtml")}" media-type="application/xhtml+xml"/>'
        for n, name in enumerate(chapters)
    )
    order = {name: f"i{n}" for n, name in enumerate(chapters)}
    references = "".join(f'<itemref idref="{order.get(name, name)}"/>' for name in spine or chapters)
    return make_zip(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": CONTAINER,
            "OPS/book.opf": '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/">'
            f"<metadata><dc:title>{title}</dc:title></metadata><manifest>{items}</manifest>"
            f"<spine>{references}</spine></package>",
            **{f"OPS/{name.replace('%20', ' ')}": text for name, text in chapters.items() if text},
            **{name.replace("__", "/"): text for name, text in more.items()},
        }
    )


def make_xlsx(sheets: Mapping[str, Sequence[Sequence[object]]], title: str | None = None) -> bytes:
    """Makes a workbook with the given rows on each sheet."""
    import openpyxl

    workbook = openpyxl.Workbook()
    workbook.remove(workbook.active)
    workbook.properties.title = title
    for name, rows in sheets.items():
        sheet = workbook.create_sheet(name)
        for row in rows:
            sheet.append(row)
    target = io.BytesIO()
    workbook.save(target)
    return target.getvalue()


def make_pptx() -> bytes:
    """Makes a presentation with a table, a group, a chart, a footer, notes, and slides without a title or any text."""
    from pptx import Presentation
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE
    from pptx.util import Inches

    presentation = Presentation()
    titled, bare, empty = (presentation.slide_layouts[number] for number in (1, 5, 6))
    place = (Inches(1), Inches(5), Inches(4), Inches(1))

    slide = presentation.slides.add_slide(titled)
    low = slide.shapes.add_textbox(Inches(1), Inches(6.5), Inches(4), Inches(1))
    low.text_frame.text = "At the bottom"
    slide.shapes.title.text = "Annual\vReport"
    slide.placeholders[1].text = "First point\nSecond point"
    slide.notes_slide.notes_text_frame.text = "Say hello.\nBreathe."

    presentation.slides.add_slide(empty)

    slide = presentation.slides.add_slide(empty)
    table = slide.shapes.add_table(3, 3, *place).table
    for cell, text in zip(table.iter_cells(), ["Year", "Sales", "", "2024", "17", "", "both", "", ""], strict=True):
        cell.text = text
    table.cell(2, 0).merge(table.cell(2, 1))
    group = slide.shapes.add_group_shape()
    for text in ("In a group", "and beside it"):
        group.shapes.add_textbox(*place).text_frame.text = text
    slide.shapes.add_textbox(Inches(6), Inches(0.52), Inches(1), Inches(1)).text_frame.text = "Right above"
    slide.shapes.add_textbox(Inches(1), Inches(0.55), Inches(1), Inches(1)).text_frame.text = "Left above"

    slide = presentation.slides.add_slide(bare)
    slide.shapes.title.text = "Figures"
    data = CategoryChartData()
    data.categories = ["East", "West"]
    data.add_series("Q1", (19.2, 21))
    chart = slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *place, data).chart
    chart.has_title = True
    chart.chart_title.text_frame.text = "Sales by region"
    slide.shapes.add_textbox(*place).text_frame.text = "HIDDEN"
    slide.shapes[-1]._element.nvSpPr.cNvPr.set("hidden", "1")
    target = io.BytesIO()
    presentation.save(target)
    return target.getvalue()


def parsed(data: bytes, name: str) -> ParsedDocument:
    """Parses a file of the format that its name says, and checks that its headings stand where they say."""
    kind, document = parse_bytes(data, name)
    assert kind == name.rsplit(".", 1)[1]
    for heading in document.headings:
        assert document.text.startswith(heading.text, heading.start)
    return document


def outline(document: ParsedDocument) -> list[tuple[int, str]]:
    """Returns the levels and texts of a document's headings."""
    return [(heading.level, heading.text) for heading in document.headings]
