"""The accounts of the login: names and salted hashes (scrypt, RFC 7914), one a line, in a file for its owner's eyes."""

import base64
import hashlib
import hmac
import os
import re
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from rag.errors import RagError, UsageError

VARIABLE = "RAG_AUTH"
"""The environment variable that holds one account, as user:password."""
LEAST = 8
"""Characters of a password."""
MOST = 1024
"""Bytes of a password that are hashed at all."""
COST = (15, 8, 3)
"""scrypt's log2(N), r and p: 32 MiB and a quarter of a second; OWASP's Password Storage Cheat Sheet names it."""
MEMORY = 256 << 20
"""Bytes that a line of the file may ask for."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
_LINE = re.compile(r"([^:]+):scrypt\$(\d{1,2})\$(\d{1,2})\$(\d{1,2})\$([\w+/=]{16,})\$([\w+/=]{40,})")


def hashed(password: str) -> str:
    """Returns a password's salted hash as a line of the file holds it."""
    salt = secrets.token_bytes(16)
    parts = ("scrypt", *map(str, COST), *(base64.b64encode(each).decode() for each in (salt, _scrypt(password, salt))))
    return "$".join(parts)


def _scrypt(password: str, salt: bytes, cost: tuple[int, int, int] = COST) -> bytes:
    log_n, r, p = cost
    data = password.encode("utf-8", "surrogatepass")[:MOST]
    return hashlib.scrypt(data, salt=salt, n=1 << log_n, r=r, p=p, maxmem=MEMORY, dklen=32)


class Accounts:
    """Names with their hashes; `check` takes as long for a name that is not there."""

    def __init__(self, hashes: Mapping[str, str]) -> None:
        self._hashes = dict(hashes)
        self._nobody = hashed(secrets.token_hex())

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Reads a file of accounts; raises UsageError where it can be read by others, or is not as it should be."""
        how = f"Make an account with: rag ui --auth '{path}' --add-user NAME"
        if not path.is_file():
            raise UsageError(f"{path} is not there. {how}")
        _check_private(path)
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            raise UsageError(f"{path} cannot be read as text. {how}") from None
        hashes = {}
        for number, line in enumerate(lines, start=1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            match = _LINE.fullmatch(line.strip())
            if match is None or not _NAME.fullmatch(match[1]) or not _affordable(match[2], match[3], match[4]):
                raise UsageError(f"Line {number} of {path} is not user:hash. {how}")  # it may hold a password
            hashes[match[1]] = line.strip().partition(":")[2]
        if not hashes:
            raise UsageError(f"{path} holds no account. {how}")
        return cls(hashes)

    @classmethod
    def from_environment(cls, text: str) -> Self:
        """Makes the account of RAG_AUTH; raises UsageError for a name or password that will not do."""
        name, _, password = text.partition(":")
        try:
            check_account(name, password)
        except UsageError as error:
            raise UsageError(f"{VARIABLE} is user:password. {error}") from None
        return cls({name: hashed(password)})

    def check(self, name: str, password: str) -> bool:
        """Tells whether the password is that of the account."""
        _, *cost, salt, expected = self._hashes.get(name, self._nobody).split("$")
        log_n, r, p = map(int, cost)
        found = _scrypt(password, base64.b64decode(salt), (log_n, r, p))
        return hmac.compare_digest(found, base64.b64decode(expected)) and name in self._hashes


def _affordable(log_n: str, r: str, p: str) -> bool:
    return int(log_n) >= 10 and int(r) >= 1 and int(p) >= 1 and 128 * int(r) << int(log_n) < MEMORY


def _check_private(path: Path) -> None:
    if sys.platform != "win32" and path.stat().st_mode & 0o077:
        raise UsageError(f"{path} holds accounts, and others than its owner may read it. Run: chmod 600 '{path}'")


def check_account(name: str, password: str) -> None:
    """Raises UsageError for a name or a password that will not do; the password is not repeated."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"'{name[:64]}' cannot name a user: use letters, digits and . _ @ + -, at most 64.")
    if len(password) < LEAST:
        raise UsageError(f"The password is too short: use at least {LEAST} characters.")
    if len(password.encode("utf-8", "surrogatepass")) > MOST:
        raise UsageError(f"The password is too long: use at most {MOST:,} bytes.")


def add_account(path: Path, name: str, password: str) -> bool:
    """Writes an account into the file, which it makes where there is none; tells whether the name was new.

    Raises UsageError for a name or password that will not do, RagError where the file cannot be written.
    """
    check_account(name, password)
    lines = []
    if path.exists():
        _check_private(path)
        lines = path.read_text(encoding="utf-8").splitlines()
    others = [line for line in lines if line.partition(":")[0].strip() != name]
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write("\n".join([*others, f"{name}:{hashed(password)}"]) + "\n")
        part.replace(path)
    except OSError as error:
        raise RagError(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        part.unlink(missing_ok=True)
    return len(others) == len(lines)
