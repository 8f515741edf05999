"""`SqlQueue`: a queue whose jobs go in and out by SQL alone, with no coordinator needed.

Its own connection commits each statement. To push inside a transaction of yours, submit
`handler.job(...)` on your connection: `postq.sql.enqueue(connection, add.job(2, 3))`.
"""

from __future__ import annotations

import asyncio
import enum
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from .. import telemetry
from ..context import Context, enter, leave
from ..errors import FailedPrecondition
from ..journal import note_end, note_start
from ..outcome import Verdict, failure, success
from ..queue import Queue
from ..spec import Job
from ..status import Input, Stream
from ..values import Duration, Json, dumps
from . import verbs
from .drivers import Verb, run

if TYPE_CHECKING:
    from psycopg import Connection as PsycopgConnection


class AlreadyAcquired(FailedPrecondition):
    """Somebody in this process is working on it."""


class AlreadyEnded(FailedPrecondition):
    """It was acked, nacked or released here before."""


class ReceiverClosed(FailedPrecondition):
    """It was given back when its receiver was closed."""


class _State(enum.Enum):
    HELD = "held"
    ACQUIRED = "acquired"
    ENDED = "ended"
    GIVEN_BACK = "given back"


class SqlQueue(Queue):
    """A queue on a database, whose URL or DSN `dsn` is."""

    def __init__(self, name: str = "default", dsn: str = "", **options: Any) -> None:
        """`options`, as of `Options`, hold for all handlers that do not say otherwise."""
        super().__init__(name, **options)
        self.dsn = dsn
        self._connection: PsycopgConnection[Any] | None = None
        self._lock = threading.RLock()

    def close(self) -> None:
        """Ends the connection; a later use opens another."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    def say(self, verb: Verb[Any]) -> Any:
        """Does it on the queue's own connection, which may have broken: then on a new one."""
        with self._lock:
            try:
                return run(self._connected(), verb)
            except Exception:
                # Every verb that is said here may be said twice: a job's id is made before.
                if self._connection is None or not self._connection.broken:
                    raise
            return run(self._connected(), verb)

    def submit(self, job: Job) -> str:
        """Submits a job to this queue."""
        job.queue = self.name
        return str(self.say(verbs.submit(job)))

    def pop(
        self, *, lease: Duration | None = None, delivery: str = "at_least_once"
    ) -> Received | None:
        """Takes the next task; None where there is none."""
        taken = self.take(1, lease=lease, delivery=delivery)
        return taken[0] if taken else None

    def take(
        self, num: int, *, lease: Duration | None = None, delivery: str = "at_least_once"
    ) -> list[Received]:
        """Takes up to `num` tasks."""
        verb = verbs.consume(num, self.name, lease=lease, delivery=delivery)
        return [Received(self, delivery) for delivery in self.say(verb)]

    @contextmanager
    def receive(self, num: int = 1, **settings: Any) -> Iterator[list[Received]]:
        """Up to `num` tasks; those that nobody has acquired go back when the block is left."""
        taken = self.take(num, **settings)
        try:
            yield taken
        finally:
            for received in taken:
                received.give_back()

    def drain(self, limit: int | None = None) -> int:
        """Runs what is ready, here and now, until nothing is: for tests and scripts. How many."""
        done = 0
        while limit is None or done < limit:
            received = self.pop()
            if received is None:
                break
            done += 1
            # What it raises is nacked, and noted with its traceback.
            with suppress(Exception):
                received.execute()
        return done

    def run_worker(self, *, concurrency: int = 10, **settings: Any) -> None:
        """Runs the handlers until SIGTERM or SIGINT; see `Consumer` for the settings."""
        from .consumer import Consumer

        asyncio.run(Consumer(self, concurrency=concurrency, **settings).run())

    def _connected(self) -> PsycopgConnection[Any]:
        import psycopg

        if self._connection is None or self._connection.closed:
            name = f"postq {self.name}"
            self._connection = psycopg.connect(
                self.dsn, autocommit=True, fallback_application_name=name
            )
        return self._connection


