"""JSON, notebooks and source code: what becomes of values, cells and definitions, and of anything at all."""

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.parsers import json as json_parser
from ingest.parsers import notebook, source_code
from ingest.parsers.json import MAX_NUMBERS
from ingest.parsing import ParseError, parse_bytes
from ingest.text_building import one_line
from rag.schema import ParsedDocument

SHARED = Path(__file__).parents[2] / "shared"
LONG = "A sentence that goes on. " * 20


def read(value: object, name: str = "data.json") -> ParsedDocument:
    return json_parser.parse(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"), name)


def outline(document: ParsedDocument) -> list[tuple[int, str]]:
    return [(heading.level, heading.text) for heading in document.headings]


# --- JSON


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (
            [{"id": 1, "name": "Ann", "tags": ["a", "b"], "at": {"city": "Rome", "zip": None}, "ok": True}, {"id": 2}],
            "id: 1; name: Ann; tags: a, b; at.city: Rome; ok: true\n\nid: 2",
        ),
        ({"title": "My Page", "by": "Ann", "text": "Some words."}, "My Page\n\nSome words.\n\nby: Ann"),
        (
            {"name": "pkg", "scripts": {"build": "tsc"}, "people": [{"name": "A", "url": "u"}], "files": ["a", "b"]},
            "name: pkg\nscripts.build: tsc\nfiles: a, b\n\npeople\n\nname: A; url: u",
        ),
        (
            [{"messages": [{"role": "user", "content": "hi"}, {"role": "bot", "content": "two\nlines"}], "n": 1}],
            "n: 1\nmessages.role: user; messages.content: hi\nmessages.role: bot\nmessages.content: two\nlines",
        ),
        ([["a", "b"], ["c", 1.50]], "a, b\nc, 1.5"),
        ({"a": [["x", "y"], ["z"]]}, "a\n\nx, y\nz"),
        ([1, "x", None, False], "1\nx\nfalse"),
        ("just text", "just text"),
    ],
)
def test_json_reads_well(value: object, text: str) -> None:
    assert read(value).text == text


def test_json_records_with_prose_have_headings() -> None:
    document = read([{"_id": "d1", "title": "Tea", "text": LONG}, {"_id": "d2", "title": "Milk", "text": "White."}])
    assert outline(document) == [(1, "Tea"), (1, "Milk")]
    assert document.text == f"Tea\n\n{LONG.strip()}\n\n_id: d1\n\nMilk\n\nWhite.\n\n_id: d2"
    assert document.title == ""


def test_json_sections_stand_below_the_title() -> None:
    document = read({"name": "Book", "description": LONG, "chapters": [{"title": "One", "text": "Begin."}]})
    assert outline(document) == [(1, "Book"), (2, "chapters"), (3, "One")]
    assert document.title == "Book"


def test_json_numbers_stay_as_written() -> None:
    data = b'{"huge": ' + b"9" * 5000 + b', "exact": 1.10, "small": 1e-400, "none": NaN, "minus": -Infinity}'
    text = json_parser.parse(data, "a.json").text
    assert text == "exact: 1.10\nsmall: 1e-400\nnone: NaN\nminus: -Infinity\n\nhuge: " + "9" * 5000


def test_json_keys_may_repeat() -> None:
    assert json_parser.parse(b'{"a": "first", "a": "second"}', "a.json").text == "a: first\na: second"


def test_json_lists_of_many_numbers_are_left_out() -> None:
    shape = [[[1.5, 2.5]] * MAX_NUMBERS]
    document = read({"features": [{"name": "Rome", "geo": [12.5, 41.9]}, {"name": "Lake", "geo": shape}]}, "a.geojson")
    assert document.text == "features\n\nname: Rome; geo: 12.5, 41.9\n\nname: Lake"
    assert document.warnings == (f"1 lists of more than {MAX_NUMBERS} numbers are left out.",)


def test_json_lines() -> None:
    kind, document = parse_bytes(b'{"a": 1}\n\n{"a": 2}\n', "log.txt")
    assert kind == "json"
    assert document.text == "a: 1\n\na: 2"
    broken = json_parser.parse(b'{"a": 1}\n{"a": 2\n{"a": 3}', "log.jsonl")
    assert broken.text == 'a: 1\n\n{"a": 2\n\na: 3'
    assert broken.warnings == ("1 of 3 lines are not valid JSON; they are kept as they are.",)


