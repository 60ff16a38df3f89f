"""What an embedder lacks to be usable here and now: a package, files, a download, a key, a server, a model on it."""

import importlib.util
import json
import socket
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from urllib.parse import urlsplit

from rag.embedders.files import locate
from rag.embedders.hub import cached_folder, may_download
from rag.embedders.spec import EmbedderSpec
from rag.embedders.vendors import VENDORS, key_variables
from rag.errors import MissingDependencyError, RagError
from rag.keys import find_key

PATIENCE = 0.5
"""Seconds that a server of this machine has to answer."""

LOCAL = ("sentence-transformers", "static")
"""Providers whose `model` is a folder, a file, or a hub id."""

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Lacking(Enum):
    """The kinds of what may be lacking, in the order in which the table shows them."""

    FETCH = "a download"
    KEY = "a key"
    SERVER = "a server"
    PACKAGE = "a package"
    FILES = "files"


@dataclass(frozen=True, slots=True)
class Lack:
    """What an embedder lacks; `words` follow "it needs ..." and say what to do."""

    kind: Lacking
    words: str


def lacks(spec: EmbedderSpec) -> str:
    """Tells in a few words what an embedder lacks to be usable here and now; empty where it lacks nothing."""
    lack = find_lack(spec)
    return lack.words if lack else ""


def find_lack(spec: EmbedderSpec) -> Lack | None:
    """Finds the first thing that an embedder lacks, or None; sends no text anywhere and loads no model.

    Servers are asked only where they are on this machine: another may be away for long, and is asked when it is used.
    A model that may be downloaded lacks nothing (see `is_fetched_first`).
    """
    checks: list[Callable[[EmbedderSpec], Lack | None]] = [_package]
    if spec.provider in VENDORS:
        checks += [_key, _server]
    elif spec.provider in LOCAL:
        checks += [_model]
    return next((lack for check in checks if (lack := check(spec))), None)


def is_fetched_first(spec: EmbedderSpec) -> bool:
    """Tells whether the first use of a local model would download it, because that is allowed and it is not here."""
    if spec.provider not in LOCAL or not may_download():
        return False
    try:
        return locate(spec.model) is None and cached_folder(spec.model, spec.revision) is None
    except MissingDependencyError:
        return False


def _package(spec: EmbedderSpec) -> Lack | None:
    """Finds a package that is not installed, without importing it."""
    package, extra = "", ""
    if spec.provider in VENDORS:
        package, extra = VENDORS[spec.provider].package, VENDORS[spec.provider].extra
    elif spec.precision == "int8":
        package, extra = "nncf", "int8"
    elif spec.provider == "langchain":
        package = spec.model.partition(":")[0].partition(".")[0]
    if not package or _installed(package):
        return None
    remedy = f"pip install -e '.[{extra}]'" if extra else f"pip install {package}"
    if spec.provider == "langchain":
        remedy = "install what provides it, or correct `model` in its entry"
    return Lack(Lacking.PACKAGE, f"the package '{package}': {remedy}")


def _installed(package: str) -> bool:
    """Tells whether a package can be imported; a name with a dot looks into the package before it."""
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def _model(spec: EmbedderSpec) -> Lack | None:
    """Finds out whether a local model's files are here, in the cache of the hub, or may be fetched."""
    try:
        if locate(spec.model) is not None or may_download() or cached_folder(spec.model, spec.revision):
            return None
    except MissingDependencyError as error:
        return Lack(Lacking.FILES, str(error))
    return Lack(Lacking.FETCH, "a download: allow it once with HF_HUB_OFFLINE=0")


def _key(spec: EmbedderSpec) -> Lack | None:
    """Finds out whether there is a key where one is needed; its value goes no further than here."""
    variables = key_variables(spec)
    try:
        if not variables or any(find_key(variable) for variable in variables):
            return None
    except RagError as error:  # keys.toml may be read by others, or is no TOML
        return Lack(Lacking.KEY, f"a key, but {error}")
    return Lack(Lacking.KEY, f"a key: set {variables[0]}, or write it to keys.toml")


def _server(spec: EmbedderSpec) -> Lack | None:
    """Asks a server of this machine whether it is there, and Ollama whether it has the model."""
    url = spec.base_url or VENDORS[spec.provider].url
    address = urlsplit(url)
    if address.hostname not in LOOPBACK:
        return None
    try:
        port = address.port or (443 if address.scheme == "https" else 80)
        socket.create_connection((address.hostname, port), timeout=PATIENCE).close()
    except (OSError, ValueError):  # ValueError: the port is no number
        return Lack(Lacking.SERVER, f"a server at {url}, where nothing answers; `base_url` names another")
    if spec.provider == "ollama" and not _has_pulled(url, spec.model):
        return Lack(Lacking.SERVER, f"a model on its server: ollama pull {spec.model}")
    return None


def _has_pulled(url: str, model: str) -> bool:
    """Tells whether an Ollama has a model; where it does not say, the first real call will."""
    ask = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy knows no server of this machine
    try:
        with ask.open(f"{url.rstrip('/')}/api/tags", timeout=PATIENCE) as answer:
            pulled = {each["name"] for each in json.load(answer)["models"]}
    except (OSError, ValueError, KeyError, TypeError):
        return True
    return model in pulled or f"{model}:latest" in pulled
