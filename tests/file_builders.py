"""Builds the files that tests read: texts in a folder, PDF and DOCX files, and archives that are spoilt."""

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docx.document import Document


def write(folder: Path, name: str, text: str) -> None:
    """Writes a text into the folder, and makes the folders that its name leads through."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


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
    """Makes a DOCX with a table in a table, tracked changes, a content control and headings by style."""
    import docx
    from docx.oxml import OxmlElement

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


def save(document: "Document") -> bytes:
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


def zipped(*members: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Zips members in the given order, under names or with all that a ZipInfo says of them."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return target.getvalue()


def zip_info(name: str, attributes: int) -> zipfile.ZipInfo:
    """Returns what a Unix system writes of a member with these attributes: its kind and rights, shifted by 16."""
    member = zipfile.ZipInfo(name)
    member.external_attr = attributes
    member.create_system = 3
    return member
