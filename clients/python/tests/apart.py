"""Handlers that run in processes of their own, which import them from here."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import time
from pathlib import Path

import postq

queue = postq.Queue("apart", mode="process")
calls = 0


class NotYet(Exception):
    """Tried again; nothing else is."""


@queue.handler(name="apart.pid")
def pid() -> int:
    return os.getpid()


@queue.handler(name="apart.count")
async def count() -> int:
    global calls
    await asyncio.sleep(0)
    calls += 1
    return calls


@queue.handler(name="apart.fail", max_attempts=3, backoff=0.01, retry_on=(NotYet,))
def fail(kind: str) -> None:
    raise NotYet("soon") if kind == "again" else ValueError(f"no such {kind}")


@queue.handler(name="apart.twice")
def twice() -> str:
    context = postq.current()
    [parent] = context.inputs().values()
    context.log(f"{context.task} of {context.queue}")
    logging.getLogger("app").warning("logged")
    return str(parent.result * 2)


@queue.handler(name="apart.hold")
def hold(path: str, kind: str) -> str:
    """Holds on, with a process of its own: `polite` stops when it is asked to, `deaf` does not,
    and `until` ends when there is a file PATH.go."""
    child = subprocess.Popen(["sleep", "1000"])
    if kind == "deaf":
        signal.signal(signal.SIGUSR1, lambda *_: None)
    Path(path).write_text(f"{os.getpid()} {child.pid}")
    try:
        while kind != "until" or not Path(path).with_suffix(".go").exists():
            time.sleep(0.05)
    except postq.Cancelled:
        Path(path).with_suffix(".stopped").touch()
        child.kill()
        child.wait()
        raise
    child.kill()
    child.wait()
    return "held"


@queue.handler(name="apart.die")
def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
