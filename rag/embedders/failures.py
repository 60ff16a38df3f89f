"""What can go wrong with a request to a vendor, which of it is worth another try, and what a person may do about it."""

import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from rag.keys import mask

LONGEST_REASON = 300
"""Characters of a vendor's own words that an error repeats."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How a failure is met.

    `tries` is how often a request may be made in all. A `divisible` failure may be the fault of one text among many,
    so the batch is made again in halves; a `fatal` one would meet every other batch as well.
    """

    tries: int
    remedy: str
    divisible: bool = False
    fatal: bool = False


KEY = Kind(1, "Check the key: it was taken from {origin}.{page}", fatal=True)
CREDIT = Kind(1, "Add credit to your account there, then run the same again.", fatal=True)
NAME = Kind(1, "Correct `model` or `base_url` of the entry [{name}].", fatal=True)
DIMENSION = Kind(1, "Correct `dimension` or `dimensions` of the entry [{name}].", fatal=True)
BUSY = Kind(6, "Wait, or set requests_per_minute and tokens_per_minute in the entry [{name}].", fatal=True)
UNREACHABLE = Kind(6, "Is {url} running, and reachable from here?", fatal=True)
SERVER = Kind(6, "Try again later, or look into the log of {url}.", divisible=True)
TIMEOUT = Kind(6, "Set a longer `timeout` or a smaller `batch` in the entry [{name}].", divisible=True)
BROKEN = Kind(6, "Does {url} speak the format of {title}?", divisible=True)
NUMBERS = Kind(2, "Change that passage, or leave it out.")
LENGTH = Kind(1, "Choose a chunker that cuts smaller, such as --chunker heading-400-50.", divisible=True)
REFUSED = Kind(1, "Correct the entry [{name}], or leave that passage out.", divisible=True)


class RequestError(Exception):
    """A request that failed, told without secrets; `wait` is the pause in seconds that the vendor asks for."""

    def __init__(self, kind: Kind, reason: str, wait: float | None = None) -> None:
        self.kind = kind
        self.reason = " ".join(mask(reason).split())[:LONGEST_REASON]
        self.wait = wait
        super().__init__(self.reason)


def refusal(status: int, headers: Mapping[str, str], body: Any) -> RequestError:
    """Makes an answer with an HTTP status other than 200 into a failure."""
    told = words_of(body)
    reason = f"{status}: {told}" if told else f"HTTP status {status}"
    if status in (401, 403):
        return RequestError(KEY, reason)
    if status == 402 or "insufficient_quota" in json.dumps(body, default=str):
        return RequestError(CREDIT, reason)
    if status == 404:
        return RequestError(NAME, reason)
    if status in (429, 503, 529):
        return RequestError(BUSY, reason, asked_wait(headers, body))
    if status >= 500 or status == 408:
        return RequestError(SERVER, reason, asked_wait(headers, body))
    if status < 400:
        return RequestError(BROKEN if status < 300 else NAME, reason)
    return RequestError(LENGTH if _LENGTH.search(told) else REFUSED, reason)


_LENGTH = re.compile(
    r"(context|input|sequence) length|too long|too many tokens|too large|must have less than|token limit"
    r"|max\w* (?:\S+ ){0,3}tokens|exceeds? the max",
    re.IGNORECASE,
)


def words_of(body: Any) -> str:
    """Finds the sentence meant for people in the body of an error, whichever vendor's it is."""
    if isinstance(body, bytes):
        body = body.decode("utf-8", "replace")
    if isinstance(body, str):
        try:
            read = json.loads(body)
        except ValueError:
            return body
        return words_of(read)
    if isinstance(body, Mapping):
        for key in ("message", "detail", "error", "msg"):
            if body.get(key):
                return words_of(body[key])
    if isinstance(body, list) and body:
        return words_of(body[0])
    return "" if body is None else str(body)


def breakdown(error: BaseException) -> RequestError:
    """Makes what a client raised without an HTTP status into a failure.

    The clients speak through three HTTP packages (httpx, httpx2, requests), whose errors share their names but no
    class, and some wrap them in one of their own: so the names of an error's classes and causes decide.
    """
    names: set[str] = set()
    cause: BaseException | None = error
    while cause is not None:
        names.update(kind.__name__ for kind in type(cause).__mro__)
        cause = cause.__cause__ or cause.__context__
    told = f"{type(error).__name__}: {error}"
    if names & {"ConnectError", "NewConnectionError", "ConnectionRefusedError"}:
        return RequestError(UNREACHABLE, f"no connection ({told})")
    if names & {"TimeoutException", "Timeout", "TimeoutError"}:
        return RequestError(TIMEOUT, f"no answer in time ({told})")
    if names & {"RemoteProtocolError", "ReadError", "ChunkedEncodingError", "IncompleteRead"}:
        return RequestError(BROKEN, f"the answer broke off ({told})")
    if names & {"TransportError", "RequestException", "ConnectionError"}:
        return RequestError(UNREACHABLE, f"no connection ({told})")
    return RequestError(BROKEN, f"the answer cannot be read ({told})")


# --- how long the vendor asks to wait


def asked_wait(headers: Mapping[str, str], body: Any = None) -> float | None:
    """Reads how many seconds the vendor asks to wait, None where it does not say.

    From `retry-after-ms`, `retry-after` (seconds or a date; RFC 9110, 10.2.3), Google's `retryDelay` in the body, and
    the `x-ratelimit-reset` headers of those limits that are used up (seconds, a time of day, or "1m30s").
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    if "retry-after-ms" in lowered:
        milliseconds = _number(lowered["retry-after-ms"])
        if milliseconds is not None:
            return max(0.0, milliseconds / 1000)
    if "retry-after" in lowered:
        return _seconds(lowered["retry-after"])
    delay = re.search(r'"retryDelay":\s*"([\d.]+)s"', json.dumps(body, default=str))
    if delay:
        return float(delay.group(1))
    resets = [
        _seconds(value)
        for name, value in lowered.items()
        if name.startswith("x-ratelimit-reset") and lowered.get(name.replace("reset", "remaining"), "0") == "0"
    ]
    return max((seconds for seconds in resets if seconds is not None), default=None)


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_EPOCH = 1e9
"""A number of seconds as large as this is a time since 1970."""


def _seconds(text: str) -> float | None:
    """Reads "20", "1m30s", a time since 1970 or an HTTP date as seconds from now."""
    number = _number(text)
    if number is not None:
        return max(0.0, number - time.time() if number > _EPOCH else number)
    parts = re.findall(r"([\d.]+)(ms|[smhd])", text)
    if parts and "".join(map("".join, parts)) == text.strip():
        return float(sum(float(amount) * _UNITS[unit] for amount, unit in parts))
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
