"""The server's connections: how many there may be, and how long one may dawdle over the head of a request."""

import asyncio
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 15.0
"""Seconds from the first byte of a connection, or of its next request, to the end of the head."""
MOST_CONNECTIONS = 512
"""Open at the same time; a page keeps two or three. More are answered with 503."""


GRACE = 2
"""Seconds that open pages are given when the application stops; their event streams never end by themselves."""


def server_config(app: Any) -> uvicorn.Config:
    """Returns how the application is served: plain HTTP/1.1, no word of a proxy taken, no connection without end."""
    return uvicorn.Config(
        app,
        http=ImpatientProtocol,
        ws="none",
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
    )


class ImpatientProtocol(H11Protocol):
    """Uvicorn's own protocol, which by itself waits for the head of a request for ever."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Starts the time when somebody connects."""
        super().connection_made(transport)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Ends the time when the head is whole, and starts it with the first bytes of another one."""
        super().data_received(data)
        if self.conn.our_state is not h11.IDLE:
            self._end_wait()
        elif self._deadline is None:
            self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the time with the connection."""
        self._end_wait()
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _end_wait(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self, *_: Any) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.abort()
