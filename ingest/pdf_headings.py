"""Headings of a PDF without an outline, told by their type: larger than the running text, or bold with space above.

A heading that is missed costs little, a wrong one is put before every passage below it; so all doubts are against.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ingest.pdf_lines import Line, Style

MAX_LEVEL = 4

_Key = tuple[str, float]

_MAX_LENGTH = 120
_MAX_LINES = 3
_MAX_STYLES = 6  # more of them are a brochure's or a poster's, whose large type is decoration
_MIN_SHARE = 0.4  # of the characters that are running text; a brochure has less
_MAX_SHARE = 0.25  # of a document's lines that are headings
_LARGER = 1.1  # than the running text, to be a heading without being bold
_SPACE_ABOVE = 1.15  # of a heading in bold type, in distances between lines of running text
_TITLE_PAGES = 9  # a longer document whose only headings are on its first page has a title page and no headings
_NEXT_LINE = 1.6  # the most between the lines of one heading, in sizes of its type
_EDGE = 3  # lines at the start and the end of a page that may be running heads; PDFs write them first or last
_REPEATS = 2  # times that such a line comes again, within two pages each

_NO_LETTERS = re.compile(r"[\d\W_]+")
_WORD = re.compile(r"[^\W\d_]{3}|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{2}")
_CONTENTS = re.compile(r"(?:table of )?contents|inhalt(?:sverzeichnis)?|sommaire|table des matières|[ií]ndice", re.I)
_NUMBERED = re.compile(
    r"(?:(?:chapter|section|part|appendix|kapitel|§)\s|\d+(?:\.\d+)*[.):]?\s|(?:[IVX]+|[A-Z])[.):]\s)", re.I
)
_NEVER = re.compile(
    r"[^\w\s¿¡§(\[]"  # begins with a bullet or a quotation mark
    r"|(?:table|figure|fig|tab|tabelle|abbildung|abb|listing|exhibit)\b\.?\s*[\dIVX]"  # a caption
    r"|(?:source|notes?|quelle)\s*:"
    r"|.*(?:[.,;]|\.{3,}.*|@\S+|https?:\S*)$"
    r"|(?:\w+,? )?(?:\d\d?\w{0,2}\.? (?:of )?)?[^\W\d_]{3,9}\.? (?:\d\d?\w{0,2}, ?)?(?:19|20)\d\d$",  # a date
    re.I,
)


@dataclass(frozen=True, slots=True)
class TypedHeading:
    """A heading that was told by its type: its page, the lines of the page from `first` to `last`, and its level."""

    page: int
    first: int
    last: int
    level: int


@dataclass(frozen=True, slots=True)
class _Candidate:
    page: int
    first: int
    last: int
    style: Style


def find_headings(pages: Sequence[Sequence[Line]]) -> list[TypedHeading]:
    """Returns the headings of a document in order; none where type does not tell them, as in posters and forms."""
    body = _running_text(pages)
    if body is None:
        return []
    repeated = _repeated(pages)
    found = [each for page, lines in enumerate(pages) for each in _on_page(page, lines, body, repeated)]
    if len(pages) > _TITLE_PAGES and all(each.page == 0 for each in found):
        return []
    listed = [each for each in found if not _CONTENTS.fullmatch(pages[each.page][each.first].text)]
    ranks = sorted({_rank(each.style) for each in listed}, reverse=True)
    if len(ranks) > _MAX_STYLES or len(found) > _MAX_SHARE * sum(map(len, pages)):
        return []
    levels = {rank: min(level, MAX_LEVEL) for level, rank in enumerate(ranks, start=1)}
    return [TypedHeading(each.page, each.first, each.last, levels.get(_rank(each.style), 1)) for each in found]


# --- what a document's text looks like


@dataclass(frozen=True, slots=True)
class _Body:
    """The running text: its size and weight, and the usual distance from line to line."""

    size: float
    is_bold: bool
    distance: float


def _running_text(pages: Sequence[Sequence[Line]]) -> _Body | None:
    """Returns the type that most characters are set in; None where no size has a good share of them."""
    counts: Counter[Style] = Counter()
    for lines in pages:
        for line in lines:
            counts[line.style] += len(line.text)
    counts = Counter({style: count for style, count in counts.items() if style.is_plain and style.size > 0})
    if not counts:
        return None
    style = max(counts, key=lambda each: (counts[each], each.size))
    if sum(count for each, count in counts.items() if each.size == style.size) < _MIN_SHARE * sum(counts.values()):
        return None
    distances = Counter(
        round(upper.bottom - lower.bottom)
        for lines in pages
        for upper, lower in pairwise(lines)
        if upper.style == lower.style == style and 0 < upper.bottom - lower.bottom < 3 * style.size
    )
    usual = distances.most_common(1)
    return _Body(style.size, style.is_bold, float(usual[0][0]) if usual else 1.2 * style.size)


def _repeated(pages: Sequence[Sequence[Line]]) -> set[_Key]:
    """Returns the first and last lines that come again within two pages, and again: running heads and footers."""
    found: set[_Key] = set()
    seen: dict[_Key, int] = {}
    again: Counter[_Key] = Counter()
    for page, lines in enumerate(pages):
        for key in {_key(line) for line in [*lines[:_EDGE], *lines[_EDGE:][-_EDGE:]]}:
            if page - seen.get(key, -9) <= 2:
                again[key] += 1
                if again[key] >= _REPEATS:
                    found.add(key)
            seen[key] = page
    return found


def _key(line: Line) -> _Key:
    """Returns a line without its digits, and its size: a title may be repeated as a running head."""
    return _NO_LETTERS.sub(" ", line.text).strip().lower(), line.style.size


# --- candidates


def _on_page(page: int, lines: Sequence[Line], body: _Body, repeated: set[_Key]) -> list[_Candidate]:
    """Returns the headings of a page: what reads as one and has running text, or a smaller heading, below it."""
    kept: list[_Candidate] = []
    for candidate in reversed(list(_candidates(page, lines, body))):
        if _key(lines[candidate.first]) not in repeated and _has_text_below(candidate, lines, body, repeated, kept):
            kept.append(candidate)
    return kept[::-1]


def _candidates(page: int, lines: Sequence[Line], body: _Body) -> Iterator[_Candidate]:
    """Yields runs of lines in the type of a heading, unless they are so long that they are text in large type."""
    index = 0
    while index < len(lines):
        first = index
        index += 1
        if not _is_display(lines[first], body):
            continue
        while index < len(lines) and _continues(lines[index - 1], lines[index], body):
            index += 1
        text = " ".join(line.text for line in lines[first:index])
        is_apart = lines[first].style.size >= _LARGER * body.size or _has_space_above(lines, first, body)
        if index - first <= _MAX_LINES and is_apart and _reads_as_heading(text):
            yield _Candidate(page, first, index - 1, lines[first].style)


def _is_display(line: Line, body: _Body) -> bool:
    style = line.style
    if not (style.is_plain and line.is_uniform) or style.is_fixed or line.is_cut:
        return False
    return style.size >= _LARGER * body.size or (style.is_bold and not body.is_bold and style.size >= 0.95 * body.size)


def _continues(upper: Line, lower: Line, body: _Body) -> bool:
    is_same_type = upper.style.size == lower.style.size and (
        upper.style.is_bold == lower.style.is_bold or upper.style.size >= _LARGER * body.size
    )
    distance = upper.bottom - lower.bottom
    return (
        is_same_type
        and lower.is_uniform
        and 0 < distance <= _NEXT_LINE * upper.style.size
        and not _NUMBERED.match(lower.text)
    )


def _reads_as_heading(text: str) -> bool:
    starts_small = next((character.islower() for character in text if character.isalpha()), True)
    letters = sum(character.isalpha() for character in text)
    return (
        len(text) <= _MAX_LENGTH
        and not starts_small
        and letters * 2 > len(text.replace(" ", ""))
        and _WORD.search(text) is not None
        and _NEVER.match(text) is None
    )


def _has_space_above(lines: Sequence[Line], index: int, body: _Body) -> bool:
    """Tells whether the line above is farther away than lines of running text are, or in another column."""
    if index == 0:
        return True
    distance = lines[index - 1].bottom - lines[index].bottom
    return distance < 0 or distance > _SPACE_ABOVE * body.distance


def _has_text_below(
    candidate: _Candidate, lines: Sequence[Line], body: _Body, repeated: set[_Key], below: Sequence[_Candidate]
) -> bool:
    """Tells whether running text follows on the page, or a smaller heading, one of those that were found below.

    Names and dates in large type, which follow a title, are passed over.
    """
    headings = {each.first: each.style for each in below}
    for index in range(candidate.last + 1, len(lines)):
        line = lines[index]
        if index in headings:
            return _rank(headings[index]) < _rank(candidate.style)
        if line.style.is_plain and not _is_display(line, body) and _key(line) not in repeated:
            return 0.8 * body.size <= line.style.size <= candidate.style.size
    return False


def _rank(style: Style) -> tuple[float, bool]:
    return style.size, style.is_bold
