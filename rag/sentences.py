"""Finds the sentences of a text with their exact offsets, in prose, lists, tables and scripts without spaces."""

import re
from collections.abc import Iterator

# A line that begins one of these stands alone: heading, list item, table row, quotation, definition "key: value; ...".
OWN_LINE = re.compile(r"\s*(?:#{1,6}\s|[-*+•]\s|\d{1,3}[.)]\s|\||>|={3,}|-{3,})")
END = re.compile(r"(?:[.!?…]+[\"'”’)\]]*(?=\s+[\"'“‘(\[]?[A-Z0-9ÄÖÜÁÉÍÓÚÑ¿¡Ѐ-Я])|[。！？]+[”’」』]?)")
ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|cf|vs|etc|al|approx|fig|eq|sec|no|vol|pp|ed|eds|dr|mr|mrs|ms|prof|st|z\.b|d\.h|bzw|usw|p\.ej|\d|[A-Z]))\.$",
    re.IGNORECASE,
)

LEAST, MOST = 12, 600
"""Characters of what counts as a sentence: less says nothing, more is a table or a list that lost its line breaks."""


def sentence_spans(text: str) -> Iterator[tuple[int, int]]:
    """Yields (start, end) of each sentence, in order, without the white space around it; headings are left out.

    >>> text = "A first one here. And a second, e.g. this."
    >>> [text[start:end] for start, end in sentence_spans(text)]
    ['A first one here.', 'And a second, e.g. this.']
    """
    for start, end in _blocks(text):
        if text[start:end].lstrip().startswith("#"):
            continue
        begin = start
        for match in END.finditer(text, start, end):
            if ABBREVIATION.search(text, max(begin, match.end() - 12), match.end()):
                continue
            yield from _trimmed(text, begin, match.end())
            begin = match.end()
        yield from _trimmed(text, begin, end)


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    """Yields paragraphs, with their soft line breaks, and lines that stand alone."""
    start = position = 0
    for line in text.splitlines(keepends=True):
        if (OWN_LINE.match(line) or not line.strip()) and position > start:
            yield start, position
            start = position
        position += len(line)
        if not line.strip():
            start = position
    if position > start:
        yield start, position


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yields the span without white space and list marks around it, unless that is too short or too long."""
    mark = re.compile(r"\s*(?:[-*+•>|]\s+|\d{1,3}[.)]\s+)*\s*").match(text, start, end)
    start = mark.end() if mark else start
    while end > start and (text[end - 1].isspace() or text[end - 1] == "|"):
        end -= 1
    # Chinese and Japanese say in a third of the characters what English needs.
    least = LEAST // 3 if any(ord(character) > 0x2E7F for character in text[start:end]) else LEAST
    if least <= end - start <= MOST and any(character.isalpha() for character in text[start:end]):
        yield start, end


def one_line(quote: str) -> str:
    r"""Returns a quotation as running text, without line breaks and Markdown's emphasis marks.

    >>> one_line("a **bold**\n  word")
    'a bold word'
    """
    return re.sub(r"\s+", " ", re.sub(r"\*\*|__|`", "", quote)).strip()
