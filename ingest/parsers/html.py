"""Web pages: what a reader came for, without navigation, scripts, forms and what is hidden."""

import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Set
from typing import TYPE_CHECKING

from ingest.dating import choose_date
from ingest.decoding import decode, looks_like_text, start_of_text
from ingest.errors import NoTextError
from ingest.text_building import TextBuilder, choose_title, one_line
from rag.schema import ParsedDocument

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

FORMAT = "html"
SUFFIXES = frozenset({".html", ".htm", ".xhtml"})

_PAGE_START = re.compile(
    r"\ufeff?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.I | re.S
)
_DECLARED = re.compile(rb"""<(?:meta|\?xml)[^>]+?(?:charset|encoding)\s*=\s*["']?\s*([\w.:-]+)""", re.I)
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.I)

_NOT_CONTENT = frozenset(
    {
        "script",
        "style",
        "template",
        "noscript",
        "nav",
        "aside",
        "footer",
        "svg",
        "canvas",
        "iframe",
        "object",
        "select",
        "button",
        "input",
        "textarea",
        "head",
        "dialog",
    }
)
_FORMS = frozenset({"form"})
_IN_BOOKS = frozenset({"header", "footer", "aside", "form"})
_NOT_CONTENT_ROLES = frozenset({"navigation", "banner", "contentinfo", "search", "complementary"})
_NOT_CONTENT_CLASSES = frozenset(  # not for print, and MediaWiki's [edit] in headings, categories and links to edit
    {"noprint", "mw-editsection", "catlinks", "printfooter", "wb-langlinks-edit"}
)
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_PARAGRAPHS = frozenset(
    {"p", "blockquote", "pre", "ul", "ol", "dl", "table", "figure", "section", "article", "main", "hr"}
)
_LINES = frozenset(
    {
        "div",
        "li",
        "dt",
        "dd",
        "tr",
        "td",
        "th",
        "caption",
        "figcaption",
        "address",
        "header",
        "footer",
        "form",
        "fieldset",
        "br",
        "body",
        "html",
        "center",
    }
)
_DATES = (
    "article:modified_time",
    "datemodified",
    "dcterms.modified",
    "last-modified",
    "article:published_time",
    "datepublished",
    "dcterms.date",
    "dc.date",
    "date",
)
"""Names of <meta> elements that hold a date, in lower case, the best first."""

_SOFT_HYPHEN = "\xad"  # a place where a word may break, unseen elsewhere
_PERMALINKS = " \u200b¶"  # what Docusaurus and Sphinx put behind headings
_MIN_MAIN_SHARE = 0.2
"""A <main> or <article> with less than this share of the page's text is a teaser, not the content."""


def accepts(data: bytes, name: str) -> bool:
    """Accepts text that starts as a page does, or that holds any tag and is named as a page."""
    if not looks_like_text(data):
        return False
    start = start_of_text(data)
    named = name.lower().endswith(tuple(SUFFIXES))
    return bool(_PAGE_START.match(start)) or (named and "<" in start)


def parse(data: bytes, name: str) -> ParsedDocument:
    """Returns the main content with block elements on their own lines and table rows as "a | b"."""
    text, decoding_warnings = _decode_page(data)
    soup = _soup(text)
    dated = _date(soup)
    builder = _main_content(soup)
    if not builder.text.strip():
        raise NoTextError("The page holds no visible text; perhaps a script in it fetches the text.")
    page_title = soup.title.get_text() if soup.title else None
    top = next((heading.text for heading in builder.headings if heading.level == 1), None)
    return ParsedDocument(
        choose_title(page_title, top),
        builder.text,
        headings=builder.headings,
        warnings=decoding_warnings,
        date=dated,
    )


def read_chapter(data: bytes) -> tuple[TextBuilder, tuple[str, ...]]:
    """Renders a page all of which is content, as a book's are: also its headers, footers and asides, which hold notes.

    Returns what was rendered, which may be nothing, and the warnings of decoding.
    """
    text, decoding_warnings = _decode_page(data)
    return _render(_soup(text), keep=_IN_BOOKS), decoding_warnings


