"""Handlers in processes of their own: started when needed, used again, and killed to stop them.

A child is told a function by its module and name, imports it, and answers with a verdict. It knows
neither gRPC nor SQL. Invariants: a child runs one call at a time; its process group does not
outlive a kill, but what the call moved into another group or session does. A child whose worker
was killed sees its pipe close, in a thread: it outlives the worker while the call holds the
interpreter.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import multiprocessing
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any

from . import telemetry
from .context import Context, LogHandler, enter
from .errors import FailedPrecondition
from .handlers import Handler, Options
from .outcome import Cancelled, Verdict, failure, success
from .queue import Queue
from .status import Input, Stream
from .values import Json, dumps

Write = Callable[[Stream, bytes], None]
Name = tuple[str, str]
"""A module, and what is in it."""

QUIT_WITHIN = 5.0
"""Seconds for an idle child to leave before it is killed."""
_TO_A_SERVICE = (signal.SIGTERM, signal.SIGINT)
"""Meant for whoever started a child, also where they come to the child as well."""
_OF_THE_PARENT = ("backend", "connection", "_stopping")
# A fork would copy the locks of other threads and the sockets of gRPC.
_spawning = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Work:
    """One call, as it travels to a child: nothing in it needs the application's modules."""

    function: Name
    handler: str
    takes_body: bool
    retry_on: tuple[Name, ...] | None
    prepare: Callable[[], None] | None
    arguments: Json
    about: dict[str, Any]
    """Fields of its `Context`."""
    inputs: dict[str, Input] | None

    @classmethod
    def of(cls, handler: Handler[..., Any], arguments: Json, context: Context) -> Work:
        """A call of a handler."""
        names = [f.name for f in fields(context) if f.name not in _OF_THE_PARENT]
        try:
            inputs = dict(context.backend.inputs())
        except FailedPrecondition:
            inputs = None
        kinds = handler.options.retry_on
        return cls(
            _name(handler.function),
            handler.name,
            handler.takes_body,
            tuple(_name(kind) for kind in kinds) if kinds is not None else None,
            handler.queue.prepare_process,
            arguments,
            {name: getattr(context, name) for name in names},
            inputs,
        )


class Died(Exception):
    """A child ended in the middle of a call."""


class Child:
    """A process that runs calls."""

    def __init__(self) -> None:
        """Starts it, and waits until it can be told something."""
        ours, theirs = _spawning.Pipe()
        self._pipe: Connection = ours
        root = logging.getLogger()
        is_logging = any(isinstance(handler, LogHandler) for handler in root.handlers)
        level = root.level if is_logging else None
        self._process = _spawning.Process(target=_serve, args=(theirs, level))
        with _starting():
            self._process.start()
        theirs.close()
        try:
            self._pipe.recv()
        except EOFError:
            raise Died(self._end()) from None

    def run(self, what: Work, write: Write) -> Verdict:
        """The verdict; its output goes to `write`. Died where it ends before."""
        try:
            self._pipe.send(what)
            while not isinstance(word := self._pipe.recv(), Verdict):
                write(*word)
        except (EOFError, OSError):
            raise Died(self._end()) from None
        except BaseException as error:  # Nobody hears it to its end.
            self.kill()
            raise Died(f"{self._end()}, after {error!r} here") from error
        return word

    def interrupt(self) -> None:
        """Raises Cancelled in what it runs."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGUSR1)

    @property
    def is_alive(self) -> bool:
        """Whether it can be told something."""
        return self._process.is_alive()

    def kill(self) -> None:
        """Ends it and its process group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        self._process.kill()

    def quit(self) -> None:
        """Lets it leave; for one that runs nothing."""
        self._pipe.close()
        self._end()

    @property
    def _pid(self) -> int:
        pid = self._process.pid
        assert pid is not None, "invariant: it was started"
        return pid

    def _end(self) -> str:
        """Sees to it that it has ended, and tells how."""
        self._process.join(QUIT_WITHIN)
        self.kill()
        self._process.join()
        code = self._process.exitcode or 0
        if code >= 0:
            return f"its process ended with exit code {code}"
        return f"its process was killed by {signal.Signals(-code).name}"


@contextlib.contextmanager
def _starting() -> Iterator[None]:
    """What is started within inherits that signals wait until it can hear them."""
    resource_tracker.ensure_running()  # It is started once, and takes the mask away.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _TO_A_SERVICE)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _started() -> None:
    """The same in what was started: those that came are dropped, and later ones are heard."""
    while signal.sigpending().intersection(_TO_A_SERVICE):
        signal.sigwait(_TO_A_SERVICE)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _TO_A_SERVICE)


