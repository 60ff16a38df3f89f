"""PowerPoint presentations: a page for every slide, with its title as heading, its text, tables, charts and notes."""

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ingest.content_kinds import zip_names
from ingest.dating import office_date
from ingest.errors import NoTextError
from ingest.safe_xml import read_xml
from ingest.text_building import TextBuilder, choose_title, one_line
from ingest.zip_limits import check_zip
from rag.schema import ParsedDocument

if TYPE_CHECKING:
    from lxml.etree import _Element

FORMAT = "pptx"
SUFFIXES = frozenset({".pptx", ".pptm", ".ppsx", ".ppsm", ".potx", ".potm"})

_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_DGM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_MATH_TEXT = "{http://schemas.openxmlformats.org/officeDocument/2006/math}t"
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_TITLES = frozenset({"title", "ctrTitle"})
_FURNITURE = frozenset({"dt", "ftr", "hdr", "sldNum", "sldImg"})  # date, footer, header, number, picture of the slide
_DEFAULT_TITLES = frozenset({"PowerPoint Presentation"})  # what PowerPoint and python-pptx say of any file
_ROW_HEIGHT = 91_440  # a tenth of an inch in EMU: shapes whose tops differ less stand in one row


def accepts(data: bytes, name: str) -> bool:
    """Accepts a zip archive with the main part of a PowerPoint presentation, whatever its name."""
    return "ppt/presentation.xml" in zip_names(data)


def parse(data: bytes, name: str) -> ParsedDocument:
    """Returns the slides in order, hidden ones too: title, shapes from top to bottom, then the speaker's notes.

    Footers, slide numbers, comments, pictures and what only the master shows are left out. The walk over shapes is
    over the XML itself: python-pptx leaves out those that have an alternative for older programs, and SmartArt.
    """
    from pptx.package import Package

    check_zip(data)
    presentation = Package.open(io.BytesIO(data)).presentation_part.presentation
    builder = TextBuilder()
    pages = [_write_slide(builder, slide, number) for number, slide in enumerate(presentation.slides, start=1)]
    if not builder.text.strip():
        raise NoTextError(f"The presentation holds no text on its {len(pages)} slides.")
    stated = presentation.core_properties.title
    first = builder.headings[0].text if builder.headings else None
    title = choose_title(stated if stated not in _DEFAULT_TITLES else None, first)
    return ParsedDocument(title, builder.text, tuple(pages), builder.headings, date=office_date(data))


def _write_slide(builder: TextBuilder, slide: Any, number: int) -> int:
    """Writes a slide and returns the offset at which its page starts.

    A slide without a title gets its number as one: its text is not part of the slide before.
    """
    shapes = list(_shapes(slide._element.find(f"{_P}cSld/{_P}spTree")))
    titles = [shape for shape in shapes if _placeholder(shape) in _TITLES]
    title = one_line(" ".join(line for shape in titles for line in _paragraphs(shape)))
    others = sorted((shape for shape in shapes if shape not in titles), key=lambda shape: _place(shape, slide))
    blocks = [lines for shape in others if (lines := list(_lines(shape, slide.part)))]
    notes = list(_notes(slide))
    if not title and not blocks and not notes:
        return builder.add("", gap=2)
    builder.add_heading(title or f"Slide {number}", 1)
    start = builder.headings[-1].start
    for lines in blocks:
        builder.add("\n".join(lines), gap=2)
    if notes:
        builder.add("Notes: " + "\n".join(notes), gap=2)
    return start


def _shapes(parent: "_Element") -> "Iterator[_Element]":
    """Yields the shapes of a slide, those in groups too; of alternatives the first."""
    for child in parent:
        if child.tag == f"{_MC}AlternateContent":
            yield from _shapes(next(child.iterchildren(f"{_MC}Choice"), child))
        elif child.tag == f"{_P}grpSp" and not _is_hidden(child):
            yield from _shapes(child)
        elif child.tag in (f"{_P}sp", f"{_P}graphicFrame", f"{_P}cxnSp") and not _is_hidden(child):
            yield child


def _is_hidden(shape: "_Element") -> bool:
    return any(properties.get("hidden") in ("1", "true") for properties in shape.iterfind(f"*/{_P}cNvPr"))


def _placeholder(shape: "_Element") -> str | None:
    """Returns the type of the placeholder that a shape fills; None for one that is no placeholder."""
    placeholder = shape.find(f"*/{_P}nvPr/{_P}ph")
    return None if placeholder is None else placeholder.get("type", "obj")


def _place(shape: "_Element", slide: Any) -> tuple[int, int]:
    """Returns the row and the left edge of a shape, or of the group, as large as it is, in which it stands."""
    outermost = shape
    for ancestor in shape.iterancestors(f"{_P}grpSp"):
        outermost = ancestor
    offset = next(outermost.iter(f"{_A}off", f"{_P}off"), None)
    if offset is None:
        offset = _inherited_offset(shape, slide)
    if offset is None:
        return 0, 0
    return int(offset.get("y", "0")) // _ROW_HEIGHT, int(offset.get("x", "0"))


