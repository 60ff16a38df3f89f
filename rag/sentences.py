"""Finds the sentences of a text with their exact offsets, in prose, lists, tables and scripts without spaces."""

import re
from collections.abc import Iterator

# A line that begins one of these stands alone: heading, list item, table row, quotation, definition "key: value; ...".
OWN_LINE = re.compile(r"\s*(?:#{1,6}\s|[-*+•]\s|\d{1,3}[.)]\s|\||>|={3,}|-{3,})")
# A full stop needs white space after it and no small letter next, which scripts without capitals do not have either.
# The stops of Chinese and Japanese need nothing; Arabic, Urdu, Hindi, Armenian, Burmese and Amharic have their own.
END = re.compile(
    r"(?:[.!?…]+(?:[\"'”“’»)\]]|\s»)*(?=\s+[\"'“‘„«(\[¿¡]*[^\W_])"
    r"|[。！？]++(?![」』]+と)[”’」』）》】\"]*"
    r"|[؟۔।॥։။።]+[\"”’»)\]]*(?=\s|$))"
)
ABBREVIATION = re.compile(
    r"\b(?:e\.g|i\.e|cf|vs|etc|al|approx|fig|eq|sec|no|vol|pp|ed|eds|dr|mr|mrs|ms|prof|st|jr|u\.s|u\.n"  # English
    r"|z\.b|d\.h|u\.a|bzw|usw|ca|nr|abs|art|bd|bspw|evtl|ggf|inkl|jh|mio|mrd|str|vgl|sog|z\.t"  # German
    r"|mme|mlle|av|env|apr|p\.ex|sra?|dra|sres|núm|pág|p\.ej|ee\.uu|sig|dott|ecc"  # French, Spanish, Italian
    r"|гг?|им|тыс|млн|млрд|ул|руб|др|т\.е|т\.д|т\.п|\d|[^\W\d_])\.$",
    re.IGNORECASE,
)
ORDINAL = re.compile(r"\b\d{1,2}\.\s+(?:Jan|Feb|Mär|Apr|Mai|Jun|Jul|Aug|Sep|Okt|Nov|Dez|Jahrh|Jh)")
"""A German day or century: "am 3. Oktober", "im 19. Jahrhundert"."""

PART = re.compile(r"[;；]\s*")
"""Where a sentence that is too long to be quoted is taken apart."""

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
            if _goes_on(text, begin, match.end()):
                continue
            yield from _quotable(text, begin, match.end())
            begin = match.end()
        yield from _quotable(text, begin, end)


def _goes_on(text: str, begin: int, end: int) -> bool:
    """Tells whether a sentence that began there goes on after this full stop."""
    following = text[end : end + 40].lstrip("\"'“‘„«([¿¡ \t\n\r\f\v")[:1]
    if text[end - 1] in "。！？؟۔।॥։။។።":
        return False
    if following.islower():
        return True
    if ABBREVIATION.search(text, max(begin, end - 12), end):
        return True
    return ORDINAL.match(text, max(begin, text.rfind(" ", begin, end) + 1)) is not None


def _quotable(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yields a sentence, or its parts where it is a list that is too long to be quoted."""
    if end - start <= MOST:
        yield from _trimmed(text, start, end)
        return
    for match in PART.finditer(text, start, end):
        yield from _trimmed(text, start, match.end())
        start = match.end()
    yield from _trimmed(text, start, end)


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
