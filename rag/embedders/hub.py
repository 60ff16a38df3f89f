"""Models of the Hugging Face hub: which are in the cache of this machine, and whether others may be fetched."""

import os
from pathlib import Path

from rag.errors import MissingDependencyError

WEIGHTS = ("*.safetensors", "pytorch_model.bin")


def may_download() -> bool:
    """Tells whether the environment allows downloads (HF_HUB_OFFLINE=0); see `rag.offline`."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() not in ("1", "ON", "YES", "TRUE")


def cached_folder(model: str, revision: str) -> Path | None:
    """Returns where the files of a hub id lie in the cache, or None where its configuration or weights are not there.

    `revision` is a commit, "" for the branch `main` as it was fetched last.
    """
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    for known in ("modules.json", "config.json"):
        try:
            file = try_to_load_from_cache(model, known, revision=revision or None)
        except HFValidationError:  # no hub id, but a path where nothing is
            return None
        if isinstance(file, str):
            folder = Path(file).parent
            return folder if any(next(folder.rglob(pattern), None) for pattern in WEIGHTS) else None
    return None


def fetch_folder(model: str, revision: str, patterns: list[str]) -> Path:
    """Returns the folder of a hub id, downloaded where it is not in the cache and downloads are allowed.

    `patterns` names the files that are needed. Raises MissingDependencyError where they cannot be had.
    """
    from huggingface_hub import snapshot_download

    try:
        folder = snapshot_download(
            model, revision=revision or None, allow_patterns=patterns, local_files_only=not may_download()
        )
    except (OSError, ValueError) as error:  # what the hub raises descends from these
        raise MissingDependencyError(
            f"The model '{model}' is neither a folder here nor downloaded yet"
            + (f", and fetching it failed: {_first_line(error)}" if may_download() else ", and downloads are off.")
            + " Allow them once with HF_HUB_OFFLINE=0, or name a folder in its entry."
        ) from error
    return Path(folder)


def _first_line(error: Exception) -> str:
    """Returns the first line of what an error says, as a sentence."""
    return (str(error).splitlines() or [type(error).__name__])[0].strip().rstrip(".") + "."
