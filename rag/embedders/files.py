"""Where a model's files lie: `package:path` inside an installed package, or a path on disk."""

import importlib.util
from pathlib import Path

from rag.errors import MissingDependencyError


def locate(reference: str) -> Path | None:
    """Returns the path that a `model` entry names, or None where it names no local file (then it is a hub id).

    Looks the package up without importing it. Raises MissingDependencyError where the package is not installed.
    """
    package, colon, inside = reference.partition(":")
    if not colon:
        path = Path(reference).expanduser()
        return path if path.exists() else None
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependencyError(
            f"The package '{package}', which ships the model files of '{reference}', is not installed. Run: make setup"
        )
    path = Path(spec.submodule_search_locations[0]) / inside
    if not path.exists():
        raise MissingDependencyError(f"The package '{package}' holds no '{inside}'. Run: make setup")
    return path
