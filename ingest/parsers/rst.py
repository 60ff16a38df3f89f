"""reStructuredText, kept verbatim, so that offsets are those of the file; its sections as docutils reads them."""

import re
from collections.abc import Iterator
from itertools import accumulate
from pathlib import PurePath
from typing import TYPE_CHECKING

from ingest.decoding import decode, looks_like_text
from ingest.errors import NoTextError
from ingest.text_building import choose_title, one_line
from rag.schema import Heading, ParsedDocument

if TYPE_CHECKING:
    from docutils import nodes

FORMAT = "rst"
SUFFIXES = frozenset({".rst", ".rest"})

_OTHER_LINE_ENDS = re.compile("[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")  # at which docutils ends lines, and files do not
_MAX_LINE = 500
"""Characters of a line that docutils sees: no title is longer, and beyond 10,000 it refuses the whole file."""

_SETTINGS = {
    "file_insertion_enabled": False,  # `.. include::` and `:file:` would read any file of this machine
    "raw_enabled": False,
    "line_length_limit": _MAX_LINE + 1,
    "syntax_highlight": "none",
    "report_level": 5,  # above the severest message: nothing is printed, nothing halts
    "halt_level": 5,
    "warning_stream": False,
}


def accepts(data: bytes, name: str) -> bool:
    """Accepts text that is named as reStructuredText: no content can tell it from plain text."""
    return PurePath(name).suffix.lower() in SUFFIXES and looks_like_text(data)


def parse(data: bytes, name: str) -> ParsedDocument:
    """Returns the text as it stands in the file; a heading starts where its title does, below any overline."""
    text, warnings = decode(data)
    if not text.strip():
        raise NoTextError("The reStructuredText file holds only white space.")
    try:
        document = _read(text)
    except Exception as error:  # docutils recurses with the nesting, and directives raise anything at all
        problem = f"Its sections cannot be told: docutils gives up ({type(error).__name__})."
        return ParsedDocument("", text, warnings=(*warnings, problem))
    headings = tuple(_headings(document, text))
    first = headings[0].text if headings else None
    return ParsedDocument(choose_title(first), text, headings=headings, warnings=warnings)


def _read(text: str) -> "nodes.document":
    from docutils.frontend import get_default_settings
    from docutils.parsers.rst import Parser
    from docutils.utils import new_document

    settings = get_default_settings(Parser)  # which reads no configuration files
    for setting, value in _SETTINGS.items():
        setattr(settings, setting, value)
    document = new_document("", settings)
    Parser().parse("\n".join(_OTHER_LINE_ENDS.sub(" ", line[:_MAX_LINE]) for line in text.split("\n")), document)
    return document


def _headings(document: "nodes.document", text: str) -> Iterator[Heading]:
    """Yields the titles of sections; what looks like one inside a directive, list or quote is none."""
    lines = text.split("\n")
    starts = list(accumulate((len(line) + 1 for line in lines), initial=0))
    for level, title in _titles(document):
        words = one_line(title.astext())
        place = title.line - 2  # docutils remembers the underline's line, counted from 1
        line = lines[place]
        if words and one_line(title.rawsource) in one_line(line):
            yield Heading(starts[place] + len(line) - len(line.lstrip()), level, words)


def _titles(document: "nodes.document") -> Iterator[tuple[int, "nodes.title"]]:
    """Yields each section's title with its level, in the document's order."""
    from docutils import nodes

    stack = [(0, document)]
    while stack:
        level, node = stack.pop()
        if isinstance(node, nodes.title):
            yield level, node
        elif isinstance(node, (nodes.document, nodes.section)):
            level += isinstance(node, nodes.section)
            stack.extend((level, child) for child in reversed(node.children))
