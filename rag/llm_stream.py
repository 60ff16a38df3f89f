"""What a chat model writes, as it is written, in a form that can be left at any moment: the request ends at once.

A thread that waits for a model's next word cannot be interrupted, and some models think for a minute before the first
one. So the request runs as a task of an event loop on a thread of its own, which can be cancelled, and whoever reads
gets a sign of life several times a second.
"""

import asyncio
import queue
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from functools import cache
from typing import Any, Literal, cast

Message = tuple[Literal["system", "user", "assistant"], str]
"""Who speaks, and what is said."""

PULSE = 0.2
"""Seconds of silence after which a reader is woken."""

GRACE = 2.0
"""Seconds by which a client may be late to notice a silence itself."""


class Stream:
    """One answer of a LangChain chat model: an iterator over its chunks, with None for each `PULSE` of silence.

    Raises what the model's client raises, and TimeoutError after so many seconds of silence, whatever the client makes
    of its own limit. `close` ends the request, from any thread.
    """

    def __init__(self, model: Any, messages: Sequence[Message], timeout: float) -> None:
        self._timeout = timeout + GRACE
        self._arrived: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._task = asyncio.run_coroutine_threadsafe(self._read(model, list(messages)), _loop())

    async def _read(self, model: Any, messages: list[Message]) -> None:
        try:
            async with aclosing(cast("Any", model.astream(messages))) as chunks:
                await self._pass_on(chunks)
        except Exception as error:  # it is raised again where the answer is read
            self._arrived.put(error)
        else:
            self._arrived.put(_END)

    async def _pass_on(self, chunks: AsyncIterator[Any]) -> None:
        async for chunk in chunks:
            self._arrived.put(chunk)

    def __iter__(self) -> Iterator[Any]:
        heard = time.monotonic()
        while True:
            try:
                chunk = self._arrived.get(timeout=PULSE)
            except queue.Empty:
                if time.monotonic() - heard > self._timeout:
                    raise TimeoutError(f"not a word in {self._timeout:.0f} s") from None
                yield None
                continue
            heard = time.monotonic()
            if chunk is _END:
                return
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    def close(self) -> None:
        """Ends the request; does nothing where it has ended."""
        self._task.cancel()


_END = object()


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """Returns the one event loop that all requests run on, because the clients' connections belong to it."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="language models", daemon=True).start()
    return loop