class Pool:
    """Children, of which each runs one call or waits for one. Used from any thread."""

    def __init__(self) -> None:
        """None is started yet."""
        self._idle: list[Child] = []
        self._busy: set[Child] = set()
        self._is_closed = False

    def take(self) -> Child:
        """One for one call; to be given back."""
        child = self._awake() or Child()
        self._busy.add(child)
        return child

    def _awake(self) -> Child | None:
        while True:
            try:
                child = self._idle.pop()
            except IndexError:
                return None
            if child.is_alive:
                return child
            child.quit()  # It died while it waited.

    def give_back(self, child: Child, is_alive: bool) -> None:
        """Its call has ended."""
        self._busy.discard(child)
        if self._is_closed:
            child.quit()
        elif is_alive:
            self._idle.append(child)

    def close(self) -> None:
        """Ends them all, whatever they run."""
        self._is_closed = True
        for child in list(self._busy):
            child.kill()
        while self._idle:
            self._idle.pop().quit()


class _Backend:
    """What a handler's context does in a child."""

    def __init__(self, told: queue.SimpleQueue[Any], inputs: dict[str, Input] | None) -> None:
        self._told, self._inputs = told, inputs

    def write(self, stream: Stream, data: bytes) -> None:
        self._told.put((stream, data))

    def heartbeat(self) -> bool:
        return True  # Whoever started the child sees to that.

    def inputs(self) -> dict[str, Input]:
        if self._inputs is None:
            raise FailedPrecondition("a SQL consumer does not see other tasks; use a worker")
        return self._inputs


class _Server:
    """A child's side. The main thread runs calls, because signals are raised there; it never
    touches the pipe, so that none is raised in the middle of a message."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._heard: queue.SimpleQueue[Work] = queue.SimpleQueue()
        self._told: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._running: Context | None = None

    def run(self) -> None:
        os.setsid()  # A Ctrl-C is for whoever started it, and a kill for all that it starts.
        signal.signal(signal.SIGUSR1, self._interrupted)
        # To a whole service: it is for whoever started this, who lets what runs end.
        signal.signal(signal.SIGTERM, lambda *_: None)  # Not ignored: what it starts would be deaf.
        _started()
        for work in (self._hear, self._tell):
            threading.Thread(target=work, daemon=True).start()
        self._told.put("ready")
        while True:
            what = self._heard.get()
            try:
                verdict = self._do(what)
            except Cancelled as error:
                verdict = failure(error)
            self._told.put(verdict)

    def _hear(self) -> None:
        try:
            while True:
                self._heard.put(self._pipe.recv())
        finally:  # Whoever started it is gone, or has no more use for it.
            os.killpg(0, signal.SIGKILL)

    def _tell(self) -> None:
        try:
            while True:
                self._pipe.send(self._told.get())
        finally:
            os.killpg(0, signal.SIGKILL)

    def _interrupted(self, *_: object) -> None:
        # Once for each call.
        context, self._running = self._running, None
        if context is not None:
            context.stopping.set()
            raise Cancelled

    def _do(self, what: Work) -> Verdict:
        context = Context(**what.about, backend=_Backend(self._told, what.inputs))
        enter(context)
        kinds = None
        try:
            self._running = context
            if what.prepare is not None:
                what.prepare()
            if what.retry_on is not None:
                kinds = tuple(_find(*name) for name in what.retry_on)
            return success(dumps(_call(what, context)))
        except BaseException as error:
            return failure(error, kinds)
        finally:
            self._running = None


def _serve(pipe: Connection, log_level: int | None) -> None:
    """The main function of a child."""
    if log_level is not None:
        logging.basicConfig(level=log_level, handlers=[LogHandler()])
    _Server(pipe).run()


def _call(what: Work, context: Context) -> Any:
    found = _find(*what.function)
    is_handler = isinstance(found, Handler)
    queue = found.queue if is_handler else Queue(context.queue)
    function = found.function if is_handler else found
    handler = Handler(queue, function, what.handler, Options(), what.takes_body)
    with telemetry.attempt(context, handler.name), queue.around():
        args, kwargs = handler.bind(what.arguments)
        returned = handler.function(*args, **kwargs)
        return asyncio.run(returned) if handler.is_async else returned


def _name(what: Any) -> Name:
    return what.__module__, what.__qualname__


def _find(module: str, path: str) -> Any:
    found: Any = sys.modules.get(module) or importlib.import_module(module)
    for name in path.split("."):
        found = getattr(found, name)
    return found
