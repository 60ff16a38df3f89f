"""PDF documents: text page by page with PDFium, and with pypdf where PDFium refuses the file; scans by OCR."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingest import ocr
from ingest.dating import choose_date
from ingest.errors import NoTextError, ParseError
from ingest.page_rows import arrange
from ingest.pdf_headings import find_headings
from ingest.pdf_lines import Line, read_lines
from ingest.pdf_outline import Entry, locate, read_outline
from ingest.text_building import choose_title, clean_text, one_line
from rag.schema import Heading, ParsedDocument

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

FORMAT = "pdf"
SUFFIXES = frozenset({".pdf"})

_ENCRYPTED = "The PDF is encrypted. Open it with its password, save it without one, and ingest that file."
_PASSWORD_ERROR = 4  # PDFium's FPDF_ERR_PASSWORD
_FEWEST_ENTRIES = 2  # of an outline, to be trusted more than the type of the headings
_MAX_ZOOM = 4.0  # pixels of a scan per point, for pages of the size of a stamp
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\uffff]")
_CUT_WORD = re.compile("[\ufffe\x02]\n?")  # what stands for a hyphen at a line's end
_NO_TITLE = re.compile(
    r"untitled.*|\(?anonymous\)?|title|document\d*|microsoft (?:word|powerpoint|excel)\b.*|.*\.\w{2,4}", re.I
)
_TOP_OF_ANY = re.compile(
    r"(?:abstract|introduction|contents|table of contents|preface|summary)\b|[\dIVX]+[.:)]?\s", re.I
)


@dataclass(frozen=True, slots=True)
class _Page:
    """The text of a page and, where PDFium read it, its lines and the offset in the text at which each starts."""

    text: str
    lines: Sequence[Line] = ()
    starts: Sequence[int] = ()
    is_unread: bool = False
    is_recognised: bool = False


@dataclass(frozen=True, slots=True)
class _Read:
    """What a library made of a file."""

    pages: Sequence[_Page]
    title: str
    outline: Sequence[Entry] = ()
    date: str = ""


def accepts(data: bytes, name: str) -> bool:
    """Accepts data that starts as a PDF, or has the mark in its first 1024 bytes, as readers allow, and the name."""
    start = data[:1024]
    return start.lstrip().startswith(b"%PDF-") or (name.lower().endswith(".pdf") and b"%PDF-" in start)


def parse(data: bytes, name: str) -> ParsedDocument:
    """Returns the pages joined by line ends, with the headings that the outline names or else the type tells.

    Raises NoTextError where no page holds text, as in a scan without OCR, and ParseError for an encrypted or damaged
    file.
    """
    read = _read(data)
    pages = [page.text for page in read.pages]
    if not any(pages):
        raise NoTextError(_no_text(len(pages)))
    starts = _starts(pages)
    outlined = locate(read.outline, pages, starts)
    typed = _typed_headings(read.pages, starts) if len(outlined) < _FEWEST_ENTRIES else ()
    return ParsedDocument(
        choose_title(*_titles(read, typed)),
        "\n".join(pages),
        pages=starts,
        headings=max(outlined, typed, key=len),
        warnings=tuple(_warnings(read.pages)),
        date=read.date,
    )


# --- reading


def _read(data: bytes) -> _Read:
    from pypdfium2 import PdfiumError

    try:
        return _read_with_pdfium(data)
    except PdfiumError as error:
        if error.err_code == _PASSWORD_ERROR:
            raise ParseError(_ENCRYPTED) from error
        return _read_with_pypdf(data)


def _read_with_pdfium(data: bytes) -> _Read:
    """Reads with PDFium; raises PdfiumError where the file, or each of its pages, cannot be opened."""
    from pypdfium2 import PdfDocument, PdfiumError

    document = PdfDocument(data)
    pages = [_pdfium_page(document, index) for index in range(len(document))]
    if all(page.is_unread for page in pages):
        raise PdfiumError("No page can be loaded.")
    if ocr.available():
        pages = _with_scans(document, pages)
    title, *dates = map(document.get_metadata_value, ("Title", "ModDate", "CreationDate"))
    return _Read(pages, title, list(read_outline(document)), choose_date(*dates))


def _pdfium_page(document: "PdfDocument", index: int) -> _Page:
    from pypdfium2 import PdfiumError

    try:
        page = document[index]
        lines = arrange(read_lines(page))
        page.close()
    except PdfiumError:
        return _Page("", is_unread=True)
    parts: list[str] = []
    kept, starts, position = [], [], 0
    for line in lines:
        text = _clean(line.text)
        if text:
            kept.append(line)
            starts.append(position)
            parts.append(text if line.is_cut else text + "\n")
            position += len(parts[-1])
    return _Page("".join(parts).rstrip(), kept, starts)


def _with_scans(document: "PdfDocument", pages: Sequence[_Page]) -> list[_Page]:
    """Has pages without text read by OCR, up to the number that is allowed."""
    from pypdfium2 import PdfiumError

    empty = [index for index, page in enumerate(pages) if not page.text and not page.is_unread]
    result = list(pages)
    for index in empty[: ocr.MAX_PAGES]:
        try:
            page = document[index]
            zoom = min(_MAX_ZOOM, ocr.MAX_SIDE / max(*page.get_size(), 1.0))
            image = page.render(scale=zoom).to_numpy()
            page.close()
        except PdfiumError:
            continue
        text = _clean(ocr.read_page(image))
        result[index] = _Page(text, is_recognised=bool(text))
    return result


def _read_with_pypdf(data: bytes) -> _Read:
    """Reads with pypdf, which mends some files that PDFium refuses; its outline is not worth the risk in those."""
    import io

    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise ParseError(_ENCRYPTED)
        pages = [_Page(_clean(page.extract_text())) for page in reader.pages]
        title = str(reader.metadata.title or "") if reader.metadata else ""
    except (PyPdfError, RecursionError) as error:
        raise ParseError(f"The PDF is damaged: {one_line(str(error)) or type(error).__name__}") from error
    if not pages:
        raise ParseError("The PDF is damaged: it has no pages.")
    return _Read(pages, title)


def _clean(text: str) -> str:
    lines = _CONTROLS.sub("", _CUT_WORD.sub("", clean_text(text)).replace("\x0c", "\n")).split("\n")
    return "\n".join(line.rstrip() for line in lines).strip()


# --- what the document says of itself


def _starts(pages: Sequence[str]) -> tuple[int, ...]:
    starts, position = [], 0
    for page in pages:
        starts.append(position)
        position += len(page) + 1
    return tuple(starts)


def _typed_headings(pages: Sequence[_Page], starts: Sequence[int]) -> tuple[Heading, ...]:
    headings = []
    for found in find_headings([page.lines for page in pages]):
        page = pages[found.page]
        text = one_line(" ".join(_clean(line.text) for line in page.lines[found.first : found.last + 1]))
        headings.append(Heading(starts[found.page] + page.starts[found.first], found.level, text))
    return tuple(headings)


def _titles(read: _Read, typed: Sequence[Heading]) -> Iterator[str]:
    """Yields the title in the metadata if a person wrote it, the outline's one top entry, the one largest heading."""
    title = one_line(read.title)
    if len(title) > 2 and not _NO_TITLE.fullmatch(title) and any(character.isalpha() for character in title):
        yield title
    top = [entry.title for entry in read.outline if entry.level == 1]
    if len(top) == 1:
        yield top[0]
    largest = [heading for heading in typed if heading.level == 1]
    if len(largest) == 1 and largest[0] == typed[0] and not _TOP_OF_ANY.match(largest[0].text):
        yield largest[0].text


def _no_text(pages: int) -> str:
    counted = "1 page holds" if pages == 1 else f"{pages} pages hold"
    if ocr.available():
        return f"The PDF's {counted} no text, and OCR found none."
    return f"The PDF needs OCR: {counted} no text. {ocr.HOW_TO_GET}"


def _warnings(pages: Sequence[_Page]) -> Iterator[str]:
    unread = sum(page.is_unread for page in pages)
    empty = sum(not page.text for page in pages) - unread
    recognised = sum(page.is_recognised for page in pages)
    if unread:
        yield f"{unread} of {len(pages)} pages cannot be read."
    if recognised:
        yield ocr.counted(recognised, len(pages))
    if empty:
        yield f"{empty} of {len(pages)} pages hold no text{'' if ocr.available() else '; scanned pages need OCR'}."
