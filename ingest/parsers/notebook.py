"""Jupyter notebooks as Markdown: their cells of text and, in fences, of code; without what the code put out."""

import json
import re
from pathlib import PurePath
from typing import Any

from ingest.decoding import decode, looks_like_text
from ingest.errors import NoTextError
from ingest.parsers import json as json_parser
from ingest.parsers import markdown
from rag.schema import ParsedDocument

FORMAT = "notebook"
SUFFIXES = frozenset({".ipynb"})

_FENCE = re.compile(r"^`{3,}", re.MULTILINE)


def accepts(data: bytes, name: str) -> bool:
    """Accepts text that is named as a notebook: other JSON may have cells too."""
    return PurePath(name).suffix.lower() in SUFFIXES and looks_like_text(data)


def parse(data: bytes, name: str) -> ParsedDocument:
    """Returns the cells in their order; a file that is no notebook is read as any other JSON."""
    try:
        notebook = json.loads(decode(data).text)
    except (ValueError, RecursionError):
        return json_parser.parse(data, name)
    cells = _cells(notebook)
    if cells is None:
        return json_parser.parse(data, name)
    text = "\n\n".join(filter(None, (_markdown(cell, _language(notebook)) for cell in cells)))
    if not text.strip():
        raise NoTextError("The notebook's cells are empty.")
    return markdown.parse(text.encode("utf-8", "replace"), name)


def _cells(notebook: Any) -> list[dict[str, Any]] | None:
    """Returns the cells of a notebook of format 4, or of 3 with its worksheets; None for what is no notebook."""
    if not isinstance(notebook, dict):
        return None
    sheets = notebook["worksheets"] if isinstance(notebook.get("worksheets"), list) else [notebook]
    lists = [sheet["cells"] for sheet in sheets if isinstance(sheet, dict) and isinstance(sheet.get("cells"), list)]
    return [cell for cells in lists for cell in cells if isinstance(cell, dict)] if lists else None


def _markdown(cell: dict[str, Any], language: str) -> str:
    source = cell.get("source", cell.get("input"))
    text = "".join(map(str, source)) if isinstance(source, list) else str(source or "")
    text = text.strip("\n")
    kind = cell.get("cell_type")
    if kind == "code" and text.strip():
        fence = max(("`" * 3, *(f"{found}`" for found in _FENCE.findall(text))), key=len)
        return f"{fence}{language}\n{text}\n{fence}"
    if kind == "heading":
        level = cell.get("level")
        return f"{'#' * (level if isinstance(level, int) and 1 <= level <= 6 else 1)} {text}"
    return text


def _language(notebook: dict[str, Any]) -> str:
    """Returns the name of the language of the code, "" where the notebook does not tell."""
    metadata = notebook.get("metadata")
    about = metadata.get("language_info") if isinstance(metadata, dict) else None
    language = about.get("name") if isinstance(about, dict) else None
    return language if isinstance(language, str) and language.isalnum() else ""
