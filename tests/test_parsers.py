"""Each parser by a table of files made here: what must and must not come through, headings, pages, title."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from file_builders import make_docx, make_pdf
from ingest.parsing import PARSERS, ParseError, parse_bytes
from rag.schema import ParsedDocument

PAGE = """<!DOCTYPE html><html><head><title> The
 Page </title><style>STYLE</style></head><body><header><h1>SITE</h1></header><nav>NAVIGATION</nav>
<main><article><header><h1>Top <em>words</em>¶</h1><ul><li>LANGUAGE</ul></header>
<p>One&nbsp;<b>bold</b>er<br>Two</p><p hidden>HIDDEN</p><div style="display: none">UNSEEN</div>
<h2>Data<span class="mw-editsection">[EDIT]</span></h2>
<table><tr><th>Name</th><th>Price</th></tr><tr><td><p>Tea</p></td><td></td><td>3</td></tr></table>
<table><tr><td><h3>In a layout table</h3><p>Left</p></td><td>Right</td></tr></table>
<ul><li>first</li><li>second</li></ul><pre>a  =  1
  b</pre><form>SIGN UP</form><script>SCRIPT</script><!-- COMMENT --></article></main>
<aside>ASIDE</aside><footer>FOOTER</footer></body></html>"""

TEASER = b"<article>ad</article><h1>H</h1><p>" + b"word " * 50

MARKDOWN = """---
title: "The Guide"
---

# First *part* `code` [link](https://example.org)

text

   ## Indented ##

```
# not a heading
```

Setext
------

> # quoted

- # in a list

