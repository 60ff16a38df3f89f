"""A pace for requests to a vendor: so many requests and tokens a minute, and none while it asks for a pause."""

import threading
import time
from collections.abc import Callable

MINUTE = 60.0


class Pace:
    """Spaces requests evenly: each takes the share of a minute that its tokens, or it as a request, are of the limit.

    So no minute starts with a burst that the vendor would refuse, and a request larger than a minute's tokens is let
    through and pays with the time after it. A limit of 0 is none. Threads may share one; each waits for its own turn.
    """

    def __init__(
        self, requests_per_minute: int, tokens_per_minute: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._request = MINUTE / requests_per_minute if requests_per_minute else 0.0
        self._token = MINUTE / tokens_per_minute if tokens_per_minute else 0.0
        self._clock = clock
        self._free = self._resume = clock()
        self._lock = threading.Lock()

    def wait(self, tokens: int, sleep: Callable[[float], object]) -> None:
        """Waits until a request of so many tokens may go."""
        with self._lock:
            turn = max(self._clock(), self._free)
            self._free = turn + max(self._request, tokens * self._token)
        self._until(turn, sleep)
        self._until(self._resume, sleep)  # a pause may have been asked for while this one waited

    def _until(self, moment: float, sleep: Callable[[float], object]) -> None:
        left = moment - self._clock()
        if left > 0:
            sleep(left)

    def pause(self, seconds: float) -> None:
        """Lets no request go for so long: the vendor has asked one of them to wait."""
        with self._lock:
            self._resume = max(self._resume, self._clock() + seconds)
