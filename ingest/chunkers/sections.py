"""The sections of a document: what stands between its headings and pages, and the headings above it."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

from ingest.chunkers.spec import Span
from rag.schema import HEADING_SEPARATOR, Document, Heading

_UNDERLINE = re.compile(r"[\s=-]*")  # of a setext heading


def sections(document: Document) -> list[tuple[Span, str]]:
    """Returns each section with the path of its headings; one that is only a heading is joined to the next on its page.

    The path of a joined section is that of its last heading.
    """
    paths = HeadingPaths(document.headings)
    headings, pages = set(paths.starts), set(document.pages)
    spans: list[Span] = []
    is_bare = False
    for start, end in between(document.text, sorted(headings | pages)):
        if is_bare and start not in pages:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
        is_bare = start in headings and _is_one_line(document.text, start, end)
    return [(span, paths.path_at(span[1] - 1)) for span in spans]


def between(text: str, boundaries: Sequence[int]) -> list[Span]:
    """Returns the spans between sorted offsets, and before the first and after the last."""
    inside = [place for place in boundaries if 0 < place < len(text)]
    return [(start, end) for start, end in pairwise([0, *inside, len(text)]) if start < end]


def _is_one_line(text: str, start: int, end: int) -> bool:
    """Tells whether a span holds one line, and perhaps the underline of a setext heading."""
    line_end = text.find("\n", start, end)
    return line_end < 0 or _UNDERLINE.fullmatch(text, line_end, end) is not None


class HeadingPaths:
    """The path of headings at any offset of a document."""

    def __init__(self, headings: Sequence[Heading]) -> None:
        self.starts = [heading.start for heading in headings]
        self._paths = [""]
        above: list[Heading] = []
        for heading in headings:
            while above and above[-1].level >= heading.level:
                above.pop()
            above.append(heading)
            self._paths.append(HEADING_SEPARATOR.join(part.text for part in above))

    def path_at(self, offset: int) -> str:
        """Returns the headings above an offset, outermost first; a heading is above its own first character."""
        return self._paths[bisect_right(self.starts, offset)]
