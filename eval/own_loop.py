"""Runs coroutines where no caller's event loop can be in their way: on a loop and a thread of their own."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def in_own_thread(work: Callable[[], Coroutine[Any, Any, T]], cancel: Callable[[], None] = lambda: None) -> T:
    """Runs a coroutine on an event loop of its own, asyncio's, in a thread of its own, untraced; returns its result.

    Where the caller is interrupted meanwhile, `cancel` is called and the thread is left to end.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            from langsmith import tracing_context

            with tracing_context(enabled=False), asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                results.append(runner.run(work()))
        except BaseException as error:  # handed to the calling thread, which raises it
            errors.append(error)

    thread = threading.Thread(target=run, name="ragas", daemon=True)
    thread.start()
    try:
        thread.join()
    except BaseException:
        cancel()
        raise
    if errors:
        raise errors[0]
    return results[0]
