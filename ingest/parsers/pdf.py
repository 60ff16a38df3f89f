"""PDF documents: text page by page with PDFium, and with pypdf where PDFium refuses the file."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingest.errors import NoTextError, ParseError
from ingest.text_building import choose_title, clean_text, one_line
from rag.schema import Heading, ParsedDocument

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

FORMAT = "pdf"
SUFFIXES = frozenset({".pdf"})

_ENCRYPTED = "The PDF is encrypted. Open it with its password, save it without one, and ingest that file."
_PASSWORD_ERROR = 4  # PDFium's FPDF_ERR_PASSWORD
_MAX_OUTLINE_ENTRIES = 20_000
_MAX_OUTLINE_TITLE = 300
_SOFT_HYPHEN = re.compile("[\ufffe\x02]\n?")  # what PDFium puts for a hyphen at a line's end, now and in the past
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f\uffff]")
_NO_TITLE = re.compile(
    r"untitled.*|\(?anonymous\)?|title|document\d*|microsoft (?:word|powerpoint|excel)\b.*|.*\.\w{2,4}", re.I
)
_NUMBERING = r"(?:(?:chapter |section |§ ?)?[\dIVX]+(?:\.[\dIVX]+)*[.:)]?[ \t]+)?"


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry of the outline: its title, its level (1 = top) and the index of the page it points to."""

    title: str
    level: int
    page: int


@dataclass(frozen=True, slots=True)
class _Read:
    """What a library made of a file; a page is None where it cannot be read."""

    pages: Sequence[str | None]
    title: str
    outline: Sequence[_Entry]


def accepts(data: bytes, name: str) -> bool:
    """Accepts data that starts as a PDF, or has the mark in its first 1024 bytes, as readers allow, and the name."""
    start = data[:1024]
    return start.lstrip().startswith(b"%PDF-") or (name.lower().endswith(".pdf") and b"%PDF-" in start)


def parse(data: bytes, name: str) -> ParsedDocument:
    """Returns the pages joined by line ends, and those entries of the outline that are found in the text as headings.

    Raises NoTextError where no page holds text, as in a scan, and ParseError for an encrypted or damaged file.
    """
    read = _read(data)
    pages = [_clean_page(page or "") for page in read.pages]
    if not any(pages):
        raise NoTextError(f"The PDF needs OCR: {_counted(len(pages))} no text.")
    text = "\n".join(pages)
    starts = _starts(pages)
    return ParsedDocument(
        choose_title(name, *_titles(read)),
        text,
        pages=starts,
        headings=_locate(read.outline, pages, starts),
        warnings=tuple(_warnings(read, pages)),
    )


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
    pages: list[str | None] = []
    for index in range(len(document)):
        try:
            page = document[index]
            textpage = page.get_textpage()
            pages.append(textpage.get_text_bounded())
            textpage.close()
            page.close()
        except PdfiumError:
            pages.append(None)
    if all(page is None for page in pages):
        raise PdfiumError("No page can be loaded.")
    return _Read(pages, document.get_metadata_value("Title"), list(_pdfium_outline(document)))


def _pdfium_outline(document: "PdfDocument") -> Iterator[_Entry]:
    for count, bookmark in enumerate(document.get_toc()):
        if count == _MAX_OUTLINE_ENTRIES:
            return
        target = bookmark.get_dest()
        page = target.get_index() if target else None
        if page is not None:
            yield _Entry(one_line(bookmark.get_title()), bookmark.level + 1, page)


def _read_with_pypdf(data: bytes) -> _Read:
    """Reads with pypdf, which mends some files that PDFium refuses; its outline is not worth the risk in those."""
    import io

    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise ParseError(_ENCRYPTED)
        pages = [page.extract_text() for page in reader.pages]
        title = str(reader.metadata.title or "") if reader.metadata else ""
    except (PyPdfError, RecursionError) as error:
        raise ParseError(f"The PDF is damaged: {one_line(str(error)) or type(error).__name__}") from error
    if not pages:
        raise ParseError("The PDF is damaged: it has no pages.")
    return _Read(pages, title, ())


def _clean_page(text: str) -> str:
    text = _SOFT_HYPHEN.sub("", clean_text(text))
    lines = _CONTROLS.sub("", text.replace("\x0c", "\n")).split("\n")
    return "\n".join(line.rstrip() for line in lines).strip()


def _starts(pages: Sequence[str]) -> tuple[int, ...]:
    starts, position = [], 0
    for page in pages:
        starts.append(position)
        position += len(page) + 1
    return tuple(starts)


def _titles(read: _Read) -> Iterator[str]:
    """Yields the title in the metadata if a person wrote it, then the outline's one top entry if it has one."""
    title = one_line(read.title)
    if len(title) > 2 and not _NO_TITLE.fullmatch(title) and any(character.isalpha() for character in title):
        yield title
    top = [entry.title for entry in read.outline if entry.level == 1]
    if len(top) == 1:
        yield top[0]


def _warnings(read: _Read, pages: Sequence[str]) -> Iterator[str]:
    unread = sum(page is None for page in read.pages)
    empty = sum(not page for page in pages) - unread
    if unread:
        yield f"{unread} of {len(pages)} pages cannot be read."
    if empty:
        yield f"{empty} of {len(pages)} pages hold no text; scanned pages need OCR."


def _counted(pages: int) -> str:
    return "1 page holds" if pages == 1 else f"{pages} pages hold"


def _locate(outline: Sequence[_Entry], pages: Sequence[str], starts: Sequence[int]) -> tuple[Heading, ...]:
    """Finds each entry of the outline on its page, as a line of its own; an entry that is not there is no heading.

    Entries of equal title on one page are matched in their order. A heading's text is as the page spells it.
    """
    found: dict[int, Heading] = {}
    for entry in outline:
        words = entry.title.split()
        if not words or len(entry.title) > _MAX_OUTLINE_TITLE or not 0 <= entry.page < len(pages):
            continue
        for match in _lines_of(words, pages[entry.page]):
            start = starts[entry.page] + match.start("heading")
            if start not in found:
                found[start] = Heading(start, entry.level, one_line(match.group("heading")))
                break
    return tuple(found[start] for start in sorted(found))


def _lines_of(words: Sequence[str], page: str) -> Iterator[re.Match[str]]:
    """Yields the lines that hold just these words, with or without a number; last, those without the words' own number.

    LaTeX leaves numbers out of the outline, and manuals put a date between number and title.
    """
    unnumbered = words[1:] if re.fullmatch(r"[\dIVX.]+", words[0]) else ()
    for title in filter(None, (words, unnumbered)):
        pattern = r"\s+".join(map(re.escape, title))
        yield from re.finditer(rf"^[ \t]*(?P<heading>{_NUMBERING}{pattern})[ \t]*$", page, re.I | re.M)
