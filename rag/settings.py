"""The choices of a user: where the library is, and `rag.toml` inside it."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from rag.embedders.entries import parse_spec
from rag.embedders.registry import PROVIDERS, table_specs
from rag.embedders.spec import EmbedderSpec
from rag.errors import UsageError, unknown_name
from rag.llm_settings import LlmSettings, parse_llm
from rag.rerankers.entries import parse_reranker
from rag.rerankers.registry import PROVIDERS as RERANKER_PROVIDERS
from rag.rerankers.registry import find_reranker, table_rerankers
from rag.rerankers.spec import RerankerSpec

DEFAULT_HOME = ".rag"
FILE = "rag.toml"


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds where the command line says nothing; each field but `home` is a key of `rag.toml`.

    `embedders` maps names to specs: the table's, and the user's own from `[embedders.NAME]`. `ingest_with` lists those
    that `rag ingest` uses unless told otherwise. `weight` is the dense leg's share of a fusion, from 0 to 1.
    `budget_usd` is what one ingest may spend on vendors' embedders, 0 for no limit. `reranker` reorders what is found,
    "" for none; `mmr` is the share of relevance in the choice of diverse chunks, 1 for no such choice. `rerankers` are
    the table's and the user's own from `[rerankers.NAME]`. `llm` is the table `[llm]`.
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
    budget_usd: float = 0.0
    reranker: str = ""
    mmr: float = 1.0
    rerankers: Mapping[str, RerankerSpec] = field(default_factory=dict)
    llm: LlmSettings = field(default_factory=LlmSettings)


def read_settings(home: str | Path | None = None) -> Settings:
    """Reads the settings of the library at `home`, else at RAG_HOME, else at `.rag`; the folder need not exist.

    Raises UsageError for an unknown key, a value of the wrong type, or TOML that cannot be read.
    """
    folder = Path(home or os.environ.get("RAG_HOME") or DEFAULT_HOME).expanduser().absolute()
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"The library {folder} is a file. Name a folder with --home or RAG_HOME.")
    path = folder / FILE
    if not path.is_file():
        return Settings(home=folder, embedders=table_specs(), rerankers=table_rerankers())
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}.") from error

    entries, rerankers = _entries(written, path, "embedders"), _entries(written, path, "rerankers")
    own = {name: parse_spec(name, entry, str(path), PROVIDERS) for name, entry in entries.items()}
    own_rerankers = {
        name: parse_reranker(name, entry, str(path), RERANKER_PROVIDERS) for name, entry in rerankers.items()
    }
    defaults = Settings(home=folder)
    values: dict[str, object] = {}
    for key, value in written.items():
        known = {option.name for option in fields(Settings)} - {"home", "embedders", "rerankers"}
        if key not in known:
            raise unknown_name("setting", key, known, where=f" in {path}")
        values[key] = parse_llm(value, path) if key == "llm" else _checked(key, value, getattr(defaults, key), path)
    settings = Settings(
        home=folder,
        embedders={**table_specs(), **own},
        rerankers={**table_rerankers(), **own_rerankers},
        **values,  # type: ignore[arg-type]
    )
    _check_choices(settings, path)
    return settings


def _entries(written: dict[str, Any], path: Path, kind: str) -> dict[str, Any]:
    """Takes the user's embedders, or rerankers, out of what is written; raises UsageError where they are no tables."""
    entries = written.pop(kind, {})
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        raise UsageError(f"{path}: {kind} must be tables, each headed [{kind}.NAME].")
    return entries


def _check_choices(settings: Settings, path: Path) -> None:
    """Raises UsageError for an embedder that no table holds and for a number out of range."""
    for name in (settings.embedder, *settings.ingest_with):
        if name not in settings.embedders:
            raise unknown_name("embedder", name, settings.embedders, where=f" in {path}")
    if settings.reranker:
        find_reranker(settings.reranker, settings.rerankers)
    if settings.k < 1:
        raise UsageError(f"{path}: k = {settings.k} must be at least 1.")
    if settings.budget_usd < 0:
        raise UsageError(f"{path}: budget_usd = {settings.budget_usd} must be at least 0, which is no limit.")
    if not 0 <= settings.weight <= 1:
        raise UsageError(f"{path}: weight = {settings.weight} must lie between 0 and 1.")
    if not 0 <= settings.mmr <= 1:
        raise UsageError(f"{path}: mmr = {settings.mmr} must lie between 0 and 1, which is relevance alone.")


def _checked(key: str, value: object, default: object, path: Path) -> object:
    """Returns the value in its default's type, or raises UsageError."""
    if isinstance(default, tuple) and isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    if isinstance(default, float) and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if type(value) is type(default):
        return value
    raise UsageError(f"{path}: {key} = {value!r} should be like {default!r}.")
