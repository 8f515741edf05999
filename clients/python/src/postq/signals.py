"""SIGTERM and SIGINT as a wish to stop; a second one ends the work at once."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator


@contextlib.contextmanager
def stopping_on_signals(stop: asyncio.Event) -> Iterator[None]:
    """Sets `stop` at the first; cancels the current task at the next. For the main thread."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()

    def heard() -> None:
        if stop.is_set() and task is not None:
            task.cancel()
        stop.set()

    known = (signal.SIGTERM, signal.SIGINT)
    for number in known:
        loop.add_signal_handler(number, heard)
    try:
        yield
    finally:
        for number in known:
            loop.remove_signal_handler(number)
