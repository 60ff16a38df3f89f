"""Presentations, OpenDocument files and books: what comes through, in which order, under which headings."""

import io
import zipfile

import pytest

from file_builders import rezip
from ingest.parsing import ParseError, parse_bytes
from office_builders import make_epub, make_odf, make_pptx, outline, parsed

DRAWING = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
ENTITIES = '<!DOCTYPE a [<!ENTITY b "boo">]>'
GOOD_PPTX = make_pptx()


# --- presentations


def test_pptx_slides_are_pages_in_order() -> None:
    document = parsed(GOOD_PPTX, "a.pptx")
    assert document.text == (
        "Annual Report\n\nFirst point\nSecond point\n\nAt the bottom\n\nNotes: Say hello.\nBreathe.\n\n\n\n"
        "Slide 3\n\nLeft above\n\nRight above\n\nYear | Sales | \n2024 | 17 | \nboth | \n\n"
        "In a group\n\nand beside it\n\n"
        "Figures\n\nSales by region\nQ1: East 19.2; West 21"
    )
    assert document.title == "Annual Report"
    assert outline(document) == [(1, "Annual Report"), (1, "Slide 3"), (1, "Figures")]
    assert len(document.pages) == 4 and document.pages[0] == 0
    assert [document.text[start : start + 7] for start in document.pages[2:]] == ["Slide 3", "Figures"]
    assert document.text[document.pages[1] : document.pages[2]].isspace()


def test_pptx_alternatives_formulas_and_footers() -> None:
    shape = (
        '<p:sp><p:nvSpPr><p:cNvPr id="90" name="x"/><p:cNvSpPr/><p:nvPr>{}</p:nvPr></p:nvSpPr><p:spPr/>'
        "<p:txBody><a:bodyPr/><a:p>{}</a:p></p:txBody></p:sp>"
    )
    run = "<a:r><a:t>{}</a:t></a:r>"
    added = (
        '<mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"><mc:Choice>'
        + shape.format(
            "",
            run.format("E = ") + '<m:t xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math">mc²</m:t>',
        )
        + "</mc:Choice><mc:Fallback>"
        + shape.format("", run.format("FALLBACK"))
        + "</mc:Fallback></mc:AlternateContent>"
        + shape.format('<p:ph type="ftr"/>', run.format("FOOTER"))
        + shape.format('<p:ph type="sldNum"/>', "<a:fld id='{0}' type='slidenum'><a:t>NUMBER</a:t></a:fld>")
    )
    with zipfile.ZipFile(io.BytesIO(GOOD_PPTX)) as archive:
        slide = archive.read("ppt/slides/slide1.xml").decode()
    spoilt = slide.replace("</p:spTree>", added + "</p:spTree>").encode()
    text = parsed(rezip(GOOD_PPTX, ppt__slides__slide1_xml=spoilt), "a.pptx").text
    assert "E = mc²" in text
    assert not [word for word in ("FALLBACK", "FOOTER", "NUMBER", "HIDDEN") if word in text]


def test_pptx_diagrams_are_read() -> None:
    from pptx import Presentation
    from pptx.opc.package import Part
    from pptx.opc.packuri import PackURI
    from pptx.oxml import parse_xml

    presentation = Presentation(io.BytesIO(GOOD_PPTX))
    slide = presentation.slides[0]
    namespaces = 'xmlns:dgm="http://schemas.openxmlformats.org/drawingml/2006/diagram" ' + DRAWING
    points = "".join(
        f"<dgm:pt><dgm:t><a:p><a:r><a:t>{word}</a:t></a:r></a:p></dgm:t></dgm:pt>" for word in ("Plan", "Do")
    )
    model = f"<dgm:dataModel {namespaces}><dgm:ptLst><dgm:pt/>{points}</dgm:ptLst></dgm:dataModel>".encode()
    part = Part(PackURI("/ppt/diagrams/data1.xml"), "application/xml", slide.part.package, model)
    relationship = slide.part.relate_to(part, "http://schemas.openxmlformats.org/officeDocument/2006/diagramData")
    frame = (
        f'<p:graphicFrame xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" {namespaces}'
        ' xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><p:nvGraphicFramePr>'
        '<p:cNvPr id="99" name="x"/><p:cNvGraphicFramePr/><p:nvPr/></p:nvGraphicFramePr><p:xfrm><a:off x="0" y="0"/>'
        f'<a:ext cx="1" cy="1"/></p:xfrm><a:graphic><a:graphicData uri="x"><dgm:relIds r:dm="{relationship}"/>'
        "</a:graphicData></a:graphic></p:graphicFrame>"
    )
    slide.shapes._spTree.append(parse_xml(frame))
    target = io.BytesIO()
    presentation.save(target)
    assert parsed(target.getvalue(), "a.pptx").text.startswith("Annual Report\n\nPlan\nDo\n\nFirst point\n")


