"""Source code and configuration, kept verbatim, with classes, functions and sections as headings."""

import ast
import re
import warnings
from collections.abc import Iterator
from itertools import accumulate
from pathlib import PurePath

from ingest.content_kinds import known_kind
from ingest.decoding import decode, looks_like_text
from ingest.definitions import FAMILIES, find_definitions
from ingest.errors import NoTextError
from ingest.text_building import one_line
from rag.schema import Heading, ParsedDocument

FORMAT = "source_code"

_LANGUAGES = {
    "python": ".py .pyi .pyw",
    "javascript": ".js .mjs .cjs .jsx .ts .mts .cts .tsx",
    "jvm": ".java .kt .kts .scala .groovy .gradle .cs .swift .dart .proto",
    "c": ".c .h .cc .cpp .cxx .hh .hpp .hxx .ino .cu",
    "rust": ".rs",
    "go": ".go",
    "ruby": ".rb .rake .ex .exs",
    "php": ".php",
    "perl": ".pl .pm",
    "lua": ".lua",
    "r": ".r",
    "julia": ".jl",
    "shell": ".sh .bash .zsh .ksh",
    "powershell": ".ps1 .psm1",
    "sql": ".sql",
    "haskell": ".hs",
    "sections": ".toml .ini .cfg",
    "yaml": ".yaml .yml",
    "tex": ".tex .sty",
    "": ".css .scss .less .bat .cmd .clj .el .ml .erl .vb .asm .graphql .tf .zig .nim",
}
_LANGUAGE_BY_SUFFIX = {suffix: language for language, suffixes in _LANGUAGES.items() for suffix in suffixes.split()}
_INTERPRETERS = {"sh": "shell", "bash": "shell", "zsh": "shell", "dash": "shell", "ksh": "shell", "node": "javascript"}
SUFFIXES = frozenset(_LANGUAGE_BY_SUFFIX)

_SHEBANG = re.compile(rb"#![ \t]*/\S*?(?:env[ \t]+(?:-S[ \t]+)?)?([A-Za-z]+)[\d.]*(?:[ \t][^\n]*)?\r?(?:\n|\Z)")
_TEX_LEVELS = {"part": 1, "chapter": 1, "section": 2, "subsection": 3, "subsubsection": 4, "paragraph": 5}
_TEX_SECTION = re.compile(
    rf"^[ \t]*(?P<command>\\(?P<kind>{'|'.join(_TEX_LEVELS)})\*?(?:\[[^\]\n]*\])?"
    r"\{(?P<title>(?:[^{}\n]|\{[^{}\n]*\}){1,300})\})",
    re.MULTILINE,
)
_TEX_MARKUP = re.compile(r"\\[a-zA-Z]+\*?|[{}$~]")


def accepts(data: bytes, name: str) -> bool:
    """Accepts text that is named as code, and a script by its first line, which names its interpreter."""
    if known_kind(data) or not looks_like_text(data):
        return False
    return PurePath(name).suffix.lower() in SUFFIXES or _SHEBANG.match(data) is not None


def parse(data: bytes, name: str) -> ParsedDocument:
    """Returns the text as it stands in the file; a heading starts at the first character of its definition's line."""
    text, problems = decode(data)
    if not text.strip():
        raise NoTextError("The file holds only white space.")
    headings = tuple(_headings(text, _language(data, name)))
    return ParsedDocument("", text, headings=headings, warnings=problems)


def _language(data: bytes, name: str) -> str:
    language = _LANGUAGE_BY_SUFFIX.get(PurePath(name).suffix.lower())
    shebang = _SHEBANG.match(data)
    if language is None and shebang:
        interpreter = shebang.group(1).decode("ascii").lower()
        return _INTERPRETERS.get(interpreter, interpreter)
    return language or ""


def _headings(text: str, language: str) -> list[Heading]:
    if language == "python" and (headings := _python_headings(text)) is not None:
        return headings
    if language == "tex":
        return list(_tex_headings(text))
    return find_definitions(text, FAMILIES[language]) if language in FAMILIES else []


def _python_headings(text: str) -> list[Heading] | None:
    """Returns classes, their methods and functions; None for what this version of Python cannot parse."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of invalid escapes, in other people's code
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # too deep a nesting is a MemoryError
        return None
    lines = text.split("\n")
    starts = list(accumulate((len(line) + 1 for line in lines), initial=0))
    headings = []
    for level, node in _python_definitions(tree):
        line = lines[node.lineno - 1]
        start = starts[node.lineno - 1] + len(line) - len(line.lstrip())
        word = {ast.ClassDef: "class", ast.FunctionDef: "def"}.get(type(node), "async def")
        headings.append(Heading(start, level, f"{word} {node.name}"))
    return sorted(headings, key=lambda heading: heading.start)


def _python_definitions(
    tree: ast.Module,
) -> Iterator[tuple[int, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yields definitions with their levels, except those inside functions."""
    stack: list[tuple[int, ast.AST]] = [(1, tree)]
    while stack:
        level, parent = stack.pop()
        for node in ast.iter_child_nodes(parent):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield level, node
            elif isinstance(node, ast.ClassDef):
                yield level, node
                stack.append((level + 1, node))
            elif isinstance(node, (ast.stmt, ast.excepthandler, ast.match_case)):
                stack.append((level, node))


def _tex_headings(text: str) -> Iterator[Heading]:
    for found in _TEX_SECTION.finditer(text):
        title = one_line(_TEX_MARKUP.sub(" ", found["title"]))
        if title:
            yield Heading(found.start("command"), _TEX_LEVELS[found["kind"]], title)
