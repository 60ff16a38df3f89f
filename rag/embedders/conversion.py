"""Models converted for OpenVINO: made once on each machine, in a process of their own, and kept in the user's cache.

A conversion is found by a hash of all that decides on it, the bytes of the model's files included: other weights behind
the same name are another conversion, so that the canary of an index meets them.
"""

import hashlib
import importlib.util
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import platformdirs

from rag.embedders.openvino import MODEL, RECORD, TOKENIZER, WEIGHTS
from rag.errors import MissingDependencyError
from rag.keys import APPLICATION

FORMAT = 2
"""Raised when models are converted otherwise than before, so that old conversions are not met any more."""

FILES = (MODEL, WEIGHTS, TOKENIZER)
WORKER = "rag.embedders.conversion_worker"
DRAFT = ".draft"
STALE_SECONDS = 24 * 3600.0

MODEL_FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "*.py")
PICKLED_FILES = ("*.json", "pytorch_model*.bin", "*.txt", "*.model", "*.py")
"""What sentence-transformers reads of a model's folder: with safetensors, else with torch's own format."""
OTHER_BACKENDS = ("onnx", "openvino")
"""Folders inside a model's that hold it once more for others."""
PROMPTS = "config_sentence_transformers.json"
"""The prompts a model was saved with, none of which is used here."""

log = logging.getLogger(__name__)


class NotConvertedError(Exception):
    """A model that OpenVINO does not run here; the message says why, to follow "because"."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a conversion: of which folder, for which precision; `name` is what people know it by.

    Prefixes and the limit of tokens are not part of it: they are given when the model is run.
    """

    name: str
    source: str
    precision: str

    @property
    def key(self) -> str:
        """The 32 hexadecimal digits that change with all that changes the conversion."""
        facts = {
            "format": FORMAT,
            "files": [
                (path.relative_to(self.source).as_posix(), path.stat().st_size, _digest(path))
                for path in _model_files(Path(self.source))
            ],
            "precision": self.precision,
            "openvino": version("openvino"),
            "nncf": version("nncf") if self.precision == "int8" else "",
        }
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def models_folder() -> Path:
    """Returns where converted models are kept: RAG_MODELS, else `models` in the user's cache."""
    named = os.environ.get("RAG_MODELS")
    return Path(named).expanduser() if named else Path(platformdirs.user_cache_dir(APPLICATION)) / "models"


def converted(request: Request) -> Path:
    """Returns the folder of the converted model, which is made where it is not there yet.

    Raises NotConvertedError where OpenVINO cannot run the model as it is meant, or the cache cannot be written, and
    MissingDependencyError where a package is missing that is needed for 8 bits.
    """
    if importlib.util.find_spec("openvino") is None:
        raise NotConvertedError("the package 'openvino' is not installed")
    if request.precision == "int8" and importlib.util.find_spec("nncf") is None:
        raise MissingDependencyError(
            f"Embedder '{request.name}' needs the package 'nncf', which is not installed: pip install -e '.[int8]'"
        )
    if not _starts_with_transformer(Path(request.source)):
        raise NotConvertedError("its first module is no transformer")
    folder = models_folder() / request.key
    record = _record(folder)
    if record is None:
        _make(request, folder)
        record = _record(folder)
    if record is None:
        raise NotConvertedError(f"the folder {folder} has vanished")
    if record["refusal"]:
        raise NotConvertedError(record["refusal"])
    return folder


# --- what is there


def _record(folder: Path) -> dict[str, Any] | None:
    """Returns what is written of a conversion, or None where it is not there or not whole."""
    try:
        record: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        sizes = {name: (folder / name).stat().st_size for name in record["sizes"]}
    except (OSError, ValueError, KeyError):
        return None
    return record if sizes == record["sizes"] else None


def _model_files(folder: Path) -> Iterator[Path]:
    """Yields the files of a model that may decide on its vectors, in the order of their paths."""
    for path in sorted(folder.rglob("*")):
        backend = path.relative_to(folder).parts[0]
        hidden = path.name == PROMPTS or path.name[0] == "." or path.suffix == ".md"
        if path.is_file() and not hidden and backend not in OTHER_BACKENDS:
            yield path


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _starts_with_transformer(folder: Path) -> bool:
    """Tells whether a model's first module is a transformer; a folder that does not list modules is one itself."""
    try:
        modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
        return str(modules[0]["type"]).rpartition(".")[2] == "Transformer"
    except OSError:
        return (folder / "config.json").is_file()
    except (ValueError, LookupError, TypeError):
        return False


# --- making it


def _make(request: Request, folder: Path) -> None:
    """Converts a model into a draft beside its folder and renames it there, so that nobody sees half of it."""
    models = folder.parent
    try:
        models.mkdir(parents=True, exist_ok=True)
        _remove_stale_drafts(models)
        draft = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", suffix=DRAFT, dir=models))
    except OSError as error:
        raise NotConvertedError(f"{models} cannot be written ({error.strerror}); RAG_MODELS names another") from error
    log.warning("Converting %s for this processor, once: about %d s", request.name, _expected_seconds(request))
    try:
        _run_worker(request, draft)
        _settle(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _run_worker(request: Request, draft: Path) -> None:
    """Has another process convert, so that this one never loads torch; raises NotConvertedError where that fails."""
    root = str(Path(__file__).resolve().parents[2])
    search_path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    ran = subprocess.run(
        [sys.executable, "-P", "-m", WORKER, str(draft)],
        input=json.dumps(asdict(request)),
        env=os.environ | {"PYTHONPATH": search_path},
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    if ran.returncode or not (draft / RECORD).is_file():
        said = (ran.stderr.strip().splitlines() or ["nothing was said"])[-1]
        raise NotConvertedError(f"the conversion ended with status {ran.returncode}: {said}")


def _settle(draft: Path, folder: Path) -> None:
    """Renames a draft to what it is a draft of; another process may have been faster, and its work is as good."""
    for _ in range(2):
        try:
            draft.rename(folder)
            return
        except OSError:
            if _record(folder) is not None:
                return
            shutil.rmtree(folder, ignore_errors=True)  # what is left of a damaged conversion
    raise NotConvertedError(f"{folder} cannot be replaced")


def _remove_stale_drafts(models: Path) -> None:
    """Removes what killed conversions have left behind."""
    for draft in models.glob(f"*{DRAFT}"):
        if time.time() - draft.stat().st_mtime > STALE_SECONDS:
            shutil.rmtree(draft, ignore_errors=True)


def _expected_seconds(request: Request) -> int:
    """Estimates the seconds of a conversion from the size of the model."""
    megabytes = sum(path.stat().st_size for path in _model_files(Path(request.source))) / 1e6
    return 10 * round(1 + megabytes / 100 + (megabytes / 30 if request.precision == "int8" else 0))
