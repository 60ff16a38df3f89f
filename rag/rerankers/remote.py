"""What all vendors' rerankers share: keys, batches, retries, checks of the answer, money, and errors that help.

A vendor's file says how its client is made, how a request is asked of it, and how it tells an HTTP status.
"""

import logging
import math
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from rag.embedders import failures
from rag.embedders.calls import Answer, Call, Patience
from rag.embedders.failures import RequestError
from rag.embedders.remote import NO_KEY, NO_TEXT
from rag.embedders.vendors import VENDORS
from rag.errors import MissingDependencyError, RagError
from rag.keys import MissingKeyError, Secret, find_key, mask
from rag.rates import Pace
from rag.rerankers.spec import RerankerSpec

TIMEOUT = 15.0
PATIENCE = Patience(tries=3, seconds=15)
"""A person waits."""

MOST = {"cohere": 1000, "voyage": 1000, "tei": 32}
"""Passages of a request: as Cohere and Voyage recommend and allow, and TEI's default of --max-client-batch-size."""

SEARCH_PASSAGES = 100
"""What counts as one search for Cohere, where it does not say how many it billed."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Scores:
    """What a vendor answered: each score with the position of its passage among those sent, and what it counted."""

    order: Sequence[int]
    scores: Sequence[float]
    tokens: int = 0
    searches: float = 0.0


class RemoteReranker(ABC):
    """A reranker behind a vendor's client; nothing is imported, looked up or sent before the first query.

    `sleep` and `clock` are for tests.
    """

    def __init__(
        self,
        spec: RerankerSpec,
        sleep: Callable[[float], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.spec = spec
        self.vendor = VENDORS[spec.provider]
        self._sleep = sleep
        self._pace = Pace(spec.requests_per_minute, 0, clock)
        self._usd = 0.0
        self._secret: Secret | None = None
        self._client: Any = None
        self._lock = threading.Lock()

    # --- what each vendor's file says

    @abstractmethod
    def _connect(self, key: str, timeout: float) -> Any:
        """Makes the vendor's client, with its own retries off; it sends nothing yet."""

    @abstractmethod
    def _request(self, client: Any, query: str, passages: list[str]) -> Scores:
        """Makes one request; whatever the client raises is met by the caller."""

    @abstractmethod
    def _refusal(self, error: Exception) -> RequestError | None:
        """Makes the client's error for an HTTP status into a failure; None where it is another error."""

    # --- what every reranker does

    @property
    def billed_usd(self) -> float:
        """What was charged since this reranker was loaded, by the prices of its entry."""
        return self._usd

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        """Scores each passage; raises RagError where the vendor refuses any of them for good."""
        asked = _sendable(query)
        sent = [_sendable(text) for text in passages]
        most = min(self.spec.batch or math.inf, MOST[self.spec.provider])
        batches = [list(range(len(sent)))[first : first + int(most)] for first in range(0, len(sent), int(most))]
        call = Call(
            ask=lambda rows: self._ask(asked, rows, [sent[row] for row in rows]),
            turn=lambda rows, sleep: self._pace.wait(0, sleep),
            patience=PATIENCE,
            sleep=self._sleep,
        )
        call.run(batches)
        if call.fatal or call.failures:
            raise RagError(self._told(call, len(sent)))
        return [float(call.vectors[row]) for row in range(len(sent))]

    def _ask(self, query: str, rows: list[int], passages: list[str]) -> Answer:
        client = self._connected()
        try:
            found = self._request(client, query, passages)
        except Exception as error:  # the one place where a vendor's client, which can raise anything, is heard
            log.debug("A request to %s failed.", self.vendor.title, exc_info=True)
            failure = self._failure(error)
        else:
            self._bill(found, len(passages))
            return _read(found, rows)
        if failure.wait:
            self._pace.pause(failure.wait)
        if failure.kind is failures.KEY:
            self._client = None  # the next call looks for the key again
        return Answer({}, failure)  # outside of the handler, so that the client's error, and the key, stay behind

    def _failure(self, error: Exception) -> RequestError:
        if isinstance(error, RequestError):
            return error
        return self._refusal(error) or failures.breakdown(error)

    def _bill(self, found: Scores, passages: int) -> None:
        searches = found.searches or math.ceil(passages / SEARCH_PASSAGES)
        spent = found.tokens * self.spec.usd_per_million_tokens / 1e6
        with self._lock:
            self._usd += spent + searches * self.spec.usd_per_thousand_searches / 1e3

    # --- the client

    def _connected(self) -> Any:
        """Returns the client, made when it is first needed; raises where its package or its key is missing."""
        with self._lock:
            if self._client is None:
                self._secret = self._key()
                self._client = self._made()
            return self._client

    def _key(self) -> Secret | None:
        """Finds the key; the vendor's usual one goes to the vendor alone, never to a `base_url` of one's own."""
        usual = () if self.spec.base_url else self.vendor.keys
        variables = (self.spec.key,) if self.spec.key else usual
        for variable in variables:
            if secret := find_key(variable):
                return secret
        if not variables:
            return None
        page = f" Keys are made at {self.vendor.key_page}." if self.vendor.key_page and not self.spec.base_url else ""
        raise MissingKeyError(
            f"Reranker '{self.spec.name}' needs a key: set the environment variable {variables[0]}, or write it to "
            f"keys.toml (docs/vendors.md).{page}"
        )

    def _made(self) -> Any:
        try:
            return self._connect(self._secret.reveal() if self._secret else NO_KEY, self.spec.timeout or TIMEOUT)
        except ImportError:
            command = f"pip install -e '.[{self.vendor.extra}]'" if self.vendor.extra else "make setup"
            problem: RagError = MissingDependencyError(
                f"Reranker '{self.spec.name}' needs the package '{self.vendor.package}'. Run: {command}"
            )
        except Exception as error:  # a client that dislikes its address may raise anything, its key included
            problem = RagError(
                f"Reranker '{self.spec.name}': the client of {self.vendor.title} cannot be made: {mask(str(error))}. "
                f"Correct `base_url` or the key."
            )
        raise problem

    # --- what a person is told

    def _told(self, call: Call, passages: int) -> str:
        failure = call.fatal or call.failures[min(call.failures)]
        lacking = passages - len(call.vectors)
        has_page = self.vendor.key_page and not self.spec.base_url
        remedy = failure.kind.remedy.format(
            name=self.spec.name,
            title=self.vendor.title,
            origin=self._secret.origin if self._secret else "nowhere; name its variable with `key` in the entry",
            page=f" Keys are made at {self.vendor.key_page}." if has_page else "",
            url=self._place(),
        )
        head = f"{self.vendor.title} did not rerank {lacking} of {passages} passages for '{self.spec.name}'"
        return mask(f"{head}: {failure.reason.rstrip('.')}. {remedy} Or search without --reranker.")

    def _place(self) -> str:
        """Names the server, without the password that an address may hold."""
        address = urlsplit(self.spec.base_url or self.vendor.url)
        if not address.hostname:
            return self.vendor.title
        return f"{address.scheme}://{address.netloc.rpartition('@')[2]}{address.path}"


def _read(found: Scores, rows: list[int]) -> Answer:
    """Takes what is right out of an answer: each passage once, with a finite score."""
    order = list(found.order)
    if len(set(order)) < len(order) or not set(order) <= set(range(len(rows))):
        return Answer({}, RequestError(failures.BROKEN, f"passages numbered {order[:8]} of {len(rows)}"))
    scores = {
        rows[place]: np.asarray(score, dtype=np.float64)
        for place, score in zip(order, found.scores, strict=True)
        if isinstance(score, int | float) and math.isfinite(score)
    }
    if len(scores) < len(rows):
        lack = f"{len(rows) - len(scores)} of {len(rows)} scores are missing or no numbers"
        return Answer(scores, RequestError(failures.BROKEN, lack))
    return Answer(scores)


def _sendable(text: str) -> str:
    """Returns a text that every vendor takes: not empty, and nothing that UTF-8 cannot say."""
    return (text if text.strip() else NO_TEXT).encode("utf-8", "replace").decode("utf-8")
