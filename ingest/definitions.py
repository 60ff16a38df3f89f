"""Where source code defines what: classes and functions by a line's look, in the families of languages."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from ingest.text_building import one_line
from rag.schema import Heading

_MAX_LINE = 400
"""A longer line is data, or code that a program wrote for another."""

_MAX_ARGUMENTS = 2000
_MAX_NAME = 200


class Family(NamedTuple):
    """How languages that look alike write definitions.

    Both patterns are tried at the start of each line, behind its indentation, and their group `shown` is what the
    heading says. What stands inside a function is part of it and no heading. `calls` tells that functions need no
    keyword: a type and a name with a list of arguments and a brace are one. `comments` is skipped.
    """

    containers: re.Pattern[str] | None = None
    functions: re.Pattern[str] | None = None
    calls: bool = False
    typed: bool = True
    comments: re.Pattern[str] | None = None


def _pattern(expression: str, flags: int = 0) -> re.Pattern[str]:
    return re.compile(expression, flags)


_MODIFIERS = (
    r"(?:(?:export|default|declare|public|private|protected|internal|static|final|abstract|sealed|partial|open|override"
    r"|async|const|unsafe|extern|inline|suspend|data|value|inner|virtual|readonly|case|implicit|lazy|fileprivate|file"
    r"|mutating|convenience|required|annotation|companion|operator|infix|tailrec|external|expect|actual|indirect"
    r"|pub(?:\([\w: ]+\))?|typedef|template[ \t]*<[^>\n]*>|@\w+(?:\([^()\n]*\))?)[ \t]+)*"
)
_AFTER_NAME = r"(?=[ \t]*(?:[<({:]|$|(?:extends|implements|for|where|with|permits|is)\b))"
_C_COMMENTS = _pattern(
    r"""(?P<comment>/\*.*?(?:\*/|\Z)|//[^\n]*|\"{3}.*?(?:\"{3}|\Z))"""
    r"""|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""",
    re.DOTALL,
)
_JS_COMMENTS = _pattern(_C_COMMENTS.pattern + r"|`(?:\\.|[^`\\])*`", re.DOTALL)
_ARROW = r"(?:function\b|\([^()\n]*\)[ \t]*(?::[^=\n]+)?=>|[\w$]+[ \t]*=>)"


