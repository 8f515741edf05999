"""`manage.py postq_worker`: runs the handlers that `tasks.py` of the apps have."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ....errors import PostqError
from ...queues import DjangoQueue, discover


class Command(BaseCommand):
    """The command."""

    help = "Runs the handlers of PostQ's queues until SIGTERM"

    def add_arguments(self, parser: CommandParser) -> None:
        """The options."""
        parser.add_argument("--queue", action="append", help="only these; all by default")
        parser.add_argument("--concurrency", type=int, default=4, help="at a time, per queue")
        parser.add_argument("--drain", type=float, default=30.0, help="seconds for what runs")
        parser.add_argument("--coordinator", help="HOST:PORT: be its worker, not a SQL consumer")
        parser.add_argument("--token-file", help="a file with a token for the coordinator")
        modes = ["at_least_once", "at_most_once", "exactly_once"]
        parser.add_argument("--mode", choices=modes, default=modes[0], help="of a SQL consumer")
        parser.add_argument("--once", action="store_true", help="run what is ready, then end")

    def handle(self, *_: Any, **options: Any) -> None:
        """Runs it."""
        if not logging.getLogger().handlers:
            logging.basicConfig(level=logging.INFO)
        queues = self._queues(options["queue"])
        try:
            asyncio.run(self._work(queues, options))
        except (asyncio.CancelledError, KeyboardInterrupt):
            raise SystemExit(130) from None
        except (PostqError, ValueError) as error:
            raise CommandError(str(error)) from error

    def _queues(self, names: list[str] | None) -> list[DjangoQueue]:
        known = {name: queue for name, queue in discover().items() if queue.handlers}
        missing = sorted(set(names or ()) - known.keys())
        if missing or not known:
            raise CommandError(f"no handlers for {', '.join(missing) or 'any queue'}")
        return [known[name] for name in (names or sorted(known))]

    async def _work(self, queues: list[DjangoQueue], options: dict[str, Any]) -> None:
        settings = {"concurrency": options["concurrency"], "drain": options["drain"]}
        if options["coordinator"]:
            from ....worker import Worker

            reach = {"target": options["coordinator"], "token_file": options["token_file"]}
            await Worker(queues, **settings, **reach).run()
            return
        from ....signals import stopping_on_signals
        from ...consumer import DjangoConsumer

        consumers = [DjangoConsumer(queue, mode=options["mode"], **settings) for queue in queues]
        if options["once"]:
            while any([await consumer.run_once() for consumer in consumers]):
                pass  # What one queue does may have pushed to another.
            return
        stop = asyncio.Event()
        with stopping_on_signals(stop):
            await asyncio.gather(*(consumer.run(stop) for consumer in consumers))
