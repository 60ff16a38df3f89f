"""What all vendors' embedders share: prefixes, batches, tokens, pace, checks of the answer, and errors that help.

A vendor's file says how its client is made, how a request is asked of it, and how it tells an HTTP status.
"""

import logging
import math
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

import numpy as np

from rag.embedders import failures
from rag.embedders.calls import IN_FLIGHT, Answer, Call, Patience
from rag.embedders.failures import RequestError
from rag.embedders.spec import EmbedderSpec, UnfinishedError, unit_rows
from rag.embedders.token_counts import TokenCounter
from rag.embedders.vendors import VENDORS, find_vendor_key
from rag.errors import MissingDependencyError, RagError
from rag.keys import Secret, mask
from rag.rates import Pace
from rag.schema import Vectors

Side = Literal["query", "passage"]

TIMEOUT = 60.0
PASSAGES, QUERIES = Patience(tries=6, seconds=120), Patience(tries=3, seconds=15)
"""A person waits for the answer to a query."""

SMALLEST_SHARE = 32
"""Texts that a request carries at least before a call is spread over all the requests that may be in flight."""

SURE = 0.7
"""The share of a vendor's limit of tokens that a request is filled to where tokens are only estimated."""

NAMED = 60
"""Characters of a passage that an error shows."""

NO_TEXT = "."
"""What stands for a text without any character to read: every vendor refuses an empty one."""

NO_KEY = "-"
"""What a client is given in place of the key that its server does not want."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a vendor answered to one request.

    `order` holds the position of each row's text among those asked for, None where the vendor only says that it keeps
    their order; `tokens` is what it counted, None where it does not say.
    """

    rows: Sequence[Sequence[float]]
    tokens: int | None = None
    order: Sequence[int] | None = None