@pytest.mark.parametrize("kind", ["slideshow.main+xml", "template.main+xml"])
def test_pptx_shows_and_templates_are_read_too(kind: str) -> None:
    with zipfile.ZipFile(io.BytesIO(GOOD_PPTX)) as archive:
        types = archive.read("[Content_Types].xml").replace(b"presentation.main+xml", kind.encode())
    assert parsed(rezip(GOOD_PPTX, **{"[Content_Types]_xml": types}), "a.pptx").title == "Annual Report"


# --- OpenDocument


ODT = """<text:tracked-changes><text:changed-region><text:deletion><text:p>DELETED</text:p></text:deletion>
</text:changed-region></text:tracked-changes>
<text:p text:style-name="P1">The Work</text:p>
<text:table-of-content><text:index-body><text:p>CONTENTS 1</text:p></text:index-body></text:table-of-content>
<text:h text:outline-level="1">First</text:h>
<text:p>Two<text:s text:c="2"/>blanks,<text:tab/>a
  <text:span>span<text:note><text:note-citation>1</text:note-citation
><text:note-body
><text:p>of note</text:p></text:note-body></text:note></text:span>,<text:line-break/>a
line<office:annotation><text:p>COMMENT</text:p></office:annotation> end<text:soft-page-break/>ing.
<draw:frame><draw:text-box><text:p>In a box</text:p></draw:text-box></draw:frame></text:p>
<text:section><text:h text:outline-level="2">Second</text:h></text:section>
<text:section text:display="none"><text:p>UNSEEN</text:p></text:section>
<text:list><text:list-item><text:p>one</text:p><text:list><text:list-item><text:p>one a</text:p></text:list-item>
</text:list></text:list-item><text:list-item><text:p>two</text:p></text:list-item></text:list>
<text:p>Before.</text:p>
<table:table><table:table-column/><table:table-header-rows><table:table-row>
<table:table-cell><text:p>Year</text:p></table:table-cell><table:table-cell><text:p>Sales</text:p></table:table-cell>
</table:table-row></table:table-header-rows><table:table-row><table:table-cell><text:p>2024</text:p></table:table-cell>
<table:table-cell><text:p>17</text:p><table:table><table:table-row><table:table-cell><text:p>nested</text:p>
</table:table-cell></table:table-row></table:table></table:table-cell></table:table-row></table:table>"""


def test_odt_in_document_order() -> None:
    styles = '<style:style style:name="P1" style:parent-style-name="Title"/>'
    document = parsed(make_odf("text", ODT, styles=styles), "a.odt")
    assert document.text == (
        "The Work\n\nFirst\n\nTwo  blanks,\ta span (of note),\na line ending.\n\nIn a box\n\nSecond\n\n"
        "one\none a\ntwo\n\nBefore.\n\nYear | Sales\n2024 | 17 nested"
    )
    assert outline(document) == [(1, "First"), (2, "Second")]
    assert document.title == "The Work"
    assert parsed(make_odf("text", ODT, title="Stated"), "a.odt").title == "Stated"


def test_odf_may_name_a_document_type_but_not_define_one() -> None:
    named = '<!DOCTYPE office:document-content PUBLIC "-//OpenOffice.org//DTD" "office.dtd">'
    assert parsed(make_odf("text", "<text:p>words</text:p>", doctype=named), "a.odt").text == "words"
    for doctype in (ENTITIES, "<!DOCTYPE a [ ]>"):
        with pytest.raises(ParseError, match="declares a document type or entities"):
            parse_bytes(make_odf("text", "<text:p>words</text:p>", doctype=doctype), "a.odt")