def _date(soup: "BeautifulSoup") -> str:
    """Returns the day that a page's metadata name: of its last change, else of its publication."""
    named: dict[str, str] = {}
    for meta in soup.find_all("meta"):
        name = str(meta.get("property") or meta.get("name") or meta.get("itemprop") or "").lower()
        named.setdefault(name, str(meta.get("content") or ""))
    return choose_date(*(named.get(name) for name in _DATES))


def _decode_page(data: bytes) -> tuple[str, tuple[str, ...]]:
    """Decodes by mark, then as UTF-8, then as the page itself declares, and last by guess."""
    declared = _DECLARED.search(data[:2048])
    if declared and not _is_utf8(data) and b"\x00" not in data[:64]:
        try:
            return data.decode(declared.group(1).decode("ascii")).replace("\x00", ""), ()
        except (LookupError, UnicodeDecodeError):
            pass  # the declaration is wrong, as it often is
    return decode(data)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _soup(text: str) -> "BeautifulSoup":
    from bs4 import BeautifulSoup, XMLParsedAsHTMLWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", XMLParsedAsHTMLWarning)  # XHTML is read well enough as HTML
        return BeautifulSoup(text, "lxml")


def _main_content(soup: "BeautifulSoup") -> TextBuilder:
    """Renders <main>, or the only <article>, where it holds the page's text; else all of the page."""
    whole = _render(soup)
    for candidate in _main_candidates(soup):
        main = _render(candidate)
        if main.text.strip() and len(main.text) >= _MIN_MAIN_SHARE * len(whole.text):
            return main
    # ASP.NET wraps whole pages into one form
    return whole if whole.text.strip() else _render(soup, keep=_FORMS)


def _main_candidates(soup: "BeautifulSoup") -> Iterator["Tag"]:
    yield from soup.find_all("main", limit=1)
    yield from soup.find_all(attrs={"role": "main"}, limit=1)
    articles = soup.find_all("article", limit=2)
    if len(articles) == 1:
        yield articles[0]


def _render(root: "Tag", keep: Set[str] = frozenset()) -> TextBuilder:
    """Renders what is visible in an element, and kinds of elements that are dropped otherwise.

    It has a stack of its own, since pages nest deeper than Python recurses.
    """
    from bs4 import NavigableString, Tag
    from bs4.element import PreformattedString

    renderer = _Renderer(_layout_tables(root))
    stack = [(root, iter(root.contents))]
    enclosing = Counter([root.name])
    while stack:
        parent, children = stack[-1]
        node = next(children, None)
        if node is None:
            stack.pop()
            enclosing[parent.name] -= 1
            if stack:
                renderer.close(parent.name)
        elif isinstance(node, Tag):
            if not _is_dropped(node, enclosing, keep):
                renderer.open(node)
                enclosing[node.name] += 1
                stack.append((node, iter(node.contents)))
        elif isinstance(node, NavigableString) and not isinstance(node, PreformattedString):  # such as a comment
            renderer.text(str(node))
    renderer.end_line(1)
    return renderer.builder


def _layout_tables(root: "Tag") -> Set[int]:
    """Returns the ids of the tables that hold headings or other tables, or a single cell."""
    holders = (inner.find_parent("table") for inner in root.find_all(["table", *_HEADINGS]))
    layout = {id(table) for table in holders if table}
    for table in root.find_all("table"):
        if id(table) not in layout and len(table.find_all(["td", "th"], limit=2)) == 1:
            layout.add(id(table))
    return layout


def _is_dropped(tag: "Tag", enclosing: Mapping[str, int], keep: Set[str]) -> bool:
    """Tells whether an element is no content; `enclosing` counts the elements by name in which it stands."""
    name = tag.name
    if name not in keep and _is_furniture(name, enclosing):
        return True
    if name in ("ul", "ol") and enclosing["header"] and "header" not in keep:
        return True  # of links, as to the article's other languages
    attributes = tag.attrs
    if not attributes:
        return False
    return (
        "hidden" in attributes
        or attributes.get("aria-hidden") == "true"
        or attributes.get("role") in _NOT_CONTENT_ROLES
        or bool(_HIDDEN_STYLE.search(str(attributes.get("style", ""))))
        or not _NOT_CONTENT_CLASSES.isdisjoint(attributes.get("class", ()))
    )


