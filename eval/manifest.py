"""The list of an evaluation's files with their sha256, which itself cannot be changed unseen."""

import hashlib
import json
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any

from rag.errors import RagError

MANIFEST = "manifest.json"

_PACKAGES = (
    "bm25s",
    "ir-measures",
    "numpy",
    "pytrec-eval-terrier",
    "rag-embedder-bakeoff",
    "ragas",
    "scikit-learn",
    "scipy",
)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an evaluation wrote: the sha256 of each file by its path, and the software that wrote it."""

    files: Mapping[str, str]
    software: Mapping[str, str]


def manifest_text(folder: Path, names: Iterable[str]) -> str:
    """Returns the manifest of files that are in the folder."""
    files = {name: _sha256((folder / name).read_bytes()) for name in sorted(names)}
    return _text({"files": files, "software": software()})


def read_manifest(folder: Path) -> Manifest | None:
    """Returns the manifest of a folder, None where it has none.

    Raises RagError for one that was changed since it was written, by however little.
    """
    path = folder / MANIFEST
    try:
        text = path.read_bytes().decode("utf-8")
        written = json.loads(text)
        facts = {key: written[key] for key in ("files", "software")}
        if text != _text(facts):
            raise ValueError("it is not as it was written")
        if not all(map(_is_inside, facts["files"])):
            raise ValueError("it names a file outside its folder")
        return Manifest(facts["files"], facts["software"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RagError(f"{path} was changed or is damaged: {error}.") from error


def changed_files(folder: Path, manifest: Manifest) -> dict[str, str]:
    """Returns what is wrong with which file: gone, or changed."""
    wrong = {}
    for name, digest in manifest.files.items():
        path = folder / name
        if not path.is_file():
            wrong[name] = "is not there"
        elif _sha256(path.read_bytes()) != digest:
            wrong[name] = "was changed since it was written"
    return wrong


def stray_files(folder: Path, manifest: Manifest) -> list[str]:
    """Returns the files of the folder that the manifest does not name, by their paths."""
    there = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in there if name not in manifest.files and name != MANIFEST)


def software() -> dict[str, str]:
    """Returns the versions of what computes figures."""
    return {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


def _text(facts: Mapping[str, Any]) -> str:
    canonical = json.dumps(facts, ensure_ascii=False, sort_keys=True)
    document = {**facts, "sha256": _sha256(canonical.encode("utf-8", "surrogatepass"))}
    return json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