def _inherited_offset(shape: "_Element", slide: Any) -> "_Element | None":
    """Returns where the layout, or else the master, puts a placeholder that the slide does not move."""
    placeholder = shape.find(f"*/{_P}nvPr/{_P}ph")
    if placeholder is None:
        return None
    layout = slide.slide_layout
    index = placeholder.get("idx", "0")
    inherited = [other for other in layout._element.iter(f"{_P}ph") if other.get("idx", "0") == index]
    # all that is neither title nor footer inherits from the master's body
    inherited += [other for other in layout.slide_master._element.iter(f"{_P}ph") if other.get("type") == "body"]
    offsets = (next(other.getparent().getparent().getparent().iter(f"{_A}off"), None) for other in inherited)
    return next((offset for offset in offsets if offset is not None), None)


def _lines(shape: "_Element", part: Any) -> Iterator[str]:
    """Yields the lines of a shape: of a text, a table, a chart or a diagram."""
    if _placeholder(shape) in _FURNITURE:
        return
    table = next(shape.iter(f"{_A}tbl"), None)
    if table is not None:
        yield from _rows(table)
        return
    for chart in shape.iter(f"{_C}chart"):
        yield from _chart_lines(_related(part, chart.get(f"{_R}id")))
    for diagram in shape.iter(f"{_DGM}relIds"):
        yield from _diagram_lines(_related(part, diagram.get(f"{_R}dm")))
    yield from _paragraphs(shape)


def _paragraphs(shape: "_Element") -> Iterator[str]:
    """Yields the paragraphs of a text that say something; a line break in one is a line end."""
    for paragraph in shape.iter(f"{_A}p"):
        text = "".join(_words(paragraph)).strip()
        if text:
            yield "\n".join(line.strip() for line in text.split("\n"))


def _words(element: "_Element") -> Iterator[str]:
    for child in element:
        if child.tag in (f"{_A}t", _MATH_TEXT):
            yield child.text or ""
        elif child.tag == f"{_A}br":
            yield "\n"
        elif child.tag == f"{_A}tab":
            yield "\t"
        elif isinstance(child.tag, str) and child.tag != f"{_MC}Fallback":
            yield from _words(child)


def _rows(table: "_Element") -> Iterator[str]:
    for row in table.iter(f"{_A}tr"):
        cells = [cell for cell in row.iterchildren(f"{_A}tc") if not _is_covered(cell)]
        texts = [one_line(" ".join(_paragraphs(cell))) for cell in cells]
        if any(texts):
            yield " | ".join(texts)


def _is_covered(cell: "_Element") -> bool:
    """Tells whether a merged neighbour covers a cell."""
    return any(cell.get(merge) in ("1", "true") for merge in ("hMerge", "vMerge"))


def _chart_lines(chart: "_Element | None") -> Iterator[str]:
    """Yields the title of a chart and a line for each of its series: "Sales: 2023 4.3; 2024 2.5"."""
    if chart is None:
        return
    title = chart.find(f"{_C}chart/{_C}title")
    if title is not None:
        yield from _paragraphs(title)
    for series in chart.iter(f"{_C}ser"):
        label = " ".join(_points(series, "tx").values())
        categories, values = _points(series, "cat"), _points(series, "val")
        points = (f"{categories.get(place, '')} {value}".strip() for place, value in values.items())
        line = ": ".join(filter(None, (label, "; ".join(points))))
        if line:
            yield line


def _points(series: "_Element", name: str) -> dict[str, str]:
    """Returns the values of a part of a series by their places, of several levels of categories the innermost."""
    points: dict[str, str] = {}
    for point in series.iterfind(f"{_C}{name}//{_C}pt"):
        points.setdefault(point.get("idx", ""), one_line(point.findtext(f"{_C}v") or ""))
    return points


def _diagram_lines(model: "_Element | None") -> Iterator[str]:
    """Yields the texts of a diagram (SmartArt) in the order of its model, which is that of its text pane."""
    for point in () if model is None else model.iter(f"{_DGM}pt"):
        yield from _paragraphs(point)


def _related(part: Any, relationship: str | None) -> "_Element | None":
    """Returns the XML of a related part; None where it is missing, or in another file."""
    related = part.rels.get(relationship)
    return None if related is None or related.is_external else read_xml(related.target_part.blob)


def _notes(slide: Any) -> Iterator[str]:
    """Yields the paragraphs of the speaker's notes."""
    if slide.has_notes_slide:
        for shape in _shapes(slide.notes_slide._element.find(f"{_P}cSld/{_P}spTree")):
            if _placeholder(shape) not in _FURNITURE:
                yield from _paragraphs(shape)
