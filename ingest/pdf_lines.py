"""The lines of a page with their places on the sheet, and for a PDF also with the size and weight of their type."""

import ctypes
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pypdfium2 import PdfPage, PdfTextPage

WIDE_GAP = 1.0
"""White space within a line that is wider, in sizes of its type, parts two cells; justified text stays below that."""

_PIECES = re.compile(r"([^\r\n\ufffe]+)(\ufffe?)")  # PDFium puts U+FFFE for a hyphen at a line's end, without line end
_BLANKS = re.compile(r"\s+")
_BOLD = re.compile(r"bold|black|heavy|demi|medi\b|cmbx|sfbx|ecbx", re.I)
_FIXED = re.compile(r"courier|mono|consol|typewriter|cmtt", re.I)
_FIXED_PITCH, _FORCED_BOLD = 1, 1 << 18  # flags of a font descriptor (ISO 32000-1, table 123)
_UPRIGHT = 5.0  # the most degrees from the horizontal
_INVISIBLE = 3  # text render mode of the text that a scanner's software lays behind its picture


@dataclass(slots=True)
class Cell:
    """A part of a line without a wide gap in it; `left` and `right` in points, as seen by a reader."""

    text: str
    left: float
    right: float


class Style(NamedTuple):
    """The type of a line: size in points, weight, fixed width; `is_plain` where it can be seen and stands upright."""

    size: float
    is_bold: bool = False
    is_fixed: bool = False
    is_plain: bool = True


@dataclass(slots=True)
class Line:
    """A line of a page, or a part of one; heights grow upwards.

    `is_uniform` where all of it is in its style, `is_cut` where its last word goes on in the next line.
    """

    cells: list[Cell]
    bottom: float
    top: float
    style: Style
    is_uniform: bool = True
    is_cut: bool = False

    @property
    def text(self) -> str:
        """The cells side by side."""
        return " ".join(cell.text for cell in self.cells) if len(self.cells) > 1 else self.cells[0].text


def read_lines(page: "PdfPage") -> list[Line]:
    """Returns the lines that show on a page, in PDFium's order, which is that of the file; raises PdfiumError."""
    textpage = page.get_textpage()
    try:
        return _Reader(page, textpage).lines() if textpage.count_chars() else []
    finally:
        textpage.close()


