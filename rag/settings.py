"""The choices of a user: where the library is, and `rag.toml` inside it."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from rag.embedders.registry import parse_spec, table_specs
from rag.embedders.spec import EmbedderSpec
from rag.errors import UsageError, unknown_name

DEFAULT_HOME = ".rag"
FILE = "rag.toml"


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds where the command line says nothing; each field but `home` is a key of `rag.toml`.

    `embedders` maps names to specs: the table's, and the user's own from `[embedders.NAME]`. `ingest_with` lists those
    that `rag ingest` uses unless told otherwise. `weight` is the dense leg's share of a fusion, from 0 to 1.
    """

    home: Path
    embedders: Mapping[str, EmbedderSpec] = field(default_factory=dict)
    ingest_with: tuple[str, ...] = ("minilm", "wordllama", "hash")
    embedder: str = "minilm"
    retriever: str = "hybrid"
    chunker: str = "heading"
    fusion: str = "rrf"
    weight: float = 0.5
    k: int = 8


def read_settings(home: str | Path | None = None) -> Settings:
    """Reads the settings of the library at `home`, else at RAG_HOME, else at `.rag`; the folder need not exist.

    Raises UsageError for an unknown key, a value of the wrong type, or TOML that cannot be read.
    """
    folder = Path(home or os.environ.get("RAG_HOME") or DEFAULT_HOME).expanduser().absolute()
    path = folder / FILE
    if not path.is_file():
        return Settings(home=folder, embedders=table_specs())
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}.") from error

    own = {name: parse_spec(name, entry, str(path)) for name, entry in written.pop("embedders", {}).items()}
    defaults = Settings(home=folder)
    values: dict[str, object] = {}
    for key, value in written.items():
        known = {option.name for option in fields(Settings)} - {"home", "embedders"}
        if key not in known:
            raise unknown_name("setting", key, known, where=f" in {path}")
        values[key] = _checked(key, value, getattr(defaults, key), path)
    return Settings(home=folder, embedders={**table_specs(), **own}, **values)  # type: ignore[arg-type]


def _checked(key: str, value: object, default: object, path: Path) -> object:
    """Returns the value in its default's type, or raises UsageError."""
    if isinstance(default, tuple) and isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    if isinstance(default, float) and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if type(value) is type(default):
        return value
    raise UsageError(f"{path}: {key} = {value!r} should be like {default!r}.")