class RemoteEmbedder(ABC):
    """An embedder behind a vendor's client.

    Nothing is imported, looked up or sent before the first text is embedded, so tokens can be counted without a key.
    `sleep` and `clock` are for tests.
    """

    query_timeout: ClassVar[float] = 15.0
    reads_tiktoken: ClassVar[bool] = False

    def __init__(
        self,
        spec: EmbedderSpec,
        sleep: Callable[[float], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.spec = spec
        self.vendor = VENDORS[spec.provider]
        self._sleep = sleep
        self._pace = Pace(spec.requests_per_minute, spec.tokens_per_minute, clock)
        self._counter = TokenCounter(spec, tiktoken=self.reads_tiktoken)
        self._billed = 0
        self._secret: Secret | None = None
        self._clients: dict[float, Any] = {}
        self._lock = threading.Lock()

    # --- what each vendor's file says

    @abstractmethod
    def _connect(self, key: str, timeout: float) -> Any:
        """Makes the vendor's client, with its own retries off; it sends nothing yet."""

    @abstractmethod
    def _request(self, client: Any, texts: list[str], side: Side) -> Reply:
        """Makes one request; whatever the client raises is met by the caller."""

    @abstractmethod
    def _refusal(self, error: Exception) -> RequestError | None:
        """Makes the client's error for an HTTP status into a failure; None where it is another error."""

    # --- what every embedder does

    def embed_queries(self, queries: Sequence[str]) -> Vectors:
        """Embeds questions, (n, dimension); gives up sooner than for passages, because a person waits."""
        return self._embed(queries, "query")

    def embed_passages(self, passages: Sequence[str]) -> Vectors:
        """Embeds passages, (n, dimension).

        Raises UnfinishedError, with the rows that did arrive, where the vendor refused some of them for good.
        """
        return self._embed(passages, "passage")

    def count_tokens(self, passages: Sequence[str]) -> list[int]:
        """Counts tokens as `counts_exactly` says; sends nothing."""
        return self._counter.count(self._prefixed(passages, "passage"))

    @property
    def counts_exactly(self) -> bool:
        """Tells whether tokens are counted by the model's own tokenizer; estimated otherwise."""
        return self._counter.exact

    @property
    def billed_tokens(self) -> int:
        """The tokens that the vendor has counted since this embedder was loaded; ours where it does not tell."""
        return self._billed

    # --- one call

    def _embed(self, texts: Sequence[str], side: Side) -> Vectors:
        sent = self._prefixed(texts, side)
        counts = self._counter.count(sent)
        if self.spec.max_tokens and self.counts_exactly:
            for row in [row for row, count in enumerate(counts) if count > self.spec.max_tokens]:
                sent[row], counts[row] = self._counter.cut(sent[row], self.spec.max_tokens), self.spec.max_tokens

        timeout = self.spec.timeout or TIMEOUT
        if side == "query":
            timeout = min(timeout, self.query_timeout)
        call = Call(
            ask=lambda rows: self._ask(rows, [sent[row] for row in rows], side, timeout),
            turn=lambda rows, sleep: self._pace.wait(sum(counts[row] for row in rows), sleep),
            patience=QUERIES if side == "query" else PASSAGES,
            sleep=self._sleep,
        )
        call.run(list(self._batches(counts)))
        if call.fatal or call.failures:
            raise UnfinishedError(self._told(call, texts, side), call.vectors)
        vectors = np.zeros((len(texts), self.spec.dimension), dtype=np.float32)
        for row, vector in call.vectors.items():
            vectors[row] = vector
        return vectors

    def _prefixed(self, texts: Sequence[str], side: Side) -> list[str]:
        """Returns the texts as they are sent: with the prefix once, never empty, and nothing that UTF-8 cannot say."""
        prefix = self.spec.query_prefix if side == "query" else self.spec.passage_prefix
        return [
            (prefix + (text if text.strip() else NO_TEXT)).encode("utf-8", "replace").decode("utf-8") for text in texts
        ]

    def _batches(self, counts: Sequence[int]) -> Iterator[list[int]]:
        """Yields the rows of each request: within the limits of texts and tokens, and spread over those in flight."""
        share = max(SMALLEST_SHARE, math.ceil(len(counts) / IN_FLIGHT))
        most = min(self.spec.batch or self.vendor.batch, share)
        limits = [limit for limit in (self.vendor.request_tokens, self.spec.tokens_per_minute) if limit]
        tokens = min(limits, default=math.inf) * (1 if self.counts_exactly else SURE)
        rows: list[int] = []
        held = 0
        for row, count in enumerate(counts):
            if rows and (len(rows) == most or held + count > tokens):
                yield rows
                rows, held = [], 0
            rows.append(row)
            held += count
        if rows:
            yield rows

    # --- one request

    def _ask(self, rows: list[int], texts: list[str], side: Side, timeout: float) -> Answer:
        client = self._client(timeout)
        try:
            reply = self._request(client, texts, side)
        except Exception as error:  # the one place where a vendor's client, which can raise anything, is heard
            log.debug("A request to %s failed.", self.vendor.title, exc_info=True)
            failure = self._failure(error)
        else:
            self._bill(texts, reply.tokens)
            return self._read(reply, rows)
        if failure.wait:
            self._pace.pause(failure.wait)
        if failure.kind is failures.KEY:
            self._forget()  # the next call looks for the key again
        return Answer(
            {}, failure
        )  # raised outside of the handler, so that the client's error, and the key, stay behind

    def _failure(self, error: Exception) -> RequestError:
        if isinstance(error, RequestError):
            return error
        return self._refusal(error) or failures.breakdown(error)

    def _bill(self, texts: list[str], tokens: int | None) -> None:
        if tokens is not None:
            self._counter.learn(texts, tokens)
        counted = sum(self._counter.count(texts)) if tokens is None else tokens
        with self._lock:
            self._billed += counted

    def _read(self, reply: Reply, rows: list[int]) -> Answer:
        """Takes what is right out of a reply: each row once, of the entry's width, finite, at unit length."""
        order = range(len(reply.rows)) if reply.order is None else reply.order
        if reply.order is None and len(reply.rows) != len(rows):
            return Answer({}, RequestError(failures.BROKEN, f"{len(reply.rows)} rows for {len(rows)} texts"))
        if len(set(order)) < len(order) or not set(order) <= set(range(len(rows))):
            return Answer({}, RequestError(failures.BROKEN, f"rows numbered {list(order)[:8]} for {len(rows)} texts"))
        found: dict[int, np.ndarray] = {}
        for position, numbers in zip(order, reply.rows, strict=True):
            vector = np.asarray(numbers, dtype=np.float64).reshape(1, -1)
            if vector.shape[1] != self.spec.dimension:
                width = f"vectors of {vector.shape[1]} dimensions, where its entry says {self.spec.dimension}"
                return Answer({}, RequestError(failures.DIMENSION, width))
            if np.isfinite(vector).all() and vector.any():
                found[rows[position]] = unit_rows(vector)[0]
        if len(reply.rows) < len(rows):
            lack = f"{len(rows) - len(reply.rows)} of {len(rows)} rows are missing"
            return Answer(found, RequestError(failures.BROKEN, lack))
        if len(found) < len(rows):
            return Answer(found, RequestError(failures.NUMBERS, "a vector that is not finite, or zero"))
        return Answer(found)

    # --- the client

    def _client(self, timeout: float) -> Any:
        """Returns the client, made when it is first needed; raises where its package or its key is missing."""
        with self._lock:
            if timeout not in self._clients:
                self._secret = find_vendor_key(self.spec)
                self._clients[timeout] = self._made(timeout)
            return self._clients[timeout]

    def _made(self, timeout: float) -> Any:
        try:
            return self._connect(self._secret.reveal() if self._secret else NO_KEY, timeout)
        except ImportError:
            extra = self.vendor.extra
            command = f"pip install -e '.[{extra}]'" if extra else "make setup"
            problem: RagError = MissingDependencyError(
                f"Embedder '{self.spec.name}' needs the package '{self.vendor.package}'. Run: {command}"
            )
        except Exception as error:  # a client that dislikes its address may raise anything, its key included
            problem = RagError(
                f"Embedder '{self.spec.name}': the client of {self.vendor.title} cannot be made: {mask(str(error))}. "
                f"Correct `base_url` or the key."
            )
        raise problem

    def _forget(self) -> None:
        with self._lock:
            self._clients.clear()

    def _asked_dimension(self) -> int | None:
        """Returns the width to ask for, None where the model gives it unasked or cannot be asked."""
        spec = self.spec
        return spec.dimension if spec.dimension in spec.dimensions and spec.dimension != spec.dimensions[0] else None

    # --- what a person is told

    def _told(self, call: Call, texts: Sequence[str], side: Side) -> str:
        things = "queries" if side == "query" else "passages"
        lacking = len(texts) - len(call.vectors)
        head = f"{self.vendor.title} did not embed {lacking} of {len(texts)} {things} for '{self.spec.name}'"
        failure = call.fatal or call.failures[min(call.failures)]
        alike = [row for row, other in call.failures.items() if other.kind == failure.kind]
        if alike:
            head += f"; the first is {' '.join(texts[min(alike)].split())[:NAMED]!r}"
        page = f" Keys are made at {self.vendor.key_page}." if self.vendor.key_page and not self.spec.base_url else ""
        remedy = failure.kind.remedy.format(
            name=self.spec.name,
            title=self.vendor.title,
            origin=self._secret.origin if self._secret else "nowhere; name its variable with `key` in the entry",
            page=page,
            url=self._place(),
        )
        return mask(f"{head}: {failure.reason.rstrip('.')}. {remedy}")

    def _place(self) -> str:
        """Names the server, without the password that an address may hold."""
        address = urlsplit(self.spec.base_url or self.vendor.url)
        if not address.hostname:
            return self.vendor.title
        return f"{address.scheme}://{address.netloc.rpartition('@')[2]}{address.path}"
