"""One call of a vendor's embedder: batches in flight, tried again as their failures deserve, cut around a bad text."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential_jitter

from rag.embedders.failures import Kind, RequestError

IN_FLIGHT = 4
"""Requests at the same time."""

LONGEST_BACKOFF = 30.0
SECOND_TRIES = 2
"""How often a half of a failed batch is tried: the batch as a whole has had its full number of tries."""

GIVE_UP = 4
"""Halvings in a row that may find both halves refused; at the next one it is no single text that is refused."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a request is tried, and how many seconds its tries and the pauses between them may take."""

    tries: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Answer:
    """The vectors of those rows that one request has brought, and why the others are missing."""

    vectors: dict[int, np.ndarray]
    failure: RequestError | None = None


class Call:
    """Fills rows with vectors by requests for some of them.

    When it has run, each row is in `vectors`, or in `failures`, or `fatal` says what ended the call before its turn.
    A row that has arrived is never asked for again. `turn` waits until a request for these rows may go; `sleep` is
    for tests, otherwise the end of the call ends every pause.
    """

    def __init__(
        self,
        ask: Callable[[list[int]], Answer],
        turn: Callable[[list[int], Callable[[float], object]], None],
        patience: Patience,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self.vectors: dict[int, np.ndarray] = {}
        self.failures: dict[int, RequestError] = {}
        self.fatal: RequestError | None = None
        self._ask = ask
        self._turn = turn
        self._patience = patience
        self._ended = threading.Event()
        self._sleep = sleep or self._ended.wait

    def run(self, batches: Sequence[list[int]]) -> None:
        """Makes the requests; raises only what is no failure of a request, such as a missing key."""
        if len(batches) < 2:
            for rows in batches:
                self._batch(rows)
            return
        with ThreadPoolExecutor(IN_FLIGHT) as pool:
            try:
                list(pool.map(self._batch, batches))
            except BaseException:
                self._ended.set()
                raise

    def _batch(self, rows: list[int]) -> None:
        if self._ended.is_set():
            return
        try:
            self._try(rows, self._patience.tries)
        except RequestError as failure:
            self._settle(self._missing(rows), failure)

    def _missing(self, rows: list[int]) -> list[int]:
        return [row for row in rows if row not in self.vectors]

    def _try(self, rows: list[int], tries: int) -> None:
        """Asks for the rows until all have come; raises RequestError when it is no use any more."""
        met: Counter[Kind] = Counter()
        seconds = 0.0

        def once() -> None:
            nonlocal seconds
            missing = self._missing(rows)
            self._turn(missing, self._sleep)
            if self._ended.is_set() and self.fatal is not None:
                raise self.fatal
            started = time.monotonic()
            answer = self._ask(missing)
            seconds += time.monotonic() - started
            self.vectors.update(answer.vectors)
            if answer.failure is not None:
                met[answer.failure.kind] += 1
                raise answer.failure

        def enough(state: RetryCallState) -> bool:
            failure = _failure(state)
            spent = seconds + state.idle_for + state.upcoming_sleep
            return (
                self._ended.is_set()
                or state.attempt_number >= tries
                or met[failure.kind] >= failure.kind.tries
                or spent > self._patience.seconds
            )

        retrying = Retrying(
            retry=retry_if_exception_type(RequestError),
            wait=_pause,
            stop=enough,
            sleep=self._rest,
            reraise=True,
        )
        retrying(once)

    def _rest(self, seconds: float) -> None:
        self._sleep(seconds)

    def _settle(self, rows: list[int], failure: RequestError, vain: int = 0) -> None:
        """Does with a failed batch what is left to do: ends the call, gives the rows up, or tries halves of it."""
        if failure.kind.fatal:
            self._end(failure)
            return
        if len(rows) == 1 or not failure.kind.divisible:
            self.failures.update(dict.fromkeys(rows, failure))
            return
        failed: list[tuple[list[int], RequestError]] = []
        for half in (rows[: len(rows) // 2], rows[len(rows) // 2 :]):
            try:
                self._try(half, SECOND_TRIES)
            except RequestError as again:
                failed.append((self._missing(half), again))
        vain = vain + 1 if len(failed) == 2 else 0
        if vain and failure.kind.tries > 1:  # both halves of it: the server is at fault, not a text
            self._end(failure)
        elif vain > GIVE_UP:
            self.failures.update({row: why for half, why in failed for row in half})
            self._end(failure)
        else:
            for half, why in failed:
                if not self._ended.is_set():
                    self._settle(half, why, vain)

    def _end(self, failure: RequestError) -> None:
        self.fatal = self.fatal or failure
        self._ended.set()


_backoff = wait_exponential_jitter(initial=1, max=LONGEST_BACKOFF, jitter=1)


def _pause(state: RetryCallState) -> float:
    """Returns the seconds to the next try: what the vendor asks for, else twice as long as the last time, and a bit."""
    asked = _failure(state).wait
    return _backoff(state) if asked is None else asked


def _failure(state: RetryCallState) -> RequestError:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, RequestError)  # nothing else is tried again
    return error
