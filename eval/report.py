"""The report of an evaluation: one HTML file that needs nothing else, and shows nothing but what it was made of.

It opens offline and loads nothing: style and script stand in the page, and its content security policy admits just
these two, by their hashes. Documents and queries are strangers' texts: they are escaped, or set as text by the script.
"""

import base64
import hashlib
import json
import os
from collections.abc import Collection
from pathlib import Path

from eval.across import task_names
from eval.drilldown import TextOf, query_details
from eval.markup import Markup, clean, element
from eval.report_across import across_section, published_section, summary_section
from eval.report_provenance import provenance_section
from eval.report_tables import Series
from eval.report_task import task_section
from eval.results import Results

REPORT = "report.html"

_FOLDER = Path(__file__).parent
_STYLES = ("plots.css", "report.css")
_SCRIPT = "report.js"


def write_report(folder: Path, results: Results, text_of: TextOf | None = None, queries: Collection[str] = ()) -> Path:
    """Writes report.html into a folder and returns its path; it is whole or not there at all."""
    path = folder / REPORT
    beside = path.with_name(f".{REPORT}.{os.getpid()}.part")
    try:
        beside.write_text(report_html(results, text_of, queries), encoding="utf-8", newline="\n")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return path


def report_html(results: Results, text_of: TextOf | None = None, queries: Collection[str] = ()) -> str:
    """Returns the report of all tasks; `queries` are ids of those that are told in any case."""
    style = "".join((_FOLDER / name).read_text(encoding="utf-8") for name in _STYLES)
    script = (_FOLDER / _SCRIPT).read_text(encoding="utf-8")
    series = series_of(results)
    title = f"Evaluation: {', '.join(each.task.name for each in results.tasks)}"
    details = query_details(results, text_of, keep=queries)
    head = element(
        "head",
        Markup('<meta charset="utf-8">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{_policy(style, script)}">'),
        Markup('<meta name="color-scheme" content="light dark">'),
        Markup('<meta name="referrer" content="no-referrer">'),
        element("title", title),
        Markup(f"<style>{style}</style>"),
    )
    published = published_section(results)
    body = element(
        "body",
        _navigation(results, bool(published)),
        element(
            "main",
            summary_section(results),
            across_section(results, series),
            *(
                task_section(each, told, at, series, results.seed, only=len(results.tasks) == 1)
                for at, (each, told) in enumerate(zip(results.tasks, details["tasks"], strict=True))
            ),
            published,
            provenance_section(results),
        ),
        Markup(f'<script type="application/json" id="details">{_json(details)}</script>'),
        Markup(f"<script>{script}</script>"),
    )
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def series_of(results: Results) -> Series:
    """Gives every embedder a colour, lexical search too, in the order in which the rankings bring them."""
    names = [each.rows[at].embedder for each in results.tasks for at in each.compared.ranking]
    return {name: at for at, name in enumerate(dict.fromkeys(names))}


def _navigation(results: Results, with_published: bool) -> Markup:
    links = [element("a", "Summary", href="#summary")]
    if len(results.tasks) > 1:
        links.append(element("a", "How the order changes", href="#across"))
    links += [element("a", element("bdi", name), href=f"#task-{at}") for at, name in enumerate(task_names(results))]
    if with_published:
        links.append(element("a", "What is published", href="#published"))
    links.append(element("a", "Provenance", href="#provenance"))
    return element("nav", *links, aria_label="Sections")


def _policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; base-uri 'none'; "
        "form-action 'none'"
    )


def _hash(content: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"


def _json(document: object) -> str:
    """Returns JSON that no HTML parser mistakes for the end of its element."""
    told = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    escapes = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
    for character, escaped in escapes.items():
        told = told.replace(character, escaped)
    return clean(told)
