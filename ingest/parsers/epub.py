"""EPUB books: the chapters in the order of the spine, each read as a web page all of which is content."""

import io
import posixpath
import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import unquote

from ingest.content_kinds import zip_mimetype, zip_names
from ingest.dating import choose_date
from ingest.errors import NoTextError, ParseError
from ingest.parsers import html
from ingest.safe_xml import read_member_xml
from ingest.text_building import TextBuilder, choose_title
from ingest.zip_limits import check_zip
from rag.schema import ParsedDocument

if TYPE_CHECKING:
    from lxml.etree import _Element

FORMAT = "epub"
SUFFIXES = frozenset({".epub"})

_MIMETYPE = "application/epub+zip"
_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_PAGES = frozenset({"application/xhtml+xml", "text/html"})


def accepts(data: bytes, name: str) -> bool:
    """Accepts a zip archive with the file that says where a book's package is, unless it says to be something else."""
    return _CONTAINER in zip_names(data) and zip_mimetype(data) in ("", _MIMETYPE)


def parse(data: bytes, name: str) -> ParsedDocument:
    """Returns the text of all chapters with their headings; the title is the package's.

    Navigation documents and pictures are left out. Raises ParseError where chapters are encrypted, as by DRM.
    """
    check_zip(data, allow_doctype=True)
    builder = TextBuilder()
    warnings: list[str] = []
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        package, folder = _read_package(archive)
        paths = (posixpath.normpath(posixpath.join(folder, unquote(href))) for href in _spine(package))
        chapters = list(dict.fromkeys(paths))
        if not _encrypted(archive).isdisjoint(chapters):
            raise ParseError("The book is encrypted (DRM). Only a copy without DRM can be read.")
        names = frozenset(archive.namelist())
        present = [chapter for chapter in chapters if chapter in names]
        for chapter in present:
            page, problems = html.read_chapter(archive.read(chapter))
            warnings.extend(problem for problem in problems if problem not in warnings)
            if page.text.strip():
                builder.add_all(page)
    if len(present) < len(chapters):
        warnings.append(f"{len(chapters) - len(present)} of {len(chapters)} chapters are missing in the file.")
    if not builder.text:
        raise NoTextError("The book holds no text; its pages may be pictures.")
    title = next((element.text for element in package.iter("{*}title") if element.text), None)
    return ParsedDocument(
        choose_title(title),
        builder.text,
        headings=builder.headings,
        warnings=tuple(warnings),
        date=choose_date(*(element.text for element in package.iter("{http://purl.org/dc/elements/1.1/}date"))),
    )


def _read_package(archive: zipfile.ZipFile) -> tuple["_Element", str]:
    """Returns the package document and the folder to which its paths are relative."""
    container = read_member_xml(archive, _CONTAINER)
    files = () if container is None else container.iter("{*}rootfile")
    path = next((file.get("full-path", "") for file in files), "")
    package = read_member_xml(archive, path)
    if package is None:
        raise ParseError("The book's package document is missing; the file is probably damaged.")
    return package, posixpath.dirname(path)


def _spine(package: "_Element") -> Iterator[str]:
    """Yields the paths of the pages in reading order, without the table of contents."""
    items = {item.get("id"): item for item in package.iterfind("{*}manifest/{*}item")}
    for reference in package.iterfind("{*}spine/{*}itemref"):
        item = items.get(reference.get("idref"))
        if item is not None and item.get("media-type") in _PAGES and "nav" not in item.get("properties", "").split():
            yield item.get("href", "")


def _encrypted(archive: zipfile.ZipFile) -> set[str]:
    """Returns the paths of the members that are encrypted; in books without DRM they are fonts at most."""
    encryption = read_member_xml(archive, _ENCRYPTION)
    references = () if encryption is None else encryption.iter("{*}CipherReference")
    return {unquote(reference.get("URI", "")) for reference in references}
