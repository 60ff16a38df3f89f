"""How much a request may send and how slowly: a body is whole, and within its limit, before anything reads it."""

import asyncio

from ui.guard import Application, Message, Receive, Send, refuse
from ui.visitors import headers_of

MOST_BODY = 1 << 20
"""Bytes of a body. Files are uploaded by a route of their own, which counts them as it writes them to the disk."""
STREAMED = frozenset({"/library/upload", "/evaluate/upload"})
BODY_SECONDS = 30.0
"""Seconds that a whole body may take, and those between two pieces of a streamed one."""
SEND_SECONDS = 60.0
"""Seconds that a visitor may take to receive a piece of an answer."""


class TooLargeError(Exception):
    """A body has more bytes than it may have."""


class Limits:
    """ASGI middleware that hands a body on in one piece, or refuses it with 413 or 408; a streamed one only by time."""

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Passes a request on with its body, or refuses it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def patient(message: Message) -> None:
            try:
                await asyncio.wait_for(send(message), SEND_SECONDS)
            except TimeoutError:
                raise ConnectionResetError("The visitor has stopped reading.") from None

        if scope["path"] in STREAMED:
            await self._app(scope, _timed(receive), patient)
            return
        try:
            body = await whole_body(scope, receive, MOST_BODY)
        except TooLargeError:
            await refuse(send, 413, f"The request has more than {MOST_BODY:,} bytes.")
        except TimeoutError:
            await refuse(send, 408, "The request has not come in time.")
        except ConnectionResetError:
            return
        else:
            await self._app(scope, replayed(body, receive), patient)


async def whole_body(scope: Message, receive: Receive, most: int) -> bytes:
    """Reads a request's body; raises TooLargeError as soon as it is longer than `most` bytes, by its length or in fact.

    Raises TimeoutError where it does not come in time, ConnectionResetError where the visitor has gone.
    """
    if scope["method"] in ("GET", "HEAD"):
        return b""
    length = headers_of(scope).get("content-length", "")
    if length.isdigit() and int(length) > most:
        raise TooLargeError
    pieces = bytearray()
    async with asyncio.timeout(BODY_SECONDS):
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ConnectionResetError("The visitor has gone.")
            pieces += message.get("body", b"")
            if len(pieces) > most:
                raise TooLargeError
            if not message.get("more_body", False):
                return bytes(pieces)


def replayed(body: bytes, receive: Receive) -> Receive:
    """Returns a `receive` that gives a body which was read already, and then what follows it: the disconnect."""
    waiting = [body]

    async def receive_again() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return receive_again


def _timed(receive: Receive) -> Receive:
    ended = False

    async def receive_in_time() -> Message:
        nonlocal ended
        if ended:  # what follows the body is the disconnect, which may be long in coming
            return await receive()
        try:
            message = await asyncio.wait_for(receive(), BODY_SECONDS)
        except TimeoutError:
            return {"type": "http.disconnect"}
        ended = not message.get("more_body", False)
        return message

    return receive_in_time
