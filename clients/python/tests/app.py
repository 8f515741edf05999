"""Handlers that tests run in worker processes of their own."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from pathlib import Path

import postq

queue = postq.Queue(os.environ.get("TEST_QUEUE", "app"))
PREFIX = os.environ.get("TEST_PREFIX", "")


@queue.handler(name=f"{PREFIX}add")
def add(a: int, b: int) -> int:
    return a + b


@queue.handler(name=f"{PREFIX}fail", max_attempts=2, backoff=0.05)
def fail() -> None:
    raise ValueError("it cannot be done")


@queue.handler(name=f"{PREFIX}hold")
def hold(path: str, seconds: float) -> str:
    """Leaves a line when it starts and waits; a sleep that Python code can be interrupted in."""
    with Path(path).open("a") as file:
        file.write(f"{os.getpid()}\n")
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.01)
    return "held"


@queue.handler(name=f"{PREFIX}ahold")
async def ahold(path: str, seconds: float) -> str:
    await asyncio.to_thread(Path(path).write_text, f"{os.getpid()}\n")
    await asyncio.sleep(seconds)
    return "held"


@queue.handler(name=f"{PREFIX}talk")
def talk() -> None:
    postq.current().log("said")
    logging.getLogger("app").info("logged")
