"""Images of text, such as scans and screenshots: read by OCR where that is installed."""

import io
import warnings
from itertools import islice
from pathlib import PurePath
from typing import TYPE_CHECKING

from ingest import ocr
from ingest.content_kinds import describe_content
from ingest.errors import NoTextError, ParseError, UnsupportedFormatError
from ingest.text_building import clean_text
from rag.schema import ParsedDocument

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

FORMAT = "image"
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff"})

_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\x00", b"MM\x00*")


def accepts(data: bytes, name: str) -> bool:
    """Accepts PNG, JPEG and TIFF images, unless their name claims that they are something else."""
    return data.startswith(_SIGNATURES) and PurePath(name).suffix.lower() in SUFFIXES | {""}


def parse(data: bytes, name: str) -> ParsedDocument:
    """Returns the text that is recognised, with a page for each image of a TIFF file that holds several.

    Raises UnsupportedFormatError without OCR, NoTextError where it finds nothing, and ParseError for a huge image.
    """
    if not ocr.available():
        raise UnsupportedFormatError(f"It is {describe_content(data)}. {ocr.HOW_TO_GET}")
    from PIL import Image, ImageSequence

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "TIFF"))
            frames = islice(ImageSequence.Iterator(image), ocr.MAX_PAGES)
            pages = [clean_text(ocr.read_page(_pixels(frame))).strip() for frame in frames]
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        limit = (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise ParseError(f"The image has more than {limit} million pixels. Scale it down to ingest it.") from error
    if not any(pages):
        raise NoTextError("OCR found no text in the image.")
    starts = [sum(len(page) + 1 for page in pages[:index]) for index in range(len(pages))]
    return ParsedDocument(
        "",
        "\n".join(pages),
        pages=tuple(starts) if len(pages) > 1 else (),
        warnings=("The text was read by OCR, which makes mistakes.",),
    )


def _pixels(image: "Image") -> "NDArray[np.uint8]":
    """Returns blue, green and red of an image, upright, on white, and no larger than what OCR reads."""
    import numpy as np
    from PIL import Image, ImageOps

    image.draft("RGB", (ocr.MAX_SIDE, ocr.MAX_SIDE))  # JPEG is decoded smaller, which saves memory
    upright = ImageOps.exif_transpose(image).convert("RGBA")
    upright.thumbnail((ocr.MAX_SIDE, ocr.MAX_SIDE))
    sheet = Image.new("RGB", upright.size, "white")
    sheet.paste(upright, mask=upright.getchannel("A"))
    return np.ascontiguousarray(np.asarray(sheet)[:, :, ::-1])
