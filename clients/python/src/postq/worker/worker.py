"""`Worker`: runs the handlers of queues for a coordinator, until it is told to stop.

It puts the parts together: the session hears, the desk remembers, calls run, the session says.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
import uuid
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from .. import _rpc
from ..calling import Call, Runners, check_counts
from ..client import Client
from ..context import Context
from ..errors import PostqError
from ..handlers import Handler
from ..ids import id_after
from ..journal import note_end, note_start
from ..outcome import Outcome, Verdict, failure
from ..queue import Queue
from ..signals import stopping_on_signals
from ..spec import Job
from ..status import Input, Stream
from ..v1 import dispatch_service_pb2 as wire
from ..v1 import dispatch_service_pb2_grpc
from ..values import from_struct, from_value
from .desk import Desk, Entry, report
from .files import Files
from .logs import AttemptLog, LogPusher
from .session import Session

FAREWELL_WITHIN = 5.0
"""Seconds for the last reports and output to be recorded."""
_log = logging.getLogger("postq.worker")


class Worker:
    """A worker for the handlers of some queues.

    A handler is known to coordinators by its name alone: whoever has it may be given its tasks,
    whatever queue they wait in.
    """

    def __init__(
        self,
        queues: Queue | Iterable[Queue],
        *,
        concurrency: int = 10,
        prefetch: int = 0,
        target: str | None = None,
        token: str | None = None,
        token_file: str | os.PathLike[str] | None = None,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        resources: Mapping[str, float] | None = None,
        drain: float = 30.0,
    ) -> None:
        """`concurrency` attempts at a time; `drain`: seconds that running ones get at the end.

        So many more as `prefetch` says are held ready to start. That is for short handlers, many
        in a second; behind long ones they would wait here while other workers are idle.

        `resources` are what they can take together, as `{"cpus": 4, "memory": 2**33, "gpus": 1}`:
        `memory` in bytes. Tasks that ask for what a worker does not name are not for it.
        """
        check_counts(concurrency, prefetch)
        self.concurrency = concurrency
        self.prefetch = prefetch
        self.drain = drain
        self.name = name or f"{socket.gethostname()}-{os.getpid()}"
        self.handlers = _handlers([queues] if isinstance(queues, Queue) else queues)
        self._target = _rpc.address(target)
        self._metadata = _rpc.credentials(token, token_file, "agent")
        self._token = (token, token_file)
        self._labels = dict(labels or {})
        self._resources = {
            name: round(amount * 1000) if name == "cpus" else int(amount)
            for name, amount in (resources or {}).items()
        }
        self._id, self._boot = str(uuid.uuid4()), str(uuid.uuid4())
        self._desk = Desk()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_draining = False
        self._stuck = 0

    async def run(self, stop: asyncio.Event | None = None) -> None:
        """Until `stop` is set; without one, until SIGTERM or SIGINT; or until an operator drains
        it. A second signal ends it at once, and gives back what still runs."""
        stopping = self._stopping = stop or asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._client = self._submitter()
        self._free = asyncio.Semaphore(self.concurrency)
        self._runners = Runners(self.concurrency)
        self._channels = [_rpc.channel(self._target), _rpc.channel(self._target)]
        control, output = (
            dispatch_service_pb2_grpc.DispatchServiceStub(channel)  # type: ignore[no-untyped-call]
            for channel in self._channels
        )
        self._files = Files(self._target, self._metadata)
        self._pusher = LogPusher(lambda: output.PushLogs(metadata=self._metadata))
        self._session = Session(
            lambda: control.Connect(metadata=self._metadata),
            self._hello,
            self._desk.reports,
            self._hear,
            self._alone,
        )
        session = asyncio.ensure_future(self._session.run())
        pushing = asyncio.ensure_future(self._pusher.run())
        waiting = asyncio.ensure_future(stopping.wait())
        try:
            with stopping_on_signals(stopping) if stop is None else contextlib.nullcontext():
                await asyncio.wait({session, waiting}, return_when=asyncio.FIRST_COMPLETED)
                if not session.done():
                    await self._leave()
            if session.done():
                session.result()
        finally:
            for task in (session, pushing, waiting):
                task.cancel()
            await asyncio.gather(session, pushing, waiting, return_exceptions=True)
            for channel in self._channels:
                await channel.close()
            await asyncio.to_thread(self._runners.close)
            if self._client is not None:
                await asyncio.to_thread(self._client.close)

    def _submitter(self) -> Client | None:
        """For handlers that are pushed again and again; a worker without any needs no token of a
        client."""
        if all(handler.options.every is None for handler in self.handlers.values()):
            return None
        return Client(self._target, token=self._token[0], token_file=self._token[1])

    @property
    def slots(self) -> int:
        """How many attempts it offers to run at once."""
        return 0 if self._is_draining else self.concurrency + self.prefetch - self._stuck

    def _hello(self) -> wire.Hello:
        return wire.Hello(
            agent_id=self._id,
            boot_id=self._boot,
            name=self.name,
            host=socket.gethostname(),
            version=_version(),
            slots=self.slots,
            handlers=sorted(self.handlers),
            labels=self._labels,
            resources=self._resources,
            held=self._desk.held(),
            reads_more=True,
        )

    def _hear(self, kind: str, message: Any) -> None:
        if kind == "assignment":
            self._assigned(message)
        elif kind == "recorded":
            self._desk.forget(message.attempt)
        elif kind == "cancel":
            self._stop(self._desk.get(message.attempt), message.reason or "cancelled")
        elif kind == "abandon":
            self._stop(self._desk.forget(message.attempt), "abandoned")
        elif kind == "what_do_you_hold":
            holding = wire.Holding(question=message.question, held=self._desk.held())
            self._session.say(holding=holding)
        elif kind == "drain":
            if message.HasField("timeout"):
                self.drain = message.timeout.ToTimedelta().total_seconds()
            self._stopping.set()

    def _assigned(self, assignment: wire.Assignment) -> None:
        if assignment.attempt in self._desk:
            return
        entry = self._desk.accept(assignment)
        if self._is_draining:
            self._conclude(entry, Verdict(Outcome.RELEASED, "its worker is leaving"), None)
            return
        call = self._call(entry, assignment)
        if call is None:
            return
        task = self._loop.create_task(self._execute(entry, call, assignment))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _alone(self) -> None:
        """Nobody knows that these go on, and others may be given them."""
        for entry in self._desk.running():
            if entry.is_exclusive:
                self._give_back(entry, "it heard no coordinator")

    def _give_back(self, entry: Entry, reason: str) -> None:
        """Uncounted; what was started is stopped first."""
        if not entry.is_started:
            self._conclude(entry, Verdict(Outcome.RELEASED, reason), None)
        elif entry.call is not None:
            entry.call.stop(Outcome.RELEASED, reason, 1.0)

    def _stop(self, entry: Entry | None, reason: str) -> None:
        if entry is not None and entry.call is not None and entry.report is None:
            entry.call.stop(Outcome.CANCELLED, reason, entry.grace)
            if not entry.is_started:
                self._conclude(entry, Verdict(Outcome.CANCELLED, reason), None)

    def _call(self, entry: Entry, assignment: wire.Assignment) -> Call | None:
        """The call that an assignment asks for, which may be stopped from here on; None where it
        has failed already."""
        entry.log = AttemptLog(entry.held, self._pusher)
        entry.grace = assignment.grace.ToTimedelta().total_seconds()
        entry.is_exclusive = assignment.is_exclusive
        handler = self.handlers.get(assignment.handler)
        if handler is None:
            reason = f"this worker has no handler {assignment.handler!r}"
            self._conclude(entry, Verdict(Outcome.FAILED, reason, is_final=True), None)
            return None
        arguments = from_value(assignment.arguments)
        entry.call = Call(handler, arguments, self._context(entry, assignment))
        return entry.call

    async def _execute(self, entry: Entry, call: Call, assignment: wire.Assignment) -> None:
        async with self._free:
            if entry.report is not None or entry.held.attempt not in self._desk:
                return  # It was ended while it waited for its turn.
            entry.is_started = True
            note_start(call.context)
            began = time.monotonic()
            try:
                verdict = await self._verdict(entry, call, assignment)
            except Exception as error:  # Whatever it is, the attempt has an end.
                verdict = failure(error)
            ran_for = time.monotonic() - began
            note_end(call.context, verdict, ran_for)
            self._conclude(entry, verdict, ran_for)
            if not call.has_ended:
                await self._outlast(call)

    async def _verdict(self, entry: Entry, call: Call, assignment: wire.Assignment) -> Verdict:
        if assignment.HasField("input"):
            verdict = await self._run_with_files(entry, call, assignment)
        else:
            verdict = await self._run(entry, call, assignment)
        if verdict.outcome is Outcome.SUCCEEDED and call.handler.options.every is not None:
            verdict = await self._repeat(call.handler, assignment, verdict)
        return call.handler.paused(verdict, assignment.attempt_number)

    async def _run(self, entry: Entry, call: Call, assignment: wire.Assignment) -> Verdict:
        timeout = assignment.timeout.ToTimedelta().total_seconds()
        return await call.run(self._runners, timeout or None, entry.grace)

    async def _run_with_files(
        self, entry: Entry, call: Call, assignment: wire.Assignment
    ) -> Verdict:
        """A success is one only when what it left is kept."""
        try:
            async with self._files.directory(assignment.attempt) as directory:
                call.context.workspace = directory
                verdict = await self._run(entry, call, assignment)
                if verdict.outcome is Outcome.SUCCEEDED:
                    entry.output = await self._files.keep(assignment.attempt, directory)
                return verdict
        except PostqError as error:
            return Verdict(Outcome.FAILED, f"its files: {error}")

    async def _outlast(self, call: Call) -> None:
        """A handler that did not stop in its grace keeps its slot until it ends by itself."""
        self._stuck += 1
        self._session.greet_again()
        await call.ended()
        self._stuck -= 1
        self._session.greet_again()

    async def _repeat(
        self, handler: Handler[..., Any], assignment: wire.Assignment, won: Verdict
    ) -> Verdict:
        """Submits the next run before this one is reported; its id makes it one, however often
        this one is tried."""
        arguments = from_value(assignment.arguments)
        task = handler.using(name=assignment.task_name).task_of(arguments)
        every = handler.options.every
        job = Job([task], name=assignment.job_name, queue=assignment.queue, delay=every)
        next_id = id_after(assignment.job_id)
        assert self._client is not None, "invariant: a handler has `every`"
        try:
            await asyncio.to_thread(self._client.submit, job, id=next_id)
        except PostqError as error:
            return Verdict(Outcome.FAILED, f"its next run could not be submitted: {error}")
        return won

    def _conclude(self, entry: Entry, verdict: Verdict, ran_for: float | None) -> None:
        if entry.log is not None:
            if verdict.errors:
                entry.log.write(Stream.STDERR, verdict.errors.encode(errors="replace"))
            entry.log.finish()
        if entry.held.attempt in self._desk:
            entry.report = report(entry, verdict, ran_for)
            self._session.say(report=entry.report)

    def _context(self, entry: Entry, assignment: wire.Assignment) -> Context:
        return Context(
            job_id=assignment.job_id,
            job_name=assignment.job_name,
            task=assignment.task_name,
            handler=assignment.handler,
            queue=assignment.queue,
            attempt=assignment.attempt,
            attempt_number=assignment.attempt_number,
            env=dict(assignment.env),
            attributes=from_struct(assignment.attributes),
            data=from_value(assignment.data),
            traceparent=assignment.traceparent,
            backend=_Backend(self._loop, entry, assignment),
        )

    async def _leave(self) -> None:
        """Takes nothing new, lets what runs end, gives back the rest, and waits to be heard."""
        _log.info("leaving; %d attempts are still running", len(self._desk.running()))
        self._is_draining = True
        self._session.greet_again()
        for entry in self._desk.running():
            if not entry.is_started:
                self._give_back(entry, "its worker is leaving")
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=self.drain)
        for entry in self._desk.running():
            self._give_back(entry, "its worker is leaving")
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._last_words(), FAREWELL_WITHIN)

    async def _last_words(self) -> None:
        await self._pusher.flushed()
        await self._desk.emptied()


class _Backend:
    """What a handler's context does here."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, entry: Entry, assignment: wire.Assignment
    ) -> None:
        self._loop, self._entry, self._assignment = loop, entry, assignment

    def write(self, stream: Stream, data: bytes) -> None:
        self._loop.call_soon_threadsafe(self._write, stream, data)

    def _write(self, stream: Stream, data: bytes) -> None:
        # The number of chunks stands in the report: what comes behind it would never be read.
        if self._entry.log is not None and self._entry.report is None:
            self._entry.log.write(stream, data)

    def heartbeat(self) -> bool:
        return True  # The stream itself is the sign of life.

    def inputs(self) -> Mapping[str, Input]:
        return {name: Input.from_proto(it) for name, it in self._assignment.inputs.items()}


def _handlers(queues: Iterable[Queue]) -> dict[str, Handler[..., Any]]:
    found: dict[str, Handler[..., Any]] = {}
    for queue in queues:
        for name, handler in queue.handlers.items():
            if found.setdefault(name, handler) is not handler:
                raise ValueError(f"two queues have a handler {name!r}; give one another name")
    if not found:
        raise ValueError("there is no handler; is the module imported that has them?")
    return found


def _version() -> str:
    try:
        return f"postq-client {version('postq-client')}"
    except PackageNotFoundError:
        return "postq-client"