class Received:
    """A task in our hands. Acquire it, then end it; or just `execute` it."""

    def __init__(self, queue: SqlQueue, delivery: verbs.Delivery) -> None:
        """Made by `SqlQueue.take`."""
        self.queue = queue
        self.delivery = delivery
        self._state = _State.HELD
        self._lock = threading.Lock()

    @property
    def key(self) -> str:
        """The job's id."""
        return self.delivery.id

    @property
    def name(self) -> str:
        """The handler's name."""
        return self.delivery.task

    @property
    def args(self) -> list[Json]:
        """The positions of the call."""
        return self.delivery.args

    @property
    def kwargs(self) -> dict[str, Json]:
        """The keywords of the call."""
        return self.delivery.kwargs

    @property
    def body(self) -> Json:
        """The arguments as they are."""
        return self.delivery.arguments

    @property
    def attempts(self) -> int:
        """Executions that count, this one included."""
        return self.delivery.attempts

    @property
    def max_retries(self) -> int | None:
        """Executions after the first one; None: no limit."""
        return self.delivery.max_retries

    @contextmanager
    def acquire(self) -> Iterator[Received]:
        """Works on it: acked at the end of the block, nacked with the traceback if that raises."""
        self._move(_State.ACQUIRED)
        try:
            yield self
        except BaseException as error:
            verdict = failure(error)
            self.nack(verdict.errors or str(error), retry_after=verdict.after)
            raise
        else:
            if self._state is _State.ACQUIRED:
                self.ack()

    def ack(self, result: Json = None) -> None:
        """It succeeded."""
        self._end(verbs.ack(self.delivery, result))

    def nack(self, error: str | None = None, *, retry_after: Duration | None = None) -> None:
        """It failed."""
        self._end(verbs.nack(self.delivery, error, retry_after=retry_after))

    def renew(self, lease: Duration = 60) -> bool:
        """Holds it so much longer; False where somebody asked for the end of the job."""
        return bool(self.queue.say(verbs.renew(self.delivery, lease)))

    def give_back(self) -> None:
        """Ready for others at once, unless somebody here has acquired it."""
        with self._lock:
            if self._state is not _State.HELD:
                return
            self._state = _State.GIVEN_BACK
        self.queue.say(verbs.release(self.delivery))

    def execute(self) -> Json:
        """Runs its handler and returns what that returns, once it is acked. What the handler
        raises comes out of here, once it is nacked. A handler that is not known is an error, too.
        """
        self._move(_State.ACQUIRED)
        context = context_of(self.delivery, _Here(self))
        note_start(context)
        began = time.monotonic()
        verdict: Verdict
        try:
            returned = self._call(context)
            verdict = success(dumps(returned))
        except BaseException as error:
            verdict = failure(error)
            note_end(context, verdict, time.monotonic() - began)
            self.nack(verdict.errors or verdict.reason, retry_after=verdict.after)
            raise
        note_end(context, verdict, time.monotonic() - began)
        self.ack(returned)
        return returned

    def _call(self, context: Context) -> Any:
        handler = self.queue.handlers.get(self.name)
        if handler is None:
            raise LookupError(unknown_handler(self.queue, self.name))
        args, kwargs = handler.bind(self.delivery.arguments)
        token = enter(context)
        try:
            with telemetry.attempt(context, handler.name):
                returned = handler.function(*args, **kwargs)
                return asyncio.run(returned) if handler.is_async else returned
        finally:
            leave(token)

    def _end(self, verb: Verb[None]) -> None:
        self._move(_State.ENDED)
        self.queue.say(verb)

    def _move(self, to: _State) -> None:
        with self._lock:
            if self._state is _State.ENDED:
                raise AlreadyEnded(f"the task {self.key} was ended here before")
            if self._state is _State.GIVEN_BACK:
                raise ReceiverClosed(f"the task {self.key} went back when its receiver was closed")
            if self._state is to:
                raise AlreadyAcquired(f"the task {self.key} is being worked on")
            self._state = to


def context_of(delivery: verbs.Delivery, backend: Any) -> Context:
    """What a handler sees of a delivery."""
    return Context(
        job_id=delivery.id,
        task=delivery.task,
        handler=delivery.task,
        queue=delivery.queue,
        attempt=delivery.attempt,
        attempt_number=delivery.attempts,
        attributes=delivery.attributes,
        backend=backend,
    )


def unknown_handler(queue: Queue, name: str) -> str:
    """The reason."""
    known = ", ".join(sorted(queue.handlers)) or "none"
    return f"this consumer has no handler {name!r}; it has {known}"


class _Here:
    """What a handler's context does in `Received.execute`."""

    def __init__(self, received: Received) -> None:
        self._received = received

    def write(self, stream: Stream, data: bytes) -> None:
        """SQL consumers have no output to write to."""

    def heartbeat(self) -> bool:
        return self._received.renew()

    def inputs(self) -> dict[str, Input]:
        raise FailedPrecondition("a SQL consumer does not see other tasks; use a worker")


__all__ = ["AlreadyAcquired", "AlreadyEnded", "Received", "ReceiverClosed", "SqlQueue"]
