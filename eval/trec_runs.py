"""Runs in TREC's format: their files' names, their lines, and reading them back."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from eval.rows import EvalRow
from rag.errors import RagError, UsageError
from rag.schema import Qrels, Run

LEXICAL = "bm25"
"""Stands for the embedder of lexical search in the names of files."""

_UNSAFE_IN_FILE_NAMES = re.compile(r'[\s/\\:*?"<>|%\x00-\x1f]')
_WHITE_SPACE = re.compile(r"\s")


class RowKey(NamedTuple):
    """What names a row among all rows of an evaluation."""

    task: str
    embedder: str | None
    retriever: str | None
    chunker: str | None

    @classmethod
    def of(cls, row: EvalRow) -> "RowKey":
        """Returns the key of a row."""
        return cls(row.task, row.embedder, row.retriever, row.chunker)

    def __str__(self) -> str:
        named = " ".join(filter(None, (self.retriever, self.embedder)))
        return f"{self.task}, {named}" + (f" ({self.chunker})" if self.chunker not in (None, "whole") else "")


def run_names(keys: Sequence[RowKey]) -> list[str]:
    """Names the files of rankings; the chunker is in the name where a task was cut by several.

    Raises UsageError where two rows would share a name.
    """
    chunkers: dict[str, set[str | None]] = {}
    for key in keys:
        chunkers.setdefault(key.task, set()).add(key.chunker)
    names = []
    for key in keys:
        parts = [key.task, key.embedder or LEXICAL, key.retriever or ""]
        parts += [key.chunker or ""] if len(chunkers[key.task]) > 1 else []
        names.append(".".join(map(file_safe, parts)) + ".trec")
    doubled = next((name for name in names if names.count(name) > 1), None)
    if doubled:
        raise UsageError(f"Two rows would both be written to runs/{doubled}. Evaluate them into separate folders.")
    return names


def trec_lines(row: EvalRow) -> str:
    """Returns a row's run in TREC's format, queries in the order of their ids, scores so that reading gives them back.

    White space cannot stand in an id there and is percent-encoded; judgements must be encoded alike to match.
    """
    tag = file_safe(f"{row.embedder or LEXICAL}.{row.retriever}")
    return "".join(
        f"{trec_id(query_id)} Q0 {trec_id(document)} {rank} {value!r} {tag}\n"
        for query_id in sorted(row.run)
        for rank, (document, value) in enumerate(row.run[query_id].items(), start=1)
    )


def read_run(path: Path) -> Run:
    """Reads a file that `trec_lines` gave; ids stay encoded. Raises RagError for another file."""
    run: dict[str, dict[str, float]] = {}
    try:
        with path.open(encoding="utf-8", newline="\n") as file:  # str.splitlines would also split inside ids
            for line in file:
                query_id, _, document, _, value, _ = line.rstrip("\n").split(" ")
                run.setdefault(query_id, {})[document] = float(value)
    except (OSError, ValueError) as error:
        raise RagError(f"{path} cannot be read as a run: {error}.") from error
    return run


def encoded_qrels(qrels: Qrels) -> dict[str, dict[str, int]]:
    """Returns judgements with their ids encoded as in runs."""
    return {
        trec_id(query_id): {trec_id(document): grade for document, grade in grades.items()}
        for query_id, grades in qrels.items()
    }


def trec_id(identifier: str) -> str:
    """Returns an id without white space."""
    return _WHITE_SPACE.sub(lambda match: quote(match[0], safe=""), identifier)


def has_white_space(row: EvalRow) -> bool:
    """Tells whether an id of a row's run has to be encoded."""
    return any(_WHITE_SPACE.search(name) for query_id, scores in row.run.items() for name in (query_id, *scores))


def file_safe(name: str) -> str:
    """Returns a name as every file system takes it, different ones for different names."""
    return _UNSAFE_IN_FILE_NAMES.sub(lambda match: quote(match[0], safe=""), name)