FAMILIES = {
    "python": Family(
        _pattern(r"(?P<shown>class[ \t]+\w+)[ \t]*[(:\[]"),
        _pattern(r"(?P<shown>(?:async[ \t]+)?def[ \t]+\w+)[ \t]*[(\[]"),
        comments=_pattern(r'(?P<comment>("""|\'\'\').*?(?:\2|\Z))', re.DOTALL),
    ),
    "javascript": Family(
        _pattern(_MODIFIERS + r"(?P<shown>(?:class|interface|enum|namespace|module)[ \t]+[\w$.]+)" + _AFTER_NAME),
        _pattern(
            rf"(?:^(?:export[ \t]+)?(?=const|let|var)|{_MODIFIERS}(?=function|type))"
            r"(?P<shown>function[ \t]*\*?[ \t]*[\w$]+|type[ \t]+[\w$]+(?=[ \t]*[=<])"
            rf"|\w+[ \t]+[\w$]+(?=[ \t]*(?::[^=\n]+)?=[ \t]*(?:async[ \t]+)?{_ARROW}))"
        ),
        calls=True,
        typed=False,
        comments=_JS_COMMENTS,
    ),
    "jvm": Family(
        _pattern(
            _MODIFIERS
            + r"(?P<shown>(?:(?:enum[ \t]+)?class|interface|enum|struct|trait|record|protocol|extension|module"
            r"|actor|mixin|@interface|message|service)[ \t]+[\w$.`]+" + _AFTER_NAME + r"|namespace[ \t]+[\w.]+"
            r"|object[ \t]+\w+(?=[ \t]*(?:[{:]|extends\b|$)))"
        ),
        _pattern(
            _MODIFIERS + r"(?P<shown>(?:fun|func|def|function)[ \t]+(?:<[^>\n]*>[ \t]*)?[\w$.?`&]+(?:<[^>\n]*>\.\w+)?)"
        ),
        calls=True,
        comments=_C_COMMENTS,
    ),
    "c": Family(
        _pattern(
            _MODIFIERS + r"(?P<shown>(?:class|struct|union|enum(?:[ \t]+(?:class|struct))?|namespace)[ \t]+[\w:]+)"
            r"(?=[^;()=\n]*(?:\{|$))"
        ),
        calls=True,
        comments=_C_COMMENTS,
    ),
    "rust": Family(
        _pattern(
            _MODIFIERS + r"(?P<shown>(?:struct|enum|union|trait|mod)[ \t]+\w+(?=[ \t]*(?:[<({:]|$|where\b))"
            r"|impl\b[^{\n]*?(?=[ \t]*(?:\{|$|where\b)))"
        ),
        _pattern(_MODIFIERS + r"(?P<shown>fn[ \t]+\w+|macro_rules![ \t]*\w+)"),
        comments=_C_COMMENTS,
    ),
    "go": Family(
        _pattern(r"(?P<shown>type[ \t]+\w+)(?=[\[ \t])"),
        _pattern(r"(?P<shown>func[ \t]+(?:\([^()\n]*\)[ \t]*)?\w+)(?=[ \t]*[(\[])"),
        comments=_JS_COMMENTS,
    ),
    "ruby": Family(
        _pattern(r"(?P<shown>(?:class|module|defmodule|defprotocol|defimpl)[ \t]+[A-Z][\w:.]*)"),
        _pattern(r"(?:private[ \t]+)?(?P<shown>(?:def|defp|defmacro|defmacrop)[ \t]+[\w.?!=<>\[\]+*/%~^&|-]+)"),
        comments=_pattern(r"(?P<comment>^=begin\b.*?^=end\b|\"{3}.*?\"{3})", re.DOTALL | re.MULTILINE),
    ),
    "php": Family(
        _pattern(
            _MODIFIERS + r"(?P<shown>(?:class|interface|trait|enum|namespace)[ \t]+[\w\\]+)(?=[ \t]*(?:[:{;]|$|\w))"
        ),
        _pattern(_MODIFIERS + r"(?P<shown>function[ \t]+&?\w+)"),
        comments=_C_COMMENTS,
    ),
    "perl": Family(_pattern(r"(?P<shown>package[ \t]+[\w:]+)"), _pattern(r"(?P<shown>sub[ \t]+[\w:]+)")),
    "lua": Family(
        None,
        _pattern(r"(?P<shown>(?:local[ \t]+)?function[ \t]+[\w.:]+)"),
        comments=_pattern(r"(?P<comment>--\[\[.*?(?:\]\]|\Z))", re.DOTALL),
    ),
    "r": Family(None, _pattern(r"(?P<shown>[\w.]+)(?=[ \t]*(?:<-|=)[ \t]*function\b)")),
    "julia": Family(
        _pattern(r"(?P<shown>(?:module|(?:mutable[ \t]+)?struct|abstract[ \t]+type)[ \t]+\w+)"),
        _pattern(r"(?P<shown>(?:function|macro)[ \t]+[\w.!]+)"),
        comments=_pattern(r'(?P<comment>""".*?"""|#=.*?=#)', re.DOTALL),
    ),
    "shell": Family(
        None,
        _pattern(r"(?P<shown>function[ \t]+[\w:.-]+|[\w:.-]+(?=[ \t]*\([ \t]*\)))"),
    ),
    "powershell": Family(
        _pattern(r"(?P<shown>(?:class|enum)[ \t]+\w+)[ \t]*(?:[:{]|$)", re.IGNORECASE),
        _pattern(r"(?P<shown>(?:function|filter)[ \t]+[\w:-]+)", re.IGNORECASE),
        comments=_pattern(r"(?P<comment><#.*?(?:#>|\Z))", re.DOTALL),
    ),
    "sql": Family(
        None,
        _pattern(
            r"(?P<shown>create[ \t]+(?:or[ \t]+replace[ \t]+)?"
            r"(?:(?:temp|temporary|global|local|unique|materialized|virtual|external|unlogged)[ \t]+)*"
            r"(?:table|view|function|procedure|trigger|index|type|schema|sequence|domain|role|database|policy|package)"
            r"[ \t]+(?:if[ \t]+not[ \t]+exists[ \t]+)?[\w.\"`\[\]$]+)",
            re.IGNORECASE,
        ),
        comments=_C_COMMENTS,
    ),
    "haskell": Family(
        _pattern(
            r"(?P<shown>(?:module|data|newtype|class|instance|type)[ \t]+[A-Z(][\w.' ]*?)(?=[ \t]*(?:where\b|=|\(|$))"
        ),
        _pattern(r"^(?P<shown>[a-z_][\w']*)(?=[ \t]*::)"),
        comments=_pattern(r"(?P<comment>\{-.*?(?:-\}|\Z))", re.DOTALL),
    ),
    "sections": Family(_pattern(r"(?P<shown>\[{1,2}[\w.\"'/: -]+\]{1,2})(?=[ \t]*(?:[#;].*)?$)")),
    "yaml": Family(_pattern(r"^(?P<shown>[\w.\"'/-]+)(?=:[ \t]*(?:#.*)?$)")),
}
"""By a name that the table of suffixes in `ingest.parsers.source_code` gives to each language."""