@pytest.mark.parametrize(("name", "kind"), [("a.json", "json"), ("a.jsonl", "json"), ("a.txt", "plain_text")])
def test_broken_json_is_kept_as_text(name: str, kind: str) -> None:
    data = '{\n  "a": 1,\n  "b": [1, 2\n'
    found, document = parse_bytes(data.encode(), name)
    assert found == kind
    assert document.text == data
    assert len(document.warnings) == 1
    assert "not valid JSON (line 4, column 1: Expecting ',' delimiter)" in document.warnings[0]


@pytest.mark.parametrize("data", [b"[" * 200_000, b'{"a":' * 200_000])
def test_deep_json_is_kept_as_text(data: bytes) -> None:
    for name in ("a.json", "a.txt", "a.ipynb"):
        document = parse_bytes(data, name)[1]
        assert document.text == data.decode()
    assert "nested too deeply" in json_parser.parse(data, "a.json").warnings[0]


@pytest.mark.parametrize("depth", range(100, 1100, 100))
def test_json_of_any_depth_is_read(depth: int) -> None:
    data = b'{"a":[' * depth + b'"bottom"' + b"]}" * depth
    assert "bottom" in json_parser.parse(data, "a.json").text


@pytest.mark.parametrize("text", ["[2024-01-01] started", "{not json}", "[section]\nkey=1", '{"quoted"}', "(1)"])
def test_what_only_starts_like_json_is_plain_text(text: str) -> None:
    kind, document = parse_bytes(text.encode(), "a.txt")
    assert kind == "plain_text"
    assert document.warnings == ()


def test_json_in_utf_16() -> None:
    assert parse_bytes('{"a": "ü"}'.encode("utf-16"), "a.json")[1].text == "a: ü"


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=6) | st.sampled_from(["title", "text", "name", "Body"]), inner, max_size=4)
    ),
    max_leaves=20,
)


def strings_in(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [string for each in inner for string in strings_in(each)]


@settings(max_examples=300, deadline=None)
@given(values)
def test_every_string_of_json_is_found(value: object) -> None:
    strings = [one_line(string) for string in strings_in(value)]
    try:
        document = json_parser.parse(json.dumps(value).encode(), "a.json")
    except ParseError:
        assert not any(strings)
        return
    text = one_line(document.text)
    assert all(string in text for string in strings)
    for heading in document.headings:
        assert heading.text and document.text.startswith(heading.text, heading.start)


# --- notebooks


def make_notebook(*cells: dict[str, object]) -> bytes:
    return json.dumps({"cells": cells, "metadata": {"language_info": {"name": "python"}}, "nbformat": 4}).encode()


def test_notebook_is_its_cells() -> None:
    data = make_notebook(
        {"cell_type": "markdown", "source": ["# The *title*\n", "\n", "Words."]},
        {"cell_type": "code", "source": "# no heading\nx = 1", "outputs": [{"text": "OUTPUT"}]},
        {"cell_type": "code", "source": []},
        {"cell_type": "code", "source": ['"""\n', "```\n", '"""']},
        {"cell_type": "markdown", "source": "## End"},
    )
    kind, document = parse_bytes(data, "a.ipynb")
    assert kind == "notebook"
    assert document.title == "The title"
    assert outline(document) == [(1, "The title"), (2, "End")]
    assert document.text == (
        '# The *title*\n\nWords.\n\n```python\n# no heading\nx = 1\n```\n\n````python\n"""\n```\n"""\n````\n\n## End'
    )


def test_notebook_of_format_3() -> None:
    cells = [{"cell_type": "heading", "level": 2, "source": "Old"}, {"cell_type": "code", "input": "x = 1"}]
    document = notebook.parse(json.dumps({"worksheets": [{"cells": cells}]}).encode(), "a.ipynb")
    assert document.text == "## Old\n\n```\nx = 1\n```"


@pytest.mark.parametrize("data", [b"[1, 2]", b'{"cells": 3}', b'{"a": "b"}'])
def test_what_is_no_notebook_is_read_as_json(data: bytes) -> None:
    assert parse_bytes(data, "a.ipynb")[1].text == json_parser.parse(data, "a.json").text


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.dictionaries(st.sampled_from(["cell_type", "source", "level", "input"]), values, max_size=4)), values
)
def test_any_cells_are_read_or_refused(cells: list[dict[str, object]], metadata: object) -> None:
    data = json.dumps({"cells": cells, "metadata": metadata}).encode()
    with contextlib.suppress(ParseError):
        assert notebook.parse(data, "a.ipynb").text.strip()


