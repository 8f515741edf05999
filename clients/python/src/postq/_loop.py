"""One event loop in a thread of its own, on which synchronous clients do their work.

Why this way round: streams, retries and resuming are written once, for asyncio; one loop serves any
number of clients and threads. The loop is made when it is first needed, and made anew in a process
that was forked (a gRPC channel does not outlive a fork, so clients there must be new as well).
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, TypeVar

T = TypeVar("T")

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_owner = 0


def loop() -> asyncio.AbstractEventLoop:
    """The loop, running."""
    global _loop, _owner
    with _lock:
        if _loop is None or _owner != os.getpid():
            _loop, _owner = asyncio.new_event_loop(), os.getpid()
            _loop.set_exception_handler(_unless_foreign)
            threading.Thread(target=_loop.run_forever, name="postq", daemon=True).start()
        return _loop


def _unless_foreign(here: asyncio.AbstractEventLoop, what: dict[str, Any]) -> None:
    """gRPC hands events of other loops through this one, and complains of those that are closed."""
    if "PollerCompletionQueue" not in repr(what.get("handle")):
        here.default_exception_handler(what)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Does it on the loop, and waits for it here."""
    here = loop()
    if threading.current_thread().name == "postq" and asyncio._get_running_loop() is here:
        work.close()
        raise RuntimeError("a synchronous client would wait for itself here; use AsyncClient")
    future = asyncio.run_coroutine_threadsafe(work, here)
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


def iterate(stream: AsyncIterator[T]) -> Iterator[T]:
    """The same stream for a `for` loop; leaving the loop ends it."""

    async def step() -> T:
        return await stream.__anext__()

    async def end() -> None:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()

    try:
        while True:
            try:
                yield run(step())
            except StopAsyncIteration:
                return
    finally:
        run(end())