_CALL = re.compile(r"(?P<type>(?:[\w$.:<>,?\[\]@]+[ \t*&]+)*)(?P<shown>[~\w$:]+)[ \t]*\(")
_STATEMENT = re.compile(
    r"(?<![\w$.])(?:if|for|foreach|while|until|switch|catch|return|else|do|when|unless|sizeof|typeof|new|delete|throw|using"
    r"|lock|synchronized|with|await|yield|case|goto|super|this|assert|import|not|in|of|and|or|fixed|defined|\d+)(?![\w$])"
)
_BODY = re.compile(r"[^;{}()=\n]{0,200}\n?[ \t]*\{|\s{0,100}:[^;]{0,500}?\{")  # also behind a C++ initialiser list


def find_definitions(text: str, family: Family) -> list[Heading]:
    """Returns the definitions as headings whose levels follow the indentation, each at its line's first character."""
    code = _without_comments(text, family.comments)
    headings: list[Heading] = []
    open_scopes: list[tuple[int, bool]] = []  # the indentation of each, and whether it is a function
    for start, indent, shown, is_function in _candidates(code, family):
        while open_scopes and open_scopes[-1][0] >= indent:
            open_scopes.pop()
        if any(inside_function for _, inside_function in open_scopes):
            continue
        open_scopes.append((indent, is_function))
        headings.append(Heading(start, len(open_scopes), one_line(shown)[:_MAX_NAME]))
    return headings


def _candidates(code: str, family: Family) -> Iterator[tuple[int, int, str, bool]]:
    """Yields the offset, indentation and words of each line that looks like a definition, and whether of a function."""
    line_start = 0
    for line in code.split("\n"):
        body = line.lstrip(" \t")
        if body and len(line) <= _MAX_LINE:
            indent = len(line) - len(body)
            start = line_start + indent
            container = family.containers.match(line, indent) if family.containers else None
            function = family.functions.match(line, indent) if family.functions and not container else None
            found = container or function
            if not found and family.calls and (call := _CALL.match(line, indent)):
                found = call if _is_function(code, line_start + call.end(), call, family, indent) else None
            if found:
                yield start, len(line[:indent].expandtabs(4)), found["shown"], found is not container
        line_start += len(line) + 1


def _is_function(code: str, arguments: int, call: re.Match[str], family: Family, indent: int) -> bool:
    """Tells a function that is defined from one that is called: by a type before it and a brace behind it."""
    if _STATEMENT.search(call[0]):
        return False
    if family.typed and not call["type"] and indent and "::" not in call["shown"]:
        return False
    end = _closing(code, arguments)
    return end > 0 and _BODY.match(code, end) is not None


def _closing(code: str, start: int) -> int:
    """Returns the offset behind the parenthesis that closes what opens before `start`; 0 where none does soon."""
    depth = 1
    for place in range(start, min(len(code), start + _MAX_ARGUMENTS)):
        character = code[place]
        if character in "{};":
            return 0
        depth += (character == "(") - (character == ")")
        if not depth:
            return place + 1
    return 0


def _without_comments(text: str, comments: re.Pattern[str] | None) -> str:
    """Blanks out comments and strings of several lines, and keeps every offset and line."""
    if comments is None:
        return text
    return comments.sub(lambda found: _blank(found[0]) if found["comment"] else found[0], text)


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)