def test_odp_slides_are_pages() -> None:
    def frame(kind: str, *texts: str) -> str:
        paragraphs = "".join(f"<text:p>{text}</text:p>" for text in texts)
        return f'<draw:frame presentation:class="{kind}"><draw:text-box>{paragraphs}</draw:text-box></draw:frame>'

    body = (
        f"<draw:page>{frame('outline', 'point')}{frame('title', 'Start', 'here')}{frame('footer', 'FOOTER')}"
        f"<draw:g><draw:custom-shape><text:p>shape</text:p></draw:custom-shape></draw:g>"
        f"<presentation:notes>{frame('page', 'PAGE')}{frame('notes', 'Say hello.')}</presentation:notes></draw:page>"
        f"<draw:page/><draw:page>{frame('outline', 'no title')}</draw:page>"
    )
    document = parsed(make_odf("presentation", body), "a.odp")
    assert document.text == "Start here\n\npoint\n\nshape\n\nNotes: Say hello.\n\n\n\nSlide 3\n\nno title"
    assert outline(document) == [(1, "Start here"), (1, "Slide 3")]
    assert len(document.pages) == 3
    assert document.text[document.pages[2] :] == "Slide 3\n\nno title"


# --- books


CHAPTER = """<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.1//EN" "http://www.w3.org/TR/xhtml11/DTD/xhtml11.dtd">
<html xmlns="http://www.w3.org/1999/xhtml"><head><title>HEAD</title></head><body>
<section><header><h1>One</h1></header><p>Hyphen\u00adated&nbsp;words<a id="x"/></p></section>
<aside>A note.</aside><nav>NAVIGATION</nav></body></html>"""


def test_epub_chapters_in_the_order_of_the_spine() -> None:
    chapters = {
        "nav.xhtml": "<p>CONTENTS</p>",
        "text/two%20b.xhtml": "<h2>Two</h2><p>second",
        "one.xhtml": CHAPTER,
        "cover.xhtml": "<img src='a.png'/>",
        "gone.xhtml": "",
        "left.xhtml": "<p>NOT IN THE SPINE",
    }
    order = ["cover.xhtml", "nav.xhtml", "one.xhtml", "text/two%20b.xhtml", "one.xhtml", "gone.xhtml", "unknown"]
    document = parsed(make_epub(chapters, order, title="The Book"), "a.epub")
    assert document.text == "One\n\nHyphenated words\n\nA note.\n\nTwo\n\nsecond"
    assert outline(document) == [(1, "One"), (2, "Two")]
    assert document.title == "The Book"
    assert document.warnings == ("1 of 4 chapters are missing in the file.",)


def test_epub_entities_in_chapters_are_not_expanded() -> None:
    laughs = '<!DOCTYPE html [<!ENTITY a "BOO"><!ENTITY b "&a;&a;">]><html><body><p>text &b;</p></body></html>'
    assert "BOO" not in parsed(make_epub({"a.xhtml": laughs}), "a.epub").text


def encryption(path: str) -> str:
    reference = f'<CipherData><CipherReference URI="{path}"/></CipherData>'
    return f"<encryption><EncryptedData>{reference}</EncryptedData></encryption>"


def test_epub_with_encrypted_fonts_is_read_and_with_encrypted_chapters_not() -> None:
    chapter = {"a%20b.xhtml": "<p>words</p>"}
    fonts = make_epub(chapter, **{"META-INF/encryption.xml": encryption("OPS/font.otf")})
    assert parsed(fonts, "a.epub").text == "words"
    with pytest.raises(ParseError, match=r"encrypted \(DRM\)"):
        parse_bytes(make_epub(chapter, **{"META-INF/encryption.xml": encryption("OPS/a%20b.xhtml")}), "a.epub")


def test_deep_nesting_is_refused_or_read() -> None:
    deep = "<text:section>" * 5000 + "<text:p>bottom</text:p>" + "</text:section>" * 5000
    with pytest.raises(ParseError, match="XMLSyntaxError"):
        parse_bytes(make_odf("text", deep), "a.odt")
