"""Scored rows kept on disk, one compressed file each, so that an evaluation which is run again scores nothing twice.

A cell's key is the sha256 of all that can change its row, its scoring code included. A file is written beside its place
and then renamed: after a kill at any instant it is whole or not there.
"""

import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from eval.context_metrics import ContextScore
from eval.rows import EvalRow
from rag.errors import RagError

FORMAT = 1
FOLDER = "cells"

_ROOT = Path(__file__).parents[1]
_SCORING = (
    "eval/tasks/*.py",
    "eval/context_metrics.py",
    "eval/embedding_runner.py",
    "eval/metrics.py",
    "eval/own_loop.py",
    "eval/ragas_gateway.py",
    "eval/rows.py",
    "eval/runner.py",
    "eval/setfit_head.py",
    "eval/spans.py",
    "eval/word_features.py",
    "rag/bm25.py",
    "rag/fusion.py",
    "rag/passages.py",
    "rag/ranking.py",
    "rag/retrievers.py",
    "rag/searches.py",
    "rag/stemming.py",
    "rag/tokens.py",
    "ui/retrieval_scoring.py",
)
"""What decides the scores of given vectors; whoever edits one of these files need not remember a version number."""

_PACKAGES = ("bm25s", "ir-measures", "numpy", "pytrec-eval-terrier", "ragas", "scikit-learn", "scipy")


class DamagedCellError(RagError):
    """A stored cell cannot be read, or is not what its name says; its row has to be scored anew."""


@dataclass(frozen=True, slots=True)
class StoredCell:
    """A scored row as it is kept; `facts` are what its key was made of, `seconds` the time that scoring it took."""

    row: EvalRow
    facts: Mapping[str, Any]
    seconds: float


class CellStore:
    """The scored rows in a folder; several processes may use it at the same time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, key: str) -> Path:
        """Returns where the cell of that key is, or would be."""
        return self.folder / key[:2] / f"{key}.json.gz"

    def holds(self, key: str) -> bool:
        """Tells whether there is such a cell, without reading it."""
        return self.path(key).is_file()

    def read(self, key: str) -> StoredCell | None:
        """Returns a cell, None where there is none; raises DamagedCellError for one that cannot be used."""
        path = self.path(key)
        try:
            document = json.loads(gzip.decompress(path.read_bytes()))
            if document["format"] != FORMAT or key_of(document["facts"]) != key:
                raise ValueError("its content is of another cell")
            return StoredCell(_row_of(document["row"]), document["facts"], document["seconds"])
        except FileNotFoundError:
            return None
        except (OSError, EOFError, zlib.error, ValueError, TypeError, KeyError, AttributeError) as error:
            raise DamagedCellError(f"The stored scores in {path} are damaged ({error}); they are made anew.") from error

    def write(self, row: EvalRow, facts: Mapping[str, Any], seconds: float) -> Path:
        """Keeps a row under the key of its facts, in place of an older one, and returns where."""
        path = self.path(key_of(facts))
        document = {"format": FORMAT, "facts": facts, "seconds": round(seconds, 3), "row": _document_of(row)}
        packed = gzip.compress(json.dumps(document).encode("ascii"), compresslevel=3, mtime=0)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with beside.open("wb") as file:
                file.write(packed)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
        return path


def key_of(facts: Mapping[str, Any]) -> str:
    """Returns the sha256 of facts that JSON can hold, in whatever order they are."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode("ascii")).hexdigest()


def task_state(task: object, leave_out: Sequence[str] = ("folder", "name")) -> str:
    """Returns the sha256 of all that a task holds, its spans and training texts included, but for where it lies."""
    if not is_dataclass(task):
        raise TypeError(f"a task is a dataclass, not {type(task).__name__}")
    held = {each.name: getattr(task, each.name) for each in fields(task) if each.name not in leave_out}
    canonical = json.dumps(held, sort_keys=True, default=_plain)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


@cache
def scoring_code() -> str:
    """Returns the sha256 of the code that scores, and of the versions of the packages that it scores with."""
    digest = hashlib.sha256()
    for pattern in _SCORING:
        for path in sorted(_ROOT.glob(pattern)):
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    digest.update(repr([(name, version(name)) for name in _PACKAGES]).encode())
    return digest.hexdigest()


def _plain(value: object) -> object:
    """Makes what JSON does not know of a task into what it knows."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, Path):
        return value.name
    raise TypeError(f"a task holds a {type(value).__name__}, which cannot be part of a key")


def _document_of(row: EvalRow) -> dict[str, Any]:
    document = {each.name: getattr(row, each.name) for each in fields(row)}
    return document | {"context": {name: asdict(score) for name, score in row.context.items()}}


def _row_of(document: dict[str, Any]) -> EvalRow:
    context = {
        name: ContextScore(**{**score, "repeats": tuple(score.get("repeats", ()))})
        for name, score in document["context"].items()
    }
    return EvalRow(**{**document, "context": context})
