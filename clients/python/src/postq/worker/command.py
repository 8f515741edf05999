"""`postq-worker module:queue ...`: runs the handlers of the named queues until SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import logging
import os
import sys
from collections.abc import Coroutine
from typing import Any

from ..context import LogHandler
from ..errors import PostqError
from ..journal import JsonFormatter
from ..queue import Queue
from .worker import Worker


def main(arguments: list[str] | None = None) -> int:
    """The command. Exit code 2: what was asked for is not there; 3: no coordinator lets it in."""
    given = _parser().parse_args(arguments)
    set_up_logging(given.log_format, given.log_level)
    # As `python` has it, modules of the current directory are found.
    sys.path.insert(0, os.getcwd())
    try:
        queues = [find_queue(name) for name in given.queues]
        work = make_worker(queues, given)
    except (ValueError, ImportError, AttributeError) as error:
        print(f"postq-worker: {error}", file=sys.stderr)
        return 2
    try:
        asyncio.run(work)
    except PostqError as error:
        print(f"postq-worker: {error}", file=sys.stderr)
        return 3
    except (asyncio.CancelledError, KeyboardInterrupt):
        return 130
    return 0


def make_worker(queues: list[Queue], given: argparse.Namespace) -> Coroutine[Any, Any, None]:
    """What is to be run: for a coordinator, or by SQL alone."""
    if given.database_url:
        if len(queues) != 1:
            raise ValueError("with --database-url a worker has one queue")
        # psycopg is needed here only.
        from ..sql import Consumer

        return Consumer(
            queues[0],
            given.database_url,
            mode=given.mode,
            concurrency=given.concurrency,
            prefetch=given.prefetch,
            drain=given.drain,
        ).run()
    return Worker(
        queues,
        concurrency=given.concurrency,
        prefetch=given.prefetch,
        target=given.coordinator,
        token_file=given.token_file,
        name=given.name,
        drain=given.drain,
    ).run()


def find_queue(name: str) -> Queue:
    """The queue that `package.module:attribute` names."""
    module, _, attribute = name.partition(":")
    found = getattr(importlib.import_module(module), attribute or "queue")
    if not isinstance(found, Queue):
        raise ValueError(f"{name} is not a postq.Queue but a {type(found).__name__}")
    return found


def set_up_logging(form: str, level: str) -> None:
    """To stderr; what handlers log goes to their attempts' output as well."""
    to_stderr = logging.StreamHandler()
    plain = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    to_stderr.setFormatter(JsonFormatter() if form == "json" else plain)
    logging.basicConfig(level=level.upper(), handlers=[to_stderr, LogHandler()])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("postq-worker", description=__doc__)
    parser.add_argument("queues", nargs="+", metavar="MODULE:QUEUE")
    parser.add_argument("--concurrency", "-c", type=int, default=10, help="attempts at a time")
    parser.add_argument(
        "--prefetch",
        type=int,
        default=0,
        help="attempts held ready beside them, for short handlers",
    )
    parser.add_argument("--coordinator", help="HOST:PORT, else POSTQ_COORDINATOR")
    parser.add_argument("--token-file", help="a file with a token, else POSTQ_TOKEN")
    parser.add_argument("--database-url", help="work by SQL alone, without a coordinator")
    modes = ["at_least_once", "at_most_once", "exactly_once"]
    parser.add_argument("--mode", choices=modes, default=modes[0], help="with --database-url")
    parser.add_argument("--name", help="for people; the host and process by default")
    parser.add_argument(
        "--drain", type=float, default=30.0, help="seconds for what runs at the end"
    )
    parser.add_argument("--log-format", choices=["text", "json"], default="text")
    parser.add_argument("--log-level", default="info")
    return parser


if __name__ == "__main__":
    sys.exit(main())
