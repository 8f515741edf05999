"""Workers for tests: on a thread here, or as processes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from postq import Queue
from postq.worker import Worker

from .cluster import clean_environment

HERE = Path(__file__).resolve().parent


@contextmanager
def worker(queue: Queue, target: str, **settings: Any) -> Iterator[Worker]:
    """A worker on a thread of this process, until the block is left."""
    made = Worker(queue, target=target, **settings)
    stop = asyncio.Event()
    loop = asyncio.new_event_loop()
    problems: list[BaseException] = []

    def run() -> None:
        try:
            loop.run_until_complete(made.run(stop))
        except BaseException as error:
            problems.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield made
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(60)
        assert not thread.is_alive(), "the worker does not stop"
        loop.close()
    assert not problems, problems


class Process:
    """`postq-worker` on `tests.app`, whose handlers' names begin with a prefix."""

    def __init__(self, target: str, prefix: str, directory: Path, *arguments: str) -> None:
        self.log = directory / "worker.log"
        environment = {
            **clean_environment(),
            "POSTQ_COORDINATOR": target,
            "TEST_PREFIX": prefix,
            "TEST_QUEUE": prefix or "app",
            "PYTHONPATH": str(HERE.parent),
        }
        command = [str(Path(sys.executable).parent / "postq-worker"), "tests.app:queue", *arguments]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, env=environment, cwd=directory, stdout=log, stderr=log
            )

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def terminate(self, within: float = 30) -> int:
        """Asks it to end; its exit code."""
        os.kill(self.process.pid, signal.SIGTERM)
        return self.process.wait(within)
