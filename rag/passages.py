"""The passage of a chunk: the string that is embedded and that BM25 reads, so that both legs rank the same units."""

import hashlib

from rag.schema import HEADING_SEPARATOR


def passage(title: str, heading: str, text: str) -> str:
    r"""Returns title, headings and text joined by spaces, leaving out what the text begins with anyway.

    Without a heading it is BEIR's form, title + " " + text.

    >>> passage("Guide", "Guide > Weights", "## Weights\nHalf and half.")
    'Guide ## Weights\nHalf and half.'
    >>> passage("A title", "", "a text")
    'A title a text'
    """
    parts = [title.strip()]
    first_line = text.partition("\n")[0].strip("#*= \t")
    for part in heading.split(HEADING_SEPARATOR) if heading else ():
        if part not in parts and part != first_line:
            parts.append(part)
    if heading and parts[0] == first_line:
        parts.pop(0)
    return " ".join(part for part in (*parts, text) if part)


def passage_key(text: str) -> bytes:
    """Returns the sha256 under which a passage's vectors are kept."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
