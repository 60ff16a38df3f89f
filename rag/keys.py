"""Secrets of vendors: found in the environment or in keys.toml, and kept out of every text that people read."""

import logging
import os
import re
import sys
import tomllib
import traceback
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote

import platformdirs

from rag.errors import RagError

APPLICATION = "rag-embedder-bakeoff"
FILE = "keys.toml"
MASK = "***"

SHORTEST_MASKED = 8
"""A shorter secret is a local server's placeholder, such as "-", and masking it would garble every text."""

# Keys by the look of them: OpenAI shows a part of a wrong key in its answer, and a key may be one that we never held.
_LIKE_A_KEY = re.compile(r"\b(?:sk|pa|al)-[\w*.…-]{8,}|\bAIza[\w*-]{20,}|\bBearer\s+[^\s'\"]{8,}")

_held: set[str] = set()


class MissingKeyError(RagError):
    """A vendor wants a key, and none was found."""


class Secret:
    """A key that shows itself only when asked with `reveal`; `origin` says where it was found."""

    __slots__ = ("_value", "origin")

    def __init__(self, value: str, origin: str) -> None:
        self._value = value
        self.origin = origin
        _hold(value)

    def reveal(self) -> str:
        """Returns the key itself: for the vendor's client, and for nothing else."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({MASK} from {self.origin})"

    def __str__(self) -> str:
        return MASK

    def __reduce__(self) -> NoReturn:
        raise TypeError("A secret is neither copied nor stored.")


def keys_path() -> Path:
    """Returns where the file of keys is: RAG_KEYS, else `keys.toml` in the user's configuration folder."""
    named = os.environ.get("RAG_KEYS")
    return Path(named).expanduser() if named else Path(platformdirs.user_config_dir(APPLICATION)) / FILE


def find_key(variable: str) -> Secret | None:
    """Finds a key by the name of its environment variable; what the environment lacks may stand in keys.toml.

    Raises RagError where the file can be read by others than its owner, or is not `NAME = "key"` in TOML.
    """
    value = os.environ.get(variable, "").strip()
    if value:
        return Secret(value, f"the environment variable {variable}")
    path = keys_path()
    value = _read(path).get(variable, "").strip() if path.is_file() else ""
    return Secret(value, f"{variable} in {path}") if value else None


def _read(path: Path) -> dict[str, str]:
    """Reads the file of keys; no error repeats what is in it."""
    if sys.platform != "win32" and path.stat().st_mode & 0o077:
        raise RagError(f"{path} holds keys, and others than its owner may read it. Run: chmod 600 '{path}'")
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RagError(f"{path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise RagError(f'{path} is not valid TOML. Write one key a line, as in OPENAI_API_KEY = "..."') from None
    wrong = [name for name, value in written.items() if not isinstance(value, str)]
    if wrong:
        raise RagError(f'{path}: {wrong[0]} should be a text in quotes, as in OPENAI_API_KEY = "..."')
    return written


def mask(text: str) -> str:
    """Replaces every secret that this process has found, and all that looks like one.

    >>> mask("wrong key: sk-1234567890abcdef, try again")
    'wrong key: ***, try again'
    """
    for secret in sorted(_held, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return _LIKE_A_KEY.sub(MASK, text)


def _hold(value: str) -> None:
    """Has a secret masked from now on, as it is and as a URL would carry it."""
    if len(value) >= SHORTEST_MASKED:
        _held.update((value, quote(value, safe="")))
        _mask_logs()


def _mask_logs() -> None:
    """Makes every log record of this process pass through `mask` from now on.

    A filter would have to hang on each logger of each vendor's client, and those below them; records are made in one
    place.
    """
    make = logging.getLogRecordFactory()
    if getattr(make, "masks", False):
        return

    def make_masked(*arguments: Any, **options: Any) -> logging.LogRecord:
        return _masked(make(*arguments, **options))

    make_masked.masks = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(make_masked)


def _masked(record: logging.LogRecord) -> logging.LogRecord:
    """Masks a record's message and traceback, and leaves one without a secret as it is."""
    try:
        message = record.getMessage()
    except (TypeError, ValueError):  # arguments that do not fit: logging itself reports them
        return record
    if mask(message) != message:
        record.msg, record.args = mask(message), ()
    if record.exc_info and record.exc_info[1] is not None:
        told = "".join(traceback.format_exception(record.exc_info[1])).rstrip("\n")
        if mask(told) != told:
            record.exc_text, record.exc_info = mask(told), None
    return record
