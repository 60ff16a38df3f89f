"""The page docs/embedders.md, made from the tables of embedders; `python -m ui.reference` writes it."""

from collections.abc import Iterable
from pathlib import Path

from rag.embedders.registry import TABLES, read_table
from rag.embedders.spec import EmbedderSpec
from ui.embedder_facts import UNSURE, languages_text, price_text, tokens_text, width_text

PAGE = Path(__file__).parents[1] / "docs" / "embedders.md"

COMMIT = 40
"""Hexadecimal digits of a commit."""

HEAD = f"""# Embedders

Made by `python -m ui.reference` from the tables in [rag/embedders](../rag/embedders); do not edit.

A fact with a {UNSURE} was found in no source. The dimension is the one that is stored; in brackets are the least and
the most that the model was trained to be cut to, which an entry of your own may ask for (`dimensions`). Tokens are what
is read of a passage. Languages are codes, a number of them, or "any" for seventy and more. Dollars are for a million
tokens, before any free allowance. `rag embedders` tells which of them are usable on your machine and what the others
lack; `rag embedders test NAME` tries one.
"""

TITLES = {
    "table": ("Installed", "Usable at once, offline: their weights come with the installation."),
    "static": ("Static models", "A table of token vectors, downloaded once (`HF_HUB_OFFLINE=0`); no network is run."),
    "downloads": ("Local models", "Downloaded once (`HF_HUB_OFFLINE=0`), then run on this machine."),
    "served": ("Models on a server of yours", "Ollama or text-embeddings-inference; see [vendors.md](vendors.md)."),
    "hosted": ("Models of vendors", "They need a key, and the texts leave this machine; see [vendors.md](vendors.md)."),
}


def embedders_page() -> str:
    """Returns the page: a section a table, then every prefix as it is sent."""
    parts = [HEAD]
    tables = {path: read_table(path) for path in TABLES}
    for path, specs in tables.items():
        title, told = TITLES[path.stem]
        parts.append(f"## {title}\n\n{told} Entries: [{path.name}](../rag/embedders/{path.name}).\n\n{_facts(specs)}")
    every = [spec for specs in tables.values() for spec in specs]
    prefixed = [spec for spec in every if spec.query_prefix or spec.passage_prefix]
    parts.append(f"## Prefixes\n\nWhat is put before a text, exactly; the others want none.\n\n{_prefixes(prefixed)}")
    return "\n".join(parts)


def _facts(specs: Iterable[EmbedderSpec]) -> str:
    rows = [
        "| name | model | dimension | tokens | languages | $ | made for | licence |",
        "|---|---|---:|---:|---|---:|---|---|",
    ]
    rows.extend(
        f"| `{spec.name}` | {_model(spec)} | {width_text(spec)} | {tokens_text(spec)} | {languages_text(spec)} | "
        f"{price_text(spec)} | {spec.made_for} | {spec.licence}{UNSURE if 'licence' in spec.unconfirmed else ''} |"
        for spec in specs
    )
    return "\n".join(rows) + "\n"


def _model(spec: EmbedderSpec) -> str:
    """Returns the model with a link to its source, and the beginning of its revision."""
    name = f"[{spec.model}]({spec.source})" if spec.source.startswith("https://") else spec.model
    if "revision" in spec.unconfirmed:
        return f"{name} @ {UNSURE}"
    return f"{name} @ {_short(spec.revision)}" if spec.revision else name


def _short(revision: str) -> str:
    """Returns the beginning of a commit, and the version of a package whole."""
    return revision[:8] if len(revision) == COMMIT else revision


def _prefixes(specs: Iterable[EmbedderSpec]) -> str:
    rows = ["| name | before a query | before a passage |", "|---|---|---|"]
    rows.extend(f"| `{spec.name}` | {_code(spec.query_prefix)} | {_code(spec.passage_prefix)} |" for spec in specs)
    return "\n".join(rows) + "\n"


def _code(prefix: str) -> str:
    r"""Returns a prefix so that its spaces and its line breaks (as \n) can be seen.

    >>> _code("title: none | text: ")
    '`"title: none \\| text: "`'
    """
    shown = prefix.replace("\n", "\\n").replace("|", "\\|")
    return f'`"{shown}"`' if prefix else ""