# --- source code

SOURCES = {
    "a.py": (
        '"""\nclass InString:\n"""\n@decorate\nclass A(B):\n    @property\n'
        "    def b(self):\n        def inner(): pass\n"
        "if X:\n    async def c(): ...\n",
        [(1, "class A"), (2, "def b"), (1, "async def c")],
    ),
    "old.py": (
        'class A:\n    """\n    def text():\n    """\n    def b(self):\n        print "2"\ndef c(x): pass\n',
        [(1, "class A"), (2, "def b"), (1, "def c")],
    ),
    "a.ts": (
        "/**\n class of things {\n */\nexport default class Foo extends Bar<Baz> {\n"
        "  constructor(private a: string) {\n    if (a) { call(a); }\n  }\n"
        "  async get(id: number): Promise<{a: string}> {\n    fetch(`x/**/${id}`);\n  }\n}\n"
        "export interface Props { a: string }\nexport const add = (a: number): number => a;\nconst data = [1];\n"
        'function* walk() {\n  const inner = () => 1;\n}\ndescribe("x", () => {\n});\n',
        [
            (1, "class Foo"),
            (2, "constructor"),
            (2, "get"),
            (1, "interface Props"),
            (1, "const add"),
            (1, "function* walk"),
        ],
    ),
    "A.java": (
        "public final class Foo<T> extends Bar {\n    Object field;\n    @Override\n"
        "    public Map<String, T> get(String a, int b) throws IOException {\n        new Thread(a) { };\n"
        "        return call(a);\n    }\n    public Foo(int a) {\n    }\n}\nrecord P(int x) {}\n",
        [(1, "class Foo"), (2, "get"), (2, "Foo"), (1, "record P")],
    ),
    "a.cpp": (
        "#define FOO(x) { x }\nclass Forward;\ntemplate <typename T> class Box : public Base<T> {\n public:\n"
        "  explicit Box(int a) : a_(a), b_{2} { }\n  int size() const noexcept { return 1; }\n"
        "  virtual void pure() = 0;\n};\nstruct point make(int a,\n                  int b)\n{\n  while (x) { }\n}\n"
        "std::vector<int> Foo::bar(const std::string& s) const {\n}\nstatic struct ops table = {\n};\n",
        [(1, "class Box"), (2, "Box"), (2, "size"), (1, "make"), (1, "Foo::bar")],
    ),
    "a.go": (
        "type S struct {\n}\nfunc (s *S) Run(c context.Context) error {\n\tf := func(x int) { }\n}\n",
        [(1, "type S"), (1, "func (s *S) Run")],
    ),
    "a.rs": (
        "pub struct A<'a> { x: &'a str }\nimpl<'a> fmt::Display for A<'a> {\n    pub(crate) async fn fmt(&self) {\n"
        "        fn inner() {}\n    }\n}\n",
        [(1, "struct A"), (1, "impl<'a> fmt::Display for A<'a>"), (2, "fn fmt")],
    ),
    "a.cs": (
        "namespace A.B;\npublic class C : D\n{\n    object f = new object();\n"
        "    public C(int x) : base(x)\n    {\n    }\n}\n",
        [(1, "namespace A.B"), (1, "class C"), (2, "C")],
    ),
    "a.kt": (
        "data class P(val x: Int) {\n    fun <T> List<T>.foo(): Int = 1\n}\nobject Single\n",
        [(1, "class P"), (2, "fun <T> List<T>.foo"), (1, "object Single")],
    ),
    "a.rb": (
        "module A\n  class B < C\n    def self.x; end\n    def y?\n    end\n  end\nend\n",
        [(1, "module A"), (2, "class B"), (3, "def self.x"), (3, "def y?")],
    ),
    "a.php": (
        "<?php\nnamespace App\\Models;\nabstract class A {\n    public function f() { }\n}\n",
        [(1, "namespace App\\Models"), (1, "class A"), (2, "function f")],
    ),
    "a.sh": ("foo() {\n  bar\n}\nfunction baz { :; }\n", [(1, "foo"), (1, "function baz")]),
    "a.sql": (
        '/*\ncreate table no\n*/\nCREATE TABLE IF NOT EXISTS "a"."b" (id int);\n'
        "create or replace view v as select 1;\n",
        [(1, 'CREATE TABLE IF NOT EXISTS "a"."b"'), (1, "create or replace view v")],
    ),
    "a.lua": ("local function a() end\nfunction M.b:c() end\n", [(1, "local function a"), (1, "function M.b:c")]),
    "a.R": ("f.x <- function(a) {\n  g <- function() 1\n}\n", [(1, "f.x")]),
    "a.hs": ("module Main where\nfoo :: Int\nfoo = y\n  where y :: Int\n", [(1, "module Main"), (1, "foo")]),
    "a.ex": (
        'defmodule A.B do\n  @doc """\n  def text\n  """\n  def c(x) do\n  end\nend\n',
        [(1, "defmodule A.B"), (2, "def c")],
    ),
    "a.toml": ('[package]\na = [\n[1],\n]\n[[bin."x y"]] # c\n', [(1, "[package]"), (1, '[[bin."x y"]]')]),
    "a.yaml": ("name: x\nservices:\n  a:\n    b: c\njobs: # c\n  - x\n", [(1, "services"), (1, "jobs")]),
    "a.tex": (
        "\\chapter{One}\n\\section[s]{Two \\emph{words}}\ntext \\section{no}\n% \\section{no}\n",
        [(1, "One"), (2, "Two words")],
    ),
    "a.css": ("a { color: red }\n", []),
}


