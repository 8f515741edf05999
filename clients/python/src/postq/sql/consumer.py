"""`Consumer`: runs handlers for a queue by SQL alone, many at a time, woken by NOTIFY.

Two connections of its own: one takes and sleeps, the other ends and renews, several at a time. A
third takes as well where tasks are held ready, so that a statement is under way while another one
comes back. With `exactly_once` each handler in work has one more, whose transaction also holds the
ack.
Invariant: no transaction is open while a handler works, but that one.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import functools
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Literal

import psycopg

from .. import _rpc
from ..calling import Call, Runners, check_counts
from ..context import current
from ..errors import FailedPrecondition, PostqError, Stale
from ..handlers import Handler
from ..journal import note_end, note_start
from ..outcome import Outcome, Verdict, seconds
from ..queue import Queue
from ..signals import stopping_on_signals
from ..status import Input, Stream
from ..values import Duration, Json, plain
from . import verbs
from .drivers import Verb, arun, run
from .queue import context_of, unknown_handler
from .verbs import Delivery

Mode = Literal["at_least_once", "at_most_once", "exactly_once"]
LEAVING = "its consumer is leaving"
GATHER_SECONDS = 0.002
"""While the next are taken, those that end are gathered for so long: an ack costs nearly the same
for forty as for twenty."""
_log = logging.getLogger("postq.worker")


class Consumer:
    """Runs the handlers of a queue."""

    def __init__(
        self,
        queue: Queue,
        dsn: str | None = None,
        *,
        mode: Mode = "at_least_once",
        concurrency: int = 10,
        prefetch: int = 0,
        lease: Duration = 60,
        poll: float = 5.0,
        listen: bool = True,
        only_known: bool = False,
        drain: float = 30.0,
    ) -> None:
        """`lease` is renewed while a handler works; `poll` bounds each sleep, in seconds, and
        without `listen` (behind a pooler in transaction mode) is all there is.

        A task of an unknown handler is nacked with that reason, unless `only_known` leaves it to
        others. Of several modes, `exactly_once` is for work in the same database: its handlers
        use `postq.current().connection`, and their work and the ack are one transaction.

        So many more as `prefetch` says are held, leased and ready to start, so that short handlers
        do not wait for the next statement. What is held is nobody else's: long handlers want none.
        """
        check_counts(concurrency, prefetch)
        if mode == "at_most_once" and prefetch:
            raise ValueError(
                "at_most_once: what is fetched ahead and not started would be lost with the process"
            )
        apart = [handler.name for handler in queue.handlers.values() if handler.has_process]
        if mode == "exactly_once" and apart:
            raise ValueError(
                f"exactly_once holds a transaction in this process, and {apart[0]} runs in another"
            )
        self.queue = queue
        self.dsn = dsn or str(getattr(queue, "dsn", ""))
        self.mode: Mode = mode
        self.concurrency = concurrency
        self.prefetch = prefetch
        self.lease = seconds(lease)
        self.poll = poll
        self.is_listening = listen
        self.tasks = [_literally(name) for name in queue.handlers] if only_known else None
        self.drain_for = drain
        self._waiting: collections.deque[Delivery] = collections.deque()
        self._running: dict[asyncio.Future[Verdict], tuple[Delivery, Call]] = {}
        self._ended: list[tuple[Delivery, Verdict]] = []
        self._backend = _Backend()
        self._idle: dict[bool, list[Any]] = {True: [], False: []}

    async def run(self, stop: asyncio.Event | None = None) -> None:
        """Until `stop` is set; without one, until SIGTERM or SIGINT. What runs gets `drain`
        seconds, then goes back."""
        stopping = stop or asyncio.Event()
        with stopping_on_signals(stopping) if stop is None else contextlib.nullcontext():
            async with self._working() as sides:
                leaving = asyncio.ensure_future(stopping.wait())
                taking = [asyncio.ensure_future(self._for_ever(self._round, self._taker))]
                # One at a time keeps the order of the queue, which two statements do not.
                if self.prefetch and self.concurrency > 1:
                    helping = self._for_ever(self._helping_round, self._helper)
                    taking.append(asyncio.ensure_future(helping))
                # None of them ends by itself but by something that nobody foresaw.
                parts: set[asyncio.Future[Any]] = {leaving, *taking, *sides}
                try:
                    await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for part in (leaving, *taking):
                        part.cancel()
                    await asyncio.gather(*taking, return_exceptions=True)
            for part in (*taking, *sides):
                if not part.cancelled() and (problem := part.exception()) is not None:
                    raise problem

    async def run_once(self) -> int:
        """Runs what is ready until nothing is, and returns how many: for tests and scripts."""
        done = 0
        async with self._working() as sides:
            while taken := await self._take(self.concurrency, self._taker):
                done += len(taken)
                self._waiting.extend(taken)
                self._begin_some()
                await self._all_run()
                telling = asyncio.ensure_future(self._all_told.wait())
                parts: set[asyncio.Future[Any]] = {telling, *sides}
                await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
                telling.cancel()
                for side in sides:
                    if side.done():
                        side.result()
        return done

    @contextlib.asynccontextmanager
    async def _working(self) -> AsyncIterator[list[asyncio.Task[None]]]:
        self._loop = asyncio.get_running_loop()
        self._runners = Runners(self.concurrency)
        self._free = asyncio.Event()
        self._is_deep = asyncio.Event()
        self._asked = 0
        self._has_ended = asyncio.Event()
        self._all_told = asyncio.Event()
        self._all_told.set()
        self._taker = _Line(self.dsn, self.queue.name)
        self._helper = _Line(self.dsn, self.queue.name)
        self._ender = _Line(self.dsn, self.queue.name)
        sides = [asyncio.ensure_future(self._end()), asyncio.ensure_future(self._renew())]
        try:
            yield sides
            await self._leave()
        finally:
            self._waiting.clear()  # Where it was cancelled, nothing more begins.
            for side in sides:
                side.cancel()
            await asyncio.gather(*sides, return_exceptions=True)
            await asyncio.to_thread(self._runners.close)
            for line in (self._taker, self._helper, self._ender):
                await line.close()
            for connection in self._idle[False]:
                connection.close()
            for connection in self._idle[True]:
                await connection.close()

    async def _for_ever(self, turn: Callable[[], Awaitable[None]], line: _Line) -> None:
        pauses = _rpc.pauses()
        while True:
            try:
                await turn()
                pauses = _rpc.pauses()
            except psycopg.OperationalError as error:
                _log.warning("no database: %s; trying again", str(error).strip())
                await line.close()
                await asyncio.sleep(next(pauses))

    async def _round(self) -> None:
        taken = await self._take(await self._room(), self._taker)
        if not taken:
            channel = None
            if self.is_listening:
                channel = await self._taker.say(verbs.listen(self.queue.name))
                if await self._taker.listen(channel):
                    # Registered anew: the first time may be used up by a word that we did not hear.
                    await self._taker.say(verbs.listen(self.queue.name))
                # What came before we were registered woke nobody.
                taken = await self._take(await self._room(), self._taker)
            if not taken:
                await self._taker.sleep(self.poll, channel)
        self._start(taken)

    async def _helping_round(self) -> None:
        await self._is_deep.wait()
        self._start(await self._take(await self._room(), self._helper))

    async def _room(self) -> int:
        """How many may be taken, once that is worth a statement: one costs nearly the same for one
        task as for twenty, so half of what is held ready is replaced at a time."""
        while True:
            self._free.clear()
            held = len(self._waiting) + len(self._running) + self._asked
            room = self.concurrency + self.prefetch - held
            if room > self.prefetch // 2:
                return room
            await self._free.wait()

    async def _take(self, num: int, line: _Line) -> list[Delivery]:
        delivery = "at_most_once" if self.mode == "at_most_once" else "at_least_once"
        verb = verbs.consume(
            num, self.queue.name, tasks=self.tasks, lease=self.lease, delivery=delivery
        )
        self._asked += num
        try:
            taken: list[Delivery] = await line.say(verb)
        finally:
            self._asked -= num
            self._free.set()
        if len(taken) == num:
            self._is_deep.set()  # Where there was as much as was asked for, there is more.
        else:
            self._is_deep.clear()
        return taken

    def _start(self, taken: list[Delivery]) -> None:
        self._waiting.extend(taken)
        # The next statement goes out before they begin.
        self._loop.call_soon(self._begin_some)

    def _begin_some(self) -> None:
        while self._waiting and len(self._running) < self.concurrency:
            delivery = self._waiting.popleft()
            try:
                self._begin(delivery)
            except Exception:  # A hook of the application's, or one of its log handlers.
                _log.exception("%s: an attempt could not be begun", delivery.id)
                self._free.set()

    def _begin(self, delivery: Delivery) -> None:
        context = context_of(delivery, self._backend)
        handler = self.queue.handlers.get(delivery.task)
        note_start(context)
        if handler is None:
            verdict = Verdict(Outcome.FAILED, unknown_handler(self.queue, delivery.task))
            note_end(context, verdict, 0)
            self._note_ended(delivery, verdict)
            self._free.set()
            return
        if self.mode == "exactly_once":
            handler = self._with_ack(handler, delivery)
        call = Call(handler, delivery.arguments, context)
        running = call.start(self._runners)
        self._running[running] = (delivery, call)
        running.add_done_callback(functools.partial(self._ended_one, time.monotonic()))

    def _ended_one(self, began: float, running: asyncio.Future[Verdict]) -> None:
        delivery, call = self._running.pop(running)
        self._free.set()
        try:
            verdict = running.result()
            note_end(call.context, verdict, time.monotonic() - began)
            verdict = call.handler.paused(verdict, delivery.attempts)
            if self.mode != "exactly_once" or verdict.outcome is not Outcome.SUCCEEDED:
                self._note_ended(delivery, verdict)
        finally:
            self._begin_some()

    async def _all_run(self, timeout: float | None = None) -> None:
        """Until nothing runs, or for so many seconds."""
        if self._running:
            await asyncio.wait(set(self._running), timeout=timeout)

    def _note_ended(self, delivery: Delivery, verdict: Verdict) -> None:
        self._ended.append((delivery, verdict))
        self._all_told.clear()
        self._has_ended.set()

    async def _end(self) -> None:
        pauses = _rpc.pauses()
        while True:
            await self._has_ended.wait()
            if self._taker.lock.locked():
                await asyncio.sleep(GATHER_SECONDS)
            ended, self._ended = self._ended, []
            self._has_ended.clear()
            try:
                await self._tell(ended)
                pauses = _rpc.pauses()
                if not self._ended:
                    self._all_told.set()
            except psycopg.OperationalError:
                # Said again on a new connection: what was heard the first time is stale then.
                self._ended[:0] = ended
                self._has_ended.set()
                await self._ender.close()
                await asyncio.sleep(next(pauses))

    async def _tell(self, ended: list[tuple[Delivery, Verdict]]) -> None:
        won: list[tuple[Delivery, Verdict]] = []
        single: list[tuple[Delivery, Verdict]] = []
        for delivery, verdict in ended:
            is_plain = verdict.outcome is Outcome.SUCCEEDED and not self._every(delivery)
            (won if is_plain else single).append((delivery, verdict))
        try:
            if won:
                heard = await self._ender.say(verbs.ack_many([(d, v.result) for d, v in won]))
                for delivery, _ in won:
                    if delivery.attempt not in heard:
                        _note_stale(delivery)
        except (PostqError, psycopg.DataError):
            single += won  # One of them cannot be stored: one by one, then.
        for delivery, verdict in single:
            try:
                await self._ender.say(self._last_word(delivery, verdict))
            except Stale:
                _note_stale(delivery)
            except (PostqError, psycopg.DataError) as error:
                text = f"what it returned could not be stored: {error}"
                with contextlib.suppress(Stale):
                    await self._ender.say(verbs.nack(delivery, text))

    def _every(self, delivery: Delivery) -> bool:
        handler = self.queue.handlers.get(delivery.task)
        return handler is not None and handler.options.every is not None

    def _last_word(self, delivery: Delivery, verdict: Verdict) -> Verb[None]:
        if verdict.outcome is Outcome.SUCCEEDED:
            result = json.loads(verdict.result or "null")
            return _ack(delivery, result, self.queue.handlers.get(delivery.task))
        if verdict.outcome is Outcome.RELEASED:
            return verbs.release(delivery)
        text = verdict.errors or verdict.reason
        return verbs.nack(delivery, text, retry_after=verdict.after)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self.lease / 3)
            held = [(delivery, None) for delivery in self._waiting]
            for delivery, call in [*held, *self._running.values()]:
                with contextlib.suppress(psycopg.OperationalError):
                    await self._renew_one(delivery, call)

    async def _renew_one(self, delivery: Delivery, call: Call | None) -> None:
        try:
            if await self._ender.say(verbs.renew(delivery, self.lease)):
                return
            outcome, reason = Outcome.CANCELLED, "cancelled"
        except Stale:
            outcome, reason = Outcome.CANCELLED, "its lease ended"
        if call is not None:
            call.stop(outcome, reason)
        elif delivery in self._waiting:
            self._waiting.remove(delivery)
            self._note_ended(delivery, Verdict(Outcome.RELEASED, reason))
            self._free.set()

    async def _leave(self) -> None:
        while self._waiting:
            self._note_ended(self._waiting.popleft(), Verdict(Outcome.RELEASED, LEAVING))
        await self._all_run(self.drain_for)
        for _, call in list(self._running.values()):
            call.stop(Outcome.RELEASED, LEAVING, 1.0)
        await self._all_run(5)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._all_told.wait(), 5)

    def _with_ack(self, handler: Handler[..., Any], delivery: Delivery) -> Handler[..., Any]:
        """The handler in a transaction that ends with the ack."""
        function = handler.function

        @functools.wraps(function)
        def work(*args: Any, **kwargs: Any) -> Any:
            with self._transaction() as connection:
                current().connection = connection
                returned = function(*args, **kwargs)
                run(connection, _ack(delivery, plain(returned), handler))
                return returned

        @functools.wraps(function)
        async def awork(*args: Any, **kwargs: Any) -> Any:
            async with self._atransaction() as connection:
                current().connection = connection
                returned = await function(*args, **kwargs)
                await arun(connection, _ack(delivery, plain(returned), handler))
                return returned

        made: Callable[..., Any] = awork if handler.is_async else work
        wrapped = Handler(handler.queue, made, handler.name, handler.options, handler.takes_body)
        wrapped.is_async = handler.is_async
        return wrapped

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Any]:
        idle = self._idle[False]
        connection = idle.pop() if idle else psycopg.connect(self.dsn, autocommit=True)
        try:
            with connection.transaction():
                yield connection
        finally:
            if connection.closed:
                connection.close()
            else:
                idle.append(connection)

    @contextlib.asynccontextmanager
    async def _atransaction(self) -> AsyncIterator[Any]:
        idle = self._idle[True]
        connection = (
            idle.pop() if idle else await psycopg.AsyncConnection.connect(self.dsn, autocommit=True)
        )
        try:
            async with connection.transaction():
                yield connection
        finally:
            if connection.closed:
                await connection.close()
            else:
                idle.append(connection)


class _Line:
    """A connection in autocommit, made when it is needed and again when it broke."""

    def __init__(self, dsn: str, queue: str) -> None:
        self._dsn, self._queue = dsn, queue
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._channel: str | None = None
        self.lock = asyncio.Lock()

    async def say(self, verb: Verb[Any]) -> Any:
        async with self.lock:
            return await arun(await self._connected(), verb)

    async def listen(self, channel: str) -> bool:
        """Whether it did not listen before."""
        if channel == self._channel:
            return False
        connection = await self._connected()
        await connection.execute(f'listen "{channel}"')
        self._channel = channel
        return True

    async def sleep(self, longest: float, channel: str | None) -> None:
        """Until a notification or the time is over."""
        if channel is None:
            await asyncio.sleep(longest)
            return
        connection = await self._connected()
        async for _ in connection.notifies(timeout=longest, stop_after=1):
            pass

    async def close(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            await connection.close()

    async def _connected(self) -> psycopg.AsyncConnection[Any]:
        if self._connection is None or self._connection.closed:
            self._channel = None
            name = f"postq consumer {self._queue}"
            self._connection = await psycopg.AsyncConnection.connect(
                self._dsn, autocommit=True, fallback_application_name=name
            )
        return self._connection


class _Backend:
    """What a handler's context does here."""

    def write(self, stream: Stream, data: bytes) -> None:
        """SQL consumers have no output to write to."""

    def heartbeat(self) -> bool:
        return True  # The lease is renewed by the consumer.

    def inputs(self) -> dict[str, Input]:
        raise FailedPrecondition("a SQL consumer does not see other tasks; use a worker")


def _ack(delivery: Delivery, result: Json, handler: Handler[..., Any] | None) -> Verb[None]:
    every = handler.options.every if handler is not None else None
    if every is None:
        return verbs.ack(delivery, result)
    return verbs.ack_and_repeat(delivery, result, every)


def _note_stale(delivery: Delivery) -> None:
    _log.warning("%s: its lease ended before it was heard of", delivery.id)


def _literally(name: str) -> str:
    """A LIKE pattern that matches this name alone."""
    return name.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
