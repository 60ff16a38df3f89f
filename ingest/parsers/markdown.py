"""Markdown, kept verbatim, so that offsets are those of the file; headings as CommonMark defines them."""

import re
from collections.abc import Iterator
from itertools import accumulate, pairwise
from pathlib import PurePath
from typing import TYPE_CHECKING

from ingest.dating import choose_date
from ingest.decoding import decode, looks_like_text
from ingest.errors import NoTextError
from ingest.text_building import choose_title, one_line
from rag.schema import Heading, ParsedDocument

if TYPE_CHECKING:
    from markdown_it.token import Token

FORMAT = "markdown"
SUFFIXES = frozenset({".md", ".markdown", ".mdown", ".mkd", ".mkdn", ".qmd", ".rmd"})

_FRONT_MATTER = re.compile(r"\A(---|\+\+\+)[ \t]*\n(.*?)^(?:\1|\.\.\.)[ \t]*$", re.DOTALL | re.MULTILINE)
_FRONT_TITLE = re.compile(r"^title[ \t]*[:=][ \t]*(.+)$", re.MULTILINE)
_FRONT_DATE = re.compile(r"^date[ \t]*[:=][ \t]*(.+)$", re.MULTILINE)


def accepts(data: bytes, name: str) -> bool:
    """Accepts text that is named as Markdown: no content can tell it from plain text."""
    return PurePath(name).suffix.lower() in SUFFIXES and looks_like_text(data)


def parse(data: bytes, name: str) -> ParsedDocument:
    """Returns the text as it stands in the file; a heading starts at its line's first character, markup included."""
    text, warnings = decode(data)
    if not text.strip():
        raise NoTextError("The Markdown file holds only white space.")
    front = _FRONT_MATTER.match(text)
    headings = tuple(_headings(text, front.end() if front else 0))
    first = headings[0].text if headings else None
    title = choose_title(_front(_FRONT_TITLE, front), first)
    dated = choose_date(_front(_FRONT_DATE, front))
    return ParsedDocument(title, text, headings=headings, warnings=warnings, date=dated)


def _front(field: re.Pattern[str], front: re.Match[str] | None) -> str | None:
    found = field.search(front.group(2)) if front else None
    return found.group(1).strip().strip("\"'") if found else None


def _headings(text: str, body: int) -> Iterator[Heading]:
    """Yields the ATX and setext headings after offset `body`, which are not inside lists, quotes or code."""
    from markdown_it import MarkdownIt

    blocks = MarkdownIt("commonmark")
    blocks.core.ruler.enableOnly(["normalize", "block"])  # only headings need their inline markup parsed
    inlines = MarkdownIt("commonmark")
    skipped = "\n" * text.count("\n", 0, body)  # keeps line numbers: front matter would read as a setext heading
    starts = list(accumulate((len(line) + 1 for line in text.split("\n")), initial=0))
    tokens = blocks.parse(skipped + text[body:])
    for opening, inline in pairwise(tokens):
        if opening.type != "heading_open" or opening.level or opening.map is None:
            continue
        title = one_line("".join(_visible(inlines.parseInline(inline.content))))
        if title:
            start = starts[opening.map[0]]
            while text[start] == " ":  # up to three, which CommonMark allows before a heading
                start += 1
            yield Heading(start, int(opening.tag[1]), title)


def _visible(tokens: "list[Token]") -> Iterator[str]:
    """Yields the words of inline tokens without their markup."""
    for token in tokens:
        if token.type in ("softbreak", "hardbreak"):
            yield " "
        elif token.children:
            yield from _visible(token.children)
        elif token.type in ("text", "code_inline"):
            yield token.content