@cache
def _function(name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    """Returns a function of PDFium that takes plain addresses; to convert the arguments takes longer than the call."""
    from pypdfium2 import raw

    address = ctypes.cast(getattr(raw, name), ctypes.c_void_p).value
    return ctypes.CFUNCTYPE(result, *arguments)(address or 0)


class _Reader:
    """Asks PDFium about single characters; that is fast as long as most characters are not asked about."""

    def __init__(self, page: "PdfPage", textpage: "PdfTextPage") -> None:
        from pypdfium2 import raw

        pointer, integer, double = ctypes.c_void_p, ctypes.c_int, ctypes.c_double
        self._ask_box = _function("FPDFText_GetLooseCharBox", integer, pointer, integer, pointer)
        self._ask_object = _function("FPDFText_GetTextObject", pointer, pointer, integer)
        self._ask_index = _function("FPDFText_GetCharIndexFromTextIndex", integer, pointer, integer)
        self._ask_size = _function("FPDFText_GetFontSize", double, pointer, integer)
        self._ask_matrix = _function("FPDFText_GetMatrix", integer, pointer, integer, pointer)
        self._ask_font = _function(
            "FPDFText_GetFontInfo", ctypes.c_ulong, pointer, integer, pointer, ctypes.c_ulong, pointer
        )
        self._ask_mode = _function("FPDFTextObj_GetTextRenderMode", integer, pointer)
        self._handle = ctypes.cast(textpage.raw, pointer).value
        self._text: str = textpage.get_text_range(0, -1)
        self._is_mapped = len(self._text) != textpage.count_chars()  # some characters of a page have no text
        self._rotation: int = page.get_rotation()
        self._visible = self._turn(*page.get_bbox())
        self._rectangle, self._matrix = raw.FS_RECTF(), raw.FS_MATRIX()
        self._name, self._flags = ctypes.create_string_buffer(128), integer()
        self._rectangle_address = ctypes.addressof(self._rectangle)
        self._styles: dict[int, Style] = {}

    def lines(self) -> list[Line]:
        found: list[tuple[Line, int]] = []
        lengths: Counter[Style] = Counter()
        for piece in _PIECES.finditer(self._text):
            stripped = piece[1].strip()
            if not stripped:
                continue
            start = piece.start() + piece[1].index(stripped[0])
            end = start + len(stripped)
            line = self._line(start, end, bool(piece[2]))
            if line.cells:
                found.append((line, end - 1))
                lengths[line.style] += len(stripped)
        usual = max(lengths, key=lengths.__getitem__, default=None)
        for line, last in found:
            if line.style != usual:  # running text has no need to be looked at twice
                self._compare_ends(line, last)
        return [line for line, _ in found]

    def _line(self, start: int, end: int, is_cut: bool) -> Line:
        style = self._style(start)
        left, bottom, _, top = self._box(start)
        right = self._box(end - 1)[2]
        cells = list(self._cells(start, end, left, right, WIDE_GAP * style.size))
        sheet_left, sheet_bottom, sheet_right, sheet_top = self._visible
        if not sheet_bottom <= (bottom + top) / 2 <= sheet_top:
            cells = []
        elif left < sheet_left or right > sheet_right:  # a page that was cut out of a spread holds both halves
            cells = [cell for cell in cells if cell.left <= sheet_right and cell.right >= sheet_left]
        return Line(cells, bottom, top, style, is_cut=is_cut)

    def _cells(self, start: int, end: int, left: float, right: float, wide: float) -> Iterator[Cell]:
        for blank in _BLANKS.finditer(self._text, start, end):
            before, after = blank.span()
            gap_left, gap_right = self._box(before - 1)[2], self._box(after)[0]
            if gap_right - gap_left > wide:
                yield Cell(self._text[start:before], left, gap_left)
                start, left = after, gap_right
        yield Cell(self._text[start:end], left, right)

    def _char(self, index: int) -> int:
        """Returns PDFium's index of a character of the text."""
        return int(self._ask_index(self._handle, index)) if self._is_mapped else index

    def _box(self, index: int) -> tuple[float, float, float, float]:
        """Returns left, bottom, right and top of a character, as a reader sees them."""
        box = self._rectangle
        self._ask_box(self._handle, self._char(index) if self._is_mapped else index, self._rectangle_address)
        sides = box.left, box.bottom, box.right, box.top
        return self._turn(*sides) if self._rotation else sides

    def _turn(self, left: float, bottom: float, right: float, top: float) -> tuple[float, float, float, float]:
        """Turns a box clockwise with its page."""
        if self._rotation == 90:
            return bottom, -right, top, -left
        if self._rotation == 180:
            return -right, -top, -left, -bottom
        if self._rotation == 270:
            return -top, left, -bottom, right
        return left, bottom, right, top

    def _compare_ends(self, line: Line, last: int) -> None:
        """Finds out whether a line ends in the type it begins with; it is bold only if both ends are."""
        first, end = line.style, self._style(last)
        line.is_uniform = first.size == end.size and end.is_plain
        line.style = Style(first.size, first.is_bold and end.is_bold, first.is_fixed and end.is_fixed, first.is_plain)

    def _style(self, index: int) -> Style:
        """Returns the type of a character; all of one text object are alike."""
        char = self._char(index)
        text_object = self._ask_object(self._handle, char) or 0
        style = self._styles.get(text_object)
        if style is None:
            self._styles[text_object] = style = self._read_style(char, text_object)
        return style

    def _read_style(self, char: int, text_object: int) -> Style:
        handle, matrix, flags = self._handle, self._matrix, self._flags
        size = self._ask_size(handle, char)
        self._ask_matrix(handle, char, ctypes.addressof(matrix))
        self._ask_font(handle, char, ctypes.addressof(self._name), len(self._name), ctypes.addressof(flags))
        name = self._name.value.decode("latin-1")
        angle = math.degrees(math.atan2(matrix.b * size, matrix.a * size)) - self._rotation
        is_upright = abs((angle + 180) % 360 - 180) < _UPRIGHT
        is_invisible = text_object and self._ask_mode(text_object) == _INVISIBLE
        return Style(
            round(abs(size) * math.hypot(matrix.c, matrix.d) * 2) / 2,
            bool(flags.value & _FORCED_BOLD or _BOLD.search(name)),
            bool(flags.value & _FIXED_PITCH or _FIXED.search(name)),
            is_upright and not is_invisible,
        )