####
"""


@dataclass(frozen=True)
class Vector:
    name: str
    data: bytes
    format: str
    title: str
    must_include: tuple[str, ...] = ()
    must_not_include: tuple[str, ...] = ()
    headings: tuple[tuple[int, str], ...] = ()
    pages: tuple[int, ...] = ()
    warnings: int = 0


VECTORS = [
    Vector(
        "report.pdf",
        make_pdf(
            ["1 Introduction\nIn the introduction we say hello", "", "Methods\nof much work"],
            [("Introduction", 0), ("4.2 Methods", 2), ("Nowhere to be found", 2)],
            title="A Report",
        ),
        "pdf",
        "A Report",
        ("1 Introduction\nIn the introduction", "Methods\nof"),
        ("\r", "\x00"),
        ((1, "1 Introduction"), (1, "Methods")),
        (0, 48, 49),
        warnings=1,
    ),
    Vector("scan7.pdf", make_pdf(["text"], title="Microsoft Word - x.doc"), "pdf", "", ("text",), pages=(0,)),
    Vector("whole.pdf", make_pdf(["text"], [("The Work", 0)]), "pdf", "The Work", ("text",), pages=(0,)),
    Vector("late.pdf", b"\n\n" + make_pdf(["text"]), "pdf", "", ("text",), pages=(0,)),
    Vector(
        "report.docx",
        make_docx(),
        "docx",
        "Annual Report",
        ("Before the table.\n\nYear | Sales\n2024 | 17 nested\n\nOutlook", "After inserted", "In a content control."),
        ("RUNNING HEAD", "DELETED"),
        ((1, "Results"), (2, "Outlook"), (3, "Based on a heading")),
    ),
    Vector(
        "page.html",
        PAGE.encode(),
        "html",
        "The Page",
        (
            "Top words\n\nOne bolder\nTwo\n\nData\n\nName | Price\nTea | 3\n\n",
            "In a layout table\n\nLeft\n\nRight\n\nfirst\nsecond\n\na  =  1\n  b",
        ),
        # what is written in capitals is not content
        (
            [
                "SITE",
                "STYLE",
                "NAVIGATION",
                "LANGUAGE",
                "HIDDEN",
                "UNSEEN",
                "EDIT",
                "SIGN",
                "SCRIPT",
                "COMMENT",
                "ASIDE",
                "FOOTER",
                "doctype",
            ]
        ),
        ((1, "Top words"), (2, "Data"), (3, "In a layout table")),
    ),
    Vector(
        "named.txt",
        "<!-- x --><html><meta charset=windows-1251><p>Привет".encode("cp1251"),
        "html",
        "",
        ("Привет",),
    ),
    Vector("aspx.html", b"<body><form><p>All is in a form</p></form>", "html", "", ("All is in a form",)),
    Vector(
        "teaser.html",
        TEASER,
        "html",
        "H",
        ("word word",),
        (),
        ((1, "H"),),
    ),
    Vector(
        "essay.html",
        b"<table><tr><td>One<br>line<br><br>Two <br> <br>Three</td></tr></table><div class='catlinks'>CATEGORY</div>",
        "html",
        "",
        ("One\nline\n\nTwo\n\nThree",),
        ("CATEGORY",),
    ),
    Vector(
        "guide.md",
        MARKDOWN.encode(),
        "markdown",
        "The Guide",
        (MARKDOWN,),
        (),
        ((1, "First part code link"), (2, "Indented"), (2, "Setext")),
    ),
    Vector("plain.md", b"no heading\r\nhere", "markdown", "", ("no heading\nhere",), ("\r",)),
    Vector("notes.txt", "Grüße".encode("utf-8-sig"), "plain_text", "", ("Grüße",), ("\ufeff",)),
    Vector("noname", b"words", "plain_text", "", ("words",)),
    Vector("log.txt", b"word " * 100 + b"\x1b[31m\x00", "plain_text", "", ("word",), ("\x00",), warnings=1),
    Vector(
        "cups.csv",
        b'Stanley Cups,,\nTeam,Location,Note\nBlues,STL,"two\nlines"\nFlyers,PHI,,extra\n',
        "csv",
        "",
        (
            "Stanley Cups\nTeam: Blues; Location: STL; Note: two lines\n",
            "Team: Flyers; Location: PHI; column 4: extra",
        ),
    ),
    Vector("semi.csv", "a;b\n1,5;2,5\n".encode("utf-16"), "csv", "", ("a: 1,5; b: 2,5",)),
    Vector("tabs.tsv", b"1\t2\n3\t4\n", "csv", "", ("column 1: 1; column 2: 2\ncolumn 1: 3",)),
    Vector("broken.csv", b'a,b\n"open,1\n2,3\n', "csv", "", ('a,b\n"open,1\n2,3\n',), warnings=1),
    Vector("long.csv", b"a,b\n1," + b"x" * 200_000, "csv", "", ("b: " + "x" * 200_000,)),
]


def check_invariants(document: ParsedDocument) -> None:
    text = document.text
    assert text.strip()
    assert "\r" not in text and "\x00" not in text
    text.encode("utf-8")  # no lone surrogates
    assert document.title == " ".join(document.title.split())
    assert list(document.pages) == sorted(set(document.pages))
    assert not document.pages or (document.pages[0] == 0 and document.pages[-1] <= len(text))
    starts = [heading.start for heading in document.headings]
    assert starts == sorted(set(starts))
    for heading in document.headings:
        assert 0 <= heading.start < len(text) and heading.level >= 1 and heading.text
        assert not text[heading.start].isspace()
        assert_stands_at(heading.text, text, heading.start)


def assert_stands_at(words: str, text: str, start: int) -> None:
    """Asserts that the words follow each other from there on, with nothing but blanks and markup between."""
    for word in words.split():
        found = text.find(word, start)
        between = text[start:found]
        assert found >= 0 and not any(c.isalnum() for c in between.split("](")[0]), (words, text[start : start + 80])
        start = found + len(word)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_vector(vector: Vector) -> None:
    kind, document = parse_bytes(vector.data, vector.name)
    assert kind == vector.format
    assert document.title == vector.title
    for text in vector.must_include:
        assert text in document.text
    for text in vector.must_not_include:
        assert text not in document.text
    assert tuple((heading.level, heading.text) for heading in document.headings) == vector.headings
    assert document.pages == vector.pages
    assert len(document.warnings) == vector.warnings
    check_invariants(document)


def test_pdf_soft_hyphens_join_their_words() -> None:
    _, document = parse_bytes(make_pdf(["An exam-\nple stands here"]), "a.pdf")
    assert "example" in document.text


def test_each_format_has_its_own_name_and_suffixes() -> None:
    formats = [parser.FORMAT for parser in PARSERS]
    suffixes = [suffix for parser in PARSERS for suffix in parser.SUFFIXES]
    assert len(set(formats)) == len(formats)
    assert len(set(suffixes)) == len(suffixes)


# --- any input


words = st.text(st.characters(codec="utf-8"), max_size=30)
TAGS = [
    "<p>",
    "</p>",
    "<h1>",
    "</h1>",
    "<h2>x",
    "</h2>",
    "<table>",
    "<tr>",
    "<td>",
    "</table>",
    "<br>",
    "<pre>",
    "</pre>",
    "<li>",
    "<a",
]
MARKUP = ["# ", "\n", "\n\n", "===\n", "---\n", "```\n", "> ", "- ", "    ", "title: x\n", "**", "\\"]
pieces = st.lists(words | st.sampled_from(TAGS + MARKUP), max_size=25)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["a.md", "a.html", "a.csv", "a.txt"]), pieces)
def test_any_text_is_a_document_or_refused(name: str, parts: list[str]) -> None:
    try:
        _, document = parse_bytes("".join(parts).encode(), name)
    except ParseError:
        return
    assert document.text.strip()
    assert "\r" not in document.text and "\x00" not in document.text
    starts = [heading.start for heading in document.headings]
    assert starts == sorted(set(starts))
    for heading in document.headings:
        assert 0 <= heading.start < len(document.text)
        if name == "a.html":
            assert document.text.startswith(heading.text, heading.start)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["a.pdf", "a.docx", "a", "a.html", "a.csv", "a.md"]))
def test_any_bytes_are_a_document_or_refused(data: bytes, name: str) -> None:
    for whole in (data, b"%PDF-1.4\n" + data):
        try:
            _, document = parse_bytes(whole, name)
        except ParseError:
            continue
        check_invariants(document)
