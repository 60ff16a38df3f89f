"""Rich Text Format: its words, table rows as "a | b", and as headings the paragraphs that have an outline level."""

import codecs
import re
from itertools import accumulate

from ingest.errors import NoTextError, ParseError
from ingest.text_building import TextBuilder, choose_title, one_line
from rag.schema import ParsedDocument

FORMAT = "rtf"
SUFFIXES = frozenset({".rtf"})

MAX_DEPTH = 1000
"""Groups in groups beyond this are no document; Word itself stays below a hundred."""

_START = b"{\\rtf"
_BRACES = re.compile(rb"\\.|([{}])", re.DOTALL)
_CODE_PAGE = re.compile(r"\\ansicpg(\d+)")
_CHARACTER_SETS = (("\\mac", "mac_roman"), ("\\pca", "cp850"), ("\\pc", "cp437"))  # \ansi is cp1252
_PICTURE_DIGITS = re.compile(r"(?<=[\s}])[0-9a-fA-F\r\n]{512,}")
_TITLE = re.compile(r"\{\\title\b ?([^{}]{1,2000})\}")

_HEADING_STYLE = re.compile(r"\{\\s(\d{1,5})\b[^{}]{0,1000}? heading ([1-9]);", re.IGNORECASE)
_MARKED_WORD = re.compile(r"(?<!\\)\\(line|pard|s|outlinelevel(?=[0-9](?![0-9])))([0-9]{0,5})(?![a-zA-Z0-9-]) ?")
_LIST_ITEM = re.compile(r"(\S{1,6})\t\s*")
_SYMBOL_BULLET = re.compile("[\uf000-\uf0ff]")  # a letter of the fonts Symbol and Wingdings

_LEVEL_CHARACTER = "\ufdd0"  # both are no characters that a text may have
_LINE_MARK = "\ufdd1"
_LEVEL_MARK = re.compile(f"{_LEVEL_CHARACTER}([0-9])")
_NO_LEVEL = "9"


def accepts(data: bytes, name: str) -> bool:
    """Accepts what starts as RTF does."""
    return data.startswith(_START)


def parse(data: bytes, name: str) -> ParsedDocument:
    """Returns the paragraphs, one line each; pictures, footnotes, running heads and addresses of links are left out."""
    _check_depth(data)
    encoding = _encoding(data)
    source = data.decode(encoding, "replace")
    builder = TextBuilder()
    _write_paragraphs(_to_text(_marked(source), encoding), builder)
    if not builder.text.strip():
        raise NoTextError("The RTF file holds no text.")
    found = _TITLE.search(source)
    title = _to_text(f"{{\\rtf1 {found.group(1)}}}", encoding) if found else None
    first = next((heading.text for heading in builder.headings if heading.level == 1), None)
    return ParsedDocument(choose_title(title, first), builder.text, headings=builder.headings)


def _check_depth(data: bytes) -> None:
    steps = (1 if brace[1] == b"{" else -1 for brace in _BRACES.finditer(data) if brace[1])
    if any(depth > MAX_DEPTH for depth in accumulate(steps)):
        raise ParseError(f"Refused: its groups are nested more than {MAX_DEPTH} deep.")


def _encoding(data: bytes) -> str:
    """Returns the encoding that the first words of the file declare, for what no font declares otherwise."""
    start = data[:1000].decode("latin-1")
    found = _CODE_PAGE.search(start)
    if found and _is_known(f"cp{found.group(1)}"):
        return f"cp{found.group(1)}"
    return next((encoding for word, encoding in _CHARACTER_SETS if re.search(re.escape(word) + r"\b", start)), "cp1252")


def _is_known(encoding: str) -> bool:
    try:
        codecs.lookup(encoding)
    except LookupError:
        return False
    return True


def _marked(source: str) -> str:
    r"""Returns RTF in which heading levels and line breaks are told by marks that its conversion to text carries along.

    \outlinelevel, or a style named "heading 1", holds from where it stands, at the start of a paragraph, until \pard
    resets it. Three things are taken out which slow striprtf down or lead it astray: the digits of pictures, the
    instruction of a link, and a code page that Python lacks.
    """
    source = _PICTURE_DIGITS.sub("", source.replace("\\fldinst{", "\\fldinst {"))
    source = _CODE_PAGE.sub(lambda page: page[0] if _is_known(f"cp{page[1]}") else "", source)
    source = source.translate({ord(_LEVEL_CHARACTER): None, ord(_LINE_MARK): None})
    levels = {style: str(int(level) - 1) for style, level in _HEADING_STYLE.findall(source)}

    def mark(word: re.Match[str]) -> str:
        name, argument = word[1], word[2]
        if name == "line":
            return _unicode(_LINE_MARK)
        level = {"pard": _NO_LEVEL, "outlinelevel": argument, "s": levels.get(argument, "")}[name]
        return word[0] if level == "" else f"\\{name}{argument}{_unicode(_LEVEL_CHARACTER, level)}"

    return _MARKED_WORD.sub(mark, source)


def _unicode(character: str, after: str = "") -> str:
    return f"{{\\uc0\\u{ord(character)} {after}}}"


def _to_text(source: str, encoding: str) -> str:
    from striprtf.striprtf import rtf_to_text

    text: str = rtf_to_text(source, encoding, "replace")
    # characters beyond U+FFFF are written as two
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _write_paragraphs(text: str, builder: TextBuilder) -> None:
    """Writes the paragraphs of a converted text; rows of tables and items of lists stand one under the other."""
    level = 0
    previous = ""
    for line in text.split("\n"):
        for mark in _LEVEL_MARK.findall(line):
            level = 0 if mark == _NO_LEVEL else int(mark) + 1
        paragraph = _LEVEL_MARK.sub("", line).replace(_LINE_MARK, "\n").strip()
        kind = "row" if paragraph.endswith("|") else "item" if _LIST_ITEM.match(paragraph) else ""
        if kind == "row":
            paragraph = " | ".join(cell for cell in map(one_line, paragraph.split("|")) if cell)
        elif kind == "item":
            paragraph = _LIST_ITEM.sub(lambda item: f"{_SYMBOL_BULLET.sub('•', item[1])} ", paragraph)
        if not paragraph:
            continue
        if level and kind != "row":
            builder.add_heading(paragraph, level)
        else:
            builder.add(paragraph, gap=1 if kind and kind == previous else 2)
        previous = kind
