"""Text recognition for scans with RapidOCR, an optional extra that runs offline; its models come in its package.

PP-OCR, https://arxiv.org/abs/2009.09941, in ONNX.
"""

import importlib.util
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from ingest.page_rows import arrange
from ingest.pdf_lines import Cell, Line, Style
from ingest.reading_order import in_reading_order

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HOW_TO_GET = "To have it read by OCR: pip install -e '.[ocr]'"
"""For the messages of files that cannot be read without it."""

MAX_SIDE = 1600
"""Pixels of a page's longer side; 2000 take a third longer and were read no better."""

MAX_PAGES = 300
"""Pages that are read of one document, at two to five seconds of one processor each."""


def _tell_nobody() -> None:
    pass


page_recognised: Callable[[], None] = _tell_nobody
"""Called after each page; the sandbox sets it, and grants a long scan more time."""

_UPRIGHT = 1.5  # times its width is the height of a line that runs up or down the page's side
_CUT_WORD = re.compile(r"(?<=[^\W\d_])-\n(?=[^\W\d_])")
_SAME_SIZE = 0.3  # by which heights of boxes differ for text of one size, with and without descenders


def available() -> bool:
    """Tells whether the extra is installed."""
    return all(importlib.util.find_spec(name) for name in ("rapidocr", "onnxruntime"))


def read_page(image: "NDArray[np.uint8]") -> str:
    """Returns the text in an image (height, width, 3) of blue, green and red; "" where there is none.

    Rows of a table are parted by " | ", columns of text are read one after the other. `page_recognised` is told.
    """
    text = _recognise(image)
    page_recognised()
    return text


def _recognise(image: "NDArray[np.uint8]") -> str:
    if int(image.max(initial=0)) == int(image.min(initial=255)):
        return ""  # a blank page
    found = _engine()(image)
    if found.txts is None or found.boxes is None:
        return ""
    lines = _lines(found.boxes, found.txts)
    level = in_reading_order([line for line in lines if line.style.is_plain])
    upright = [line for line in lines if not line.style.is_plain]
    text = "\n".join(line.text for line in arrange([*level, *upright]))
    return _CUT_WORD.sub("", text)


def counted(read: int, pages: int) -> str:
    """Returns the warning for a document of which some pages were read here.

    >>> counted(2, 9)
    '2 of 9 pages were read by OCR, which makes mistakes.'
    """
    return (
        f"{read} of {pages} page{'s' * (pages > 1)} {'was' if read == 1 else 'were'} read by OCR, which makes mistakes."
    )


def _lines(boxes: "NDArray[np.float32]", texts: tuple[str, ...]) -> list[Line]:
    """Makes lines of boxes (n, 4, 2), whose corners begin top left; heights grow upwards in lines."""
    heights = [float(abs(box[3] - box[0]).max()) for box in boxes]
    usual = median(heights)
    lines = []
    for box, text, height in zip(boxes, texts, heights, strict=True):
        (left, top), (right, bottom) = box.min(axis=0).tolist(), box.max(axis=0).tolist()
        size = usual if abs(height - usual) <= _SAME_SIZE * usual else height
        style = Style(size, is_plain=bottom - top < _UPRIGHT * (right - left) or len(text) == 1)
        lines.append(Line([Cell(text.strip(), left, right)], -bottom, -top, style))
    return lines


@cache
def _engine() -> Any:
    """Loads the models, about a second. One thread: a second one costs memory and, in tests, time."""
    import rapidocr

    models = Path(rapidocr.__file__).parent / "models"
    found = {part: next(models.glob(f"*_{part.lower()}_*.onnx")) for part in ("Det", "Cls", "Rec")}
    return rapidocr.RapidOCR(
        params={
            "Global.log_level": "critical",
            "Global.max_side_len": MAX_SIDE,
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            **{f"{part}.model_path": str(path) for part, path in found.items()},  # it downloads what it is not given
        }
    )