@pytest.mark.parametrize("name", SOURCES)
def test_source_is_kept_verbatim_with_its_definitions(name: str) -> None:
    source, headings = SOURCES[name]
    kind, document = parse_bytes(source.encode(), name)
    assert kind == "source_code"
    assert document.text == source
    assert document.title == ""
    assert outline(document) == headings
    for heading in document.headings:
        line = document.text[heading.start :].split("\n")[0]
        assert document.text[: heading.start].rpartition("\n")[2].strip() == ""
        assert heading.text in line or name == "a.tex"


@pytest.mark.parametrize(
    ("line", "source", "headings"),
    [
        ("#!/usr/bin/env python3", "def a(): pass\n", [(1, "def a")]),
        ("#!/usr/bin/env -S node --flag", "function a() {}\n", [(1, "function a")]),
        ("#! /bin/bash -e", "a() {\n}\n", [(1, "a")]),
        ("#!/opt/unknown", "def a\n", []),
    ],
)
def test_scripts_are_known_by_their_first_line(line: str, source: str, headings: list[tuple[int, str]]) -> None:
    kind, document = parse_bytes(f"{line}\n{source}".encode(), "script")
    assert kind == "source_code"
    assert outline(document) == headings


def test_deep_python_is_read_by_its_lines() -> None:
    source = f"def a(): pass\nx = {'(' * 5000}1{')' * 5000}\n"
    assert outline(source_code.parse(source.encode(), "a.py")) == [(1, "def a")]


def test_code_on_long_lines_takes_no_time() -> None:
    source = "".join(f"function a{n}(b,c){{if(b){{return c(b)}}}};" for n in range(20_000))
    assert outline(source_code.parse(source.encode(), "min.js")) == []
    words = "\n".join(["word " * 79 + "("] * 2000)
    assert outline(source_code.parse(words.encode(), "a.cpp")) == []


CODE = [
    "class A",
    "def b",
    "(",
    ")",
    "{",
    "}",
    ":",
    "\n",
    "\n    ",
    "/*",
    "*/",
    '"""',
    "`",
    "fn f",
    "void g(int x) {",
    "'",
]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(source_code.SUFFIXES)), st.lists(st.text(max_size=5) | st.sampled_from(CODE)))
def test_any_text_is_code(suffix: str, parts: list[str]) -> None:
    try:
        document = source_code.parse("".join(parts).encode("utf-8", "replace"), f"a{suffix}")
    except ParseError:
        return
    starts = [heading.start for heading in document.headings]
    assert starts == sorted(set(starts))
    assert all(heading.text.strip() and heading.level >= 1 for heading in document.headings)
    assert not any(document.text[start].isspace() for start in starts)


# --- real files


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no test material at {SHARED}")
def test_shared_incomplete_json() -> None:
    path = SHARED / "hostile" / "real" / "fake-incomplete-json.txt"
    kind, document = parse_bytes(path.read_bytes(), path.name)
    assert kind == "plain_text"
    assert "johndoe@example.com" in document.text
    assert "not valid JSON (line 1" in document.warnings[0]