def _is_furniture(name: str, enclosing: Mapping[str, int]) -> bool:
    """Tells by its name whether an element is part of the page and not of what it says."""
    if name == "header":
        return not (enclosing["main"] or enclosing["article"])  # the banner; an article's own header holds its heading
    return name in _NOT_CONTENT or name in _FORMS


class _Renderer:
    """Writes lines while a page's elements open and close.

    Inside a heading and inside a cell of a data table everything stays on one line. A table that holds headings, other
    tables or a single cell is there for the layout, and its cells are blocks.
    """

    def __init__(self, layout_tables: Set[int]) -> None:
        self.builder = TextBuilder()
        self._layout_tables = layout_tables  # their ids
        self._line: list[str] = []
        self._gap = 1
        self._heading: str | None = None
        self._cells: list[str] | None = None
        self._data_tables: list[bool] = []
        self._preformatted = 0

    def text(self, text: str) -> None:
        """Takes up a piece of text."""
        self._line.append(text.replace(_SOFT_HYPHEN, ""))

    def open(self, tag: "Tag") -> None:
        """Takes up the start of an element."""
        name = tag.name
        if self._heading or self._cells is not None:
            self._blank_between_blocks(name)
        elif name in _HEADINGS:
            self.end_line(2)
            self._heading = name
        elif name == "table":
            self.end_line(2)
            self._data_tables.append(id(tag) not in self._layout_tables)
        elif name == "tr" and self._data_tables and self._data_tables[-1]:
            self.end_line(1)
            self._cells = []
        elif name == "br" and self._preformatted:
            self._line.append("\n")
        elif name == "br" and not "".join(self._line).strip():
            self.end_line(2)  # a line left empty parts paragraphs
        else:
            self.end_line(_gap(name))
            self._preformatted += name == "pre"

    def close(self, name: str) -> None:
        """Takes up the end of an element."""
        if name == self._heading:
            self._end_heading()
        elif self._heading:
            self._blank_between_blocks(name)
        elif self._cells is not None:
            self._close_inside_row(name)
        elif name == "table":
            self.end_line(2)
            self._data_tables.pop()
        elif name != "br":
            self.end_line(_gap(name))
            self._preformatted -= name == "pre"

    def end_line(self, gap: int) -> None:
        """Writes what has come together; the next line stands `gap` line ends below. A gap of 0 ends nothing."""
        if not gap:
            return
        text = "".join(self._line)
        self._line.clear()
        lines = text.strip("\n").split("\n") if self._preformatted else [one_line(text)]
        if text.strip():
            self.builder.add("\n".join(line.rstrip() for line in lines), self._gap)
            self._gap = 1
        self._gap = max(self._gap, gap)

    def _blank_between_blocks(self, name: str) -> None:
        if _gap(name):
            self._line.append(" ")

    def _end_heading(self) -> None:
        text = one_line("".join(self._line)).rstrip(_PERMALINKS)
        self._line.clear()
        if text and self._heading:
            self.builder.add_heading(text, int(self._heading[1]))
            self._gap = 2
        self._heading = None

    def _close_inside_row(self, name: str) -> None:
        if name in ("td", "th"):
            self._cells = [*(self._cells or []), one_line("".join(self._line))]
            self._line.clear()
        elif name == "tr":
            # empty cells are mostly there for the looks: financial reports pad every figure with them
            self._line = [" | ".join(cell for cell in self._cells or [] if cell), " ", *self._line]
            self._cells = None
            self.end_line(1)
        else:
            self._blank_between_blocks(name)


def _gap(name: str) -> int:
    """Returns how many line ends set an element apart: 2 for a paragraph, 1 for a line, 0 for what is inline."""
    if name in _PARAGRAPHS or name in _HEADINGS:
        return 2
    return int(name in _LINES)
